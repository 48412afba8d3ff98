"""`customhouse users`: people who sign in."""

from __future__ import annotations

import getpass
import sys
from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote

from cyclopts import App, Parameter

from customhouse.cli import credentials
from customhouse.cli.client import Client, ServerError
from customhouse.cli.options import FormatOption, QuietOption
from customhouse.cli.output import Format, ask, notes, print_json, print_table
from customhouse.cli.resources import everything, moment
from customhouse.errors import Code, Failure

app = App(name="users", help="People who sign in.")

PasswordStdin = Annotated[bool, Parameter(name="--password-stdin", show_default=False)]


@app.command
def create(name: str, /, *, password_stdin: PasswordStdin = False) -> None:
    """Create a user. Without a password it signs in through an identity provider.

    Args:
        name: The user name.
        password_stdin: Read a password from standard input.
    """
    body = {"name": name, "password": _read_line() if password_stdin else ""}
    with Client(credentials.current()) as client:
        client.request("POST", "/v1/users", json=body)
    print(f"Created user [{name}].")
    if not password_stdin:
        notes().print(
            f"It has no password. Set one: customhouse users set-password {name}",
            markup=False,
            soft_wrap=True,
        )


@app.command(name="list")
def list_(*, format_: FormatOption = Format.TABLE) -> None:
    """List the users.

    Args:
        format_: How to print.
    """
    with Client(credentials.current()) as client:
        found = everything(client, "/v1/users", "users")
    if format_ is Format.JSON:
        print_json(found)
    else:
        print_table(
            ["NAME", "PASSWORD", "DISABLED", "CREATED!"],
            [
                [
                    each["name"],
                    "yes" if each["hasPassword"] else "",
                    "yes" if each["disabled"] else "",
                    moment(each["createTime"]),
                ]
                for each in found
            ],
        )


@app.command
def disable(name: str, /) -> None:
    """Shut an account: nobody can sign in, and every token of it ends.

    Args:
        name: The user name.
    """
    with Client(credentials.current()) as client:
        client.request("POST", f"{_path(name)}:disable")
    print(f"Disabled user [{name}].")


@app.command
def enable(name: str, /) -> None:
    """Open an account again.

    Args:
        name: The user name.
    """
    with Client(credentials.current()) as client:
        client.request("POST", f"{_path(name)}:enable")
    print(f"Enabled user [{name}].")


@app.command
def delete(name: str, /, *, quiet: QuietOption = False) -> None:
    """Delete a user for good. Take its roles away first: a new user of the name would have them.

    Args:
        name: The user name.
        quiet: Do not ask.
    """
    if not ask(f"This deletes user [{name}] for good. Continue", quiet=quiet):
        raise SystemExit(1)
    with Client(credentials.current()) as client:
        client.request("DELETE", _path(name))
    print(f"Deleted user [{name}].")


@app.command
def set_password(name: str, /, *, password_stdin: PasswordStdin = False) -> None:
    """Set a password, your own or another's. Every sign-in of before ends.

    Args:
        name: The user name.
        password_stdin: Read the password from standard input instead of asking for it.
    """
    password = _read_line() if password_stdin else _ask()
    path, body = f"{_path(name)}:setPassword", {"password": password}
    with Client(credentials.current()) as client:
        try:
            client.request("POST", path, json=body)
        except ServerError as error:
            if error.status != HTTPStatus.PRECONDITION_FAILED or not sys.stdin.isatty():
                raise
            current = getpass.getpass("Current password: ")
            client.request("POST", path, json=body | {"currentPassword": current})
    print(f"Set the password of user [{name}].")


def _path(name: str) -> str:
    return f"/v1/users/{quote(name, safe='')}"


def _read_line() -> str:
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        # An empty one would create a user without any, which was not asked for.
        raise Failure(Code.THING_INVALID, kind="password", reason="standard input is empty")
    return password


def _ask() -> str:
    password = getpass.getpass("New password: ")
    if getpass.getpass("Again: ") != password:
        raise Failure(Code.THING_INVALID, kind="password", reason="the two differ")
    return password
