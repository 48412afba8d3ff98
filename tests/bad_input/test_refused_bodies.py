"""A body that nobody wants is read all the same, so that its connection serves the next request."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.bad_input.raw import connection, head, receive

if TYPE_CHECKING:
    from tests.support.servers import CustomhouseServer

pytestmark = pytest.mark.xdist_group("bad-input")

BODY = b"x" * 100_000
REFUSED = {
    "no such page": (b"POST /auth/nothing", 404),
    "no such method": (b"PUT /v1/projects", 405),
    "no such repository": (b"POST /v2/Upper/blobs/uploads/", 400),
    "no JSON": (b"POST /v1/projects", 400),
    "a GET that is answered": (b"GET /healthz", 200),
    "a GET that is refused": (b"GET /v1/nothing", 404),
    "a DELETE": (b"DELETE /v2/p/a/blobs/uploads/none", 404),
}


@pytest.mark.parametrize("name", REFUSED)
def test_connection_lives(server: CustomhouseServer, name: str) -> None:
    line, status = REFUSED[name]
    with connection(server) as opened:
        opened.sendall(head(server, line, b"Content-Length: %d" % len(BODY)))
        # By now the answer is decided, and there is no body yet.
        time.sleep(0.2)
        opened.sendall(BODY)
        assert receive(opened).status == status
        opened.sendall(head(server, b"GET /healthz"))
        assert receive(opened).body == b"ok\n"


def test_connection_lives_after_chunks_of_a_get(server: CustomhouseServer) -> None:
    with connection(server) as opened:
        opened.sendall(head(server, b"GET /healthz", b"Transfer-Encoding: chunked"))
        time.sleep(0.2)
        opened.sendall(b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY))
        assert receive(opened).status == 200
        opened.sendall(head(server, b"GET /healthz"))
        assert receive(opened).body == b"ok\n"
