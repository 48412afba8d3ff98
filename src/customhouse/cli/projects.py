"""`customhouse projects`: what owns images, and who may do what in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from cyclopts import App

from customhouse.cli import credentials, policies
from customhouse.cli.client import Client
from customhouse.cli.options import FormatOption, Grant, LabelsOption, QuietOption
from customhouse.cli.output import Format, ask, notes, print_json, print_table
from customhouse.cli.resources import everything, print_fields
from customhouse.names import parse_project, project_id

app = App(name="projects", help="Projects, and who may do what in them.")


@app.command
def create(
    project: str,
    /,
    *,
    name: str = "",
    labels: LabelsOption = None,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Create a project, which is then yours.

    Args:
        project: Its id: lower-case letters, digits and dashes.
        name: A name for people; the id by default.
        labels: Labels as KEY=VALUE,KEY=VALUE.
        format_: How to print.
    """
    body = {"projectId": _id(project), "name": name, "labels": labels or {}}
    with Client(credentials.current()) as client:
        created = client.request("POST", "/v1/projects", json=body).json()["response"]
    if format_ is Format.JSON:
        print_json(created)
    else:
        print(f"Created project [{created['projectId']}], number {created['projectNumber']}.")


@app.command(name="list")
def list_(*, filter_: str = "lifecycleState:ACTIVE", format_: FormatOption = Format.TABLE) -> None:
    """List the projects that you may see.

    Args:
        filter_: Which, as labels.team:web or lifecycleState:DELETE_REQUESTED.
        format_: How to print.
    """
    with Client(credentials.current()) as client:
        found = everything(client, "/v1/projects", "projects", filter=filter_)
    if format_ is Format.JSON:
        print_json(found)
    elif not found:
        notes().print("No such projects. Create one: customhouse projects create PROJECT")
    else:
        print_table(
            ["PROJECT_ID", "NAME", "PROJECT_NUMBER!", "LABELS"],
            [
                [
                    each["projectId"],
                    each["name"],
                    each["projectNumber"],
                    _shown(each.get("labels", {})),
                ]
                for each in found
            ],
        )


@app.command
def describe(project: str, /, *, format_: FormatOption = Format.TABLE) -> None:
    """Describe a project.

    Args:
        project: Its id or number.
        format_: How to print.
    """
    with Client(credentials.current()) as client:
        _print(client.get(_path(project)).json(), format_)


@app.command
def update(
    project: str,
    /,
    *,
    name: str = "",
    labels: LabelsOption = None,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Change the name or the labels of a project.

    Args:
        project: Its id or number.
        name: The new name.
        labels: The labels that take the place of all of before.
        format_: How to print.
    """
    with Client(credentials.current()) as client:
        before = client.get(_path(project)).json()
        kept = before.get("labels", {}) if labels is None else labels
        body = {"name": name or before["name"], "labels": kept}
        _print(client.request("PUT", _path(project), json=body).json(), format_)


@app.command
def delete(project: str, /, *, quiet: QuietOption = False) -> None:
    """Delete a project. For thirty days it can be had back.

    Args:
        project: Its id or number.
        quiet: Do not ask.
    """
    if not ask(f"This shuts project [{project}] and all images in it. Continue", quiet=quiet):
        raise SystemExit(1)
    with Client(credentials.current()) as client:
        client.request("DELETE", _path(project))
    print(
        f"Deleted [{project}].\n"
        f"For thirty days you can have it back: customhouse projects undelete {project}"
    )


@app.command
def undelete(project: str, /) -> None:
    """Have a deleted project back.

    Args:
        project: Its id or number.
    """
    with Client(credentials.current()) as client:
        client.request("POST", f"{_path(project)}:undelete")
    print(f"Restored project [{project}].")


@app.command
def get_iam_policy(project: str, /, *, format_: FormatOption = Format.TABLE) -> None:
    """Show who may do what in a project.

    Args:
        project: Its id.
        format_: How to print.
    """
    policies.get(policies.project(project), format_)


@app.command
def set_iam_policy(project: str, file: Path, /, *, format_: FormatOption = Format.TABLE) -> None:
    """Replace the policy of a project.

    Args:
        project: Its id.
        file: JSON, as get-iam-policy --format json prints it. With its etag, changes of others
            since then are not lost.
        format_: How to print.
    """
    policies.put(policies.project(project), file, format_)


@app.command
def add_iam_policy_binding(
    project: str, /, *, grant: Grant, format_: FormatOption = Format.TABLE
) -> None:
    """Give a role in a project to a member.

    Args:
        project: Its id.
        grant: The role and the member.
        format_: How to print.
    """
    policies.add(policies.project(project), grant, format_)


@app.command
def remove_iam_policy_binding(
    project: str,
    /,
    *,
    grant: Grant,
    all_: bool = False,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Take a role in a project from a member.

    Args:
        project: Its id.
        grant: The role and the member.
        all_: Whatever the condition.
        format_: How to print.
    """
    policies.remove(policies.project(project), grant, format_, all_=all_)


def _id(project: str) -> str:
    """The id as the API writes it, or the number."""
    return project if project.isdecimal() else project_id(parse_project(project))


def _path(project: str) -> str:
    return f"/v1/projects/{quote(_id(project), safe='')}"


def _shown(labels: dict[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in labels.items())


def _print(document: dict[str, Any], format_: Format) -> None:
    print_fields(document | {"labels": _shown(document.get("labels", {}))}, format_, document)
