"""From the spawn of a server until it says that it is ready."""

from pathlib import Path
from statistics import median

from benchmarks.context import Context
from benchmarks.results import Result, judge
from benchmarks.servers import Program, running


def run(context: Context) -> list[Result]:
    """Start each server on an empty folder, then some times on what is there."""
    with context.console.status("start"):
        ours = _starts(context.ours.program, context.folder / "start-ours", context.effort.rounds)
        peer = _starts(context.peer.program, context.folder / "start-peer", context.effort.rounds)
    return [
        judge("first start", "s", ours[0], peer[0]),
        judge("start", "s", median(ours[1:]), median(peer[1:])),
    ]


def _starts(program: Program, folder: Path, again: int) -> list[float]:
    seconds: list[float] = []
    for _ in range(1 + again):
        with running(program, folder) as server:
            seconds.append(server.start_seconds)
    return seconds
