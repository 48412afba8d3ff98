"""`customhouse groups`: names for sets of members."""

from __future__ import annotations

from urllib.parse import quote

from cyclopts import App

from customhouse.cli import credentials
from customhouse.cli.client import Client
from customhouse.cli.options import FormatOption, QuietOption
from customhouse.cli.output import Format, ask, notes, print_json, print_table
from customhouse.cli.resources import everything, moment

app = App(name="groups", help="Names for sets of members.")


@app.command
def create(name: str, /, *, description: str = "") -> None:
    """Create a group.

    Args:
        name: Its name.
        description: What it is for.
    """
    body = {"name": name, "description": description}
    with Client(credentials.current()) as client:
        client.request("POST", "/v1/groups", json=body)
    print(f"Created group [{name}].")


@app.command(name="list")
def list_(*, format_: FormatOption = Format.TABLE) -> None:
    """List the groups.

    Args:
        format_: How to print.
    """
    with Client(credentials.current()) as client:
        found = everything(client, "/v1/groups", "groups")
    if format_ is Format.JSON:
        print_json(found)
    elif not found:
        notes().print("No groups yet. Create one: customhouse groups create NAME")
    else:
        print_table(
            ["NAME", "DESCRIPTION", "CREATED!"],
            [[each["name"], each["description"], moment(each["createTime"])] for each in found],
        )


@app.command
def delete(name: str, /, *, quiet: QuietOption = False) -> None:
    """Delete a group. Bindings that name it give nothing then.

    Args:
        name: Its name.
        quiet: Do not ask.
    """
    if not ask(f"This deletes group [{name}] for good. Continue", quiet=quiet):
        raise SystemExit(1)
    with Client(credentials.current()) as client:
        client.request("DELETE", _path(name))
    print(f"Deleted group [{name}].")


@app.command
def members(name: str, /, *, format_: FormatOption = Format.TABLE) -> None:
    """List who is in a group.

    Args:
        name: Its name.
        format_: How to print.
    """
    with Client(credentials.current()) as client:
        found = everything(client, f"{_path(name)}/members", "members")
    if format_ is Format.JSON:
        print_json(found)
    elif not found:
        notes().print(
            f"Nobody is in it. Add somebody: customhouse groups add-member {name} user:NAME",
            markup=False,
            soft_wrap=True,
        )
    else:
        print_table(["MEMBER"], [[member] for member in found])


@app.command
def add_member(name: str, member: str, /) -> None:
    """Put a member into a group.

    Args:
        name: The group's name.
        member: user:NAME, serviceAccount:EMAIL or group:NAME.
    """
    with Client(credentials.current()) as client:
        client.request("POST", f"{_path(name)}/members", json={"member": member})
    print(f"Added [{member}] to group [{name}].")


@app.command
def remove_member(name: str, member: str, /) -> None:
    """Take a member out of a group.

    Args:
        name: The group's name.
        member: As members lists it.
    """
    with Client(credentials.current()) as client:
        client.request("DELETE", f"{_path(name)}/members/{quote(member, safe='')}")
    print(f"Removed [{member}] from group [{name}].")


def _path(name: str) -> str:
    return f"/v1/groups/{quote(name, safe='')}"
