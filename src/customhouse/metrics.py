"""Metrics, for all processes together, in Prometheus' text form."""

from __future__ import annotations

import os
import shutil
from collections import Counter as Counts
from pathlib import Path

_BUCKETS = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0)
# More than the counters of every route, method and status take.
_RESERVED_BYTES = 1024 * 1024
# A client may make up others, and each would be counted for good.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


def share(folder: Path) -> None:
    """Let the processes started from here count together, in files of this folder.

    Must be called before any process imports the client library, which decides on import.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


def _reserve() -> None:
    """Put the files that this process counts in on disk before they are mapped into memory.

    To write to a page that a full disk has no room for ends a process (SIGBUS). If there is no
    room even for this, the process counts for itself alone.
    """
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if folder is None:
        return
    try:
        for kind in ("counter", "histogram"):
            with Path(folder, f"{kind}_{os.getpid()}.db").open("wb") as file:
                file.write(bytes(_RESERVED_BYTES))
    except OSError:
        del os.environ["PROMETHEUS_MULTIPROC_DIR"]


class Metrics:
    """What one process counts.

    A request is noted in a list and counted later, when `flush` is called: the shared counters are
    files that are mapped into memory, and each costs microseconds.
    """

    def __init__(self) -> None:
        _reserve()
        from prometheus_client import Counter, Histogram  # noqa: PLC0415  - see `share`

        self._requests = Counter(
            "customhouse_requests", "Requests answered.", ["method", "route", "status"]
        )
        self._seconds = Histogram(
            "customhouse_request_seconds", "Time to answer.", ["route"], buckets=_BUCKETS
        )
        self._sent = Counter("customhouse_sent_bytes", "Bytes of response bodies.")
        self._noted: list[tuple[str, str, int, int, float]] = []

    def note(self, method: str, route: str, status: int, length: int, seconds: float) -> None:
        """Note a request. `route` is one of a table, never a path that a client made up."""
        method = method if method in _METHODS else "other"
        self._noted.append((method, route, status, length, seconds))

    def flush(self) -> None:
        """Count what was noted."""
        noted, self._noted = self._noted, []
        requests = Counts((method, route, status) for method, route, status, _, _ in noted)
        for (method, route, status), number in requests.items():
            self._requests.labels(method, route, str(status)).inc(number)
        for _, route, _, _, seconds in noted:
            self._seconds.labels(route).observe(seconds)
        self._sent.inc(sum(length for _, _, _, length, _ in noted))

    def render(self) -> bytes:
        """What all processes counted."""
        from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415
        from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415

        self.flush()
        registry = CollectorRegistry()
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # it has no annotations
        return generate_latest(registry)
