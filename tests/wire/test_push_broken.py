"""Uploads whose connection breaks or stalls: what came is kept, and nobody else is harmed."""

from __future__ import annotations

import socket
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.wire.calls import Call, Conversation, Registry
from tests.wire.contents import BLOBS, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LARGE = BLOBS["large"]
SENT = 2_000_000
"""So much that the server has written some of it before it notices that no more comes."""

SIZED = b"Content-Length: 3000000\r\n\r\n" + LARGE[:SENT]
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (SENT, LARGE[:SENT])


@contextmanager
def begun(talk: Conversation, request: str, rest: bytes) -> Iterator[socket.socket]:
    """A connection on which a request was begun: its headers and part of its body."""
    server = talk.registry.server
    token = talk.words["token"]
    head = f"{request} HTTP/1.1\r\nHost: {server.host}\r\nAuthorization: Bearer {token}\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(head.encode() + rest)
        yield connection


def wait_until(true: Callable[[], bool]) -> None:
    """Wait for what the server does when it notices; at most five seconds."""
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)


def offset(talk: Conversation) -> int:
    """How many bytes the upload has."""
    return int(talk.make(Call("GET <location>", 204)).headers["range"].removeprefix("0-")) + 1


def is_free(talk: Conversation) -> bool:
    """Whether the request whose connection broke has let go of the upload."""
    headers = {"Authorization": f"Bearer {talk.words['token']}"}
    response = talk.registry.http.patch(talk.words["location"], headers=headers)
    return response.status_code != httpx2.codes.CONFLICT


def uploads(talk: Conversation) -> set[Path]:
    """The unfinished uploads in the data folder."""
    return set(talk.registry.server.data.glob("uploads/*/*"))


@pytest.fixture
def talk(registry: Registry) -> Conversation:
    """A conversation in which an upload was begun."""
    conversation = registry.conversation()
    conversation.make(Call("POST /v2/<name>/blobs/uploads/", 202))
    return conversation


@pytest.mark.parametrize("rest", [SIZED, CHUNKED], ids=["sized", "chunked"])
@pytest.mark.parametrize("request_", ["PATCH {}", f"PUT {{}}?digest={digest_of(LARGE)}"])
def test_resumes_where_the_connection_broke(talk: Conversation, request_: str, rest: bytes) -> None:
    with begun(talk, request_.format(talk.words["location"]), rest):
        wait_until(lambda: offset(talk) > 1)
    wait_until(lambda: offset(talk) == SENT)
    wait_until(lambda: is_free(talk))
    chunk = LARGE[SENT : SENT + 10]
    content_range = {"Content-Range": f"{SENT}-{SENT + 9}"}
    talk.make(Call("PATCH <location>", 202, headers=content_range, send=chunk))
    talk.make(Call("PUT <location>?digest=<large>", 201, send=LARGE[SENT + 10 :]))
    talk.make(Call("GET /v2/<name>/blobs/<large>", 200, body="large"))


def test_one_post_that_breaks_leaves_nothing(talk: Conversation) -> None:
    before = uploads(talk)
    target = f"POST /v2/{talk.words['name']}/blobs/uploads/?digest={digest_of(LARGE)}"
    with begun(talk, target, SIZED):
        wait_until(lambda: uploads(talk) != before)
    wait_until(lambda: uploads(talk) == before)
    talk.make(Call("GET /v2/<name>/blobs/<large>", 404, "BLOB_UNKNOWN"))


def test_one_writer_at_a_time(talk: Conversation) -> None:
    with begun(talk, f"PATCH {talk.words['location']}", SIZED) as connection:
        wait_until(lambda: offset(talk) > 1)
        for request in (
            "PATCH <location>",
            "PUT <location>?digest=<large>",
            "DELETE <location>",
        ):
            talk.make(Call(request, 409, "BLOB_UPLOAD_INVALID", send=b"intruder"))
        connection.sendall(LARGE[SENT:])
        assert connection.recv(1000).startswith(b"HTTP/1.1 202 ")
    talk.make(Call("PUT <location>?digest=<large>", 201))
    talk.make(Call("GET /v2/<name>/blobs/<large>", 200, body="large"))


def test_waits_to_be_asked_for_the_body(talk: Conversation) -> None:
    rest = b"Expect: 100-continue\r\nContent-Length: 26\r\n\r\n"
    alphabet = BLOBS["alphabet"]
    target = f"PUT {talk.words['location']}?digest={digest_of(alphabet)}"
    with begun(talk, target, rest) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(alphabet)
        assert connection.recv(1000).startswith(b"HTTP/1.1 201 ")


def test_many_open_uploads(talk: Conversation) -> None:
    locations = [
        talk.make(Call("POST /v2/<name>/blobs/uploads/", 202)).headers["location"]
        for _ in range(300)
    ]
    assert len(set(locations)) == 300
    for location in locations[::50]:
        talk.words["location"] = location
        talk.make(Call("PATCH <location>", 202, send=b"abcde", answer={"Range": "0-4"}))
        talk.make(Call("PUT <location>?digest=<alphabet>", 201, send=BLOBS["alphabet"][5:]))


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), id="tls"),
        pytest.param(b"GET / HTTP/9.9\r\n\r\n", id="version"),
        pytest.param(b"GET /v2/ HTTP/1.1\r\n\r\n", id="no-host"),
        pytest.param(b"GET /v2/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", id="bytes"),
        pytest.param(b"GET /v2/ HTTP/1.1\r\nHost: x y\r\n\r\n", id="host"),
        pytest.param(
            b"PUT /v2/p/a/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
            id="negative-length",
        ),
        pytest.param(
            b"PUT /v2/p/a/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
            b"Content-Length: 1\r\n\r\n{",
            id="two-lengths",
        ),
        pytest.param(
            b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n", id="header"
        ),
        pytest.param(b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", id="path"),
    ],
)
def test_what_is_no_http_is_refused(registry: Registry, garbage: bytes) -> None:
    with socket.create_connection(("127.0.0.1", registry.server.port), timeout=10) as connection:
        try:
            connection.sendall(garbage)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(1000)
        except OSError:  # it hung up before it was told all
            answer = b""
    assert answer == b"" or answer.split(b" ")[1].startswith(b"4"), answer
    assert registry.http.get("/healthz").is_success
