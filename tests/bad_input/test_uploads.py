"""Uploads that go wrong: what was acknowledged stays, what does not match is not there."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest

from tests.bad_input.conftest import BODY_SECONDS
from tests.bad_input.raw import connection, exchange, head, receive
from tests.faults.processes import wait_until
from tests.support.images import digest_of, noise

if TYPE_CHECKING:
    from tests.faults.registry import Registry
    from tests.support.servers import CustomhouseServer

pytestmark = pytest.mark.xdist_group("bad-input")

REPOSITORY = "bad/uploads"
OTHER = digest_of(b"something else")
BEGIN = b"x" * 1000


@pytest.fixture
def upload(registry: Registry) -> str:
    """An upload that stands at 1,000 bytes."""
    path = registry.start_upload(REPOSITORY)
    assert registry.append(path, BEGIN) == len(BEGIN)
    return path


def test_digest_does_not_match(server: CustomhouseServer, registry: Registry, upload: str) -> None:
    content = noise(300_000, upload)
    for path in (f"/v2/{REPOSITORY}/blobs/uploads/", upload):
        method = "PUT" if path == upload else "POST"
        response = registry.call(method, path, 400, params={"digest": OTHER}, content=content)
        (error,) = response.json()["errors"]
        assert error["code"] == "DIGEST_INVALID"
        assert OTHER in error["message"]
    for digest in (OTHER, digest_of(content), digest_of(BEGIN + content)):
        assert registry.blob(REPOSITORY, digest) is None
    # The upload stands where it stood: the right bytes can still be sent.
    assert registry.offset(upload) == len(BEGIN)
    registry.finish(upload, digest_of(BEGIN + content), content)
    assert registry.blob(REPOSITORY, digest_of(BEGIN + content)) == BEGIN + content


CHUNKS = {
    "beyond the end": (b"5000-5009", 416, "BLOB_UPLOAD_INVALID"),
    "one byte beyond": (b"1001-1010", 416, "BLOB_UPLOAD_INVALID"),
    "sent before": (b"990-999", 416, "BLOB_UPLOAD_INVALID"),
    "of 18 digits": (b"999999999999999999-999999999999999999", 416, "BLOB_UPLOAD_INVALID"),
    "of 400 digits": (b"9" * 400 + b"-" + b"9" * 400, 416, "BLOB_UPLOAD_INVALID"),
    "no range": (b"some", 416, "BLOB_UPLOAD_INVALID"),
    "no UTF-8": (b"\xff-\xfe", 416, "BLOB_UPLOAD_INVALID"),
    "longer than announced": (b"1000-1004", 400, "SIZE_INVALID"),
    "shorter than announced": (b"1000-1099", 400, "SIZE_INVALID"),
    "backwards": (b"1000-900", 400, "SIZE_INVALID"),
}


@pytest.mark.parametrize("name", CHUNKS)
@pytest.mark.parametrize("method", [b"PATCH", b"PUT"])
def test_chunk_out_of_order(
    server: CustomhouseServer, registry: Registry, upload: str, method: bytes, name: str
) -> None:
    span, status, code = CHUNKS[name]
    query = b"?digest=" + OTHER.encode() if method == b"PUT" else b""
    line = method + b" " + upload.encode() + query
    headers = (b"Content-Range: " + span, b"Content-Length: 10")
    answer = exchange(server, head(server, line, *headers) + b"y" * 10)
    assert (answer.status, answer.code) == (status, code)
    if status == 416:
        assert answer.headers["range"] == "0-999"
        assert answer.headers["location"] == upload
    assert registry.offset(upload) == len(BEGIN)
    registry.finish(upload, digest_of(BEGIN))


def test_chunk_of_unknown_length_is_not_as_announced(
    server: CustomhouseServer, registry: Registry, upload: str
) -> None:
    headers = (b"Content-Range: 1000-1009", b"Transfer-Encoding: chunked")
    body = b"5\r\nyyyyy\r\n0\r\n\r\n"
    answer = exchange(server, head(server, b"PATCH " + upload.encode(), *headers) + body)
    assert (answer.status, answer.code) == (400, "SIZE_INVALID")
    assert registry.offset(upload) == len(BEGIN)
    registry.finish(upload, digest_of(BEGIN))


BREAKS = {
    "closed": "the connection is closed",
    "half": "only the half that the client sends on is closed",
    "reset": "the connection is reset",
    "silent": "nothing comes any more",
}


def wait_until_free(registry: Registry, upload: str) -> None:
    """Wait until the request that broke off does not hold the upload any more."""

    def is_free() -> bool:
        response = registry.call("PATCH", upload, (202, 409), content=b"")
        return response.status_code == 202

    wait_until(is_free, 3, "the upload is free")


@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize("is_chunked", [False, True])
def test_body_breaks_off(
    server: CustomhouseServer, registry: Registry, upload: str, is_chunked: bool, how: str
) -> None:
    came = noise(150_000, f"{upload} {how}")
    header = b"Transfer-Encoding: chunked" if is_chunked else b"Content-Length: 1000000"
    body = b"%x\r\n%s\r\n" % (len(came), came) if is_chunked else came
    with connection(server) as opened:
        opened.sendall(head(server, b"PATCH " + upload.encode(), header) + body)
        time.sleep(0.2)  # a reset would overtake what is still on its way
        if how == "half":
            opened.shutdown(socket.SHUT_WR)
            answer = receive(opened, "PATCH")
            assert (answer.status, answer.code) == (400, "SIZE_INVALID")
        elif how == "silent":
            began = time.monotonic()
            answer = receive(opened, "PATCH")
            assert (answer.status, answer.code) == (408, "BLOB_UPLOAD_INVALID")
            assert "resume from there" in answer.document["errors"][0]["detail"]["hint"]
            assert time.monotonic() - began < BODY_SECONDS + 1
        elif how == "reset":
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    # What came is kept, and the client goes on from there.
    wanted = len(BEGIN) + len(came)
    wait_until(lambda: registry.offset(upload) == wanted, 3, f"the upload stands at {wanted}")
    wait_until_free(registry, upload)
    rest = noise(70_000, f"{upload} rest")
    whole = BEGIN + came + rest
    assert registry.append(upload, rest) == len(whole)
    registry.finish(upload, digest_of(whole))
    assert registry.blob(REPOSITORY, digest_of(whole)) == whole


@pytest.mark.parametrize("method", [b"POST", b"PUT"])
def test_last_request_breaks_off(
    server: CustomhouseServer, registry: Registry, upload: str, method: bytes
) -> None:
    came = noise(150_000, f"{upload} {method!r}")
    path = upload if method == b"PUT" else f"/v2/{REPOSITORY}/blobs/uploads/"
    # It has the digest of what did come, and the length of more.
    whole = BEGIN + came if method == b"PUT" else came
    line = method + f" {path}?digest={digest_of(whole)}".encode()
    with connection(server) as opened:
        opened.sendall(head(server, line, b"Content-Length: 1000000") + came)
        time.sleep(0.2)
    time.sleep(0.2)
    assert registry.blob(REPOSITORY, digest_of(whole)) is None
    if method == b"PUT":
        wait_until(lambda: registry.offset(upload) == len(whole), 3, "what came is kept")
        wait_until_free(registry, upload)
        registry.finish(upload, digest_of(whole))


def test_two_write_at_once(server: CustomhouseServer, registry: Registry, upload: str) -> None:
    line = b"PATCH " + upload.encode()
    with connection(server) as slow:
        slow.sendall(head(server, line, b"Content-Length: 20") + b"y" * 10)
        time.sleep(0.2)
        for method, query in (("PATCH", ""), ("PUT", f"?digest={OTHER}"), ("DELETE", "")):
            slow.sendall(b"y")  # it goes on, however long the others wait for it
            response = registry.call(method, upload + query, 409, content=b"z" * 10)
            (error,) = response.json()["errors"]
            assert error["code"] == "BLOB_UPLOAD_INVALID"
        slow.sendall(b"y" * 7)
        assert receive(slow, "PATCH").status == 202
    registry.finish(upload, digest_of(BEGIN + b"y" * 20))


def test_upload_of_another_repository(registry: Registry, upload: str) -> None:
    stolen = upload.replace(REPOSITORY, "bad/thief")
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        query = f"?digest={OTHER}" if method == "PUT" else ""
        content = None if method == "GET" else b"z"
        response = registry.call(method, stolen + query, 404, content=content)
        if method != "GET":
            assert response.json()["errors"][0]["code"] == "BLOB_UPLOAD_UNKNOWN"
    assert registry.offset(upload) == len(BEGIN)
    registry.call("DELETE", upload, 204)
    assert registry.offset(upload) is None
