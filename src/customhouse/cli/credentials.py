"""Where the command line keeps sign-ins: what gets a token from each server, never a password.

The file is `~/.config/customhouse/credentials.json`, readable by its owner alone::

    {
      "current": "https://registry.example.com",
      "servers": {
        "https://registry.example.com": {"username": "ada", "refresh_token": "..."},
        "http://localhost:5000": {"username": "ci@p...", "key_id": "...", "private_key": "..."}
      },
      "docker": {"registry.example.org": {"username": "_json_key", "secret": "..."}}
    }

`docker` has what Docker gave to the credential helper and only Docker has a use for.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Iterator

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"

ANYTHING = "https://www.googleapis.com/auth/cloud-platform"
"""The scope of a token for whatever its account may do, as Google's clients name it."""

_KEY_FILE_BYTES = 64 * 1024
# An assertion is used at once; clocks may differ by less than this.
_ASSERTION_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Server:
    """A server and how to sign in to it: with a refresh token, a key, or a user and password.

    Attributes:
        url: scheme and host, without a slash at the end.
        username: the account; empty when it is not known.
        password: of a user; it is never kept.
        refresh_token: gets tokens without the password.
        key_id: of a service account's key.
        private_key: of a service account, in PEM.
    """

    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    key_id: str = ""
    private_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Login:
    """A user name and secret that Docker gave, to be given back as they are."""

    username: str
    secret: str = field(repr=False)


@dataclass(slots=True)
class Kept:
    """What the file holds.

    Attributes:
        current: the URL of the server that commands speak to.
        servers: the sign-ins by URL.
        docker: what is kept for Docker, by the server's address as Docker writes it.
    """

    current: str = ""
    servers: dict[str, Server] = field(default_factory=dict)
    docker: dict[str, Login] = field(default_factory=dict)

    def on(self, host: str) -> Server | None:
        """The sign-in to a host, whatever the scheme that the server is spoken to with."""
        return next((each for each in self.servers.values() if host_of(each.url) == host), None)

    def for_docker(self, address: str) -> Login | None:
        """What is kept for a server, by its address or its host."""
        host = host_of(address)
        same = (login for known, login in self.docker.items() if host_of(known) == host)
        return self.docker.get(address) or next(same, None)

    def drop(self, host: str) -> bool:
        """Forget everything about a host; returns whether there was anything."""
        servers = [url for url in self.servers if host_of(url) == host]
        logins = [address for address in self.docker if host_of(address) == host]
        for url in servers:
            del self.servers[url]
        for address in logins:
            del self.docker[address]
        if self.current in servers:
            self.current = ""
        return bool(servers or logins)


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
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        name = ""
    return f"{'http' if _is_local(name) else 'https'}://{host.rstrip('/')}"


def _is_local(name: str) -> bool:
    if name == "localhost":
        return True
    import ipaddress

    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def host_of(address: str) -> str:
    """The HOST[:PORT] of a host, a URL, or an image's name that begins with its host."""
    rest = address.partition("://")[2] if "://" in address else address
    return rest.strip().partition("/")[0].lower()


def store(server: Server, *, make_current: bool = True) -> None:
    """Keep a sign-in in place of any other to its host.

    Args:
        server: the sign-in; a password in it is left out.
        make_current: make it the one that commands speak to, even if there is another.
    """
    with change() as kept:
        current = kept.current
        kept.drop(host_of(server.url))
        kept.servers[server.url] = server
        kept.current = server.url if make_current or current not in kept.servers else current


def current(host: str = "") -> Server:
    """The server to speak to: of the environment, of this host, or of the last sign-in.

    Args:
        host: the host in an image's name, if the command has one.

    Raises:
        Failure: NOT_SIGNED_IN.
    """
    url = os.environ.get("CUSTOMHOUSE_SERVER", "")
    # An image's name says which server it is on; the environment's is for names without a host.
    if url and (not host or host_of(url) == host_of(host)):
        username = os.environ.get("CUSTOMHOUSE_USERNAME", "")
        password = os.environ.get("CUSTOMHOUSE_PASSWORD", "")
        if username:
            return Server(server_url(url), username=username, password=password)
        host = host or url
    kept = read()
    chosen = server_url(host) if host else kept.current
    known = kept.servers.get(chosen) or (kept.on(host_of(host)) if host else None)
    if known is None:
        raise Failure(Code.NOT_SIGNED_IN, where=f" to {chosen}" if chosen else "")
    return known


def grant(server: Server) -> dict[str, str]:
    """The form fields for which the token endpoint gives a token.

    RFC 6749 sections 4.3.2 (password) and 6 (refresh token), RFC 7523 section 2.1 (key).

    Raises:
        Failure: KEY_FILE_INVALID.
    """
    if server.refresh_token:
        return {"grant_type": "refresh_token", "refresh_token": server.refresh_token}
    if server.private_key:
        return {"grant_type": JWT_BEARER, "assertion": _assertion(server)}
    return {
        "grant_type": "password",
        "username": server.username,
        "password": server.password,
    }


def _assertion(server: Server) -> str:
    # These take longer to import than all the rest.
    from joserfc import jwt
    from joserfc.errors import JoseError
    from joserfc.jwk import RSAKey

    issued = int(time.time())
    # The audience is the server that is spoken to and not what the key file names: a server that
    # was given an assertion for another one could sign in there with it.
    claims = {
        "iss": server.username,
        "sub": server.username,
        "aud": f"{server.url}/token",
        "iat": issued,
        "exp": issued + _ASSERTION_SECONDS,
    }
    header = {"alg": "RS256", "typ": "JWT", "kid": server.key_id}
    try:
        key = RSAKey.import_key(server.private_key)
        return jwt.encode(header, claims, key, algorithms=["RS256"])
    except (JoseError, ValueError, TypeError) as error:
        raise Failure(Code.KEY_FILE_INVALID, reason="its private key is no RSA key") from error


def read_key_file(file: Path, url: str) -> Server:
    """The sign-in that a service account's key file in Google's format gives.

    Raises:
        Failure: KEY_FILE_INVALID.
        OSError: the file cannot be read.
    """
    with file.open("rb") as stream:
        content = stream.read(_KEY_FILE_BYTES + 1)
    if len(content) > _KEY_FILE_BYTES:
        raise Failure(Code.KEY_FILE_INVALID, reason=f"it is longer than {_KEY_FILE_BYTES} bytes")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Failure(Code.KEY_FILE_INVALID, reason="it is not JSON") from error
    if not isinstance(document, dict) or document.get("type") != "service_account":
        raise Failure(Code.KEY_FILE_INVALID, reason='its "type" is not "service_account"')
    texts = _texts(document)
    for name in ("client_email", "private_key_id", "private_key"):
        if not texts.get(name):
            raise Failure(Code.KEY_FILE_INVALID, reason=f'it has no "{name}"')
    return Server(
        url,
        username=texts["client_email"],
        key_id=texts["private_key_id"],
        private_key=texts["private_key"],
    )


def read() -> Kept:
    """What the file holds; nothing if it is missing or broken.

    Raises:
        OSError: it cannot be read.
    """
    try:
        document = json.loads(path().read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return Kept()
    servers = {url: _server(url, _texts(entry)) for url, entry in _entries(document, "servers")}
    docker = {address: _texts(entry) for address, entry in _entries(document, "docker")}
    return Kept(
        _texts(document).get("current", ""),
        {url: each for url, each in servers.items() if each.refresh_token or each.private_key},
        {
            address: Login(texts["username"], texts["secret"])
            for address, texts in docker.items()
            if {"username", "secret"} <= texts.keys()
        },
    )


def _entries(document: object, key: str) -> list[tuple[str, object]]:
    entries = document.get(key) if isinstance(document, dict) else None
    return list(entries.items()) if isinstance(entries, dict) else []


def _texts(document: object) -> dict[str, str]:
    items = document.items() if isinstance(document, dict) else ()
    return {key: value for key, value in items if isinstance(value, str)}


def _server(url: str, texts: dict[str, str]) -> Server:
    names = {each.name for each in fields(Server)} - {"url", "password"}
    return Server(url, **{name: text for name, text in texts.items() if name in names})


@contextmanager
def change() -> Iterator[Kept]:
    """What the file holds, written back at the end of the block; one process at a time.

    Raises:
        OSError: it cannot be written.
    """
    folder = path().parent
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = read()
        yield kept
        _write(kept)
    finally:
        os.close(lock)


def _write(kept: Kept) -> None:
    document: dict[str, Any] = {
        "current": kept.current,
        "servers": {
            url: {
                name: text
                for name, text in asdict(server).items()
                if text and name not in {"url", "password"}
            }
            for url, server in kept.servers.items()
        },
        "docker": {address: asdict(login) for address, login in kept.docker.items()},
    }
    file = path()
    temporary = file.with_suffix(f".{os.getpid()}")
    descriptor = os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(document, stream, indent=2)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(file)
