"""A small toolkit for raw ASGI: requests, responses, bodies, errors in the spec's form.

The data plane answers in tens of microseconds and needs no more than this. The control plane is
FastAPI's.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
from collections.abc import Awaitable, Callable, Mapping
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

    __slots__ = (
        "_broken",
        "_ended",
        "_headers",
        "_query",
        "_receive",
        "client",
        "context",
        "method",
        "path",
        "scope",
    )

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
        self._ended = False
        self._broken: Exception | None = None

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

    async def batch(self, size: int, pause: float) -> list[bytes]:
        """The next part of the body: chunks of `size` bytes together, or a little more.

        Args:
            size: bytes to wait for. Less comes at the end of the body and when no more can come.
            pause: seconds that the body may stop arriving, give or take half of it.

        Returns:
            The chunks; none when the body has ended.

        Raises:
            ClientGone: the body ended before it was complete; what came was returned before.
            Failure: REQUEST_TIMEOUT, in the same way.
        """
        chunks: list[bytes] = []
        if self._broken is None and not self._ended:
            try:
                await self._gather(chunks, size, pause)
            except TimeoutError:
                self._broken = Failure(Code.REQUEST_TIMEOUT)
        if self._broken is not None and not chunks:
            raise self._broken
        return chunks

    async def _gather(self, chunks: list[bytes], size: int, pause: float) -> None:
        # One timer for many chunks, put off when half of it has passed: bodies come in thousands.
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(pause) as limit:
            while size > 0 and not self._ended:
                message = await self.receive()
                if self._broken is not None:
                    return
                chunk: bytes = message.get("body", b"")
                if chunk:
                    chunks.append(chunk)
                    size -= len(chunk)
                now = loop.time()
                if (limit.when() or now) - now < pause / 2:
                    limit.reschedule(now + pause)

    async def receive(self) -> dict[str, Any]:
        """The next ASGI message: for whoever reads the body in another way than by `batch`."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._broken = ClientGone()
        else:
            self._ended = not message.get("more_body", False)
        return message

    async def drain(self, limit: int, seconds: float) -> None:
        """Read what is left of the body and forget it, so far as it is not much.

        A client that is still sending when the connection is closed may never read the answer.
        """
        with contextlib.suppress(TimeoutError, ClientGone, Failure):
            async with asyncio.timeout(seconds):
                while limit > 0 and (chunks := await self.batch(1, seconds)):
                    limit -= sum(map(len, chunks))

    async def body(self, limit: int, too_large: Failure, pause: float) -> bytes:
        """The whole body.

        Raises:
            ClientGone: it ends before it is complete.
            Failure: REQUEST_TIMEOUT, or `too_large` when it has more than `limit` bytes.
        """
        if (self.content_length or 0) > limit:
            raise too_large
        parts: list[bytes] = []
        while chunks := await self.batch(limit + 1, pause):
            parts += chunks
            if sum(map(len, parts)) > limit:
                raise too_large
        return b"".join(parts)


def parse_form(raw: bytes) -> dict[str, list[str]]:
    """Parse `application/x-www-form-urlencoded`.

    Raises:
        Failure: REQUEST_INVALID.
    """
    if b"%00" in raw or b"\0" in raw:
        raise Failure(Code.REQUEST_INVALID, reason="there is a zero byte in the query or form")
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
        else:
            await _send_file(self.body, send)


_WITHOUT_BODY = frozenset({204, 304})
_NO_BODY: dict[str, Any] = {"type": "http.response.body", "body": b""}
_READ_BYTES = 128 * 1024


async def _send_file(body: FileBody, send: Send) -> None:
    """Send a part of a file, in pieces that the server takes as fast as the client does.

    What the page cache has is read on the loop's own thread, in tens of microseconds; handing
    that to another thread, or the whole file to the server, takes longer on a busy machine. What
    has to come from the disk is waited for in a thread.
    """
    loop = asyncio.get_running_loop()
    descriptor = os.open(body.path, os.O_RDONLY)
    try:
        buffer = bytearray(_READ_BYTES)
        position, end = body.offset, body.offset + body.length
        while position < end:
            wanted = memoryview(buffer)[: end - position]
            count = _read_cached(descriptor, wanted, position)
            if count is None:
                count = await loop.run_in_executor(None, os.preadv, descriptor, [wanted], position)
            if count == 0:
                # The length was promised in the headers: ending early here makes the server cut
                # the connection, which is how HTTP says that a body is not whole.
                raise Failure(Code.BLOB_LOST, digest=body.path)
            position += count
            await send(
                {
                    "type": "http.response.body",
                    "body": bytes(wanted[:count]),
                    "more_body": position < end,
                }
            )
    finally:
        os.close(descriptor)


def _read_cached(descriptor: int, buffer: memoryview, position: int) -> int | None:
    """Read what needs no waiting for the disk (preadv2(2), RWF_NOWAIT); None when that is none."""
    if not hasattr(os, "RWF_NOWAIT"):
        return None
    try:
        return os.preadv(descriptor, [buffer], position, os.RWF_NOWAIT)
    except OSError as error:
        if error.errno in {errno.EAGAIN, errno.EOPNOTSUPP}:
            return None
        raise


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
