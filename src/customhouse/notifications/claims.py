"""Claims: who sends a delivery takes it first, so that nobody else does.

A claim puts the delivery off for as long as sending may take: a crash between sending and noting
sends it once more, with the same identifier.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import bindparam, select, update

from customhouse.database import Prepared, now
from customhouse.notifications import deliveries, subscriptions
from customhouse.notifications.deliveries import DELIVERY, Delivery
from customhouse.notifications.subscriptions import ACTIVE, SUBSCRIPTION, Subscription

if TYPE_CHECKING:
    from collections.abc import Sequence

    from customhouse.database import Transaction

_ANY_DUE = Prepared(select(DELIVERY.c.id).where(DELIVERY.c.next_at <= bindparam("moment")).limit(1))


class Claimed(NamedTuple):
    """A delivery that is to be sent now, to whom, and the secrets to sign it with."""

    delivery: Delivery
    subscription: Subscription
    keys: list[str]


def any_due(tx: Transaction, moment: int) -> bool:
    """Whether anything is to be sent by now; costs some microseconds."""
    return _ANY_DUE.first(tx, moment=moment) is not None


def due(tx: Transaction, moment: int) -> list[tuple[int, str]]:
    """The subscriptions, not paused, that have deliveries to be sent, the longest due first.

    Each with its number and its project.
    """
    oldest = (
        select(DELIVERY.c.next_at)
        .where(DELIVERY.c.subscription_id == SUBSCRIPTION.c.id, DELIVERY.c.next_at <= moment)
        .order_by(DELIVERY.c.next_at)
        .limit(1)
        .scalar_subquery()
    )
    found = select(SUBSCRIPTION.c.id, SUBSCRIPTION.c.project, oldest.label("oldest")).where(
        SUBSCRIPTION.c.state == ACTIVE
    )
    inner = found.subquery()
    rows = tx.execute(
        select(inner.c.id, inner.c.project)
        .where(inner.c.oldest.is_not(None))
        .order_by(inner.c.oldest, inner.c.id)
    )
    return [(row.id, row.project) for row in rows]


def claim(
    tx: Transaction, wanted: Sequence[tuple[int, int]], moment: int, lease: int
) -> list[Claimed]:
    """Take deliveries to send them; nobody else does until the lease ends.

    Args:
        tx: the transaction.
        wanted: numbers of subscriptions, each with how many deliveries of it are wanted at most.
        moment: the time, microseconds since 1970.
        lease: microseconds.
    """
    found: list[tuple[int, Delivery]] = []
    for subscription, count in wanted:
        query = (
            deliveries.query_of(data=True)
            .where(
                DELIVERY.c.subscription_id == subscription,
                DELIVERY.c.next_at <= moment,
                SUBSCRIPTION.c.state == ACTIVE,
            )
            .join(SUBSCRIPTION, SUBSCRIPTION.c.id == DELIVERY.c.subscription_id)
            .order_by(DELIVERY.c.next_at, DELIVERY.c.id)
            .limit(count)
            .with_for_update(skip_locked=True, of=DELIVERY)
        )
        found += [(subscription, deliveries.of_row(row)) for row in tx.execute(query)]
    if not found:
        return []
    tx.execute(
        update(DELIVERY)
        .where(DELIVERY.c.id.in_([delivery.number for _, delivery in found]))
        .values(
            attempts=DELIVERY.c.attempts + 1,
            claim=DELIVERY.c.claim + 1,
            next_at=moment + lease,
            updated_at=moment,
        )
    )
    numbers = list({number for number, _ in found})
    whom = subscriptions.numbered(tx, numbers)
    return [
        Claimed(one._replace(attempts=one.attempts + 1, claim=one.claim + 1), *whom[number])
        for number, one in found
    ]


def note(
    tx: Transaction, claimed: Delivery, state: str, next_at: int | None, status: int, answer: str
) -> bool:
    """Note what became of a claimed delivery; whether it was still claimed.

    Args:
        tx: the transaction.
        claimed: the delivery.
        state: PENDING to have it sent again at `next_at`, else DELIVERED or DEAD.
        next_at: microseconds since 1970, or None.
        status: the answer's HTTP status; 0 if there was none.
        answer: what it said, or why there was none.
    """
    result = tx.execute(
        update(DELIVERY)
        .where(DELIVERY.c.id == claimed.number, DELIVERY.c.claim == claimed.claim)
        .values(state=state, next_at=next_at, updated_at=now(), status=status, answer=answer)
    )
    return result.rowcount == 1
