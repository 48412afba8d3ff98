"""The container engines that need a service of their own: Docker Engine and containerd."""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.clients import CLIENTS, unavailable
from tests.support.processes import environment, run, start

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def engine_folder(name: str) -> Iterator[Path]:
    """A temporary folder (a short path: sockets lie in it) whose mounts are undone at the end."""
    with tempfile.TemporaryDirectory(prefix=f"customhouse-{name}-") as folder:
        try:
            yield Path(folder)
        finally:
            unmount_below(Path(folder))


def unmount_below(folder: Path) -> None:
    """Undo every mount inside `folder`, the innermost first."""
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in sorted((m for m in mounts if m.startswith(f"{folder}/")), reverse=True):
        run("umount", "--lazy", mount)


@dataclass(frozen=True, slots=True)
class DockerEngine:
    """A running `dockerd`; `docker(...)` runs the command line against it."""

    env: dict[str, str]

    def docker(self, *arguments: str | Path, stdin: str = "", fails: bool = False) -> str:
        """Run `docker` and return what it printed."""
        return run("docker", *arguments, stdin=stdin, env=self.env, fails=fails)

    def answers(self) -> bool:
        """Whether the engine is up."""
        done = subprocess.run(
            ["docker", "version"], env=environment(self.env), capture_output=True, check=False
        )
        return done.returncode == 0


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[DockerEngine]:
    """A Docker Engine without a network, with sockets, images and sign-ins of its own."""
    if lack := CLIENTS["docker"].lacks():
        unavailable(f"docker: {lack}")
    with engine_folder("docker") as home:
        program = start(
            *("dockerd", "--data-root", home / "data", "--exec-root", home / "exec"),
            *("--host", f"unix://{home}/docker.sock", "--pidfile", home / "docker.pid"),
            *("--bridge=none", "--iptables=false", "--ip6tables=false"),
            *("--storage-driver", storage_driver(home)),
            log=home / "dockerd.log",
        )
        engine = DockerEngine(
            {
                "DOCKER_HOST": f"unix://{home}/docker.sock",
                "DOCKER_CONFIG": str(home / "config"),
                "DOCKER_BUILDKIT": "0",  # buildx is a package of its own
            }
        )
        try:
            program.wait_until(engine.answers, 60)
            yield engine
        finally:
            program.stop()


def storage_driver(folder: Path) -> str:
    """The driver `overlay2` where the kernel lets us lay one file system over another there."""
    parts = {name: folder / f"try-{name}" for name in ("lower", "upper", "work", "merged")}
    for part in parts.values():
        part.mkdir()
    options = "lowerdir={lower},upperdir={upper},workdir={work}".format_map(parts)
    tried = subprocess.run(
        ["mount", "-t", "overlay", "overlay", "-o", options, parts["merged"]],
        capture_output=True,
        check=False,
    )
    if tried.returncode != 0:
        return "vfs"
    run("umount", parts["merged"])
    return "overlay2"


@dataclass(frozen=True, slots=True)
class Containerd:
    """A running `containerd`; `ctr(...)` runs its command line against it."""

    socket: Path

    def ctr(self, *arguments: str | Path, fails: bool = False) -> str:
        """Run `ctr` in a namespace for tests and return what it printed."""
        return run("ctr", "--address", self.socket, "--namespace", "tests", *arguments, fails=fails)

    def answers(self) -> bool:
        """Whether containerd is up."""
        return self.socket.exists() and "Server:" in run("ctr", "--address", self.socket, "version")


@pytest.fixture(scope="session")
def containerd() -> Iterator[Containerd]:
    """A containerd with a socket, state and content of its own."""
    if lack := CLIENTS["ctr"].lacks():
        unavailable(f"ctr: {lack}")
    with engine_folder("containerd") as home:
        engine = Containerd(home / "containerd.sock")
        settings = home / "config.toml"
        # No plugin of Kubernetes: it wants a network of its own.
        settings.write_text('version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
        program = start(
            *("containerd", "--config", settings, "--address", engine.socket),
            *("--root", home / "root", "--state", home / "state"),
            log=home / "containerd.log",
        )
        try:
            program.wait_until(engine.answers, 30)
            yield engine
        finally:
            program.stop()
