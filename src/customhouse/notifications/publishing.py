"""Publishing: a message for whoever subscribes to its topic, in the transaction that made it true.

Without a subscription nothing is stored.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select

from customhouse.database import Prepared
from customhouse.notifications import deliveries, filters, messages, topics
from customhouse.notifications.subscriptions import SUBSCRIPTION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from customhouse.database import Transaction
    from customhouse.notifications.subscriptions import Subscription

# Attributes are extension attributes of CloudEvents, whose own names they must not take.
_ATTRIBUTE = re.compile(r"[a-z0-9]{1,20}")
_TAKEN = frozenset(
    ("specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema")
) | {"data", "sequence"}

_SUBSCRIPTIONS = Prepared(
    select(SUBSCRIPTION.c.id, SUBSCRIPTION.c.filter)
    .where(
        SUBSCRIPTION.c.project == bindparam("project"), SUBSCRIPTION.c.topic == bindparam("topic")
    )
    # Where others write at the same time, none of these is deleted before the message is there.
    .with_for_update(read=True, key_share=True)
)


def publish(
    tx: Transaction,
    topic: str,
    project: str,
    type_: str,
    subject: str,
    data: object,
    attributes: Mapping[str, str],
    identity: str = "",
) -> None:
    """Tell of something when this transaction is committed.

    Args:
        tx: the transaction.
        topic: the id of a topic of `topics.TOPICS`.
        project: the project as it stands in image names.
        type_: the CloudEvents type.
        subject: what it is about, as an image.
        data: the message's data, which msgspec can write as JSON. The caller keeps it small:
            receivers seldom take more than a few megabytes.
        attributes: what filters look at: names of up to 20 lower-case letters and digits, and
            texts. They are extension attributes of the CloudEvent.
        identity: what no other message has. Published again with it, the message is not told
            again; without it, it is.

    Raises:
        ValueError: there is no such topic, or an attribute cannot have that name.
    """
    if topic not in topics.TOPICS:
        raise ValueError(f"there is no topic {topic}")
    for name in attributes:
        if name in _TAKEN or not _ATTRIBUTE.fullmatch(name):
            raise ValueError(f"an attribute cannot be called {name}")
    found = _SUBSCRIPTIONS.all(tx, project=project, topic=topic)
    numbers = [number for number, text in found if filters.matches(text, attributes)]
    if numbers:
        added = messages.add(tx, topic, project, type_, subject, data, attributes, identity)
        if added is not None:
            deliveries.add(tx, added[0], numbers, added[1])


def ping(tx: Transaction, subscription: Subscription) -> int:
    """Let a message that says nothing be delivered to one subscription; the delivery's number."""
    data = {"subscription": subscription.full_name}
    added = messages.add(
        tx,
        subscription.topic,
        subscription.project,
        topics.PING,
        subscription.full_name,
        data,
        {},
    )
    if added is None:
        raise AssertionError("its identifier is random")
    message, moment = added
    deliveries.add(tx, message, [subscription.id], moment)
    return deliveries.number_of(tx, subscription.id, message)
