"""Uploads: distribution spec, sections "Pushing blobs" and "Mounting a blob"."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING

from customhouse.errors import Code, Failure
from customhouse.http import ClientGone, Response, error_response
from customhouse.iam.permissions import Permission
from customhouse.names import check_repository
from customhouse.oci import ALGORITHMS, parse_digest
from customhouse.registry import blobs, repositories
from customhouse.registry.api.call import location

if TYPE_CHECKING:
    from customhouse.blobstore import Upload
    from customhouse.database import Transaction
    from customhouse.http import Header
    from customhouse.registry.api.call import Call

_CONTENT_RANGE = re.compile(r"(?:bytes[ =])?(\d{1,18})-(\d{1,18})(?:/(?:\d+|\*))?")
# How much is handed to the thread that hashes and writes at a time.
_BATCH_BYTES = 1024 * 1024
# In how many repositories a mount that names none looks for the blob.
_MOUNT_CANDIDATES = 100


async def start(call: Call) -> Response:
    """`POST /v2/<name>/blobs/uploads/`: mount, push at once, or begin an upload."""
    request = call.request
    mount = request.parameter("mount")
    if mount is not None:
        mounted = await _mount(call, mount, request.parameter("from"))
        if mounted is not None:
            return mounted
    digest = request.parameter("digest")
    if digest is not None:
        parse_digest(digest)
    algorithm = digest.partition(":")[0] if digest else request.parameter("digest-algorithm")
    algorithm = algorithm or "sha256"
    if algorithm not in ALGORITHMS:
        raise Failure(
            Code.DIGEST_INVALID, reason=f"the algorithm {algorithm[:32]!r} is not served here"
        )
    _check_size(call, 0)
    await _ensure_repository(call)
    store = call.services.store
    upload = await call.in_thread(store.create_upload, call.repository, algorithm)
    if digest is None:
        return _progress(call, 202, upload, 0)
    try:
        return await _append_and_finish(call, upload, digest)
    except (Failure, ClientGone):
        with contextlib.suppress(Failure):  # it may be content by now
            await call.in_thread(store.cancel_upload, call.repository, upload)
        raise


async def status(call: Call) -> Response:
    """`GET /v2/<name>/blobs/uploads/<upload>`: where to resume."""
    store = call.services.store
    offset = await call.in_thread(store.upload_size, call.repository, call.argument)
    return _progress(call, 204, call.argument, offset)


async def patch(call: Call) -> Response:
    """`PATCH /v2/<name>/blobs/uploads/<upload>`: append a chunk, or the whole as a stream."""
    store = call.services.store
    with await call.in_thread(store.open_upload, call.repository, call.argument) as upload:
        begin = upload.offset
        wrong = _out_of_order(call, upload)
        if wrong is not None:
            return wrong
        try:
            await _receive(call, upload)
            _check_range_length(call, upload, begin)
        finally:
            # What came before a connection broke is kept: the client resumes from there.
            await call.in_thread(upload.save)
        return _progress(call, 202, call.argument, upload.offset)


async def finish(call: Call) -> Response:
    """`PUT /v2/<name>/blobs/uploads/<upload>?digest=<digest>`, with or without a last chunk."""
    digest = call.request.parameter("digest")
    if digest is None:
        raise Failure(Code.DIGEST_INVALID, reason="the parameter digest is missing")
    return await _append_and_finish(call, call.argument, parse_digest(digest))


async def cancel(call: Call) -> Response:
    """`DELETE /v2/<name>/blobs/uploads/<upload>`."""
    store = call.services.store
    await call.in_thread(store.cancel_upload, call.repository, call.argument)
    return Response(204)


async def _append_and_finish(call: Call, name: str, digest: str) -> Response:
    store = call.services.store
    with await call.in_thread(store.open_upload, call.repository, name) as upload:
        begin = upload.offset
        wrong = _out_of_order(call, upload)
        if wrong is not None:
            return wrong
        try:
            await _receive(call, upload)
            _check_range_length(call, upload, begin)
            size = await call.in_thread(upload.finish, digest)
        except Failure as failure:
            if failure.code is Code.REQUEST_TIMEOUT:
                await call.in_thread(upload.save)
                raise
            # As if this request had not been made: the upload stands where it stood.
            await call.in_thread(upload.truncate, begin)
            raise
        except ClientGone:
            await call.in_thread(upload.save)
            raise
    await call.services.database.write(_link, call.repository, digest, size)
    return _created(call, digest)


async def _receive(call: Call, upload: Upload) -> None:
    """Append the body: a thread hashes and writes what came while more comes."""
    pause = call.services.settings.server.body_timeout
    writing: asyncio.Future[None] | None = None
    try:
        while chunks := await call.request.batch(_BATCH_BYTES, pause):
            if writing is not None:
                await writing
            _check_size(call, upload.offset + sum(map(len, chunks)))
            writing = asyncio.ensure_future(call.in_thread(upload.write, chunks))
    finally:
        if writing is not None:
            await writing


def _check_size(call: Call, size: int) -> None:
    limit = call.services.settings.registry.max_blob_bytes
    if size > limit or (call.request.content_length or 0) > limit:
        raise Failure(Code.BLOB_TOO_LARGE, limit=limit)


def _out_of_order(call: Call, upload: Upload) -> Response | None:
    """The answer to a chunk that does not begin where the upload stands, or None."""
    text = call.request.header(b"content-range")
    if not text:
        return None
    match = _CONTENT_RANGE.fullmatch(text.strip())
    if match is None or int(match.group(1)) != upload.offset:
        failure = Failure(Code.RANGE_INVALID, start=text[:60], offset=upload.offset)
        return error_response(failure, *_where(call, call.argument, upload.offset))
    length = int(match.group(2)) - int(match.group(1)) + 1
    if length < 0 or (call.request.content_length or length) != length:
        raise Failure(
            Code.SIZE_INVALID,
            reason=f"Content-Range is {text[:60]}, Content-Length {call.request.content_length}",
        )
    return None


def _check_range_length(call: Call, upload: Upload, begin: int) -> None:
    match = _CONTENT_RANGE.fullmatch(call.request.header(b"content-range").strip())
    if match is None:
        return
    announced = int(match.group(2)) - int(match.group(1)) + 1
    received = upload.offset - begin
    if announced != received:
        upload.truncate(begin)
        reason = f"Content-Range announced {announced} bytes, {received} came"
        raise Failure(Code.SIZE_INVALID, reason=reason)


def _where(call: Call, upload: str, offset: int) -> list[Header]:
    return [
        location(f"/v2/{call.repository}/blobs/uploads/{upload}"),
        (b"range", b"0-%d" % max(offset - 1, 0)),
        (b"docker-upload-uuid", upload.encode()),
    ]


def _progress(call: Call, code: int, upload: str, offset: int) -> Response:
    return Response(code, _where(call, upload, offset))


def _created(call: Call, digest: str) -> Response:
    headers = [
        location(f"/v2/{call.repository}/blobs/{digest}"),
        (b"docker-content-digest", digest.encode()),
    ]
    return Response(201, headers)


async def _mount(call: Call, digest: str, source: str | None) -> Response | None:
    """Take a blob over from another repository, or None to let the client upload it.

    A blob that the caller may not read is treated as one that is not there.
    """
    database = call.services.database
    try:
        parse_digest(digest)
        if source is not None:
            check_repository(source)
    except Failure:
        return None
    candidates = (
        [source]
        if source is not None
        else await database.read(blobs.holders, digest, _MOUNT_CANDIDATES)
    )
    for candidate in candidates:
        if not await call.allows(Permission.DOWNLOAD, candidate):
            continue
        size = await database.read(blobs.size, candidate, digest)
        if size is not None:
            await _ensure_repository(call)
            await database.write(_link, call.repository, digest, size)
            return _created(call, digest)
    return None


async def _ensure_repository(call: Call) -> None:
    database = call.services.database
    if await database.read(repositories.find, call.repository) is None:
        await database.write(
            repositories.ensure,
            call.repository,
            call.identity.principal,
            call.services.provisioner,
        )


def _link(tx: Transaction, repository: str, digest: str, size: int) -> None:
    number = repositories.find(tx, repository)
    if number is None:
        raise Failure(Code.NAME_UNKNOWN, name=repository)
    blobs.link(tx, number, digest, size)
