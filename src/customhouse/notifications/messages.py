"""Messages: what happened, as it is told, kept for a week so that it can be told again."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Table, Text, delete, select

from customhouse.database import METADATA, Name, insert, now

if TYPE_CHECKING:
    from collections.abc import Mapping

    from customhouse.database import Transaction

MESSAGE = Table(
    "message",
    METADATA,
    Column(
        "id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    ),
    Column("identifier", Name, nullable=False, unique=True),
    Column("project", Name, nullable=False),
    Column("topic", Name, nullable=False),
    Column("type", Name, nullable=False),
    Column("subject", Text, nullable=False),
    Column("attributes", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("published_at", BigInteger, nullable=False, index=True),
    sqlite_autoincrement=True,  # the sequence that receivers see never goes back
)


class Message(NamedTuple):
    """A message.

    Attributes:
        number: grows from message to message.
        identifier: unique for ever, and the same however often it is sent.
        project: the project as it stands in image names.
        topic: the topic's id.
        type: of the event.
        subject: what it is about.
        attributes: what filters look at.
        data: the body, JSON; empty where it was left out.
        published_at: microseconds since 1970.
    """

    number: int
    identifier: str
    project: str
    topic: str
    type: str
    subject: str
    attributes: dict[str, str]
    data: bytes
    published_at: int


def add(
    tx: Transaction,
    topic: str,
    project: str,
    kind: str,
    subject: str,
    data: object,
    attributes: Mapping[str, str],
    identity: str = "",
) -> tuple[int, int] | None:
    """Store a message; returns its number and its time, or None if it is there already.

    Args:
        tx: the transaction.
        topic: the topic's id.
        project: the project as it stands in image names.
        kind: the type of the event.
        subject: what it is about.
        data: the body.
        attributes: what filters look at.
        identity: what no other message has, so that the same is stored once, however often it is
            told; empty for a message of its own.
    """
    moment = now()
    name = hashlib.sha256(identity.encode()).hexdigest()[:32] if identity else secrets.token_hex(16)
    row = {
        # Not the number: that comes again when a backup is restored.
        "identifier": f"msg_{name}",
        "project": project,
        "topic": topic,
        "type": kind,
        "subject": subject,
        "attributes": json.dumps(dict(attributes)),
        "data": msgspec.json.encode(data),
        "published_at": moment,
    }
    statement = insert(tx, MESSAGE).on_conflict_do_nothing(index_elements=[MESSAGE.c.identifier])
    number = tx.execute(statement.returning(MESSAGE.c.id), row).scalar_one_or_none()
    return None if number is None else (number, moment)


def of_row(row: Any) -> Message:
    """A message of a row with the table's columns, if need be without `data`.

    Its number is the column `message_id`.
    """
    return Message(
        row.message_id,
        row.identifier,
        row.project,
        row.topic,
        row.type,
        row.subject,
        json.loads(row.attributes),
        getattr(row, "data", b""),
        row.published_at,
    )


def before(tx: Transaction, moment: int, count: int) -> list[int]:
    """The numbers of the oldest messages that were published before a time."""
    return list(
        tx.scalars(
            select(MESSAGE.c.id)
            .where(MESSAGE.c.published_at < moment)
            .order_by(MESSAGE.c.published_at)
            .limit(count)
        )
    )


def drop(tx: Transaction, numbers: list[int]) -> None:
    """Forget messages; their deliveries must be gone already."""
    tx.execute(delete(MESSAGE).where(MESSAGE.c.id.in_(numbers)))
