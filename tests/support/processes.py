"""Commands that tests run, and programs that they start and end."""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "USER", "LOGNAME")
"""What a started program sees of the tests' environment: nothing that configures it by chance."""


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a started program, with `extra` laid over it."""
    return {k: v for k, v in os.environ.items() if k in KEPT_VARIABLES} | dict(extra or {})


def run(
    *command: str | Path,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: str | None = None,
    fails: bool = False,
    seconds: float = 60,
) -> str:
    """Run a command to its end and return what it printed, standard error after standard output.

    Args:
        command: The program and its arguments.
        stdin: Text for its standard input.
        env: Variables laid over `environment`.
        cwd: The folder to run it in.
        user: The user to run it as; only root may name another.
        fails: The command must fail (True) or must succeed (False).
        seconds: The longest that it may take.

    Raises:
        AssertionError: It ended otherwise than expected; the message holds all that it printed.
    """
    line = shlex.join(str(part) for part in command)
    try:
        done = subprocess.run(  # noqa: PLW1510 -- the exit status is judged below
            [str(part) for part in command],
            input=stdin,
            env=environment(env),
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=seconds,
            user=user,
            group=user,
            extra_groups=[] if user else None,
        )
    except subprocess.TimeoutExpired as late:
        raise AssertionError(f"{line}\nis not done after {seconds} s: {late.stderr!r}") from late
    said = done.stdout + done.stderr
    if (done.returncode != 0) is not fails:
        raise AssertionError(f"{line}\nended with {done.returncode}:\n{said}")
    return said


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on.

    It lies below the range from which the kernel gives ports to outgoing connections, and is drawn
    at random, so that parallel tests do not meet.
    """
    for _ in range(12_000):
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free between 20000 and 32000")


@dataclass(slots=True)
class Program:
    """A running program, the leader of its own process group, whose output goes to a file."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """The process id, which is also the id of the process group."""
        return self.process.pid

    @property
    def running(self) -> bool:
        """Whether the leader has not ended yet."""
        return self.process.poll() is None

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until `ready` says so.

        Raises:
            AssertionError: The program ended, or `seconds` went by; the message has its output.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running:
                raise AssertionError(f"it ended with {self.process.returncode}:\n{tail(self.log)}")
            if time.monotonic() > deadline:
                raise AssertionError(f"it is not ready after {seconds} s:\n{tail(self.log)}")
            time.sleep(0.02)

    def stop(self, by: signal.Signals = signal.SIGTERM, seconds: float = 20) -> int:
        """Ask the leader to end, wait for it, and return its exit status.

        Raises:
            AssertionError: It did not end in time; the whole group was killed.
        """
        if self.running:
            self.process.send_signal(by)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired as late:
            self.kill()
            raise AssertionError(f"it ignored {by.name}:\n{tail(self.log)}") from late

    def assert_alone(self, seconds: float = 3) -> None:
        """Check that the ended leader left no process of its group behind.

        Raises:
            AssertionError: There was one; it was killed.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                os.killpg(self.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.02)
        self.kill()
        raise AssertionError(f"it left processes behind:\n{tail(self.log)}")

    def kill(self) -> None:
        """Kill the whole group, as a power cut would, and wait for the leader."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()


def start(
    *command: str | Path,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: str | None = None,
) -> Program:
    """Start a program, its output added to the file `log`; it ends with the tests at the latest.

    Args:
        command: The program and its arguments.
        log: The file that takes its output.
        env: Variables laid over `environment`.
        cwd: The folder to start it in.
        user: The user to run it as; only root may name another.
    """
    # A test run that is killed must not leave servers behind.
    leash = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
    with log.open("ab") as output:
        process = subprocess.Popen(
            leash + [str(part) for part in command],
            env=environment(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=[] if user else None,
        )
    return Program(process, log)


def tail(log: Path, lines: int = 25) -> str:
    """The last lines of a log file."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
