"""`customhouse iam roles`: names for sets of permissions."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from cyclopts import App, Parameter

from customhouse.cli import credentials
from customhouse.cli.client import Client
from customhouse.cli.options import FormatOption, ProjectOption, QuietOption, chosen
from customhouse.cli.output import Format, ask, console, notes, print_json, print_table, safe
from customhouse.cli.resources import everything, print_fields

app = App(name="roles", help="Names for sets of permissions.")

_SERVER = "organizations/customhouse"

# Explicit: a default project would hide the roles that every project has.
ListedProject = Annotated[str, Parameter(name="--project", show_default=False)]
ServerOption = Annotated[bool, Parameter(name="--server", show_default=False)]
Permissions = Annotated[str | None, Parameter(name="--permissions")]


@app.command(name="list")
def list_(
    *,
    project: ListedProject = "",
    server: ServerOption = False,
    format_: FormatOption = Format.TABLE,
) -> None:
    """List the roles that every project has, or those of one project or of the server.

    Args:
        project: List the roles that this project has defined.
        server: List the roles that the server has defined for all projects.
        format_: How to print.
    """
    path = f"/v1/{_owner(project, server=server)}/roles" if project or server else "/v1/roles"
    with Client(credentials.current()) as client:
        found = everything(client, path, "roles")
    if format_ is Format.JSON:
        print_json(found)
    elif not found:
        notes().print(
            "No roles of its own. Define one: customhouse iam roles create ID --permissions A,B"
        )
    else:
        print_table(["NAME!", "TITLE"], [[each["name"], each["title"]] for each in found])


@app.command
def describe(
    role: str,
    /,
    *,
    project: ProjectOption = "",
    server: ServerOption = False,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Describe a role.

    Args:
        role: As roles/viewer or projects/P/roles/ID, or the id of one of the project's.
        project: The project that has defined it.
        server: The server has defined it.
        format_: How to print.
    """
    with Client(credentials.current()) as client:
        _print(client.get(_path(role, project, server=server)).json(), format_)


@app.command
def create(
    role: str,
    /,
    *,
    permissions: str,
    title: str = "",
    description: str = "",
    project: ProjectOption = "",
    server: ServerOption = False,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Define a role for a project, or for all.

    Args:
        role: Its id: 3 to 64 letters, digits, dots and _.
        permissions: What it permits, separated by commas.
        title: A title for people.
        description: What it is for.
        project: The project.
        server: Define it for all projects instead.
        format_: How to print.
    """
    about = {
        "title": title or role,
        "description": description,
        "includedPermissions": _split(permissions),
    }
    path = f"/v1/{_owner(project, server=server)}/roles"
    with Client(credentials.current()) as client:
        body = {"roleId": role, "role": about}
        created = client.request("POST", path, json=body).json()
    notes().print(f"Created role [{created['name']}].", markup=False, soft_wrap=True)
    _print(created, format_)


@app.command
def update(
    role: str,
    /,
    *,
    permissions: Permissions = None,
    title: str = "",
    description: str = "",
    project: ProjectOption = "",
    server: ServerOption = False,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Change a role; what is not given stays.

    Args:
        role: Its id or name.
        permissions: What it permits from now on, separated by commas.
        title: A title for people.
        description: What it is for.
        project: The project that has defined it.
        server: The server has defined it.
        format_: How to print.
    """
    body: dict[str, Any] = {"title": title, "description": description}
    if permissions is not None:
        body["includedPermissions"] = _split(permissions)
    with Client(credentials.current()) as client:
        path = _path(role, project, server=server)
        _print(client.request("PATCH", path, json=body).json(), format_)


@app.command
def delete(
    role: str,
    /,
    *,
    project: ProjectOption = "",
    server: ServerOption = False,
    quiet: QuietOption = False,
) -> None:
    """Delete a role. Bindings to it give nothing then.

    Args:
        role: Its id or name.
        project: The project that has defined it.
        server: The server has defined it.
        quiet: Do not ask.
    """
    path = _path(role, project, server=server)
    if not ask(f"This takes role [{role}] from all who have it. Continue", quiet=quiet):
        raise SystemExit(1)
    with Client(credentials.current()) as client:
        deleted = client.request("DELETE", path).json()
    print(f"Deleted role [{deleted['name']}].")


def _owner(project: str, *, server: bool) -> str:
    return _SERVER if server else f"projects/{chosen(project)}"


def _path(role: str, project: str, *, server: bool) -> str:
    name = role if "/" in role else f"{_owner(project, server=server)}/roles/{role}"
    return f"/v1/{quote(name)}"


def _split(permissions: str) -> list[str]:
    return [name.strip() for name in permissions.split(",") if name.strip()]


def _print(role: dict[str, Any], format_: Format) -> None:
    permissions = role.get("includedPermissions", [])
    fields = {key: role.get(key, "") for key in ("name", "title", "description")}
    deleted = {"deleted": "yes" if role.get("deleted") else ""}
    print_fields(fields | deleted, format_, role)
    if format_ is Format.TABLE:
        print("permissions:")
        for name in permissions:
            console().print(f"  {safe(name)}", markup=False, soft_wrap=True)
