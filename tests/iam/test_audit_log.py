"""How a process writes the audit log."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from customhouse.database import METADATA, LoopDatabase
from customhouse.iam import audit, audit_log
from customhouse.iam.audit import AUDIT_ENTRY, EVERYTHING, Entry
from customhouse.iam.audit_log import GAP, AuditLog
from customhouse.iam.permissions import ALL_USERS
from tests.iam.test_audit import AT, PULL, SECOND

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from customhouse.database import Database

DENIED = replace(PULL, principal=ALL_USERS, granted=False, status=401)
MINUTE = 60 * SECOND


class Clock:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.at = AT

    def __call__(self) -> int:
        return self.at


@pytest.fixture
def clock() -> Clock:
    """The clock of the log."""
    return Clock()


@pytest.fixture(autouse=True)
def schema(database: Database) -> None:
    """The tables."""
    METADATA.create_all(database.writers)


def run(
    database: Database,
    clock: Clock,
    body: Callable[[AuditLog], Awaitable[None]],
    capacity: int = 5000,
) -> None:
    """Run a body in an event loop, with a log of its own."""

    async def main() -> None:
        loop_database = LoopDatabase(database)
        try:
            await body(AuditLog(loop_database, capacity=capacity, clock=clock))
        finally:
            await asyncio.to_thread(loop_database.close)

    asyncio.run(main())


def stored(database: Database) -> list[Entry]:
    """What is written, the oldest first, without numbers."""
    found = database.read(audit.page, None, EVERYTHING, 0, 20_000)
    return [replace(entry, id=0) for entry in reversed(found)]


def test_notes_wait_and_writes_do_not(database: Database, clock: Clock) -> None:
    change = replace(PULL, method="SetIamPolicy")

    async def body(log: AuditLog) -> None:
        log.note(PULL)
        await log.write(change)
        assert stored(database) == [change]
        await log.flush()
        assert stored(database) == [change, PULL]
        await log.flush()
        await log.close()
        assert stored(database) == [change, PULL]

    run(database, clock, body)


def test_many_batches_in_order(database: Database, clock: Clock) -> None:
    entries = [replace(PULL, request_id=str(number)) for number in range(2500)]

    async def body(log: AuditLog) -> None:
        for entry in entries:
            log.note(entry)
        await asyncio.gather(log.flush(), log.flush())

    run(database, clock, body)
    assert stored(database) == entries


def test_dropped_when_too_many_wait(database: Database, clock: Clock) -> None:
    async def body(log: AuditLog) -> None:
        for number in range(5):
            log.note(replace(PULL, request_id=str(number)))
        await log.flush()
        log.note(PULL)
        await log.flush()

    with capture_logs() as lines:
        run(database, clock, body, capacity=3)
    assert [line["count"] for line in lines] == [2]
    kept = stored(database)
    assert [entry.request_id for entry in kept] == ["0", "1", "2", "", "abc-1"]
    assert kept[3] == Entry(AT, "", "", GAP, "", "", False, 503, detail={"count": 2})


def test_the_same_denials_are_counted(database: Database, clock: Clock) -> None:
    async def body(log: AuditLog) -> None:
        for _ in range(1000):
            clock.at += 1
            log.note(replace(DENIED, at=clock.at, request_id=str(clock.at)))
        await log.flush()
        assert [entry.request_id for entry in stored(database)] == [str(AT + 1)]
        clock.at += MINUTE - 2
        await log.flush()
        assert len(stored(database)) == 2
        clock.at += MINUTE
        await log.flush()
        log.note(replace(DENIED, at=clock.at))
        await log.close()

    run(database, clock, body)
    first, again, later = stored(database)
    assert first.detail == {}
    last = AT + 1000
    assert again == replace(DENIED, at=last, request_id=str(last), detail={"count": 999})
    assert later == replace(DENIED, at=clock.at)


def test_a_flood_that_lasts_is_an_entry_a_minute(database: Database, clock: Clock) -> None:
    async def body(log: AuditLog) -> None:
        for _ in range(10 * 60):
            clock.at += SECOND
            log.note(replace(DENIED, at=clock.at))
            await log.flush()
        await log.close()

    run(database, clock, body)
    counts = [entry.detail.get("count", 1) for entry in stored(database)]
    assert sum(counts) == 600
    assert 10 <= len(counts) <= 12


@pytest.mark.parametrize(
    "other",
    [
        {"principal": "user:bo"},
        {"address": "192.0.2.2"},
        {"method": "Docker-HeadManifest"},
        {"resource": "projects/acme/repositories/other"},
    ],
)
def test_other_denials_are_entries(database: Database, clock: Clock, other: dict[str, str]) -> None:
    different = replace(DENIED, **other)

    async def body(log: AuditLog) -> None:
        log.note(DENIED)
        log.note(different)
        await log.close()

    run(database, clock, body)
    assert stored(database) == [DENIED, different]


def test_what_is_granted_is_never_counted(database: Database, clock: Clock) -> None:
    async def body(log: AuditLog) -> None:
        log.note(PULL)
        log.note(PULL)
        await log.close()

    run(database, clock, body)
    assert stored(database) == [PULL, PULL]


def test_denials_of_all_kinds_take_bounded_room(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "_DENIALS", 10)
    known = replace(DENIED, principal="user:bo", detail={"reason": "x"})

    async def body(log: AuditLog) -> None:
        for number in range(500):
            log.note(replace(DENIED, at=AT + number, resource=f"projects/p{number}"))
            log.note(replace(known, principal=f"user:{number}"))
        log.note(known)
        await log.close()

    run(database, clock, body)
    entries = stored(database)
    strangers = [entry for entry in entries if entry.principal == ALL_USERS]
    assert [entry.resource for entry in strangers] == [f"projects/p{n}" for n in range(10)] + [""]
    assert strangers[-1].detail == {"count": 490}
    assert (strangers[-1].at, strangers[-1].address) == (AT + 499, "")
    others = [entry for entry in entries if entry.principal != ALL_USERS]
    assert len(others) == 21
    assert sum(entry.detail.get("count", 1) for entry in others) == 501


def test_what_cannot_be_written_waits(database: Database, clock: Clock) -> None:
    async def body(log: AuditLog) -> None:
        AUDIT_ENTRY.drop(database.writers)
        log.note(PULL)
        log.note(DENIED)
        log.note(DENIED)
        for _ in range(5):
            clock.at += MINUTE
            await log.flush()
        log.note(replace(PULL, request_id="late"))
        METADATA.create_all(database.writers)
        await log.flush()
        await log.flush()

    with capture_logs() as lines:
        run(database, clock, body)
    assert [line["log_level"] for line in lines] == ["error"]
    counted = replace(DENIED, detail={"count": 1})
    assert stored(database) == [PULL, DENIED, replace(PULL, request_id="late"), counted]


def test_written_once_when_whoever_waits_is_cancelled(database: Database, clock: Clock) -> None:
    async def body(log: AuditLog) -> None:
        log.note(PULL)
        flushing = asyncio.create_task(log.flush())
        await asyncio.sleep(0)
        flushing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await flushing
        log.note(replace(PULL, request_id="later"))
        await log.close()

    run(database, clock, body)
    assert sorted(entry.request_id for entry in stored(database)) == ["abc-1", "later"]
