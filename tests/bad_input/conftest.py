"""One server for all that is thrown at it; after each test it must stand as before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.faults.processes import api_workers, children, wait_until
from tests.faults.registry import Registry
from tests.support.images import Image, make_image
from tests.support.servers import customhouse_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.servers import CustomhouseServer

BODY_SECONDS = 1.5
"""How long the server of these tests waits for the next part of a body."""


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CustomhouseServer]:
    """The server; it has one image from the start, `good/image:1`."""
    folder = tmp_path_factory.mktemp("server")
    env = {"CUSTOMHOUSE_SERVER__BODY_TIMEOUT": str(BODY_SECONDS)}
    with customhouse_server(folder, arguments=("--workers", "2"), env=env) as running:
        wait_until(lambda: len(api_workers(running)) == 2, 10, "two processes listen")
        with Registry(running) as registry:
            registry.push("good/image", good_image(), "1")
        yield running


@pytest.fixture(scope="session")
def registry(server: CustomhouseServer) -> Iterator[Registry]:
    """A client of the server."""
    with Registry(server) as client:
        yield client


def good_image() -> Image:
    """An image with nothing wrong in it."""
    return make_image({"hello": b"world"})


@pytest.fixture(autouse=True)
def _stands(server: CustomhouseServer, registry: Registry) -> Iterator[None]:
    """Check after each test that no process died, nothing failed unforeseen, and it answers."""
    before = children(server)
    said = server.log.stat().st_size
    yield
    registry.assert_pulls("good/image", "1", good_image())
    assert httpx2.get(f"{server.url}/readyz").json() == {"ready": True}
    assert children(server) == before
    with server.log.open() as log:
        log.seek(said)
        unforeseen = [line for line in log if '"event":"request"' not in line]
    assert not unforeseen
