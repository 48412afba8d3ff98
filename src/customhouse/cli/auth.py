"""`customhouse auth`: sign in, and hand sign-ins on."""

from __future__ import annotations

import getpass
import re
import shutil
import sys
import warnings
from pathlib import Path
from typing import Annotated

from cyclopts import App, ArgumentCollection, Group, Parameter
from cyclopts.validators import LimitedChoice

from customhouse.cli import credentials, docker_config
from customhouse.cli.client import Client
from customhouse.cli.output import Format, notes, print_json, print_table, safe
from customhouse.errors import Code, Failure

app = App(name="auth", help="Sign in to a server.")

_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")

_WAYS = Group("Who signs in", validator=LimitedChoice(0, 1))
_SECRETS = Group("Secret", show=False, validator=LimitedChoice(0, 1))


def _check_password(arguments: ArgumentCollection) -> None:
    given = {argument.name for argument in arguments if argument.tokens}
    if given == {"--password-stdin"}:
        raise ValueError("--password-stdin needs --username.")


_PASSWORD = Group("Password", show=False, validator=_check_password)


@app.command
def login(
    host: str,
    /,
    *,
    username: Annotated[str | None, Parameter(group=(_WAYS, _PASSWORD))] = None,
    password_stdin: Annotated[bool, Parameter(group=("Parameters", _SECRETS, _PASSWORD))] = False,
    key_file: Annotated[Path | None, Parameter(group=(_WAYS, _SECRETS))] = None,
) -> None:
    """Sign in; later commands speak to this server. Without a name or key, with a browser.

    Args:
        host: The server, as HOST[:PORT] or a URL.
        username: The user name, to sign in with a password.
        password_stdin: Read the password from standard input instead of asking for it.
        key_file: The key file of a service account. The key is kept, the file may go.
    """
    url = credentials.server_url(host)
    if key_file is not None:
        server = credentials.read_key_file(key_file, url)
        with Client(server) as client:
            client.access_token()
    elif username is not None:
        server = _with_password(url, username, from_stdin=password_stdin)
    else:
        server = _with_browser(url)
    credentials.store(server)
    print(f"Signed in to {url} as {safe(server.username)}.")


def _with_password(url: str, username: str, *, from_stdin: bool) -> credentials.Server:
    password = sys.stdin.readline().rstrip("\r\n") if from_stdin else _ask_password()
    with Client(credentials.Server(url, username=username, password=password)) as client:
        token = client.sign_in()
    return credentials.Server(url, username=username, refresh_token=token)


def _ask_password() -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass()
        except getpass.GetPassWarning as error:
            reason = "there is no terminal to ask for the password; use --password-stdin"
            raise OSError(reason) from error


def _with_browser(url: str) -> credentials.Server:
    from customhouse.cli import device

    def show(page: str, code: str) -> None:
        print(f"Open this page in a browser, on any machine:\n\n  {safe(page)}\n")
        print(f"and allow the sign-in with the code {safe(code)}. Waiting ...", flush=True)

    name, token = device.sign_in(url, show)
    return credentials.Server(url, username=name, refresh_token=token)


@app.command
def logout(host: str = "", /) -> None:
    """Forget a sign-in, also for Docker.

    Args:
        host: The server; by default the one that commands speak to.
    """
    with credentials.change() as kept:
        where = credentials.server_url(host) if host else kept.current
        if not where or not kept.drop(credentials.host_of(where)):
            raise Failure(Code.NOT_SIGNED_IN, where=f" to {where}" if where else "")
    print(f"Signed out of {where}.")


@app.command(name="list")
def list_(*, format_: Annotated[Format, Parameter(name="--format")] = Format.TABLE) -> None:
    """List the servers that are signed in to.

    Args:
        format_: How to print the list.
    """
    kept = credentials.read()
    servers = sorted(kept.servers.values(), key=lambda server: server.url)
    if format_ is Format.JSON:
        print_json(
            [
                {"server": each.url, "account": each.username, "current": each.url == kept.current}
                for each in servers
            ]
        )
    elif not servers:
        notes().print("Not signed in. Do it: customhouse auth login HOST")
    else:
        print_table(
            ["SERVER", "ACCOUNT", "CURRENT"],
            [[each.url, each.username, "*" * (each.url == kept.current)] for each in servers],
        )


@app.command
def print_access_token(host: str = "", /) -> None:
    """Print a new access token and nothing else.

    Args:
        host: The server; by default the one that commands speak to.
    """
    with Client(credentials.current(host)) as client:
        print(client.access_token(credentials.ANYTHING))


@app.command
def configure_docker(*hosts: str) -> None:
    """Have Docker ask customhouse for sign-ins to these servers.

    Args:
        hosts: The servers; by default all that are signed in to.
    """
    names = [credentials.host_of(each) for each in hosts or credentials.read().servers]
    if not names:
        raise Failure(Code.NOT_SIGNED_IN, where="")
    for name, given in zip(names, hosts or names, strict=True):
        if not _HOST.fullmatch(name):
            raise Failure(Code.HOST_INVALID, host=given)
    outcomes = docker_config.configure(names)
    for outcome in outcomes:
        if outcome.before == docker_config.HELPER:
            print(f"Docker asks customhouse about {outcome.host} already.")
        else:
            instead = f" instead of {outcome.before}" if outcome.before else ""
            print(f"Docker asks customhouse about {outcome.host} now{instead}.")
    print(f"This is written in {docker_config.path()}.")
    if shutil.which(docker_config.PROGRAM) is None:
        notes().print(
            f"Warning: {docker_config.PROGRAM} is not in PATH, where Docker looks for it.",
            markup=False,
        )
