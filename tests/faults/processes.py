"""The processes of a running server, told apart by what they have open."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.servers import CustomhouseServer

_LISTEN = "0A"  # the kernel's include/net/tcp_states.h


def children(server: CustomhouseServer) -> set[int]:
    """The process ids of what the server's main process started."""
    text = Path(f"/proc/{server.pid}/task").glob("*/children")
    return {int(pid) for each in text for pid in each.read_text().split()}


def api_workers(server: CustomhouseServer) -> set[int]:
    """The processes that answer requests: those with a listening socket."""
    return {pid for pid in children(server) if _listens(pid, server.port)}


def background_worker(server: CustomhouseServer) -> int:
    """The process that runs workflows.

    Raises:
        AssertionError: There is none, or there are several.
    """
    (worker,) = children(server) - api_workers(server)
    return worker


def _listens(pid: int, port: int) -> bool:
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    sockets = {
        f"socket:[{row[9]}]"
        for row in rows
        if row[3] == _LISTEN and int(row[1].partition(":")[2], 16) == port
    }
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            found.add(str(descriptor.readlink()))
        except FileNotFoundError:
            continue
    return not sockets.isdisjoint(found)


def memory(server: CustomhouseServer) -> int:
    """The memory of all processes of the server together (PSS), in bytes."""
    total = 0
    for pid in (server.pid, *children(server)):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def kill(pid: int) -> None:
    """Kill one process with SIGKILL."""
    os.kill(pid, signal.SIGKILL)


def survivors(group: int) -> list[int]:
    """The processes of a group that live: not those that only wait for init to take note."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            # proc(5): pid (name) state ppid pgrp ...
            state, _, member = path.read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(member) == group and state != "Z":
            found.append(int(path.parent.name))
    return found


def wait_until(true: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until something is true.

    Raises:
        AssertionError: It is not after `seconds`.
    """
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"after {seconds} s not true: {what}"
        time.sleep(0.05)
