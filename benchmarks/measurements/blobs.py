"""Large blobs: the speed of a push and of a pull, and what they cost in memory.

What is pushed is random and new each time, so that no server has it already. Both servers call
fsync on the blob before they answer (customhouse also on the folder and its database), so the
disk's speed is in the numbers of both.
"""

from benchmarks.context import Context, signed_in
from benchmarks.memory import settled, watch
from benchmarks.results import Result, judge, judge_rounds
from benchmarks.servers import Server
from benchmarks.transfer import Way, pull, push
from benchmarks.wire import Endpoint

_WAYS = {Way.PATCH: "PATCH", Way.PUT: "one PUT"}
_STALL_SECONDS = 0.5
_PULL_TIMES = 8  # as many rounds as otherwise: a pull is over in a fraction of a second


def run(context: Context) -> list[Result]:
    """Measure the memory first, while the servers have not seen a large blob yet, then speed."""
    size = context.effort.blob_size
    what = f"of {size >> 20} MiB"
    with context.console.status("memory growth"):
        ours = _growth(context, context.ours)
        peer = _growth(context, context.peer)
    growth = [judge(f"memory growth, {name}", "MiB", ours[name], peer[name]) for name in ours]

    def pushed(way: Way) -> Result:
        def measure(_server: Server, endpoint: Endpoint) -> float:
            return _rate(size, context.apart(push, endpoint, size, way).seconds)

        name = f"push {what}, {_WAYS[way]}"
        return judge_rounds(name, "MB/s", context.rounds(name, measure))

    pushes = [pushed(way) for way in _WAYS]
    return [_pulled(context, f"pull {what}"), *pushes, *growth]


def _pulled(context: Context, name: str) -> Result:
    size = context.effort.blob_size
    # The whole blob is read once with its digest checked, which also brings it into memory.
    digests = {}
    for server in (context.ours, context.peer):
        endpoint = signed_in(server)
        digests[server.pid] = context.apart(push, endpoint, size, Way.PUT).digest
        context.apart(pull, endpoint, digests[server.pid], size, verify=True)

    def measure(server: Server, endpoint: Endpoint) -> float:
        return _rate(size, context.apart(pull, endpoint, digests[server.pid], size).seconds)

    return judge_rounds(name, "MB/s", context.rounds(name, measure, _PULL_TIMES))


def _rate(size: int, seconds: float) -> float:
    return size / 1e6 / seconds


def _growth(context: Context, server: Server) -> dict[str, float]:
    size = context.effort.blob_size
    before = settled(server.pid)
    peaks: dict[str, float] = {}
    digest = ""
    for way, name in _WAYS.items():
        endpoint = signed_in(server)
        with watch(server.pid) as peak:
            digest = context.apart(push, endpoint, size, way).digest
        peaks[f"push by {name}"] = max(0.0, peak.mib - before)
    with watch(server.pid) as peak:
        # A client that stalls shows whether the server reads on without it.
        context.apart(pull, signed_in(server), digest, size, pause=_STALL_SECONDS)
    return {"pull": max(0.0, peak.mib - before)} | peaks
