"""Requests that no HTTP library would send, byte by byte."""

from __future__ import annotations

import base64
import socket
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.servers import CustomhouseServer


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The code of the one error in an answer of the distribution API."""
        (error,) = self.document["errors"]
        return str(error["code"])

    @property
    def document(self) -> Any:
        """The body as JSON."""
        return msgspec.json.decode(self.body)


def authorization(server: CustomhouseServer) -> bytes:
    """The header line that signs the administrator in."""
    return b"Authorization: Basic " + base64.b64encode(":".join(server.auth).encode())


def head(server: CustomhouseServer, line: bytes, *headers: bytes) -> bytes:
    """A request's head: the request line without its version, and header lines."""
    host = b"Host: " + server.host.encode()
    lines = (line + b" HTTP/1.1", host, authorization(server), *headers)
    return b"\r\n".join(lines) + b"\r\n\r\n"


@contextmanager
def connection(server: CustomhouseServer, seconds: float = 20) -> Iterator[socket.socket]:
    """A connection to the server."""
    with socket.create_connection(("127.0.0.1", server.port), seconds) as opened:
        yield opened


def receive(opened: socket.socket, method: str = "GET") -> Answer:
    """Read one answer."""
    response = HTTPResponse(opened, method=method)
    response.begin()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read())


def exchange(server: CustomhouseServer, request: bytes) -> Answer:
    """Send the bytes of a request and read the answer, which may come before the last byte."""
    with connection(server) as opened:
        with suppress(BrokenPipeError, ConnectionResetError):
            opened.sendall(request)
        return receive(opened, request.split(b" ", 1)[0].decode("latin-1"))
