"""Events that wait to start their workflows.

An event is a row, written in the transaction that made it true; so none is lost and none is
told that did not happen. The worker takes the oldest whose workflows may start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

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


class Stored(NamedTuple):
    """An event as it is stored; None where it was written by a version that this one is not."""

    number: int
    created_at: int
    event: AnyEvent | None


def waiting(tx: Transaction, count: int) -> list[Stored]:
    """The oldest events whose workflows were not started."""
    rows = tx.execute(select(EVENT).order_by(EVENT.c.id).limit(count))
    return [Stored(row.id, row.created_at, _decoded(row.body)) for row in rows]


def _decoded(body: bytes) -> AnyEvent | None:
    try:
        event: AnyEvent = msgspec.json.decode(body, type=AnyEvent)
    except msgspec.MsgspecError:
        return None
    return event


def remove(tx: Transaction, numbers: list[int]) -> None:
    """Forget events whose workflows were started."""
    tx.execute(delete(EVENT).where(EVENT.c.id.in_(numbers)))
