"""A small toolkit for raw ASGI: requests, responses, bodies, errors in the spec's form.

The data plane answers in tens of microseconds and needs no more than this. The control plane is
FastAPI's.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import msgspec

from customhouse.errors import Code, Failure

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

JSON = (b"content-type", b"application/json")

_HOST = re.compile(r"[A-Za-z0-9._\-\[\]:]{1,255}")
_MAX_FIELDS = 1000


class ClientGone(Exception):  # noqa: N818  - nobody is left to be told of an error
    """The client closed the connection before its request was complete."""


class Request:
    """One request. Header names are lower-case bytes, as ASGI has them."""

    __slots__ = ("_headers", "_query", "_receive", "client", "context", "method", "path", "scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        client = scope.get("client")
        self.client: str = client[0] if client else ""
        self.context: dict[str, Any] = {}
        self._headers: dict[bytes, bytes] | None = None
        self._query: dict[str, list[str]] | None = None
        self._receive = receive

    @property
    def headers(self) -> Mapping[bytes, bytes]:
        """The headers; of one that was sent several times the last."""
        if self._headers is None:
            self._headers = dict(self.scope["headers"])
        return self._headers

    def header(self, name: bytes) -> str:
        """A header as text, or the empty string."""
        return self.headers.get(name, b"").decode("latin-1")

    @property
    def query(self) -> dict[str, list[str]]:
        """The query parameters, each with all its values.

        Raises:
            Failure: REQUEST_INVALID.
        """
        if self._query is None:
            raw: bytes = self.scope["query_string"]
            self._query = parse_form(raw) if raw else {}
        return self._query

    def parameter(self, name: str) -> str | None:
        """The last value of a query parameter, or None."""
        values = self.query.get(name)
        return values[-1] if values else None

    @property
    def content_length(self) -> int | None:
        """What the Content-Length header says, or None.

        Raises:
            Failure: SIZE_INVALID.
        """
        text = self.header(b"content-length")
        if not text:
            return None
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            raise Failure(Code.SIZE_INVALID, reason=f"Content-Length is {text[:40]!r}")
        return int(text)

    @property
    def host(self) -> str:
        """The host and port that the client used.

        Raises:
            Failure: REQUEST_INVALID, when the header is no host.
        """
        host = self.header(b"host") or str(self.scope.get("authority") or "")
        if not _HOST.fullmatch(host):
            raise Failure(Code.REQUEST_INVALID, reason="the Host header is missing or malformed")
        return host

    @property
    def base_url(self) -> str:
        """The URL of the server as the client sees it, without a slash at the end."""
        return f"{self.scope['scheme']}://{self.host}"

    async def chunks(self, pause: float) -> AsyncIterator[bytes]:
        """The body as it arrives.

        Args:
            pause: seconds that it may stop arriving.

        Raises:
            ClientGone: it ends before it is complete.
            Failure: REQUEST_TIMEOUT.
        """
        more = True
        while more:
            try:
                async with asyncio.timeout(pause):
                    message = await self._receive()
            except TimeoutError:
                raise Failure(Code.REQUEST_TIMEOUT) from None
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunk: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            if chunk:
                yield chunk

    async def body(self, limit: int, too_large: Failure, pause: float) -> bytes:
        """The whole body.

        Raises:
            ClientGone: it ends before it is complete.
            Failure: REQUEST_TIMEOUT, or `too_large` when it has more than `limit` bytes.
        """
        if (self.content_length or 0) > limit:
            raise too_large
        parts: list[bytes] = []
        size = 0
        async for chunk in self.chunks(pause):
            size += len(chunk)
            if size > limit:
                raise too_large
            parts.append(chunk)
        return b"".join(parts)


def parse_form(raw: bytes) -> dict[str, list[str]]:
    """Parse `application/x-www-form-urlencoded`.

    Raises:
        Failure: REQUEST_INVALID.
    """
    try:
        return parse_qs(
            raw.decode("ascii"),
            keep_blank_values=True,
            max_num_fields=_MAX_FIELDS,
            errors="strict",
        )
    except ValueError as error:
        raise Failure(
            Code.REQUEST_INVALID, reason="the query or form is not properly encoded"
        ) from error


@dataclass(slots=True)
class FileBody:
    """A part of a file as the body of a response."""

    path: str
    offset: int
    length: int
    whole: bool


@dataclass(slots=True)
class Response:
    """One response; its Content-Length is that of the body."""

    status: int
    headers: list[Header] = field(default_factory=list)
    body: bytes | FileBody = b""

    @property
    def length(self) -> int:
        """How many bytes the body has."""
        return len(self.body) if isinstance(self.body, bytes) else self.body.length

    async def send(self, scope: Scope, send: Send) -> None:
        """Send it; the answer to HEAD has the headers alone."""
        headers = self.headers
        if self.status not in _WITHOUT_BODY:
            headers = [*headers, (b"content-length", b"%d" % self.length)]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        if scope["method"] == "HEAD":
            await send(_NO_BODY)
        elif isinstance(self.body, bytes):
            await send({"type": "http.response.body", "body": self.body})
        elif self.body.whole and "http.response.pathsend" in scope.get("extensions", {}):
            await send({"type": "http.response.pathsend", "path": self.body.path})
        else:
            await _send_range(self.body, send)


_WITHOUT_BODY = frozenset({204, 304})
_NO_BODY: dict[str, Any] = {"type": "http.response.body", "body": b""}
_READ_BYTES = 1024 * 1024


async def _send_range(body: FileBody, send: Send) -> None:
    loop = asyncio.get_running_loop()
    file = await loop.run_in_executor(None, open, body.path, "rb", 0)
    try:
        await loop.run_in_executor(None, file.seek, body.offset)
        left = body.length
        while left:
            chunk = await loop.run_in_executor(None, file.read, min(left, _READ_BYTES))
            if not chunk:
                # The length was promised in the headers: ending early here makes the server cut
                # the connection, which is how HTTP says that a body is not whole.
                raise Failure(Code.BLOB_LOST, digest=body.path)
            left -= len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        file.close()


def json_response(status: int, document: object, *headers: Header) -> Response:
    """A response with a JSON body."""
    return Response(status, [JSON, *headers], msgspec.json.encode(document))


def error_response(failure: Failure, *headers: Header) -> Response:
    """A failure in the form of the OCI distribution spec, section "Error Codes"."""
    detail = {key: _plain(value) for key, value in failure.fields.items()}
    if failure.hint:
        detail["hint"] = failure.hint
    error = {"code": failure.code.value.wire, "message": failure.message, "detail": detail}
    return json_response(failure.status, {"errors": [error]}, *headers)


def _plain(value: object) -> object:
    return value if isinstance(value, (str, int, list)) else str(value)
