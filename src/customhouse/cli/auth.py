"""`customhouse auth`: sign in."""

from __future__ import annotations

import getpass
import sys

from cyclopts import App

from customhouse.cli import credentials
from customhouse.cli.client import Client

app = App(name="auth", help="Sign in to a server.")


@app.command
def login(host: str, /, *, username: str, password_stdin: bool = False) -> None:
    """Sign in; later commands speak to this server.

    Args:
        host: The server, as HOST[:PORT] or a URL.
        username: The user name.
        password_stdin: Read the password from standard input instead of asking for it.
    """
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else getpass.getpass()
    url = credentials.server_url(host)
    with Client(credentials.Server(url, username=username, password=password)) as client:
        token = client.sign_in()
    credentials.store(credentials.Server(url, refresh_token=token))
    print(f"Signed in to {url} as {username}.")
