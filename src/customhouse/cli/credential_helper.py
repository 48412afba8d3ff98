"""`docker-credential-customhouse`: hands sign-ins to Docker, skopeo, podman and others.

The protocol is that of docker/docker-credential-helpers: the action is the only argument, its
input comes on standard input; results and errors go to standard output, an error ends with 1.

A client gets an access token that expires soon, and never what such tokens are obtained with.
Clients run this at each pull, so that it imports no more than it must.
"""

from __future__ import annotations

import base64
import json
import sys
from contextlib import suppress
from typing import Any

from customhouse import __version__
from customhouse.cli import credentials
from customhouse.cli.credentials import Login, Server, host_of
from customhouse.errors import Code, Failure

# The words by which Docker knows what is the matter (credentials/error.go).
NOT_FOUND = "credentials not found in native keychain"
NO_SERVER = "no credentials server URL"
NO_USERNAME = "no credentials username"

ACCESS_TOKEN = "_token"  # noqa: S105 -- a user name
"""The user name that stands for an access token where a user name and a password are wanted."""

_IDENTITY_TOKEN = "<token>"  # noqa: S105 -- a user name
_SERVICE = 'service="customhouse"'

_MAX_INPUT = 1024 * 1024
_MAX_ANSWER = 1024 * 1024
_SECONDS = 20.0
_USAGE = "Usage: docker-credential-customhouse <store|get|erase|list|version>"


def main() -> None:
    """Do what the one argument says and exit: 0 when it was done, 1 when not."""
    status = 1
    try:
        status, text = _answer(sys.argv[1:])
    except Failure as failure:
        text = f"{failure.message}. {failure.hint}"
    except KeyboardInterrupt:
        sys.exit(130)
    except (OSError, RuntimeError) as error:
        # No home folder is a RuntimeError.
        text = str(error) or type(error).__name__
    print("".join(each if each.isprintable() else " " for each in text))
    sys.exit(status)


def _answer(arguments: list[str]) -> tuple[int, str]:
    match arguments:
        case ["get"]:
            return _get(_input())
        case ["store"]:
            return _store(_input())
        case ["erase"]:
            return _erase(_input())
        case ["list"]:
            return _list()
        case ["version" | "--version" | "-v"]:
            return 0, f"docker-credential-customhouse (customhouse) {__version__}"
        case ["--help" | "-h"]:
            return 0, _USAGE
        case [action]:
            return 1, f"unknown action {action[:40]!r}; {_USAGE}"
    return 1, _USAGE


def _input() -> str:
    content = sys.stdin.buffer.read(_MAX_INPUT + 1)
    if len(content) > _MAX_INPUT:
        raise Failure(Code.REQUEST_INVALID, reason=f"more than {_MAX_INPUT} bytes of input")
    return content.decode(errors="replace").strip()


def _get(address: str) -> tuple[int, str]:
    if not host_of(address):
        return 1, NO_SERVER
    login = credentials.read().for_docker(address)
    if login is None:
        try:
            server = credentials.current(host_of(address))
        except Failure:
            return 1, NOT_FOUND
        # What Docker is about to do is not told; it gets narrower tokens for this one.
        token = _token(server, "access_token", scope=credentials.ANYTHING)
        login = Login(ACCESS_TOKEN, token)
    return 0, json.dumps({"ServerURL": address, "Username": login.username, "Secret": login.secret})


def _store(text: str) -> tuple[int, str]:
    try:
        document = json.loads(text)
        address, username, secret = (
            document.get(key, "") for key in ("ServerURL", "Username", "Secret")
        )
    except (ValueError, RecursionError, AttributeError) as error:
        raise Failure(Code.REQUEST_INVALID, reason="the input is no JSON object") from error
    if not (isinstance(address, str) and isinstance(username, str) and isinstance(secret, str)):
        raise Failure(Code.REQUEST_INVALID, reason="the input is not made of strings")
    if not host_of(address):
        return 1, NO_SERVER
    if not username:
        return 1, NO_USERNAME
    server = None if _stands_for_a_key(username) else _exchanged(address, username, secret)
    if server is not None:
        credentials.store(server, make_current=False)
        return 0, ""
    with credentials.change() as kept:
        for known in [each for each in kept.docker if host_of(each) == host_of(address)]:
            del kept.docker[known]
        kept.docker[address] = Login(username, secret)
    return 0, ""


def _stands_for_a_key(username: str) -> bool:
    """Whether the secret beside this user name is a key or an access token, as GCR's clients do."""
    return username == "oauth2accesstoken" or username.startswith(("_json_key", "_token", "_dcg"))


def _exchanged(address: str, username: str, secret: str) -> Server | None:
    """The sign-in to keep in place of a password; None where the server is another registry."""
    host = host_of(address)
    known = credentials.read().on(host)
    url = known.url if known else credentials.server_url(host)
    if not _is_customhouse(url):
        return None
    if username == _IDENTITY_TOKEN:
        # Docker has exchanged the password itself; this is the refresh token.
        return Server(url, username=_subject(secret), refresh_token=secret)
    server = Server(url, username=username, password=secret)
    token = _token(server, "refresh_token", access_type="offline")
    return Server(url, username=username, refresh_token=token)


def _erase(address: str) -> tuple[int, str]:
    if not host_of(address):
        return 1, NO_SERVER
    with credentials.change() as kept:
        found = kept.drop(host_of(address))
    return (0, "") if found else (1, NOT_FOUND)


def _list() -> tuple[int, str]:
    kept = credentials.read()
    users = {host_of(url): ACCESS_TOKEN for url in kept.servers}
    for address, login in kept.docker.items():
        users.pop(host_of(address), None)
        users[address] = login.username
    return 0, json.dumps(users)


def _subject(token: str) -> str:
    """The account that a refresh token of a customhouse is for; to be shown, hence unverified."""
    with suppress(ValueError, IndexError, AttributeError, RecursionError):
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(claims.get("sub", "")).removeprefix("user:")
    return ""


def _is_customhouse(url: str) -> bool:
    """Whether the registry's challenge is one of customhouse.

    A password is offered only where this was asked before: another registry's `/token` may be
    anything.
    """
    status, headers, _ = _send(f"{url}/v2/")
    return status == 401 and _SERVICE in headers.get("www-authenticate", "")


def _token(server: Server, wanted: str, **more: str) -> str:
    from urllib.parse import urlencode

    form = {"service": "customhouse", "client_id": "docker-credential-customhouse"}
    body = urlencode(form | credentials.grant(server) | more).encode()
    status, _, content = _send(f"{server.url}/token", body)
    try:
        document = json.loads(content)
        if status == 200 and document[wanted]:
            return str(document[wanted])
        said = str(document["errors"][0]["message"])
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        said = f"it answered {status}"
    if status == 401:
        raise Failure(Code.NOT_SIGNED_IN, where=f" to {server.url}: {said}")
    raise Failure(Code.SERVER_UNREACHABLE, server=server.url, reason=said)


def _send(url: str, body: bytes | None = None) -> tuple[int, Any, bytes]:
    """The status, headers and content of an answer; redirections are not followed."""
    import http.client
    import urllib.request
    from urllib.error import HTTPError

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            """No other place is told what this one is told."""

    if not url.startswith(("http://", "https://")):
        raise Failure(Code.SERVER_UNREACHABLE, server=url, reason="it is neither http nor https")
    try:
        request = urllib.request.Request(url, body)  # noqa: S310 -- checked above
        with urllib.request.build_opener(Stay).open(request, timeout=_SECONDS) as response:
            return response.status, response.headers, response.read(_MAX_ANSWER)
    except HTTPError as error:
        with error:
            return error.code, error.headers, error.read(_MAX_ANSWER)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = str(getattr(error, "reason", "") or error) or type(error).__name__
        raise Failure(Code.SERVER_UNREACHABLE, server=url, reason=reason) from error
