"""SIGTERM: what runs ends well, at whatever moment it comes. And a port that is in use."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.faults.processes import api_workers, children, survivors, wait_until
from tests.faults.pushers import debian_image
from tests.faults.registry import Registry
from tests.support.images import digest_of, noise
from tests.support.processes import Program, free_port, run, start, tail
from tests.support.servers import COMMAND, CustomhouseServer, customhouse_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("faults-stop")

REPOSITORY = "faults/app"
STOP_SECONDS = 6.0
"""Far below the 30 s that running requests are given: nothing here takes that long."""


def told_to_stop(server: CustomhouseServer) -> Program:
    """Send SIGTERM and return the program, which may still be running."""
    assert server.program is not None
    server.program.process.send_signal(signal.SIGTERM)
    return server.program


def assert_alone(program: Program) -> None:
    """Check that an ended program left nothing behind."""
    wait_until(lambda: not survivors(program.pid), 1, "no process is left behind")


def assert_ends(program: Program, seconds: float) -> None:
    """Check that a program ends well, and all that it started with it."""
    assert program.process.wait(seconds) == 0, tail(program.log)
    assert_alone(program)


def test_a_stream_and_a_pull_are_ended_first(tmp_path: Path) -> None:
    blob = noise(48 * 1024 * 1024, "blob")
    pieces = [noise(64 * 1024, n) for n in range(24)]

    def slow_stream() -> Iterator[bytes]:
        for piece in pieces:
            yield piece
            time.sleep(0.1)

    with customhouse_server(tmp_path) as server, ThreadPoolExecutor(2) as threads:
        with Registry(server) as registry:
            digest = registry.upload(REPOSITORY, blob)
            upload = registry.start_upload(REPOSITORY)
            streaming = threads.submit(registry.append, upload, slow_stream())
            pulling = threads.submit(slow_pull, server, digest)
            time.sleep(0.7)
            assert not streaming.done()
            assert not pulling.done()
            program = told_to_stop(server)
            began = time.monotonic()
            assert streaming.result(20) == sum(map(len, pieces))
            assert digest_of(pulling.result(20)) == digest
        assert_ends(program, STOP_SECONDS)
        assert time.monotonic() - began < 10
        server.start()
        with Registry(server) as registry:
            assert registry.offset(upload) == sum(map(len, pieces))
            registry.finish(upload, digest_of(b"".join(pieces)))


def slow_pull(server: CustomhouseServer, digest: str) -> bytes:
    """Pull a blob at about 20 MB/s."""
    found = bytearray()
    path = f"{server.url}/v2/{REPOSITORY}/blobs/{digest}"
    with httpx2.stream("GET", path, auth=server.auth, timeout=10) as response:
        assert response.status_code == 200
        for chunk in response.iter_bytes(1024 * 1024):
            found += chunk
            time.sleep(0.05)
    return bytes(found)


def test_idle_connections_do_not_hold_it_up(tmp_path: Path) -> None:
    with customhouse_server(tmp_path) as server:
        address = ("127.0.0.1", server.port)
        silent = [socket.create_connection(address) for _ in range(20)]
        with Registry(server) as registry:
            registry.call("GET", "/v2/")  # its connection stays open
            assert_ends(told_to_stop(server), STOP_SECONDS)
        for each in silent:
            each.close()


def test_a_request_that_does_not_end_is_cut_when_its_time_is_up(tmp_path: Path) -> None:
    env = {"CUSTOMHOUSE_SERVER__DRAIN_SECONDS": "2"}
    with customhouse_server(tmp_path, env=env) as server:
        with Registry(server) as registry:
            upload = registry.start_upload(REPOSITORY)
            kept = registry.append(upload, b"x" * 100_000)
        endless = socket.create_connection(("127.0.0.1", server.port))
        endless.sendall(head(server, "PATCH", upload, 10**9) + b"y" * 50_000)
        time.sleep(0.3)
        program = told_to_stop(server)
        began = time.monotonic()
        assert program.process.wait(10) == 0
        assert 1.5 < time.monotonic() - began < 6
        assert_alone(program)
        endless.close()
        server.start()
        with Registry(server) as registry:
            offset = registry.offset(upload)
            assert offset is not None
            assert kept <= offset <= kept + 50_000
            registry.finish(upload, digest_of((b"x" * kept + b"y" * 50_000)[:offset]))


def test_a_worker_that_waits_for_its_database_does_not_hold_it_up(tmp_path: Path) -> None:
    with customhouse_server(tmp_path) as server:
        with Registry(server) as registry:
            registry.discovery(REPOSITORY, registry.push(REPOSITORY, debian_image(1), "1"))
            with closing(sqlite3.connect(server.data / "workflows.sqlite")) as database:
                database.execute("BEGIN IMMEDIATE")
                digest = registry.push(REPOSITORY, debian_image(2), "2")
                time.sleep(0.3)
                began = time.monotonic()
                assert_ends(told_to_stop(server), STOP_SECONDS)
                assert time.monotonic() - began < STOP_SECONDS
        server.start()
        with Registry(server) as registry:
            found = registry.discovery(REPOSITORY, digest)
            assert found["analysisStatus"] == "FINISHED_SUCCESS"


@pytest.mark.parametrize(
    "signals",
    [[signal.SIGINT] * 4, [signal.SIGTERM]],  # an impatient Ctrl-C; the stop of a service
    ids=["Ctrl-C", "SIGTERM"],
)
def test_every_process_is_told(tmp_path: Path, signals: list[signal.Signals]) -> None:
    with customhouse_server(tmp_path) as server:
        with Registry(server) as registry:
            upload = registry.start_upload(REPOSITORY)
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
            client.sendall(head(server, "PATCH", upload, 100_000) + b"x" * 50_000)
            time.sleep(0.3)
            assert server.program is not None
            for each in signals:
                os.killpg(server.pid, each)
                time.sleep(0.1)
            time.sleep(0.5)
            client.sendall(b"x" * 50_000)
            assert client.recv(1000).startswith(b"HTTP/1.1 202 ")
        assert_ends(server.program, STOP_SECONDS)
        assert '"the worker ended"' not in server.log.read_text()


def head(server: CustomhouseServer, method: str, path: str, length: int) -> bytes:
    """The head of a request with a body."""
    authorization = httpx2.Request("GET", server.url, headers={})
    for request in httpx2.BasicAuth(*server.auth).auth_flow(authorization):
        authorization = request
    return (
        f"{method} {path} HTTP/1.1\r\nHost: {server.host}\r\nContent-Length: {length}\r\n"
        f"Authorization: {authorization.headers['authorization']}\r\n\r\n"
    ).encode()


@pytest.mark.parametrize("moment", ["at once", "one process", "all processes", "one listens"])
def test_it_is_told_to_stop_while_it_starts(tmp_path: Path, moment: str) -> None:
    server = CustomhouseServer(tmp_path, free_port())
    program = start(
        *(COMMAND, "serve", "--port", str(server.port), "--data", server.data, "--workers", "2"),
        log=server.log,
        cwd=tmp_path,
    )
    server.program = program
    reached = {
        "at once": server.data.exists,
        "one process": lambda: len(children(server)) >= 1,
        "all processes": lambda: len(children(server)) == 3,
        "one listens": lambda: len(api_workers(server)) >= 1,
    }
    try:
        wait_until(reached[moment], 15, moment)
        program.process.send_signal(signal.SIGTERM)
        # Before anything runs the signal may end it as it ends every program.
        assert program.process.wait(STOP_SECONDS) in {0, -signal.SIGTERM}, tail(server.log)
        assert_alone(program)
    finally:
        program.kill()
    server.start()  # whatever was half done is no obstacle
    assert server.stop() == 0


def test_the_port_is_in_use(tmp_path: Path) -> None:
    with customhouse_server(tmp_path) as server:
        second = tmp_path / "second"
        said = run(
            *(COMMAND, "serve", "--port", str(server.port), "--data", second),
            cwd=tmp_path,
            fails=True,
            seconds=20,
        )
        assert f"127.0.0.1:{server.port} cannot be listened on: Address already in use" in said
        assert "Traceback" not in said
        assert not second.exists()
        assert httpx2.get(f"{server.url}/readyz").status_code == 200


def test_a_second_server_on_the_data_folder_is_refused(tmp_path: Path) -> None:
    with customhouse_server(tmp_path) as server:
        said = run(
            *(COMMAND, "serve", "--port", str(free_port()), "--data", server.data), fails=True
        )
        assert f"another server uses the data folder {server.data}" in said
        with Registry(server) as registry:
            registry.call("GET", "/v2/")
