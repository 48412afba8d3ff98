"""A receiver of webhooks: a real HTTP server that notes what comes and answers as it is told."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from standardwebhooks import Webhook

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True)
class Received:
    """One request; header names are in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def id(self) -> str:
        """The message's identifier."""
        return self.headers["webhook-id"]

    @property
    def event(self) -> Any:
        """The CloudEvent, as the independent library reads it."""
        return from_http_event(HTTPMessage(headers=self.headers, body=self.body))

    def verify(self, secret: str) -> None:
        """Check the signature with the independent library.

        Raises:
            WebhookVerificationError: it is not this secret's.
        """
        Webhook(secret).verify(self.body, self.headers, json_parse=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered, and after how many seconds."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    pause: float = 0.0


@dataclass(slots=True)
class Receiver:
    """A running receiver.

    Attributes:
        url: where it is, without a slash at the end.
        replies: answered in order; when none is left, `usual`.
        at: what is always answered at a path.
        received: what has come.
    """

    url: str = ""
    usual: Reply = field(default_factory=Reply)
    replies: list[Reply] = field(default_factory=list)
    at: dict[str, Reply] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, count: int, seconds: float = 15.0) -> list[Received]:
        """Wait until so many requests have come; all that have.

        Raises:
            AssertionError: they have not.
        """
        self.wait_until(lambda: len(self.received) >= count, seconds)
        return list(self.received)

    def wait_until(self, true: Callable[[], bool], seconds: float = 15.0) -> None:
        """Wait for something about what has come.

        Raises:
            AssertionError: it is not so.
        """
        with self.changed:
            assert self.changed.wait_for(true, seconds), [each.path for each in self.received]

    def take(self, received: Received) -> Reply:
        """Note a request; what to answer."""
        with self.changed:
            self.received.append(received)
            self.changed.notify_all()
            if received.path in self.at:
                return self.at[received.path]
            return self.replies.pop(0) if self.replies else self.usual


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def do_POST(self) -> None:
        """Take a webhook."""
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.receiver.take(Received(self.path, headers, body, time.monotonic()))
        time.sleep(reply.pause)
        try:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)
        except OSError:
            self.close_connection = True  # whoever sent it did not wait

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  - the base's name
        """Say nothing."""


@contextmanager
def receiving(port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver on loopback."""
    receiver = Receiver()
    handler = type("Handler", (_Handler,), {"receiver": receiver})
    served = ThreadingHTTPServer(("127.0.0.1", port), handler)
    served.daemon_threads = True
    served.block_on_close = False
    if tls is not None:
        served.socket = tls.wrap_socket(served.socket, server_side=True)
    receiver.url = f"http{'s' if tls else ''}://127.0.0.1:{served.server_port}"
    thread = threading.Thread(target=served.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield receiver
    finally:
        served.shutdown()
        thread.join()
        served.server_close()
