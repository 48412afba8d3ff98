"""Subscriptions: which endpoint is told of a topic's messages, how often, and signed with what."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    delete,
    select,
)

from customhouse.database import METADATA, Name, insert, lock, now
from customhouse.errors import Code, Failure
from customhouse.iam import projects
from customhouse.names import project_id
from customhouse.notifications import filters, signing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from customhouse.database import Transaction

SUBSCRIPTION = Table(
    "subscription",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("project", Name, nullable=False),
    Column("name", Name, nullable=False),
    Column("topic", Name, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("format", Name, nullable=False),
    Column("filter", Text, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("min_backoff", BigInteger, nullable=False),
    Column("max_backoff", BigInteger, nullable=False),
    Column("labels", Text, nullable=False),
    Column("state", Name, nullable=False),
    Column("state_reason", Text, nullable=False),
    # What deliveries are signed with; the second until a time, after the first has replaced it.
    Column("secret", Text, nullable=False),
    Column("old_secret", Text),
    Column("old_secret_until", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("project", "name"),
    Index("ix_subscription_topic", "topic", "project"),
    sqlite_autoincrement=True,  # a delivery on its way must not be noted with another's
)

ACTIVE, PAUSED = "ACTIVE", "PAUSED"
STRUCTURED, BINARY, PUBSUB = "STRUCTURED", "BINARY", "PUBSUB"

SECOND = 1_000_000
DAY = 24 * 3600 * SECOND
MAX_ATTEMPTS = 100
OVERLAP_SECONDS = 24 * 3600

_NAME = re.compile(r"(?!goog)[A-Za-z][A-Za-z0-9._~-]{2,254}")
_MAX_SUBSCRIPTIONS = 100
_MAX_LABELS = 64


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription.

    Attributes:
        project: its project as it stands in image names.
        name: its name within the project.
        topic: the topic's id.
        endpoint: the URL that messages are sent to.
        format: STRUCTURED or BINARY for CloudEvents in that mode, PUBSUB for Pub/Sub's envelope.
        filter: which messages; empty for all. See `filters`.
        max_attempts: how often a message is sent before it is a dead letter.
        min_backoff: microseconds before the second attempt.
        max_backoff: microseconds between attempts at most.
        labels: texts by texts.
        state: ACTIVE or PAUSED, while messages wait.
        state_reason: why it is paused.
        id: its number.
        created_at: microseconds since 1970.
    """

    project: str
    name: str
    topic: str
    endpoint: str
    format: str = STRUCTURED
    filter: str = ""
    max_attempts: int = 10
    min_backoff: int = 10 * SECOND
    max_backoff: int = DAY // 4
    labels: Mapping[str, str] = field(default_factory=dict)
    state: str = ACTIVE
    state_reason: str = ""
    id: int = 0
    created_at: int = 0

    @property
    def full_name(self) -> str:
        """What the API calls it."""
        return f"projects/{project_id(self.project)}/subscriptions/{self.name}"


_CHANGEABLE = (
    *("endpoint", "format", "filter", "max_attempts", "min_backoff", "max_backoff", "labels"),
    *("state", "state_reason"),
)
_COLUMNS = [
    SUBSCRIPTION.c[name] for name in ("project", "name", "topic", *_CHANGEABLE, "id", "created_at")
]


def create(tx: Transaction, wanted: Subscription) -> str:
    """Create a subscription; returns the secret that its deliveries are signed with.

    The endpoint must have been checked.

    Raises:
        Failure: PROJECT_UNKNOWN, THING_INVALID, THING_EXISTS, LIMIT_REACHED.
    """
    _check(wanted)
    projects.get(tx, wanted.project)
    lock(tx, f"subscriptions of {wanted.project}")
    if len(page(tx, wanted.project, "", _MAX_SUBSCRIPTIONS)) >= _MAX_SUBSCRIPTIONS:
        owner = f"project {wanted.project}"
        raise Failure(
            Code.LIMIT_REACHED, owner=owner, limit=_MAX_SUBSCRIPTIONS, kind="subscriptions"
        )
    secret = signing.new_secret()
    row = _changeable(wanted) | {
        "project": wanted.project,
        "name": wanted.name,
        "topic": wanted.topic,
        "secret": secret,
        "created_at": now(),
    }
    if tx.execute(insert(tx, SUBSCRIPTION).on_conflict_do_nothing(), row).rowcount != 1:
        raise Failure(Code.THING_EXISTS, kind="subscription", name=wanted.name)
    return secret


def get(tx: Transaction, project: str, name: str, *, hold: bool = False) -> Subscription:
    """One subscription.

    Args:
        tx: the transaction.
        project: the project as it stands in image names.
        name: its name within the project.
        hold: whether nobody else changes it until the transaction ends.

    Raises:
        Failure: THING_UNKNOWN.
    """
    query = select(*_COLUMNS).where(_named(project, name))
    row = tx.execute(query.with_for_update() if hold else query).one_or_none()
    if row is None:
        raise Failure(Code.THING_UNKNOWN, kind="subscription", name=name[:80])
    return _subscription(row)


def page(
    tx: Transaction, project: str, after: str, count: int, topic: str = ""
) -> list[Subscription]:
    """The first `count` subscriptions after the name `after`, in order; of one topic, or of all."""
    query = select(*_COLUMNS).where(SUBSCRIPTION.c.project == project, SUBSCRIPTION.c.name > after)
    if topic:
        query = query.where(SUBSCRIPTION.c.topic == topic)
    rows = tx.execute(query.order_by(SUBSCRIPTION.c.name).limit(count))
    return [_subscription(row) for row in rows]


def projects_of(tx: Transaction, topic: str, after: str, count: int) -> list[str]:
    """The first `count` projects after the name `after` that subscribe to a topic, in order."""
    return list(
        tx.scalars(
            select(SUBSCRIPTION.c.project)
            .where(SUBSCRIPTION.c.topic == topic, SUBSCRIPTION.c.project > after)
            .distinct()
            .order_by(SUBSCRIPTION.c.project)
            .limit(count)
        )
    )


def update(tx: Transaction, changed: Subscription) -> Subscription:
    """Change what may be changed: all but its name and topic.

    Raises:
        Failure: THING_INVALID, THING_UNKNOWN.
    """
    _check(changed)
    where = _named(changed.project, changed.name)
    tx.execute(SUBSCRIPTION.update().where(where).values(_changeable(changed)))
    return get(tx, changed.project, changed.name)


def pause(tx: Transaction, number: int, reason: str) -> None:
    """Let the messages of a subscription wait."""
    tx.execute(
        SUBSCRIPTION.update()
        .where(SUBSCRIPTION.c.id == number)
        .values(state=PAUSED, state_reason=reason)
    )


def rotate_secret(tx: Transaction, project: str, name: str, overlap: int) -> str:
    """Replace the secret; returns the new one.

    Args:
        tx: the transaction.
        project: the project.
        name: the subscription.
        overlap: for how many seconds deliveries are signed with the old one as well.

    Raises:
        Failure: THING_UNKNOWN.
    """
    secret = signing.new_secret()
    result = tx.execute(
        SUBSCRIPTION.update()
        .where(_named(project, name))
        .values(
            old_secret=SUBSCRIPTION.c.secret if overlap else None,
            old_secret_until=now() + overlap * SECOND if overlap else None,
            secret=secret,
        )
    )
    if result.rowcount != 1:
        raise Failure(Code.THING_UNKNOWN, kind="subscription", name=name[:80])
    return secret


def numbered(tx: Transaction, numbers: Sequence[int]) -> dict[int, tuple[Subscription, list[str]]]:
    """Subscriptions by their numbers, with the secrets that sign now, the newest first."""
    moment = now()
    secrets = (SUBSCRIPTION.c.secret, SUBSCRIPTION.c.old_secret, SUBSCRIPTION.c.old_secret_until)
    rows = tx.execute(select(*_COLUMNS, *secrets).where(SUBSCRIPTION.c.id.in_(numbers)))
    return {
        row.id: (
            _subscription(row),
            [row.secret, row.old_secret]
            if row.old_secret and row.old_secret_until > moment
            else [row.secret],
        )
        for row in rows
    }


def drop(tx: Transaction, project: str, name: str) -> None:
    """Delete the row; what is to be delivered must be gone already. See `deliveries.unsubscribe`.

    Raises:
        Failure: THING_UNKNOWN.
    """
    if tx.execute(delete(SUBSCRIPTION).where(_named(project, name))).rowcount != 1:
        raise Failure(Code.THING_UNKNOWN, kind="subscription", name=name[:80])


def _named(project: str, name: str) -> Any:
    return (SUBSCRIPTION.c.project == project) & (SUBSCRIPTION.c.name == name)


def _changeable(subscription: Subscription) -> dict[str, Any]:
    values = {name: getattr(subscription, name) for name in _CHANGEABLE}
    return values | {"labels": json.dumps(dict(subscription.labels))}


def _subscription(row: Any) -> Subscription:
    fields = {column.name: getattr(row, column.name) for column in _COLUMNS}
    return Subscription(**(fields | {"labels": json.loads(row.labels)}))


def _check(wanted: Subscription) -> None:
    """Check everything but the endpoint, whose check needs the settings.

    Raises:
        Failure: THING_INVALID.
    """
    if not _NAME.fullmatch(wanted.name):
        raise _invalid(
            "its name has 3 to 255 letters, digits and .-_~, begins with a letter, not with goog"
        )
    filters.parse(wanted.filter)
    if not 1 <= wanted.max_attempts <= MAX_ATTEMPTS:
        raise _invalid(f"maxDeliveryAttempts is 1 to {MAX_ATTEMPTS}")
    if not 0 <= wanted.min_backoff <= wanted.max_backoff <= DAY:
        raise _invalid("backoffs are 0s to 86400s, the minimum no more than the maximum")
    labels = wanted.labels
    right = len(labels) <= _MAX_LABELS and all(
        0 < len(key) <= 63 and len(value) <= 63 and (key + value).isprintable()
        for key, value in labels.items()
    )
    if not right:
        raise _invalid(f"it has at most {_MAX_LABELS} labels of at most 63 characters")


def _invalid(reason: str) -> Failure:
    return Failure(Code.THING_INVALID, kind="subscription", reason=reason)
