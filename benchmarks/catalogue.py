"""The list of measurements, in the order in which they run."""

from collections.abc import Callable

from benchmarks.context import Context
from benchmarks.measurements import (
    access,
    analysis,
    blobs,
    fleet,
    idle,
    inventory,
    requests,
    start,
)
from benchmarks.results import Result

Measurement = Callable[[Context], list[Result]]

# `idle` and then `blobs` come first: they look at the memory of servers that have done little.
MEASUREMENTS: tuple[tuple[str, Measurement], ...] = (
    ("idle", idle.run),
    ("blobs", blobs.run),
    ("requests", requests.run),
    ("access", access.run),
    ("start", start.run),
    ("inventory", inventory.run),
    ("analysis", analysis.run),
    ("fleet", fleet.run),
)
