"""Advisories and the version ranges they are about, as feeds brought them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    delete,
    func,
    select,
)

from customhouse.database import METADATA, Name, now, upsert

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from customhouse.analysis.feeds import Advisory
    from customhouse.database import Transaction

FEED = Table(
    "feed",
    METADATA,
    Column("name", Name, primary_key=True),
    Column("source", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    # Of the last import: records that could not be read, and parts of records about ecosystems
    # that are not matched here.
    Column("rejected", Integer, nullable=False),
    Column("skipped", Integer, nullable=False),
)

ADVISORY = Table(
    "advisory",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", Name, nullable=False, unique=True),
    Column("feed", Name, nullable=False, index=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("severity", Integer, nullable=False),
    # Aliases, texts, links and scores: what is shown and never searched in SQL.
    Column("body", LargeBinary, nullable=False),
    Column("published_at", BigInteger, nullable=False),
    Column("modified_at", BigInteger, nullable=False),
)

AFFECTED = Table(
    "affected",
    METADATA,
    Column(
        "id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    ),
    Column("advisory_id", Integer, ForeignKey(ADVISORY.c.id), nullable=False, index=True),
    Column("ecosystem", Name, nullable=False),
    Column("name", Name, nullable=False),
    Column("introduced", LargeBinary, nullable=False),
    Column("fixed", LargeBinary, nullable=False),
    Column("introduced_version", Text, nullable=False),
    Column("fixed_version", Text),
    Column("severity", Integer, nullable=False),
    Column("severity_source", Text, nullable=False),
    Column("status", Text, nullable=False),
    # Between blanks, as in " x86_64 aarch64 "; NULL for all.
    Column("arches", Text),
    Index("ix_affected_package", "ecosystem", "name"),
    # A finding refers to the range that it came from: a number must not come again.
    sqlite_autoincrement=True,
)

# Goes up when a version's key or the reading of a record changes: everything is loaded anew then.
ENCODING = 2


class Body(msgspec.Struct, frozen=True):
    """What is shown of an advisory."""

    aliases: tuple[str, ...]
    cves: tuple[str, ...]
    summary: str
    details: str
    references: tuple[str, ...]
    scores: tuple[dict[str, Any], ...]
    severity_source: str


def fingerprint(document: bytes) -> bytes:
    """What tells whether a record changed since it was loaded."""
    return hashlib.blake2b(b"%d\0" % ENCODING + document, digest_size=16).digest()


def put(tx: Transaction, feed: str, records: Sequence[tuple[Advisory, bytes]]) -> list[int]:
    """Store records of a feed in place of those of the same names.

    Args:
        tx: the transaction.
        feed: the feed's name.
        records: each advisory with its document's fingerprint.

    Returns:
        The numbers of those that are new or changed.
    """
    distinct = {advisory.id: (advisory, mark) for advisory, mark in records}
    known = dict(
        tx.execute(
            select(ADVISORY.c.name, ADVISORY.c.fingerprint).where(ADVISORY.c.name.in_(distinct))
        ).all()
    )
    changed = [
        (advisory, mark) for name, (advisory, mark) in distinct.items() if known.get(name) != mark
    ]
    if not changed:
        return []
    new = [_advisory_row(feed, advisory, mark) for advisory, mark in changed]
    upsert(tx, ADVISORY, ["name"], new)
    rows = tx.execute(
        select(ADVISORY.c.name, ADVISORY.c.id).where(
            ADVISORY.c.name.in_([advisory.id for advisory, _ in changed])
        )
    )
    numbers = {row.name: int(row.id) for row in rows}
    tx.execute(delete(AFFECTED).where(AFFECTED.c.advisory_id.in_(numbers.values())))
    ranges = [
        {"advisory_id": numbers[advisory.id], **_range_row(item)}
        for advisory, _ in changed
        for item in advisory.affected
    ]
    if ranges:
        tx.execute(AFFECTED.insert(), ranges)
    return list(numbers.values())


def _advisory_row(feed: str, advisory: Advisory, mark: bytes) -> dict[str, Any]:
    body = Body(
        aliases=advisory.aliases,
        cves=advisory.cves,
        summary=advisory.summary,
        details=advisory.details,
        references=tuple(reference.url for reference in advisory.references),
        scores=tuple(msgspec.to_builtins(score) for score in advisory.scores),
        severity_source=advisory.severity_source,
    )
    return {
        "name": advisory.id,
        "feed": feed,
        "fingerprint": mark,
        "severity": int(advisory.severity),
        "body": msgspec.json.encode(body),
        "published_at": _microseconds(advisory.published or advisory.modified),
        "modified_at": _microseconds(advisory.modified),
    }


def _range_row(item: Any) -> dict[str, Any]:
    row = msgspec.structs.asdict(item)
    arches = f" {' '.join(item.arches)} " if item.arches else None
    return row | {"severity": int(item.severity), "arches": arches}


def _microseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)


def note_import(tx: Transaction, feed: str, source: str, *, rejected: int, skipped: int) -> None:
    """Note that a feed was imported."""
    values = {
        "name": feed,
        "source": source,
        "updated_at": now(),
        "rejected": rejected,
        "skipped": skipped,
    }
    upsert(tx, FEED, ["name"], [values])


def feeds(tx: Transaction) -> list[dict[str, Any]]:
    """The feeds, by name, with how many advisories and ranges came from each."""
    advisories: dict[str, int] = dict(
        tx.execute(select(ADVISORY.c.feed, func.count()).group_by(ADVISORY.c.feed)).all()
    )
    ranges: dict[str, int] = {}
    ecosystems: dict[str, list[str]] = {}
    rows = tx.execute(
        select(ADVISORY.c.feed, AFFECTED.c.ecosystem, func.count())
        .select_from(ADVISORY.join(AFFECTED))
        .group_by(ADVISORY.c.feed, AFFECTED.c.ecosystem)
        .order_by(AFFECTED.c.ecosystem)
    )
    for feed, ecosystem, count in rows:
        ranges[feed] = ranges.get(feed, 0) + count
        ecosystems.setdefault(feed, []).append(ecosystem)
    return [
        {
            "name": row.name,
            "source": row.source,
            "updated_at": row.updated_at,
            "rejected": row.rejected,
            "skipped": row.skipped,
            "advisories": advisories.get(row.name, 0),
            "ranges": ranges.get(row.name, 0),
            "ecosystems": ecosystems.get(row.name, []),
        }
        for row in tx.execute(select(FEED).order_by(FEED.c.name))
    ]


def has_ecosystem(tx: Transaction, ecosystem: str) -> bool:
    """Whether there is any advisory for a release."""
    found = tx.execute(select(AFFECTED.c.id).where(AFFECTED.c.ecosystem == ecosystem).limit(1))
    return found.first() is not None
