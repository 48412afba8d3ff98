"""Very many, and very slow: the server stays quick for everybody else and takes no more memory."""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.bad_input.raw import connection, head, receive
from tests.faults.processes import api_workers, memory, wait_until
from tests.faults.pushers import debian_image
from tests.faults.registry import Registry
from tests.support.images import digest_of
from tests.support.servers import customhouse_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.servers import CustomhouseServer

pytestmark = [pytest.mark.xdist_group("bad-input"), pytest.mark.slow]

MIB = 1024 * 1024
UPLOADS = 10_000
BATCH = 50
CLIENTS = 4


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CustomhouseServer]:
    """A server of its own, whose memory nobody else fills."""
    folder = tmp_path_factory.mktemp("server")
    with customhouse_server(folder, arguments=("--workers", "2")) as running:
        wait_until(lambda: len(api_workers(running)) == 2, 10, "two processes listen")
        yield running


@pytest.fixture(scope="module")
def registry(server: CustomhouseServer) -> Iterator[Registry]:
    """A client of the server, whose processes have all worked before."""
    pushes = [head(server, b"POST /v2/many/uploads/blobs/uploads/", b"Content-Length: 0")] * BATCH
    for _ in range(8):  # each connection goes to one of the processes
        pipelined(server, pushes)
    with Registry(server) as client:
        client.upload("many/uploads", b"first")
        image = debian_image(1)
        client.discovery("many/image", client.push("many/image", image, "1"))
        yield client


@pytest.fixture(autouse=True)
def _stands() -> None:
    """In place of the check of the folder's common server."""


def seconds_of_a_ping(registry: Registry) -> float:
    """The median time that `GET /v2/` takes."""
    times = []
    for _ in range(200):
        began = time.perf_counter()
        registry.call("GET", "/v2/")
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def pipelined(server: CustomhouseServer, requests: list[bytes]) -> list[str]:
    """Send requests over one connection, many at a time; the Location of each answer."""
    found = []
    with connection(server) as opened:
        for start in range(0, len(requests), BATCH):
            batch = requests[start : start + BATCH]
            opened.sendall(b"".join(batch))
            reader = opened.makefile("rb")
            for _ in batch:
                assert reader.readline().split()[1] in {b"202", b"404", b"405"}
                headers = dict(
                    line.rstrip().split(b": ", 1) for line in iter(reader.readline, b"\r\n")
                )
                reader.read(int(headers.get(b"content-length", b"0")))
                found.append(headers.get(b"location", b"").decode())
    return found


def test_ten_thousand_open_uploads(server: CustomhouseServer, registry: Registry) -> None:
    ping, before = seconds_of_a_ping(registry), memory(server)
    begin = head(server, b"POST /v2/many/uploads/blobs/uploads/", b"Content-Length: 0")
    with ThreadPoolExecutor(CLIENTS) as threads:
        batches = [[begin] * (UPLOADS // CLIENTS)] * CLIENTS
        uploads = [
            path
            for found in threads.map(lambda batch: pipelined(server, batch), batches)
            for path in found
        ]
        assert len(set(uploads)) == UPLOADS
        appends = [
            head(server, b"PATCH " + path.encode(), b"Content-Length: 5") + b"bytes"
            for path in uploads[:: UPLOADS // 1000]
        ]
        parts = [appends[n::CLIENTS] for n in range(CLIENTS)]
        assert (
            sum(len(found) for found in threads.map(lambda part: pipelined(server, part), parts))
            == 1000
        )
    grown = memory(server) - before
    slower = seconds_of_a_ping(registry) / ping
    print(
        f"{grown / MIB:.1f} MiB more; a ping of {ping * 1000:.2f} ms is {slower:.2f} times as long"
    )
    assert grown < 64 * MIB
    assert slower < 3
    # Each of them can be gone on with.
    for path in uploads[-5:]:
        registry.append(path, b"last")
        registry.finish(path, digest_of(b"last"))


def test_slow_clients(server: CustomhouseServer, registry: Registry) -> None:
    ping, before = seconds_of_a_ping(registry), memory(server)
    uploads = [registry.start_upload("many/slow") for _ in range(100)]
    with ExitStack() as stack:
        silent = [stack.enter_context(connection(server)) for _ in range(200)]
        writing = [stack.enter_context(connection(server)) for _ in uploads]
        for path, opened in zip(uploads, writing, strict=True):
            opened.sendall(head(server, b"PATCH " + path.encode(), b"Content-Length: 6"))
        for byte in (b"s", b"l", b"o", b"w"):
            for opened in (*silent, *writing):
                opened.sendall(byte)
            time.sleep(0.1)
        slower = seconds_of_a_ping(registry) / ping
        assert registry.blob("many/uploads", digest_of(b"first")) == b"first"
        for opened in writing:
            opened.sendall(b"ly")
        assert {receive(opened, "PATCH").status for opened in writing} == {202}
    assert slower < 3
    assert memory(server) - before < 64 * MIB
    registry.finish(uploads[0], digest_of(b"slowly"))


def test_made_up_names_are_not_kept(server: CustomhouseServer, registry: Registry) -> None:
    """Methods, paths and tokens that clients make up must not fill memory or the metrics."""
    before = memory(server)
    methods = [head(server, b"M%d /v2/" % n) for n in range(3000)]
    paths = [head(server, b"GET /v2/made-up/p%d/blobs/uploads/%032x" % (n, n)) for n in range(3000)]
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda batch: pipelined(server, batch), (methods, paths)))
    time.sleep(0.5)  # metrics are gathered before they are counted
    metrics = registry.call("GET", "/metrics").text
    assert "M2999" not in metrics
    assert "made-up" not in metrics
    assert len(metrics) < 100_000
    assert memory(server) - before < 32 * MIB
