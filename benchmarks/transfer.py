"""Pushing and pulling of large blobs by a client that costs as little as it can.

These functions run in the client's own process (see `benchmarks.context`). A push is sent by the
kernel (`sendfile`) from memory, a pull is received into one buffer.
"""

import hashlib
import http.client
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import BinaryIO

from benchmarks.failure import BenchmarkError
from benchmarks.wire import REPOSITORY, Endpoint, expect, relative, with_digest

_UPLOADS = f"/v2/{REPOSITORY}/blobs/uploads/"
_PIECE = 1 << 20
_CHUNK = 32 << 10  # what the Docker Engine writes at a time


class Way(Enum):
    """How a blob is pushed, after the POST that starts the upload."""

    PATCH = "PATCH with chunked transfer coding, then an empty PUT, as the Docker Engine does"
    PUT = "the whole blob in one PUT"


@dataclass(frozen=True, slots=True)
class Transfer:
    """A blob that was pushed or pulled: its digest and how long it took in seconds."""

    digest: str
    seconds: float


@dataclass(frozen=True, slots=True)
class _Body:
    file: BinaryIO
    length: int
    digest: str


@contextmanager
def _random_body(size: int, way: Way) -> Iterator[_Body]:
    """A request body in memory: a blob of fresh random bytes, in chunks for PATCH."""
    digest = hashlib.sha256()
    with os.fdopen(os.memfd_create("body"), "w+b", buffering=_PIECE) as file:
        left = size
        while left:
            piece = os.urandom(min(left, _PIECE))
            left -= len(piece)
            digest.update(piece)
            if way is Way.PUT:
                file.write(piece)
                continue
            for start in range(0, len(piece), _CHUNK):
                chunk = piece[start : start + _CHUNK]
                file.writelines((b"%x\r\n" % len(chunk), chunk, b"\r\n"))
        if way is Way.PATCH:
            file.write(b"0\r\n\r\n")
        length = file.tell()
        file.flush()
        yield _Body(file, length, "sha256:" + digest.hexdigest())


def _send(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    headers: dict[str, str],
    body: _Body,
) -> http.client.HTTPResponse:
    connection.putrequest(method, path)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    connection.sock.sendfile(body.file)
    return connection.getresponse()


def push(endpoint: Endpoint, size: int, way: Way) -> Transfer:
    """Push a blob of fresh random bytes; only the exchange with the server is timed.

    Args:
        endpoint: the registry, signed in to.
        size: bytes.
        way: how to send them.

    Raises:
        BenchmarkError: an answer was not the right one, or the blob is not there afterwards.
    """
    with _random_body(size, way) as body, endpoint.connection() as connection:
        begun = time.perf_counter()
        connection.request("POST", _UPLOADS, b"", endpoint.headers())
        response = connection.getresponse()
        expect(response.status, 202, "POST", response.read())
        location = relative(response.getheader("Location"))
        if way is Way.PATCH:
            headers = endpoint.headers({"Transfer-Encoding": "chunked"})
            response = _send(connection, "PATCH", location, headers, body)
            expect(response.status, 202, "PATCH", response.read())
            location = with_digest(relative(response.getheader("Location")), body.digest)
            connection.request("PUT", location, b"", endpoint.headers())
            response = connection.getresponse()
        else:
            length = {
                "Content-Length": str(body.length),
                "Content-Type": "application/octet-stream",
            }
            location = with_digest(location, body.digest)
            response = _send(connection, "PUT", location, endpoint.headers(length), body)
        expect(response.status, 201, "PUT", response.read())
        seconds = time.perf_counter() - begun
    stored = endpoint.ask("HEAD", f"/v2/{REPOSITORY}/blobs/{body.digest}")
    expect(stored.status, 200, "HEAD of what was pushed")
    expect(int(stored.headers.get("content-length") or 0), size, "length of what was pushed")
    return Transfer(body.digest, seconds)


def pull(
    endpoint: Endpoint, digest: str, size: int, *, verify: bool = False, pause: float = 0.0
) -> Transfer:
    """Pull a blob.

    Args:
        endpoint: the registry, signed in to.
        digest: the blob's digest.
        size: the length it must have, in bytes.
        verify: whether to compute the digest of what comes, which costs time.
        pause: for how many seconds to stop reading when the first bytes have come.

    Raises:
        BenchmarkError: the status, the length or the digest is wrong.
    """
    computed = hashlib.sha256()
    buffer = memoryview(bytearray(_PIECE))
    received = 0
    with endpoint.connection() as connection:
        begun = time.perf_counter()
        connection.request("GET", f"/v2/{REPOSITORY}/blobs/{digest}", headers=endpoint.headers())
        response = connection.getresponse()
        expect(response.status, 200, "GET of a blob")
        while count := response.readinto(buffer):
            if not received and pause:
                time.sleep(pause)
            received += count
            if verify:
                computed.update(buffer[:count])
        seconds = time.perf_counter() - begun
    expect(received, size, "length of what was pulled")
    if verify and digest != "sha256:" + computed.hexdigest():
        raise BenchmarkError(f"what was pulled is not {digest}")
    return Transfer(digest, seconds)
