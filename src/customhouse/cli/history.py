"""`customhouse images history`: what changed in the findings of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from cyclopts import Parameter, validators
from rich.text import Text

from customhouse.cli import credentials
from customhouse.cli.client import Client
from customhouse.cli.options import FormatOption  # noqa: TC001  - read when it is called
from customhouse.cli.output import (
    Format,
    console,
    notes,
    plural,
    print_json,
    print_table,
    safe,
    severity,
)
from customhouse.cli.resources import moment, pages
from customhouse.cli.scans import resolve
from customhouse.names import parse_image, project_id, split_project

if TYPE_CHECKING:
    from collections.abc import Sequence

LimitOption = Annotated[int, Parameter(validator=validators.Number(gte=1))]

_WORDS = {
    "NEW": "new",
    "GONE": "gone",
    "SEVERITY": "severity",
    "FIXABLE": "fixable",
    "UNFIXABLE": "no longer fixable",
}
_ARROW = " \N{RIGHTWARDS ARROW} "


def history(
    image: str, /, *, limit: LimitOption = 100, format_: FormatOption = Format.TABLE
) -> None:
    """Show what changed in the findings of an image since it was analysed first, the newest first.

    Args:
        image: HOST/PROJECT/IMAGE[:TAG] or HOST/PROJECT/IMAGE@DIGEST; the tag is latest by default.
        limit: How many changes to show at most.
        format_: How to print.
    """
    reference = parse_image(image)
    with Client(credentials.current(reference.host)) as client:
        digest = resolve(client, reference)
        host = reference.host or client.host
        project = project_id(split_project(reference.repository)[0])
        document = pages(
            client,
            f"/v1/projects/{quote(project, safe='')}/images:history",
            "changes",
            limit,
            resourceUri=f"https://{host}/{reference.repository}@{digest}",
        )
    if format_ is Format.JSON:
        print_json(document)
        return
    if "firstAnalysisTime" not in document:
        notes().print(
            f"It was not analysed. See why: customhouse images describe {image}"
            " --show-package-vulnerability",
            markup=False,
            soft_wrap=True,
        )
        return
    began = plural(document["firstFindingCount"], "finding")
    out = console()
    out.print(
        f"First analysed {moment(document['firstAnalysisTime'])}, with {began}.", soft_wrap=True
    )
    if not document["changes"]:
        out.print("No feed has changed them since.")
        return
    columns = ["TIME!", "CHANGE", "VULNERABILITY", "PACKAGE", "SEVERITY", "FIXED IN", "FEED"]
    print_table(columns, [_row(change) for change in document["changes"]])
    if "nextPageToken" in document:
        notes().print(f"Older changes are left out; see more with --limit {limit * 10}.")


def _row(change: dict[str, Any]) -> Sequence[str | Text]:
    levels = [severity(change[key]) for key in _pair(change, "severity")]
    return [
        moment(change["createTime"]),
        ", ".join(_WORDS.get(kind, kind) for kind in change["change"]),
        change["noteName"].rpartition("/")[2],
        f"{change['affectedPackage']} {change['affectedVersion']['fullName']}",
        Text(_ARROW).join(levels),
        Text(_ARROW).join(Text(safe(change[key])) for key in _pair(change, "fixedVersion")),
        change["feed"],
    ]


def _pair(change: dict[str, Any], name: str) -> list[str]:
    """Which of the keys for before and after to show: both only where they differ."""
    before, after = f"{name}Before", f"{name}After"
    keys = [key for key in (before, after) if key in change]
    return keys[1:] if change.get(before) == change.get(after) else keys
