"""Events that wait to start their workflows.

An event is a row, written in the transaction that made it true; so none is lost and none is
told that did not happen. The worker takes them in order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Table, delete, select

from customhouse.database import METADATA, now
from customhouse.events import AnyEvent, Event

if TYPE_CHECKING:
    from customhouse.database import Transaction

EVENT = Table(
    "event",
    METADATA,
    Column(
        "id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    ),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    sqlite_autoincrement=True,  # an identifier names a workflow and must never come again
)


def append(tx: Transaction, event: Event) -> None:
    """Tell of an event when this transaction is committed."""
    tx.execute(EVENT.insert(), {"body": msgspec.json.encode(event), "created_at": now()})


def waiting(tx: Transaction, count: int) -> list[tuple[int, AnyEvent]]:
    """The oldest events whose workflows were not started, with their numbers."""
    rows = tx.execute(select(EVENT.c.id, EVENT.c.body).order_by(EVENT.c.id).limit(count))
    return [(row.id, msgspec.json.decode(row.body, type=AnyEvent)) for row in rows]


def remove(tx: Transaction, numbers: list[int]) -> None:
    """Forget events whose workflows were started."""
    tx.execute(delete(EVENT).where(EVENT.c.id.in_(numbers)))
