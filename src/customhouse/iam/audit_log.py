"""How one process writes the audit log: changes at once, everything else a few times a second."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from msgspec.structs import replace
from sqlalchemy.exc import SQLAlchemyError

from customhouse.database import now
from customhouse.errors import Failure
from customhouse.iam import audit
from customhouse.iam.audit import Entry
from customhouse.iam.permissions import ALL_USERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from customhouse.database import LoopDatabase

_log = structlog.get_logger()

_MINUTE = 60 * 1_000_000
# How many entries wait at most: several seconds' worth of all that a process can answer.
_CAPACITY = 20_000
# How many are written in one transaction: some ten milliseconds.
_BATCH = 1000
# How many different denials are counted each for itself.
_DENIALS = 1000
# The method of the entry that says how many entries are missing.
GAP = "customhouse.audit.Gap"


class AuditLog:
    """The audit log of one process; for the thread of its event loop alone.

    Denials may come in floods. One that comes again within a minute, from the same caller and
    address by the same method on the same resource, is counted: the first is an entry, and those
    that followed are one more at the minute's end, with `count` in its detail.

    Args:
        database: where the entries are written to.
        capacity: how many entries wait in memory at most.
        clock: the time in microseconds since 1970.
    """

    def __init__(
        self,
        database: LoopDatabase,
        *,
        capacity: int = _CAPACITY,
        clock: Callable[[], int] = now,
    ) -> None:
        self._database = database
        self._capacity = capacity
        self._clock = clock
        self._waiting: list[Entry] = []
        self._dropped = 0
        self._fails = False
        self._writing = asyncio.Lock()
        # A flood of strangers must not take the room of those who are known.
        self._strangers = _Denials(clock)
        self._known = _Denials(clock)

    def note(self, entry: Entry) -> None:
        """Take an entry, to be written by the next `flush`.

        Where too many wait it is dropped; the log says then how many are missing.
        """
        if not entry.granted and not self._denials(entry.principal).is_new(entry):
            return
        if len(self._waiting) >= self._capacity:
            self._dropped += 1
        else:
            self._waiting.append(entry)

    async def write(self, entry: Entry) -> None:
        """Write an entry; when this returns it is on disk.

        Raises:
            Failure: STORAGE_FULL.
        """
        await self._database.write(audit.add, (entry,))

    async def flush(self) -> None:
        """Write what waits. What cannot be written now stays for the next time."""
        await self._flush(self._clock() - _MINUTE)

    async def close(self) -> None:
        """Write everything that waits, denials that are still counted too."""
        await self._flush(self._clock())

    async def _flush(self, before: int) -> None:
        async with self._writing:
            # First what waits: while it cannot be written, denials go on being counted.
            if not await self._drain():
                return
            self._waiting += self._strangers.due(before) + self._known.due(before)
            if self._dropped:
                self._waiting.append(self._gap())
            await self._drain()

    async def _drain(self) -> bool:
        """Write what waits; whether all of it was written."""
        while self._waiting:
            batch = self._waiting[:_BATCH]
            del self._waiting[:_BATCH]
            try:
                # It is written once, also when whoever waits for it is cancelled.
                await asyncio.shield(self._database.write(audit.add, batch))
            except (Failure, SQLAlchemyError) as error:
                self._waiting[:0] = batch
                self._tell(error)
                return False
            self._tell(None)
        return True

    def _gap(self) -> Entry:
        dropped, self._dropped = self._dropped, 0
        _log.warning("entries of the audit log were dropped: too many waited", count=dropped)
        detail = {"count": dropped}
        return Entry(self._clock(), "", "", GAP, "", "", False, 503, detail=detail)

    def _tell(self, error: Exception | None) -> None:
        """Log that writing begins to fail, or to go well again; not each time."""
        if error is not None and not self._fails:
            _log.error("the audit log cannot be written", error=str(error))
        self._fails = error is not None

    def _denials(self, principal: str) -> _Denials:
        return self._strangers if principal in {"", ALL_USERS} else self._known


@dataclass(slots=True)
class _Window:
    """What came again since a moment."""

    since: int
    count: int
    last: Entry


class _Denials:
    """Counts denials, for a minute each, in bounded memory."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        # In the order of `since`.
        self._windows: dict[tuple[str, ...], _Window] = {}

    def is_new(self, entry: Entry) -> bool:
        """Whether this is to be an entry of its own; otherwise it is counted."""
        key = (entry.principal, entry.address, entry.method, entry.resource)
        window = self._windows.get(key)
        if window is not None:
            window.count += 1
            window.last = entry
            return False
        if len(self._windows) < _DENIALS:
            self._windows[key] = _Window(self._clock(), 0, entry)
            return True
        self._count_coarsely(entry)
        return False

    def _count_coarsely(self, entry: Entry) -> None:
        """Count one that there is no room for with others of its caller, or of its method.

        Callers may be many, federated ones; the methods are those that the server has.
        """
        caller = entry.principal
        if (caller, entry.method) not in self._windows and len(self._windows) >= 2 * _DENIALS:
            caller = ""
        window = self._windows.get((caller, entry.method))
        if window is None:
            last = Entry(
                entry.at, "", caller, entry.method, entry.permission, "", False, entry.status
            )
            window = self._windows[caller, entry.method] = _Window(self._clock(), 0, last)
        window.count += 1
        window.last = replace(window.last, at=entry.at)

    def due(self, before: int) -> list[Entry]:
        """An entry for each denial that came again, counted since a moment not after `before`."""
        entries = []
        for key, window in list(self._windows.items()):
            if window.since > before:
                break
            del self._windows[key]
            if window.count:
                last = window.last
                entries.append(replace(last, detail={**last.detail, "count": window.count}))
                self._windows[key] = _Window(self._clock(), 0, last)
        return entries
