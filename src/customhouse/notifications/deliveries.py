"""Deliveries: one message for one subscription, until it was taken or is a dead letter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    delete,
    select,
    update,
)

from customhouse.database import METADATA, Name, now
from customhouse.errors import Code, Failure
from customhouse.notifications import messages, subscriptions, topics
from customhouse.notifications.messages import MESSAGE, Message
from customhouse.notifications.subscriptions import SUBSCRIPTION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from customhouse.database import Transaction

DELIVERY = Table(
    "delivery",
    METADATA,
    Column(
        "id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    ),
    Column("subscription_id", Integer, ForeignKey(SUBSCRIPTION.c.id), nullable=False),
    Column("message_id", BigInteger, ForeignKey(MESSAGE.c.id), nullable=False),
    Column("state", Name, nullable=False),
    Column("attempts", Integer, nullable=False),
    # Grows with each claim, so that what became of an earlier one is not noted.
    Column("claim", Integer, nullable=False),
    # When it is sent next; of one that is no longer to be sent, NULL.
    Column("next_at", BigInteger),
    Column("updated_at", BigInteger, nullable=False),
    # The last answer: its status, 0 if there was none, and what it said or why there was none.
    Column("status", Integer, nullable=False),
    Column("answer", Text, nullable=False),
    UniqueConstraint("message_id", "subscription_id"),
    Index("ix_delivery_next_at", "next_at"),
    Index("ix_delivery_due", "subscription_id", "next_at"),
    Index("ix_delivery_page", "subscription_id", "id"),
    Index("ix_delivery_state", "subscription_id", "state", "id"),
    sqlite_autoincrement=True,
)

PENDING, DELIVERED, DEAD = "PENDING", "DELIVERED", "DEAD"
STATES = (PENDING, DELIVERED, DEAD)


class Delivery(NamedTuple):
    """A delivery.

    Attributes:
        number: its number.
        message: what is delivered.
        state: PENDING, DELIVERED or DEAD.
        attempts: how often it was sent since it was published or replayed.
        next_at: when it is sent next, microseconds since 1970; None if it is not.
        updated_at: when that was noted.
        status: the HTTP status of the last answer; 0 if there was none.
        answer: what it said, or why there was none.
        claim: which claim of it this is.
    """

    number: int
    message: Message
    state: str
    attempts: int
    next_at: int | None
    updated_at: int
    status: int
    answer: str
    claim: int


def add(tx: Transaction, message: int, numbers: Sequence[int], moment: int) -> None:
    """Let a message be delivered, at once, to at least one subscription."""
    rows = [
        {
            "subscription_id": number,
            "message_id": message,
            "state": PENDING,
            "attempts": 0,
            "claim": 0,
            "next_at": moment,
            "updated_at": moment,
            "status": 0,
            "answer": "",
        }
        for number in numbers
    ]
    tx.execute(DELIVERY.insert(), rows)


def get(tx: Transaction, subscription: int, number: int) -> Delivery:
    """One delivery of a subscription.

    Raises:
        Failure: THING_UNKNOWN.
    """
    query = query_of(data=True).where(
        DELIVERY.c.subscription_id == subscription, DELIVERY.c.id == number
    )
    row = tx.execute(query).one_or_none()
    if row is None:
        raise Failure(Code.THING_UNKNOWN, kind="delivery", name=number)
    return of_row(row)


def number_of(tx: Transaction, subscription: int, message: int) -> int:
    """The number of the delivery of a message to a subscription, which must be there."""
    query = select(DELIVERY.c.id).where(
        DELIVERY.c.message_id == message, DELIVERY.c.subscription_id == subscription
    )
    number: int = tx.execute(query).scalar_one()
    return number


def page(
    tx: Transaction, subscription: int, after: int, count: int, state: str = ""
) -> list[Delivery]:
    """The first `count` deliveries of a subscription after a number, without their data.

    Args:
        tx: the transaction.
        subscription: the subscription's number.
        after: only deliveries with a greater number.
        count: how many at most.
        state: only in this state; empty for any.
    """
    query = query_of(data=False).where(
        DELIVERY.c.subscription_id == subscription, DELIVERY.c.id > after
    )
    if state:
        query = query.where(DELIVERY.c.state == state)
    return [of_row(row) for row in tx.execute(query.order_by(DELIVERY.c.id).limit(count))]


def replay(
    tx: Transaction,
    subscription: int,
    after: int,
    count: int,
    *,
    since: int = 0,
    identifier: str = "",
    state: str = "",
) -> tuple[int, int]:
    """Have deliveries sent again, at once and as often as at first: the next `count` that fit.

    Args:
        tx: the transaction.
        subscription: the subscription's number.
        after: only deliveries with a greater number.
        count: how many at most.
        since: only of messages published at this time or later, microseconds since 1970.
        identifier: only of this message; empty for any.
        state: only in this state; empty for any.

    Returns:
        How many these were, and the number of the last; 0 if no more can follow.
    """
    query = (
        select(DELIVERY.c.id)
        .join(MESSAGE, MESSAGE.c.id == DELIVERY.c.message_id)
        .where(
            DELIVERY.c.subscription_id == subscription,
            DELIVERY.c.id > after,
            MESSAGE.c.type != topics.PING,
        )
        .order_by(DELIVERY.c.id)
        .limit(count)
    )
    if since:
        query = query.where(MESSAGE.c.published_at >= since)
    if identifier:
        query = query.where(MESSAGE.c.identifier == identifier)
    if state:
        query = query.where(DELIVERY.c.state == state)
    numbers = list(tx.scalars(query))
    moment = now()
    if numbers:
        tx.execute(
            update(DELIVERY)
            .where(DELIVERY.c.id.in_(numbers))
            .values(
                state=PENDING,
                attempts=0,
                claim=DELIVERY.c.claim + 1,
                next_at=moment,
                updated_at=moment,
            )
        )
    return len(numbers), numbers[-1] if len(numbers) == count else 0


def unsubscribe(tx: Transaction, project: str, name: str) -> None:
    """Delete a subscription, with what was to be delivered.

    Raises:
        Failure: THING_UNKNOWN.
    """
    # Held first: a message that is published meanwhile finds it, or does not.
    number = subscriptions.get(tx, project, name, hold=True).id
    tx.execute(delete(DELIVERY).where(DELIVERY.c.subscription_id == number))
    subscriptions.drop(tx, project, name)


def delete_within(tx: Transaction, project: str) -> None:
    """Delete all subscriptions of a project. Its messages go when they have had their time."""
    while found := subscriptions.page(tx, project, "", 100):
        for each in found:
            unsubscribe(tx, project, each.name)


def prune(tx: Transaction, moment: int, count: int) -> int:
    """Forget messages that were published before a time; returns how many, at most `count`."""
    numbers = messages.before(tx, moment, count)
    if numbers:
        tx.execute(delete(DELIVERY).where(DELIVERY.c.message_id.in_(numbers)))
        messages.drop(tx, numbers)
    return len(numbers)


def query_of(*, data: bool) -> Any:
    """Deliveries with their messages; a listing does without the data, which may be large."""
    left_out = {"id"} if data else {"id", "data"}
    columns = [column for column in MESSAGE.c if column.name not in left_out]
    return select(DELIVERY, *columns).join(MESSAGE, MESSAGE.c.id == DELIVERY.c.message_id)


def of_row(row: Any) -> Delivery:
    """A delivery of a row of `query_of`."""
    return Delivery(
        row.id,
        messages.of_row(row),
        row.state,
        row.attempts,
        row.next_at,
        row.updated_at,
        row.status,
        row.answer,
        row.claim,
    )
