"""How the updates of feeds go: when each was tried, what came of it, when it is tried again.

Times are in microseconds since 1970.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import BigInteger, Boolean, Column, Integer, Table, Text, select, update

from customhouse.database import METADATA, Name, upsert

if TYPE_CHECKING:
    from customhouse.database import Transaction

FEED_STATE = Table(
    "feed_state",
    METADATA,
    Column("name", Name, primary_key=True),
    # Whether it is fetched regularly from now on, because somebody has asked for it once.
    Column("is_followed", Boolean, nullable=False),
    # The operation that updates it; empty if none does.
    Column("operation", Name, nullable=False),
    Column("tried_at", BigInteger, nullable=False),
    # When its data was known to be current; 0 if there never was any.
    Column("data_at", BigInteger, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    # How often it has failed since it went well, and why it did so the last time.
    Column("failures", Integer, nullable=False),
    Column("error", Text, nullable=False),
    # When it was last told that the data is too old.
    Column("alarmed_at", BigInteger, nullable=False),
)


class State(NamedTuple):
    """How the updates of a feed go; the columns of the table."""

    name: str
    is_followed: bool = False
    operation: str = ""
    tried_at: int = 0
    data_at: int = 0
    next_at: int = 0
    failures: int = 0
    error: str = ""
    alarmed_at: int = 0


def get(tx: Transaction, name: str) -> State:
    """The state of a feed; that of one which was never tried if nothing is known of it."""
    row = tx.execute(select(FEED_STATE).where(FEED_STATE.c.name == name)).first()
    return State(*row) if row is not None else State(name)


def states(tx: Transaction) -> dict[str, State]:
    """The states of all feeds of which something is known, by name."""
    return {row.name: State(*row) for row in tx.execute(select(FEED_STATE))}


def begin(tx: Transaction, name: str, operation: str, *, is_followed: bool, moment: int) -> None:
    """Note that an operation updates a feed from now on."""
    known = get(tx, name)
    state = known._replace(
        operation=operation, is_followed=known.is_followed or is_followed, tried_at=moment
    )
    _put(tx, state)


def succeed(tx: Transaction, name: str, *, data_at: int, next_at: int = 0) -> None:
    """Note that a feed has data that was current at a time.

    Args:
        tx: the transaction.
        name: the feed's.
        data_at: the time.
        next_at: when it is tried again.
    """
    known = get(tx, name)
    state = known._replace(
        operation="", data_at=data_at, next_at=next_at, failures=0, error="", alarmed_at=0
    )
    _put(tx, state)


def end(tx: Transaction, name: str) -> None:
    """Note that an operation updates a feed no longer, and nothing came of it."""
    tx.execute(update(FEED_STATE).where(FEED_STATE.c.name == name).values(operation=""))


def fail(tx: Transaction, name: str, error: str, *, next_at: int) -> int:
    """Note that an update failed; the data of before stays. Returns how often it has failed."""
    known = get(tx, name)
    state = known._replace(
        operation="", next_at=next_at, failures=known.failures + 1, error=error[:2000]
    )
    _put(tx, state)
    return state.failures


def note_alarm(tx: Transaction, name: str, moment: int) -> None:
    """Note that it was told that the data of a feed is too old."""
    tx.execute(update(FEED_STATE).where(FEED_STATE.c.name == name).values(alarmed_at=moment))


def _put(tx: Transaction, state: State) -> None:
    upsert(tx, FEED_STATE, ["name"], [state._asdict()])
