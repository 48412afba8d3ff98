"""Blobs: distribution spec, sections "Pulling blobs" and "Deleting Blobs"."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from customhouse.errors import Code, Failure
from customhouse.http import FileBody, Response, error_response
from customhouse.oci import parse_digest
from customhouse.registry import blobs, manifests, repositories

if TYPE_CHECKING:
    from customhouse.database import Transaction
    from customhouse.registry.api.call import Call

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
# Up to this size the content is read at once.
_INLINE_BYTES = 64 * 1024


async def get(call: Call) -> Response:
    """`GET` and `HEAD /v2/<name>/blobs/<digest>`, with ranges (RFC 9110, section 14)."""
    digest = parse_digest(call.argument)
    size = await call.services.database.read(blobs.size, call.repository, digest)
    if size is None:
        raise Failure(Code.BLOB_UNKNOWN, digest=digest)
    request = call.request
    raw = digest.encode()
    etag = b'"%b"' % raw
    headers = [
        (b"content-type", b"application/octet-stream"),
        (b"docker-content-digest", raw),
        (b"etag", etag),
        (b"accept-ranges", b"bytes"),
        (b"cache-control", b"max-age=31536000, private, immutable"),
    ]
    if is_fresh(request.headers.get(b"if-none-match"), etag):
        return Response(304, headers)
    path = call.services.store.local_path(digest)
    if path is None or (request.method == "HEAD" and not _exists(path)):
        raise Failure(Code.BLOB_LOST, digest=digest)
    if request.method == "HEAD":
        return Response(200, headers, FileBody(path, 0, size))
    wanted = request.headers.get(b"range")
    if wanted is None or request.headers.get(b"if-range", etag) != etag:
        return Response(200, headers, _body(path, digest, size, 0, size))
    try:
        part = parse_range(wanted.decode("latin-1"), size)
    except Failure as failure:
        return error_response(failure, (b"content-range", b"bytes */%d" % size))
    if part is None:
        return Response(200, headers, _body(path, digest, size, 0, size))
    start, end = part
    headers.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, size)))
    return Response(206, headers, _body(path, digest, size, start, end))


def is_fresh(sent: bytes | None, etag: bytes) -> bool:
    """Whether an If-None-Match header names this entity tag (RFC 9110, section 13.1.2)."""
    if sent is None:
        return False
    tags = [tag.strip().removeprefix(b"W/") for tag in sent.split(b",")]
    return etag in tags or b"*" in tags


def parse_range(text: str, size: int) -> tuple[int, int] | None:
    """The part that a Range header asks for, as (start, end), end excluded.

    Several ranges, or units other than bytes, are left to be answered with everything: None.

    Raises:
        Failure: RANGE_UNSATISFIABLE.
    """
    match = _RANGE.fullmatch(text.replace(" ", ""))
    if match is None or match.group(0) == "bytes=-":
        return None
    first, last = match.groups()
    if first:
        start, end = int(first), min(int(last) + 1, size) if last else size
    else:
        start, end = max(size - int(last), 0), size
    if start >= end:
        raise Failure(Code.RANGE_UNSATISFIABLE, range=text[:60], size=size)
    return start, end


def _exists(path: str) -> bool:
    try:
        os.stat(path)  # noqa: PTH116  - a pathlib object costs more than the call
    except FileNotFoundError:
        return False
    return True


def _body(path: str, digest: str, size: int, start: int, end: int) -> bytes | FileBody:
    """Part of a blob's file. That it is there and whole is looked at before 200 is said."""
    try:
        if end - start <= _INLINE_BYTES:
            descriptor = os.open(path, os.O_RDONLY)
            try:
                content = os.pread(descriptor, end - start, start)
            finally:
                os.close(descriptor)
            if len(content) == end - start:
                return content
        elif os.stat(path).st_size == size:  # noqa: PTH116  - as above
            return FileBody(path, start, end - start)
    except FileNotFoundError:
        pass
    raise Failure(Code.BLOB_LOST, digest=digest)


async def delete(call: Call) -> Response:
    """`DELETE /v2/<name>/blobs/<digest>`."""
    digest = parse_digest(call.argument)
    await call.services.database.write(_delete, call.repository, digest)
    return Response(202)


def _delete(tx: Transaction, repository: str, digest: str) -> None:
    number = repositories.find(tx, repository)
    if number is None:
        raise Failure(Code.BLOB_UNKNOWN, digest=digest)
    repositories.hold(tx, number)
    user = manifests.user(tx, number, digest)
    if user is not None:
        raise Failure(Code.CONTENT_IN_USE, digest=digest, user=user)
    blobs.unlink(tx, number, digest)
