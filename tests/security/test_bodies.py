"""A body that nobody permitted is not waited for, and not kept in memory."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.wire.calls import Registry

pytestmark = pytest.mark.xdist_group("security")

MEGABYTE = bytes(1_000_000)
ANNOUNCED = 400
TAKEN = 80
"""More megabytes than what lies in the buffers of two sockets and what a server passes over."""


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/v1/feeds:import"),
        ("POST", "/upload/v1/feeds:import?name=x"),
        ("POST", "/v1/feeds"),
        ("POST", "/v1/nothing"),
        ("POST", "/token"),
        ("PUT", "/v2/p/a/manifests/v1"),
        ("POST", f"/v2/p/a/blobs/uploads/?digest=sha256:{'0' * 64}"),
        ("PATCH", "/v2/p/a/blobs/uploads/x"),
        ("GET", "/v2/"),
        ("GET", "/healthz"),
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_strangers_body(registry: Registry, method: str, target: str, chunked: bool) -> None:
    size = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {ANNOUNCED}000000"
    head = (
        f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{size}\r\n\r\n"
    )
    piece = b"%x\r\n%b\r\n" % (len(MEGABYTE), MEGABYTE) if chunked else MEGABYTE
    sent = 0
    with socket.create_connection(("127.0.0.1", registry.server.port), timeout=10) as connection:
        try:
            connection.sendall(head.encode())
            while sent < ANNOUNCED:
                connection.sendall(piece)
                sent += 1
        except OSError:
            pass  # it was cut off, as it should be
    assert sent <= TAKEN
    assert registry.http.get("/healthz").is_success
