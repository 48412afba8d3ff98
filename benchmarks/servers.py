"""Starting and ending the two servers."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.failure import BenchmarkError
from benchmarks.wire import Credentials, Endpoint

_PASSWORD = "benchmark-of-customhouse"  # a server on loopback for some minutes
_START_SECONDS = 30.0
_POLL_SECONDS = 0.002
_END_SECONDS = 15.0

# Debian's /etc/docker/registry/config.yml without authentication and without logs.
_PEER_CONFIG = """\
version: 0.1
log:
  level: error
  accesslog:
    disabled: true
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: {data}
  delete:
    enabled: true
http:
  addr: 127.0.0.1:{port}
  secret: benchmark
"""


@dataclass(frozen=True, slots=True)
class Program:
    """How to start a registry.

    Attributes:
        name: what the tables call it.
        command: the command line for a data folder and a port; may write into the folder.
        ready_path: the path that answers 200 once the server is ready.
        credentials: whom to sign in as, or None when the server asks nobody.
        environment: variables on top of the inherited ones.
    """

    name: str
    command: Callable[[Path, int], list[str]]
    ready_path: str
    credentials: Credentials | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Server:
    """A running registry.

    Attributes:
        program: how it was started.
        pid: its first process, the leader of its own session.
        endpoint: where it answers.
        start_seconds: from its spawn until it was ready.
    """

    program: Program
    pid: int
    endpoint: Endpoint
    start_seconds: float


def _customhouse_command(folder: Path, port: int) -> list[str]:
    executable = Path(sys.executable).with_name("customhouse")
    where = ["--host", "127.0.0.1", "--port", str(port), "--data", str(folder / "data")]
    return [str(executable), "serve", *where]


def _peer_command(folder: Path, port: int) -> list[str]:
    config = folder / "config.yml"
    config.write_text(_PEER_CONFIG.format(data=folder / "data", port=port))
    return ["docker-registry", "serve", str(config)]


def customhouse() -> Program:
    """This project's server, with token authentication."""
    return Program(
        "customhouse",
        _customhouse_command,
        "/readyz",
        Credentials("admin", _PASSWORD),
        {"CUSTOMHOUSE_ADMIN_PASSWORD": _PASSWORD},
    )


def docker_registry() -> Program:
    """Debian's docker-registry, asking nobody for a password."""
    return Program("docker-registry", _peer_command, "/")


def _environment(program: Program) -> dict[str, str]:
    # Both programs take settings from the environment; REGISTRY_AUTH_FILE (podman's) even stops
    # docker-registry from starting.
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("REGISTRY_", "CUSTOMHOUSE_"))
    }
    return inherited | dict(program.environment)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _end(process: subprocess.Popen[bytes]) -> None:
    for number, seconds in ((signal.SIGTERM, _END_SECONDS), (signal.SIGKILL, None)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            continue


def _wait_until_ready(process: subprocess.Popen[bytes], endpoint: Endpoint, path: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if endpoint.answers(path):
            return
        time.sleep(_POLL_SECONDS)
    how = "did not get ready" if process.poll() is None else f"ended with {process.returncode}"
    raise BenchmarkError(f"the server {how}")


@contextmanager
def running(program: Program, folder: Path) -> Iterator[Server]:
    """Run a server on a free port of the loopback interface until the block is left.

    All of its processes are ended then: SIGTERM to its process group, SIGKILL after 15 s.

    Args:
        program: what to start.
        folder: for its data and its log; made if missing, kept.

    Raises:
        BenchmarkError: it did not start; the message has the end of its log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log"
    endpoint = Endpoint(_free_port())
    command = program.command(folder, endpoint.port)
    with log.open("wb") as output:
        spawned = time.monotonic()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            env=_environment(program),
            start_new_session=True,
        )
    try:
        try:
            _wait_until_ready(process, endpoint, program.ready_path)
        except BenchmarkError as error:
            tail = log.read_text(errors="replace")[-2000:]
            raise BenchmarkError(f"{' '.join(command)}: {error}\n{tail}") from error
        yield Server(program, process.pid, endpoint, time.monotonic() - spawned)
    finally:
        _end(process)
