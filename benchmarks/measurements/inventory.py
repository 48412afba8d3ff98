"""CPU seconds to take the inventory of a gzip layer of 80 MB with 10,000 files."""

import resource
from pathlib import Path
from statistics import median

from benchmarks.context import Context
from benchmarks.failure import BenchmarkError
from benchmarks.layer import FILES, PACKAGES, write_layer
from benchmarks.results import Result, judge
from customhouse.analysis.inventory import merge
from customhouse.analysis.layers import read_layer

_BYTES = (75_000_000, 85_000_000)


def run(context: Context) -> list[Result]:
    """Write the layer, then take its inventory some times."""
    path = context.folder / "layer.tar.gz"
    with context.console.status("layer inventory: making the layer"):
        context.apart(write_layer, path)
        size = path.stat().st_size
        if not _BYTES[0] <= size <= _BYTES[1]:
            raise BenchmarkError(f"the layer has {size} bytes")
    with context.console.status("layer inventory"):
        seconds = [context.apart(take, path) for _ in range(context.effort.rounds)]
    return [judge("layer inventory", "CPU s", median(seconds))]


def take(path: Path) -> float:
    """Take the inventory of the layer once.

    Returns:
        The CPU seconds that it took, of this process with all its threads and its children.

    Raises:
        BenchmarkError: the inventory is not that of the layer.
    """
    before = _cpu_seconds()
    with path.open("rb") as stream:
        reading = read_layer(stream)
    inventory = merge([("sha256:layer", reading)])
    seconds = _cpu_seconds() - before
    if (len(inventory.packages), reading.entries) != (PACKAGES, FILES):
        raise BenchmarkError(f"{len(inventory.packages)} packages, {reading.entries} entries")
    return seconds


def _cpu_seconds() -> float:
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
