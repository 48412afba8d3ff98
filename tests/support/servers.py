"""The real server, started for tests as anybody starts it: `customhouse serve`."""

from __future__ import annotations

import json
import ssl
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.support.processes import Program, free_port, start, tail
from tests.support.tls import Certificate, self_signed

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

USER = "admin"
PASSWORD = "for-the-tests:only 1"
"""With a colon and a space, which Basic authentication must let pass."""

COMMAND = Path(sys.executable).with_name("customhouse")
START_SECONDS = 20.0

DRAIN_SECONDS = 8
"""Clients that leave a request half sent may hold a stop up for that long."""

KILLED = "refused to gracefully stop"
"""What Granian logs of a process that it kills because it did not end within that time.

On a busy machine it also takes one that has just ended for one that runs, but sooner.
"""

LOG_SECONDS = 0.6
"""More than twice as long as the server gathers lines of its access log before it writes them."""


@dataclass(frozen=True, slots=True)
class Request:
    """One line of the server's access log; `began` is in seconds since 1970."""

    began: float
    method: str
    path: str
    status: int


@dataclass(slots=True)
class Traffic:
    """How blobs came into repositories.

    Attributes:
        uploaded: Blobs whose bytes were sent: each client ends an upload with a PUT.
        mounted: Blobs taken over from another repository.
    """

    uploaded: int = 0
    mounted: int = 0


@dataclass(slots=True)
class CustomhouseServer:
    """A server on a port of its own, with a data folder of its own.

    Example::

        with customhouse_server(tmp_path) as server:
            httpx2.get(f"{server.url}/v2/", auth=server.auth)
            server.kill()
            server.start()
    """

    folder: Path
    port: int
    certificate: Certificate | None = None
    arguments: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    program: Program | None = None
    logged: int = 0
    """How long the log was when the server was last started, in bytes."""

    @property
    def host(self) -> str:
        """What stands before the repository in an image's name."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Scheme and host, without a slash at the end."""
        return f"http{'s' if self.certificate else ''}://{self.host}"

    @property
    def auth(self) -> tuple[str, str]:
        """The administrator's name and password."""
        return USER, PASSWORD

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """The file with everything that the server printed, in all its runs."""
        return self.folder / "server.log"

    @property
    def pid(self) -> int:
        """The process id of the running server.

        Raises:
            AssertionError: It does not run.
        """
        assert self.program is not None, "the server was not started"
        return self.program.pid

    def start(self) -> None:
        """Start the server and wait until it answers `/readyz`."""
        tls = (
            ("--tls-cert", self.certificate.chain, "--tls-key", self.certificate.key)
            if self.certificate
            else ()
        )
        self.logged = self.log.stat().st_size if self.log.exists() else 0
        self.program = start(
            *(COMMAND, "serve", "--host", "127.0.0.1", "--port", str(self.port)),
            *("--data", self.data, *tls, *self.arguments),
            log=self.log,
            env={
                "CUSTOMHOUSE_ADMIN_PASSWORD": PASSWORD,
                "CUSTOMHOUSE_SERVER__DRAIN_SECONDS": str(DRAIN_SECONDS),
            }
            | dict(self.env),
            cwd=self.folder,
        )
        try:
            self.program.wait_until(self._ready, START_SECONDS)
        except AssertionError:
            self.program.kill()
            raise

    def stop(self) -> int:
        """End the server with SIGTERM, which lets running requests finish; its exit status.

        Raises:
            AssertionError: It left processes behind, or something held up one until it was killed.
        """
        assert self.program is not None, "the server was not started"
        began = time.monotonic()
        status = self.program.stop()
        seconds = time.monotonic() - began
        self.program.assert_alone()
        said = self.log.read_bytes()[self.logged :].decode(errors="replace")
        assert KILLED not in said or seconds < DRAIN_SECONDS, f"{seconds:.1f} s\n{tail(self.log)}"
        return status

    def kill(self) -> None:
        """Kill every process of the server with SIGKILL."""
        assert self.program is not None, "the server was not started"
        self.program.kill()

    def restart(self) -> None:
        """Stop and start again, with the same port and data."""
        self.stop()
        self.start()

    def requests(self) -> list[Request]:
        """All requests in the access log so far."""
        size = -1
        while size != (size := self.log.stat().st_size):
            time.sleep(LOG_SECONDS)
        return parse_access_log(self.log.read_text(errors="replace"))

    @contextmanager
    def traffic(self) -> Iterator[Traffic]:
        """What the requests made inside the block did; filled in at its end."""
        began = time.time()
        seen = Traffic()
        yield seen
        for request in self.requests():
            if request.began < began or request.status != httpx2.codes.CREATED:
                continue
            if "/blobs/uploads/" in request.path:
                seen.uploaded += request.method == "PUT"
                seen.mounted += request.method == "POST"

    def _ready(self) -> bool:
        verify = (
            ssl.create_default_context(cafile=str(self.certificate.chain))
            if self.certificate
            else False
        )
        try:
            return httpx2.get(f"{self.url}/readyz", verify=verify).status_code == httpx2.codes.OK
        except httpx2.TransportError:
            return False


def parse_access_log(text: str) -> list[Request]:
    """The requests among the lines of a server's log."""
    requests = []
    for line in text.splitlines():
        if line.startswith("{") and (entry := json.loads(line))["event"] == "request":
            began = entry["time"] - entry["seconds"]
            requests.append(Request(began, entry["method"], entry["path"], entry["status"]))
    return requests


@contextmanager
def customhouse_server(
    folder: Path,
    *,
    tls: bool = False,
    arguments: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> Iterator[CustomhouseServer]:
    """A running server with its data in `folder`; stopped at the end of the block.

    Args:
        folder: An empty folder for its data, log and certificate.
        tls: Serve TLS with a self-signed certificate for 127.0.0.1 and localhost.
        arguments: More arguments for `customhouse serve`.
        env: More environment variables.
    """
    certificate = self_signed(folder) if tls else None
    server = CustomhouseServer(folder, free_port(), certificate, arguments, env or {})
    server.start()
    try:
        yield server
    finally:
        if server.program is not None and server.program.running:
            server.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CustomhouseServer]:
    """One server for all the tests of a module."""
    with customhouse_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CustomhouseServer]:
    """One server with TLS for all the tests of a module."""
    with customhouse_server(tmp_path_factory.mktemp("server"), tls=True) as running:
        yield running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the server's log below a failed test."""
    report = yield
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, CustomhouseServer) and value.log.exists():
                report.sections.append(("customhouse serve", tail(value.log)))
    return report
