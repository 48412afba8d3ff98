"""The command line's side of the server's HTTP API."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, BinaryIO, Self
from urllib.parse import quote, urlsplit

import httpx2

from customhouse.cli import credentials
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from customhouse.cli.credentials import Server

_SECONDS = 60.0
_PAGE = 1000
# Digits of a wait in seconds; a longer one is not meant.
_LONG_WAIT = 9

_CODES = {code.name: code for code in Code}
_WIRE = {
    "NAME_UNKNOWN": Code.NAME_UNKNOWN,
    "MANIFEST_UNKNOWN": Code.MANIFEST_UNKNOWN,
    "DENIED": Code.DENIED,
}


class ServerError(Failure):
    """What the server answered, in its own words."""

    def __init__(self, status: int, message: str, hint: str, wire: str) -> None:
        self._status, self._message, self._hint = status, message, hint
        self.wire = wire
        super().__init__(_WIRE.get(wire) or _CODES.get(wire) or Code.INTERNAL)

    @property
    def status(self) -> int:
        """The HTTP status of the answer."""
        return self._status

    @property
    def message(self) -> str:
        """What is wrong, as the server says it."""
        return self._message

    @property
    def hint(self) -> str:
        """What to do, as the server says it."""
        return self._hint


class Client:
    """Speaks to one server. Use it as a context manager."""

    def __init__(self, server: Server) -> None:
        self.server = server
        try:
            self._http = httpx2.Client(base_url=server.url, timeout=_SECONDS)
        except httpx2.InvalidURL as error:
            raise Failure(Code.SERVER_UNREACHABLE, server=server.url, reason=str(error)) from error
        self._tokens: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._http.close()

    @property
    def host(self) -> str:
        """The host that images of this server are named by."""
        return urlsplit(self.server.url).netloc

    def sign_in(self) -> str:
        """Check the user name and the password; returns a refresh token.

        Raises:
            Failure: CREDENTIALS_INVALID and others of the server; SERVER_UNREACHABLE.
        """
        return self._token("", "refresh_token", access_type="offline")

    def access_token(self, scope: str = "") -> str:
        """A new access token.

        Args:
            scope: registry scopes, separated by spaces.

        Raises:
            Failure: any of the server; SERVER_UNREACHABLE, KEY_FILE_INVALID.
        """
        return self._token(scope, "access_token")

    def get(self, path: str, *, scope: str = "", **parameters: Any) -> httpx2.Response:
        """Get a resource.

        Args:
            path: below the server's URL.
            scope: the registry scope that it needs, as `repository:NAME:pull`.
            parameters: of the query.

        Raises:
            Failure: any of the server; SERVER_UNREACHABLE.
        """
        return self.request("GET", path, scope=scope, params=parameters)

    def request(
        self, method: str, path: str, *, scope: str = "", **options: Any
    ) -> httpx2.Response:
        """Make any request; see `get`."""
        if scope not in self._tokens:
            self._tokens[scope] = self.access_token(scope)
        try:
            return self._send(method, path, token=self._tokens[scope], **options)
        except ServerError as error:
            # Long commands outlive their token. A body that was sent cannot be sent again.
            if error.status != HTTPStatus.UNAUTHORIZED or "content" in options:
                raise
        self._tokens[scope] = self.access_token(scope)
        return self._send(method, path, token=self._tokens[scope], **options)

    def save(
        self, path: str, target: BinaryIO, advance: Callable[[int], None], **parameters: Any
    ) -> None:
        """Write what a resource has to a file; see `get`.

        Args:
            path: below the server's URL.
            target: where to write it.
            advance: told how many bytes came so far.
            parameters: of the query.
        """
        headers = {"authorization": f"Bearer {self.access_token()}"}
        try:
            with self._http.stream("GET", path, params=parameters, headers=headers) as response:
                if not response.is_success:
                    response.read()
                    raise _failure(response)
                for chunk in response.iter_bytes():
                    target.write(chunk)
                    advance(target.tell())
        except httpx2.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise Failure(Code.SERVER_UNREACHABLE, server=self.server.url, reason=reason) from error

    def list_tags(self, name: str) -> dict[str, Any]:
        """The tags, children and manifests of a repository or a project, all pages together."""
        scope = f"repository:{name}:pull"
        response = self.get(f"/v2/{name}/tags/list", scope=scope, n=_PAGE)
        document: dict[str, Any] = response.json()
        while "next" in response.links:
            path = response.links["next"]["url"]
            response = self.request("GET", path, scope=scope)
            more = response.json()
            document["tags"] += more["tags"]
            for digest, entry in more["manifest"].items():
                known = document["manifest"].setdefault(digest, entry)
                if known is not entry:
                    known["tag"] = list(dict.fromkeys([*known["tag"], *entry["tag"]]))
        return document

    def repositories(self) -> Iterator[str]:
        """The names of all repositories."""
        response = self.get("/v2/_catalog", scope="registry:catalog:*", n=_PAGE)
        yield from response.json()["repositories"]
        while "next" in response.links:
            path = response.links["next"]["url"]
            response = self.request("GET", path, scope="registry:catalog:*")
            yield from response.json()["repositories"]

    def feeds(self) -> dict[str, Any]:
        """The feeds and sources, all pages together, and what is fetched at all."""
        document: dict[str, Any] = self.get("/v1/feeds").json()
        while token := document.pop("nextPageToken", ""):
            more = self.get("/v1/feeds", pageToken=token).json()
            document |= more | {"feeds": document["feeds"] + more["feeds"]}
        return document

    def occurrences(self, project: str, kind: str, url: str) -> list[dict[str, Any]]:
        """All occurrences of one kind of an image.

        Args:
            project: the image's project.
            kind: VULNERABILITY, PACKAGE or DISCOVERY.
            url: the image, as `https://HOST/PROJECT/IMAGE@DIGEST`.
        """
        found: list[dict[str, Any]] = []
        token = ""
        while True:
            response = self.get(
                f"/v1/projects/{quote(project, safe='')}/occurrences",
                filter=f'kind="{kind}" AND resourceUrl="{url}"',
                pageSize=_PAGE,
                pageToken=token,
            )
            document = response.json()
            found += document["occurrences"]
            token = document.get("nextPageToken", "")
            if not token:
                return found

    def _token(self, scope: str, wanted: str, **more: str) -> str:
        form = {"service": "customhouse", "client_id": "customhouse", "scope": scope}
        form |= credentials.grant(self.server) | more
        response = self._send("POST", "/token", data=form)
        with suppress(ValueError, TypeError, KeyError):
            token = response.json()[wanted]
            if isinstance(token, str) and token:
                return token
        raise _not_understood(response.status_code)

    def _send(self, method: str, path: str, *, token: str = "", **options: Any) -> httpx2.Response:
        headers = options.pop("headers", {})
        if token:
            headers = headers | {"authorization": f"Bearer {token}"}
        try:
            response = self._http.request(method, path, headers=headers, **options)
        except httpx2.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise Failure(Code.SERVER_UNREACHABLE, server=self.server.url, reason=reason) from error
        if response.is_success:
            return response
        raise _failure(response)


def _failure(response: httpx2.Response) -> ServerError:
    """The server's answer as a failure, in either of the forms that its APIs have."""
    status = response.status_code
    try:
        document = response.json()
        if "errors" in document:
            error = document["errors"][0]
            hint = _for_people(error.get("detail", {}).get("hint", ""), response)
            return ServerError(status, error["message"], hint, error["code"])
        error = document["error"]
        hint = _hint_of(error)
        message = error["message"].removesuffix(hint).strip().rstrip(".")
        return ServerError(status, message, _for_people(hint, response), error["status"])
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return _not_understood(status)


def _for_people(hint: str, response: httpx2.Response) -> str:
    """A hint without the headers that a program reads."""
    wait = response.headers.get("retry-after", "")
    if "Retry-After" in hint and wait.isdecimal() and len(wait) <= _LONG_WAIT:
        return f"Wait {int(wait)} s, then try again."
    if "WWW-Authenticate" in hint:
        return f"Sign in again: customhouse auth login {response.url.netloc.decode('ascii')}"
    return hint


def _hint_of(error: dict[str, Any]) -> str:
    """What to do, as the server says it in google.rpc.Help."""
    for detail in error.get("details", []):
        for link in detail.get("links", []):
            return str(link["description"])
    return ""


def _not_understood(status: int) -> ServerError:
    message = f"the server answered {status} and nothing that is understood"
    return ServerError(status, message, "Check that the address is one of customhouse.", "")
