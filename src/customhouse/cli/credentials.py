"""Where the command line keeps sign-ins: a refresh token for each server, never a password."""

from __future__ import annotations

import ipaddress
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from customhouse.errors import Code, Failure


@dataclass(frozen=True, slots=True)
class Server:
    """A server and how to sign in to it: with a refresh token, or with a user and password."""

    url: str
    refresh_token: str = ""
    username: str = ""
    password: str = ""


def path() -> Path:
    """The file that sign-ins are kept in."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "customhouse" / "credentials.json"


def server_url(host: str) -> str:
    """The URL of a server that is given as a host or a URL.

    Hosts on this machine are spoken to over HTTP, as Docker does; all others over HTTPS.
    """
    if "://" in host:
        return host.rstrip("/")
    name = urlsplit(f"//{host}").hostname or ""
    return f"{'http' if _is_local(name) else 'https'}://{host.rstrip('/')}"


def _is_local(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def store(server: Server) -> None:
    """Keep a sign-in, and make its server the one that commands speak to."""
    document = _read()
    document["servers"][server.url] = {"refresh_token": server.refresh_token}
    document["current"] = server.url
    _write(document)


def current(host: str = "") -> Server:
    """The server to speak to: of the environment, of this host, or of the last sign-in.

    Args:
        host: the host in an image's name, if the command has one.

    Raises:
        Failure: NOT_SIGNED_IN.
    """
    url = os.environ.get("CUSTOMHOUSE_SERVER", "")
    # An image's name says which server it is on; the environment's is for names without a host.
    if url and (not host or urlsplit(server_url(url)).netloc == urlsplit(server_url(host)).netloc):
        username = os.environ.get("CUSTOMHOUSE_USERNAME", "")
        password = os.environ.get("CUSTOMHOUSE_PASSWORD", "")
        if username:
            return Server(server_url(url), username=username, password=password)
        host = host or url
    document = _read()
    chosen = server_url(host) if host else document.get("current", "")
    known = document["servers"].get(chosen)
    if known is None:
        raise Failure(Code.NOT_SIGNED_IN, where=f" to {chosen}" if chosen else "")
    return Server(chosen, refresh_token=known["refresh_token"])


def _read() -> dict[str, Any]:
    try:
        document = json.loads(path().read_text())
        return {"current": str(document["current"]), "servers": dict(document["servers"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {"current": "", "servers": {}}


def _write(document: dict[str, Any]) -> None:
    file = path()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = file.with_suffix(f".{os.getpid()}")
    descriptor = os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(document, stream, indent=2)
    temporary.replace(file)
