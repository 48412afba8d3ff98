"""What `customhouse.database` promises, on both engines."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Column, Integer, LargeBinary, MetaData, Table, Text, bindparam, func, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from customhouse.database import (
    Database,
    Name,
    Prepared,
    Transaction,
    among,
    insert,
    lock,
    now,
    upsert,
)
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Iterator

METADATA = MetaData()
ITEM = Table(
    "item",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", Name, nullable=False, unique=True),
    Column("value", Integer, nullable=False),
    Column("note", Text),
    Column("body", LargeBinary),
)

VALUE = Prepared(select(ITEM.c.value).where(ITEM.c.name == bindparam("name")))


@pytest.fixture(autouse=True)
def items(database: Database) -> Iterator[None]:
    """A table of items."""
    METADATA.create_all(database.writers)
    yield
    METADATA.drop_all(database.writers)


def add(tx: Transaction, name: str, value: int = 0) -> str:
    """Insert an item."""
    tx.execute(ITEM.insert(), {"name": name, "value": value})
    return name


def increase(tx: Transaction, name: str) -> None:
    """Read an item's value and write the next one."""
    value = tx.execute(select(ITEM.c.value).where(ITEM.c.name == name)).scalar_one()
    time.sleep(0.001)
    tx.execute(sa.update(ITEM).where(ITEM.c.name == name).values(value=value + 1))


def names(tx: Transaction) -> list[str]:
    """All names, in the order of the database."""
    return list(tx.execute(select(ITEM.c.name).order_by(ITEM.c.name)).scalars())


def value_of(tx: Transaction, name: str) -> int | None:
    """An item's value."""
    row = VALUE.first(tx, name=name)
    return None if row is None else row[0]


def rows_of(tx: Transaction, /, statement: Prepared, **parameters: object) -> list[tuple[Any, ...]]:
    """All rows of a prepared statement."""
    return statement.all(tx, **parameters)


def row_of(tx: Transaction, /, statement: Prepared, **parameters: object) -> tuple[Any, ...] | None:
    """The first row of a prepared statement."""
    return statement.first(tx, **parameters)


class RefusedError(Exception):
    """What a function of a test raises."""


def refuse(tx: Transaction, name: str) -> None:
    """Insert an item and think better of it."""
    add(tx, name)
    raise RefusedError


def test_a_write_is_there_for_everybody(database: Database) -> None:
    assert database.write(add, "a", value=7) == "a"
    other = Database(database.url.render_as_string(hide_password=False))
    assert database.read(value_of, "a") == other.read(value_of, "a") == 7
    other.close()


def test_a_write_that_fails_changes_nothing(database: Database) -> None:
    with pytest.raises(RefusedError):
        database.write(refuse, "a")
    with pytest.raises(IntegrityError):
        database.write(lambda tx: [add(tx, "b"), add(tx, "b")])
    assert database.read(names) == []
    database.write(add, "a")
    assert database.read(names) == ["a"]


def test_a_read_changes_nothing(database: Database) -> None:
    database.read(add, "a")
    assert database.read(names) == []
    database.write(add, "a")


def test_a_read_sees_one_state(database: Database) -> None:
    database.write(add, "a")

    def twice(tx: Transaction) -> tuple[list[str], list[str]]:
        before = names(tx)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(database.write, add, "b").result(10)
        return before, names(tx)

    assert database.read(twice) == (["a"], ["a"])
    assert database.read(names) == ["a", "b"]


def test_a_read_waits_for_no_writer(database: Database) -> None:
    inside, leave = threading.Event(), threading.Event()

    def slow(tx: Transaction) -> None:
        add(tx, "a")
        inside.set()
        leave.wait(10)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(database.write, slow)
        assert inside.wait(10)
        assert database.read(names) == []
        leave.set()
        writing.result(10)
    assert database.read(names) == ["a"]


def test_writers_with_the_same_lock_take_turns(database: Database) -> None:
    database.write(add, "counter")

    def turn(tx: Transaction) -> None:
        lock(tx, "counter")
        increase(tx, "counter")

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(database.write, turn) for _ in range(60)]:
            done.result(30)
    assert database.read(value_of, "counter") == 60


def test_a_lock_ends_with_its_transaction(database: Database) -> None:
    def hold(tx: Transaction) -> None:
        lock(tx, "x")
        raise RefusedError

    for _ in range(3):
        with pytest.raises(RefusedError):
            database.write(hold)
    database.write(lock, "x")


def test_a_deadlock_is_tried_again(database: Database) -> None:
    for name in ("a", "b"):
        database.write(add, name)
    met = threading.Barrier(2)
    tried: list[str] = []

    def both(tx: Transaction, first: str, second: str) -> None:
        add_one = sa.update(ITEM).values(value=ITEM.c.value + 1)
        tx.execute(add_one.where(ITEM.c.name == first))
        tried.append(first)
        if not database.is_sqlite and tried.count(first) == 1:
            met.wait(10)
        tx.execute(add_one.where(ITEM.c.name == second))

    with ThreadPoolExecutor(2) as pool:
        tasks = [
            pool.submit(database.write, both, "a", "b"),
            pool.submit(database.write, both, "b", "a"),
        ]
        for task in tasks:
            task.result(30)
    assert [database.read(value_of, name) for name in ("a", "b")] == [2, 2]
    assert len(tried) == (2 if database.is_sqlite else 3)


def test_rows_of_the_same_key_take_new_values(database: Database) -> None:
    def put(tx: Transaction, rows: list[dict[str, object]], kept: tuple[str, ...] = ()) -> None:
        upsert(tx, ITEM, ["name"], rows, kept=kept)

    def everything(tx: Transaction) -> list[tuple[Any, ...]]:
        columns = (ITEM.c.name, ITEM.c.value, ITEM.c.note, ITEM.c.body)
        return [tuple(row) for row in tx.execute(select(*columns).order_by(ITEM.c.name))]

    database.write(put, [{"name": "a", "value": 1, "note": "x", "body": b"a"}])
    database.write(put, [{"name": name, "value": 2, "note": None} for name in "ab"])
    assert database.read(everything) == [("a", 2, None, b"a"), ("b", 2, None, None)]
    database.write(put, [{"name": "b", "value": 3, "note": "y"}], kept=("value",))
    database.write(put, [{"name": "c", "value": 3, "note": "y"}], kept=("value",))
    assert database.read(everything)[1:] == [("b", 2, "y", None), ("c", 3, "y", None)]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # a limit that a test may set
def test_a_full_disk_is_told(database: Database) -> None:
    def fill(tx: Transaction) -> None:
        tx.exec_driver_sql("PRAGMA max_page_count = 100")
        tx.execute(ITEM.insert(), {"name": "large", "value": 0, "body": bytes(1_000_000)})

    with pytest.raises(Failure) as caught:
        database.write(fill)
    assert caught.value.code is Code.STORAGE_FULL
    assert database.read(names) == []


def test_constraints_hold(database: Database) -> None:
    with pytest.raises(DBAPIError):
        database.write(lambda tx: tx.execute(ITEM.insert(), {"name": "a", "value": None}) and None)
    parent = Table("parent", MetaData(), Column("id", Integer, primary_key=True))
    child = Table(
        "child",
        parent.metadata,
        Column("id", Integer, sa.ForeignKey(parent.c.id), primary_key=True),
    )
    parent.metadata.create_all(database.writers)
    with pytest.raises(IntegrityError):
        database.write(lambda tx: tx.execute(child.insert(), {"id": 1}) and None)


BYTE_ORDER = ["", "0", "A", "B", "Z", "_", "a", "a-b", "a.b", "a/x", "a_b", "aa", "b", "é", "€"]


def test_names_are_in_the_order_of_their_bytes(database: Database) -> None:
    for name in reversed(BYTE_ORDER):
        database.write(add, name)
    assert sorted(BYTE_ORDER, key=str.encode) == BYTE_ORDER
    assert database.read(names) == BYTE_ORDER

    def after(tx: Transaction, name: str) -> list[str]:
        rows = tx.execute(select(ITEM.c.name).where(ITEM.c.name > name).order_by(ITEM.c.name))
        return list(rows.scalars())

    for n, name in enumerate(BYTE_ORDER):
        assert database.read(after, name) == BYTE_ORDER[n + 1 :]


def test_insert_on_conflict_tells_whether_it_inserted(database: Database) -> None:
    def ensure(tx: Transaction, name: str) -> int:
        statement = insert(tx, ITEM).on_conflict_do_nothing()
        return tx.execute(statement, {"name": name, "value": 1}).rowcount

    assert [database.write(ensure, name) for name in ("a", "a", "b", "a")] == [1, 0, 1, 0]
    assert database.read(names) == ["a", "b"]


def test_insert_or_update(database: Database) -> None:
    def put(tx: Transaction, name: str, value: int) -> None:
        statement = insert(tx, ITEM)
        tx.execute(
            statement.on_conflict_do_update(
                index_elements=[ITEM.c.name], set_={"value": statement.excluded.value}
            ),
            {"name": name, "value": value},
        )

    for value in (1, 2, 3):
        database.write(put, "a", value)
    assert database.read(value_of, "a") == 3


def test_a_prepared_statement_with_parameters(database: Database) -> None:
    database.write(add, "a", value=1)
    database.write(add, 'it\'s :not % a "parameter" %(x)s ?', value=2)
    assert database.read(value_of, 'it\'s :not % a "parameter" %(x)s ?') == 2
    assert database.read(value_of, "missing") is None
    rows = Prepared(select(ITEM.c.name, ITEM.c.value).order_by(ITEM.c.value))
    assert [value for _, value in database.read(rows_of, rows)] == [1, 2]


def test_a_prepared_statement_with_constants(database: Database) -> None:
    for value, name in enumerate("abcde"):
        database.write(add, name, value=value)
    statement = Prepared(
        select(ITEM.c.name, sa.literal("50% :x"))
        .where(
            ITEM.c.value > 1,
            ITEM.c.note.is_(None),
            ITEM.c.name >= "b",
            ITEM.c.name != bindparam("excluded"),
        )
        .order_by(ITEM.c.name)
        .limit(2)
    )
    assert database.read(rows_of, statement, excluded="d") == [
        ("c", "50% :x"),
        ("e", "50% :x"),
    ]
    assert database.read(row_of, statement, excluded="c") == ("d", "50% :x")


def test_a_prepared_statement_gives_bytes_and_nothing(database: Database) -> None:
    body = bytes(range(256))
    database.write(
        lambda tx: tx.execute(ITEM.insert(), {"name": "a", "value": 0, "body": body}) and None
    )
    statement = Prepared(select(ITEM.c.body, ITEM.c.note))
    assert database.read(row_of, statement) == (body, None)


def test_a_prepared_statement_sees_its_own_transaction(database: Database) -> None:
    def both(tx: Transaction) -> int | None:
        add(tx, "a", value=5)
        return value_of(tx, "a")

    assert database.write(both) == 5


def test_many_at_once(database: Database) -> None:
    with ThreadPoolExecutor(16) as pool:
        done = list(pool.map(lambda n: database.write(add, f"item-{n}"), range(200)))
    assert sorted(done) == database.read(names)
    count = select(func.count()).select_from(ITEM)
    assert database.read(lambda tx: tx.execute(count).scalar()) == 200


def test_times_are_microseconds() -> None:
    assert abs(now() / 1_000_000 - time.time()) < 5


@pytest.mark.parametrize("others", [0, 100_000])
def test_any_number_of_values(database: Database, others: int) -> None:
    names = ["it's", 'a "b"', "\N{SNOWMAN}", "left out"]
    for value, name in enumerate(names):
        database.write(add, name, value)
    by_name = [*names[:3], *map(str, range(others))]
    by_value = [0, 3, *range(10, 10 + others)]

    def found(tx: Transaction, column: Column[Any], values: list[Any]) -> list[str]:
        statement = select(ITEM.c.name).where(among(tx, column, values))
        return list(tx.scalars(statement.order_by(ITEM.c.value)))

    assert database.read(found, ITEM.c.name, by_name) == names[:3]
    assert database.read(found, ITEM.c.value, by_value) == ["it's", "left out"]
    assert database.read(found, ITEM.c.name, []) == database.read(found, ITEM.c.value, []) == []
