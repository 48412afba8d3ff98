"""Writes the reference pages from the code: `make docs`. A test holds the pages to the code."""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import BaseModel

from customhouse.errors import Code
from customhouse.iam.roles import ROLES
from customhouse.settings import Settings

FOLDER = Path(__file__).parent / "reference"


def settings_page() -> str:
    """Every setting with its type, default and meaning."""
    lines = [
        "# Settings",
        "",
        "From a TOML file (`customhouse serve --config FILE`), with a table for each section,",
        "and from the environment, which wins: `CUSTOMHOUSE_SECTION__NAME`, for example",
        "`CUSTOMHOUSE_SERVER__PORT=8080`. The options of `serve` win over both.",
        "",
        "```toml",
        'data = "/var/lib/customhouse"',
        "",
        "[server]",
        'host = "0.0.0.0"',
        'trusted_proxies = ["10.0.0.0/8"]',
        "```",
        "",
    ]
    sections: dict[str, type[BaseModel]] = {
        name: field.annotation
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }
    lines += _table("", Settings, leave_out=set(sections))
    for name, section in sections.items():
        lines += [f"## [{name}]", "", (section.__doc__ or "").strip(), ""]
        lines += _table(f"{name}.", section, leave_out=set())
    return "\n".join(lines).rstrip() + "\n"


def _table(prefix: str, model: type[BaseModel], leave_out: set[str]) -> list[str]:
    lines = ["| setting | default | |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        if name in leave_out:
            continue
        if field.default_factory is not None:
            default = "the number of cores"
        else:
            default = f"`{field.default}`" if field.default not in ("", None, ()) else ""
        meaning = " ".join((field.description or "").split())
        lines.append(f"| `{prefix}{name}` | {default} | {meaning} |")
    return [*lines, ""]


def errors_page() -> str:
    """Every error with its status, what is wrong and what to do."""
    lines = [
        "# Errors",
        "",
        "Every error tells its code, what is wrong and what to do. On `/v2` it has the form of",
        "the OCI distribution spec, with the spec's code and the hint under `detail`; on `/v1`",
        "that of Google's APIs, with the code of this table as the reason. Words in braces stand",
        "for what it is about.",
        "",
        "| code | status | on /v2 | what is wrong | what to do |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {code.name} | {code.value.status} | {code.value.wire} | {code.value.message} "
        f"| {code.value.hint} |"
        for code in Code
    ]
    return "\n".join(lines) + "\n"


def roles_page() -> str:
    """Every role, and who may do what by it."""
    lines = [
        "# Roles and permissions",
        "",
        "Roles are bound to members on the server, a project, a repository, a prefix of",
        "repositories or a service account: see [permissions](../permissions.md). The names are",
        "those of Google Cloud.",
        "",
        "| role | | |",
        "|---|---|---|",
    ]
    lines += [
        f"| [`{role.name}`](#{_anchor(role.name)}) | {role.title} | {role.description} |"
        for role in ROLES.values()
    ]
    for role in ROLES.values():
        lines += ["", f"## `{role.name}`", "", role.description, ""]
        lines += [f"- `{name}`" for name in sorted(p.value for p in role.permissions)]
    return "\n".join(lines) + "\n"


def _anchor(heading: str) -> str:
    return "".join(letter for letter in heading.lower() if letter.isalnum() or letter in "-_")


PAGES = {"roles.md": roles_page, "settings.md": settings_page, "errors.md": errors_page}


def main() -> None:
    """Write every page."""
    FOLDER.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page())
        sys.stdout.write(f"{FOLDER / name}\n")


if __name__ == "__main__":
    main()
