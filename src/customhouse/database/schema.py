"""What the modules that own tables need to define them the same way on both engines."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import MetaData, Text, any_, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import ColumnElement, Table

    from customhouse.database.engine import Transaction

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Names are ordered by their bytes: pages of a listing must be the same on every engine.
Name = Text().with_variant(Text(collation="C"), "postgresql")


def now() -> int:
    """The time in microseconds since 1970, UTC: how every time is stored."""
    return time.time_ns() // 1000


def insert(tx: Transaction, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that knows ON CONFLICT, in the words of the transaction's engine.

    The `rowcount` of its result tells whether a row was inserted.
    """
    if tx.dialect.name == "postgresql":
        return postgresql.insert(table).execution_options(preserve_rowcount=True)
    return sqlite.insert(table).execution_options(preserve_rowcount=True)


def insert_many(
    tx: Transaction, table: Table, columns: Sequence[str], rows: Sequence[tuple[object, ...]]
) -> None:
    """Insert many rows as the driver takes them, in a third of the time that names cost.

    Args:
        tx: the transaction.
        table: the table.
        columns: the names of the columns.
        rows: their values, in the same order; numbers, text, bytes or None.
    """
    if rows:
        mark = "%s" if tx.dialect.name == "postgresql" else "?"
        marks = ", ".join([mark] * len(columns))
        # The names are this program's own.
        statement = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608
        tx.exec_driver_sql(statement, list(rows))


def among(
    tx: Transaction, column: ColumnElement[Any], values: Collection[int] | Collection[str]
) -> ColumnElement[bool]:
    """Whether a column has one of any number of values.

    They are handed over as one parameter: engines take but so many, and each costs a microsecond.
    """
    if tx.dialect.name == "postgresql":
        kind = Text() if isinstance(column.type, Text) else column.type
        listed = bindparam(None, list(values), postgresql.ARRAY(kind), unique=True)
        return column == any_(listed)
    text = msgspec.json.encode(list(values)).decode()
    return column.in_(select(func.json_each(text).table_valued("value").c.value))


def upsert(
    tx: Transaction,
    table: Table,
    key: Sequence[str],
    rows: Sequence[Mapping[str, object]],
    *,
    kept: Collection[str] = (),
) -> None:
    """Insert rows; where a row of the same key is there, give it the new row's values instead.

    Args:
        tx: the transaction.
        table: the table.
        key: the columns of its primary key, or of another unique constraint.
        rows: at least one, all with the same columns.
        kept: columns that keep their value in a row that is there.
    """
    statement = insert(tx, table)
    new = {
        name: statement.excluded[name] for name in rows[0] if name not in key and name not in kept
    }
    tx.execute(statement.on_conflict_do_update(index_elements=key, set_=new), rows)


def lock(tx: Transaction, name: str) -> None:
    """Let transactions that take the same lock run one after the other, until each ends.

    On SQLite every writing transaction does that anyway.
    """
    if tx.dialect.name == "postgresql":
        key = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True)
        tx.execute(select(func.pg_advisory_xact_lock(key)))
