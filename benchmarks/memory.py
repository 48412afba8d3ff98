"""Memory of a server: the proportional set size of all of its processes together.

Source: Linux, Documentation/filesystems/proc.rst (`smaps_rollup`, `stat`).
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

_SAMPLE_SECONDS = 0.005
_SETTLE_SECONDS = 0.2
_SETTLED_SAMPLES = 10
_SETTLE_SAMPLES = 300
_SAMPLES_A_LISTING = 20  # listing the processes costs more than reading a few


def processes(leader: int) -> frozenset[int]:
    """The ids of a process, its descendants, and every other process of its session."""
    parents: dict[int, int] = {}
    found = {leader}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            # The program's name, in parentheses, may contain anything.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents[int(folder.name)] = int(fields[1])
        if int(fields[3]) == leader:
            found.add(int(folder.name))
    grown = True
    while grown:
        children = {child for child, parent in parents.items() if parent in found} - found
        found |= children
        grown = bool(children)
    return frozenset(found)


def pss(pids: frozenset[int]) -> float:
    """The proportional set size of processes in MiB; one that has ended counts nothing."""
    kib = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        kib += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kib / 1024


def settled(leader: int) -> float:
    """The memory of a server once it has stopped to change, in MiB: what start began is done.

    It has stopped when it varied by less than 1 MiB for two seconds; after a minute it is taken as
    it is.
    """
    seen: list[float] = []
    for _ in range(_SETTLE_SAMPLES):
        seen = [*seen[-_SETTLED_SAMPLES + 1 :], pss(processes(leader))]
        if len(seen) == _SETTLED_SAMPLES and max(seen) - min(seen) < 1:
            break
        time.sleep(_SETTLE_SECONDS)
    return seen[-1]


class Peak:
    """The highest memory seen while `watch` is on.

    Attributes:
        mib: the peak so far, in MiB.
    """

    def __init__(self) -> None:
        self.mib = 0.0


@contextmanager
def watch(leader: int) -> Iterator[Peak]:
    """Sample the memory of a server all the time until the block is left."""
    peak = Peak()
    done = threading.Event()

    def sample() -> None:
        pids = processes(leader)
        for number in count(1):
            last = done.is_set()
            if last or number % _SAMPLES_A_LISTING == 0:
                pids = processes(leader)
            peak.mib = max(peak.mib, pss(pids))
            if last:
                return
            done.wait(_SAMPLE_SECONDS)

    thread = threading.Thread(target=sample, name="memory")
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()
