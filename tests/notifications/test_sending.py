"""Sending: to the address that was checked, within bounds, and what it tells of failures."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from customhouse.notifications.sending import Answer, Sender
from tests.notifications.receiver import Receiver, Reply, receiving
from tests.support.tls import self_signed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on loopback."""
    with receiving() as running:
        yield running


class Names:
    """Names as a hostile server tells them: each question has the next answer."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        return self.answers.pop(0)


def post(url: str, **settings: Any) -> Answer:
    """Send one request."""

    async def send() -> Answer:
        sender = Sender(**({"allow_private": True, "seconds": 3.0} | settings))
        return await sender.post(url, [("content-type", "text/plain")], b"hello")

    return asyncio.run(send())


def test_it_connects_to_what_was_resolved(receiver: Receiver) -> None:
    port = int(receiver.url.rpartition(":")[2])
    names = Names(["127.0.0.1"])
    answer = post(f"http://receiver.test:{port}/x", resolve=names)
    assert answer.status == 204
    assert names.asked == [("receiver.test", port)]
    assert receiver.received[0].headers["host"] == f"receiver.test:{port}"
    assert receiver.received[0].body == b"hello"


def test_a_name_that_is_rebound_is_refused(receiver: Receiver) -> None:
    port = receiver.url.rpartition(":")[2]
    url = f"http://receiver.test:{port}/"

    async def send() -> list[Answer]:
        names = Names(["127.0.0.1"], ["169.254.169.254"], ["127.0.0.1", "169.254.169.254"])
        sender = Sender(allow_private=True, seconds=3.0, resolve=names)
        return [await sender.post(url, [], b"") for _ in range(3)]

    first, *others = asyncio.run(send())
    assert first.status == 204
    for answer in others:
        assert answer.status == 0
        assert "link-local" in answer.text
    assert len(receiver.received) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433"])
def test_private_ones_are_refused_where_the_settings_say_so(receiver: Receiver, host: str) -> None:
    port = receiver.url.rpartition(":")[2]
    answer = post(f"http://{host}:{port}/", allow_private=False)
    assert answer.status == 0
    assert "allow_private" in answer.text
    assert not receiver.received


@pytest.mark.parametrize("host", ["169.254.169.254", "2852039166", "0xa9fea9fe", "0.0.0.0"])
def test_metadata_is_refused_in_every_spelling(host: str) -> None:
    answer = post(f"http://{host}/")
    assert answer.status == 0
    assert "the endpoint cannot be used" in answer.text


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.replies = [Reply(307, {"location": f"{receiver.url}/elsewhere"})]
    assert post(f"{receiver.url}/first").status == 307
    assert [each.path for each in receiver.received] == ["/first"]


def test_a_proxy_of_the_environment_is_not_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert post(receiver.url).status == 204


def test_the_second_address_is_tried(receiver: Receiver) -> None:
    port = receiver.url.rpartition(":")[2]
    names = Names(["127.0.0.2", "127.0.0.1"])
    assert post(f"http://receiver.test:{port}/", resolve=names).status == 204


def test_tls(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate.chain, certificate.key)
    trusting = ssl.create_default_context(cafile=str(certificate.chain))
    with receiving(tls=serving) as receiver:
        port = receiver.url.rpartition(":")[2]
        assert post(receiver.url, tls=trusting).status == 204
        # The name that was asked for must be the certificate's, whatever it resolves to.
        names = Names(["127.0.0.1"])
        other = post(f"https://receiver.test:{port}/", tls=trusting, resolve=names)
        assert other.status == 0
        assert "certificate" in other.text
        assert "certificate" in post(receiver.url).text


@contextmanager
def raw(*chunks: bytes, pause: float = 0.0) -> Iterator[str]:
    """A server that sends these bytes to whoever connects; its URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            try:
                for chunk in chunks:
                    connection.sendall(chunk)
                    time.sleep(pause)
            except OSError:
                return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        thread.join()
        listener.close()


HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n"


def test_a_status_counts_though_the_body_never_ends() -> None:
    with raw(HEAD, *[b"x"] * 30, pause=0.1) as url:
        began = time.monotonic()
        answer = post(url)
    assert answer.status == 200
    assert time.monotonic() - began < 5


def test_a_body_without_end_is_read_in_part() -> None:
    with raw(HEAD, *[b"y" * 65536] * 1000) as url:
        answer = post(url)
    assert answer == Answer(200, "y" * 200)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"", "the connection broke"),
        (b"garbage\r\n\r\n", "the connection broke"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000, "the connection broke"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, "the connection broke"),
    ],
    ids=["nothing", "garbage", "headers", "informational"],
)
def test_what_is_no_answer(said: bytes, told: str) -> None:
    with raw(said) as url:
        answer = post(url)
    assert answer.status == 0
    assert told in answer.text


def test_an_answer_in_drops_is_given_up() -> None:
    with raw(*[b"H"] * 30, pause=0.1) as url:
        answer = post(url, seconds=0.5)
    assert answer == Answer(0, "no answer within 0.5 s")


def test_a_name_without_an_address() -> None:
    answer = post("http://receiver.invalid/")
    assert answer.status == 0
    assert "resolved" in answer.text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        ("999999999999999999", 86400),
        ("-1", 0),
        ("soon", 0),
        ("", 0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0),
        ("Fri, 31 Dec 2399 23:59:59 GMT", 86400),
        ("²", 0),
    ],
)
def test_retry_after(receiver: Receiver, text: str, seconds: int) -> None:
    receiver.usual = Reply(503, {"Retry-After": text})
    assert post(receiver.url).wait == seconds
