"""What `customhouse.database.LoopDatabase` promises an event loop, on both engines."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from customhouse.database import Database, LoopDatabase, Transaction
from customhouse.errors import Code, Failure
from tests.contract.test_database import ITEM, METADATA, RefusedError, add, names, refuse, value_of

Scenario = Callable[[LoopDatabase], Awaitable[None]]


@pytest.fixture(autouse=True)
def items(database: Database) -> Iterator[None]:
    """A table of items."""
    METADATA.create_all(database.writers)
    yield
    again = Database(database.url.render_as_string(hide_password=False))
    METADATA.drop_all(again.writers)
    again.close()


def run(database: Database, scenario: Scenario) -> None:
    """Run a scenario on an event loop; a minute is the longest that it may take."""

    async def body() -> None:
        loop_database = LoopDatabase(database)
        try:
            await asyncio.wait_for(scenario(loop_database), 60)
        finally:
            await asyncio.to_thread(loop_database.close)

    asyncio.run(body())


def test_a_write_is_seen_by_the_next_read(database: Database) -> None:
    async def scenario(db: LoopDatabase) -> None:
        for n in range(30):
            assert await db.write(add, f"item-{n}", value=n) == f"item-{n}"
            assert await db.read(value_of, f"item-{n}") == n
            assert len(await db.query(names)) == n + 1

    run(database, scenario)


def test_a_write_of_another_process_is_seen_at_once(database: Database) -> None:
    other = Database(database.url.render_as_string(hide_password=False))

    async def scenario(db: LoopDatabase) -> None:
        assert await db.read(value_of, "a") is None
        await asyncio.to_thread(other.write, add, "a", value=7)
        assert await db.read(value_of, "a") == 7

    run(database, scenario)
    other.close()


def test_a_query_sees_one_state(database: Database) -> None:
    async def scenario(db: LoopDatabase) -> None:
        loop = asyncio.get_running_loop()

        def twice(tx: Transaction) -> tuple[list[str], list[str]]:
            before = names(tx)
            asyncio.run_coroutine_threadsafe(db.write(add, "b"), loop).result(10)
            return before, names(tx)

        await db.write(add, "a")
        assert await db.query(twice) == (["a"], ["a"])
        assert await db.query(names) == ["a", "b"]

    run(database, scenario)


def test_a_write_that_fails_harms_no_other(database: Database) -> None:
    def conflict(tx: Transaction, name: str) -> None:
        add(tx, name)
        add(tx, "taken")

    def fail(tx: Transaction, name: str) -> None:
        add(tx, name)
        raise Failure(Code.NAME_UNKNOWN, name=name)

    async def scenario(db: LoopDatabase) -> None:
        await db.write(add, "taken")
        functions = (add, refuse, conflict, fail)
        results = await asyncio.gather(
            *(db.write(functions[n % 4], f"item-{n:03}") for n in range(200)),
            return_exceptions=True,
        )
        kinds = [type(result) for result in results]
        assert kinds == [str, RefusedError, IntegrityError, Failure] * 50
        assert await db.query(names) == [f"item-{n:03}" for n in range(0, 200, 4)] + ["taken"]

    run(database, scenario)


def test_many_at_once(database: Database) -> None:
    async def scenario(db: LoopDatabase) -> None:
        async def one(n: int) -> None:
            await db.write(add, f"item-{n}", value=n)
            assert await db.read(value_of, f"item-{n}") == n

        await asyncio.gather(*map(one, range(400)))
        assert len(await db.query(names)) == 400

    run(database, scenario)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # elsewhere none waits for another
def test_what_waits_for_a_slow_write_is_written_together(database: Database) -> None:
    released = threading.Event()

    def slow(tx: Transaction) -> None:
        add(tx, "slow")
        released.wait(10)

    async def scenario(db: LoopDatabase) -> None:
        first = asyncio.ensure_future(db.write(slow))
        tasks = [asyncio.ensure_future(db.write(add, f"item-{n}")) for n in range(30)]
        await asyncio.sleep(0.1)
        assert not first.done()
        assert not any(task.done() for task in tasks)
        assert await db.read(names) == []
        released.set()
        await asyncio.gather(first, *tasks)
        rows = await db.query(lambda tx: tx.execute(select(ITEM.c.name).order_by(ITEM.c.id)).all())
        assert [row.name for row in rows] == ["slow", *(f"item-{n}" for n in range(30))]

    run(database, scenario)


def test_a_caller_that_goes_away_harms_no_other(database: Database) -> None:
    def slow(tx: Transaction) -> None:
        add(tx, "slow")
        time.sleep(0.3)

    async def scenario(db: LoopDatabase) -> None:
        running = asyncio.ensure_future(db.write(slow))
        await asyncio.sleep(0.05)
        waiting = [asyncio.ensure_future(db.write(add, f"waiting-{n}")) for n in range(20)]
        await asyncio.sleep(0.05)
        running.cancel()
        for task in waiting[::2]:
            task.cancel()
        results = await asyncio.gather(running, *waiting, return_exceptions=True)
        assert [type(result) for result in results[2::2]] == [str] * 10
        assert await db.write(add, "after") == "after"
        assert {"after", *(f"waiting-{n}" for n in range(1, 20, 2))} <= set(await db.query(names))

    run(database, scenario)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # a limit that a test may set
def test_a_full_disk_is_told(database: Database) -> None:
    def fill(tx: Transaction) -> None:
        tx.exec_driver_sql("PRAGMA max_page_count = 100")
        tx.execute(ITEM.insert(), {"name": "large", "value": 0, "body": bytes(1_000_000)})

    async def scenario(db: LoopDatabase) -> None:
        with pytest.raises(Failure) as caught:
            await db.write(fill)
        assert caught.value.code is Code.STORAGE_FULL
        assert await db.query(names) == []
        assert await db.write(add, "a") == "a"

    run(database, scenario)


def test_closing_finishes_what_waits(database: Database) -> None:
    url = database.url.render_as_string(hide_password=False)

    async def scenario(db: LoopDatabase) -> None:
        tasks = [asyncio.ensure_future(db.write(add, f"item-{n}")) for n in range(50)]
        await asyncio.sleep(0)
        await asyncio.to_thread(db.close)
        assert len(await asyncio.gather(*tasks)) == 50

    run(database, scenario)
    again = Database(url)
    assert len(again.read(names)) == 50
    again.close()
