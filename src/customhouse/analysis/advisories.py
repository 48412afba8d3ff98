"""Advisories and the version ranges they are about, as feeds brought them."""

from __future__ import annotations

import hashlib
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    delete,
    func,
    literal,
    select,
    update,
)

from customhouse.analysis import vulnerabilities
from customhouse.analysis.severity import Score, newest
from customhouse.analysis.vulnerabilities import VULNERABILITY
from customhouse.database import METADATA, Name, among, insert, insert_many, lock, now, upsert

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime

    from customhouse.analysis.feeds import Advisory, Affected
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
    # What is there since then.
    Column("advisories", Integer, nullable=False),
    Column("ranges", Integer, nullable=False),
    Column("ecosystems", Text, nullable=False),
)

ADVISORY = Table(
    "advisory",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("feed", Name, nullable=False),
    Column("name", Name, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("severity", Integer, nullable=False),
    # Aliases, texts, links and scores: what is shown and never searched in SQL.
    Column("body", LargeBinary, nullable=False),
    Column("published_at", BigInteger, nullable=False),
    Column("modified_at", BigInteger, nullable=False),
    # The severity by its newest CVSS score, and that in words; NULL if it has none.
    Column("score", Integer),
    Column("score_source", Text),
    UniqueConstraint("feed", "name", name="uq_advisory_identity"),
)

# What an advisory is about.
ADVISORY_VULNERABILITY = Table(
    "advisory_vulnerability",
    METADATA,
    Column("advisory_id", Integer, ForeignKey(ADVISORY.c.id), primary_key=True),
    Column("vulnerability_id", Integer, ForeignKey(VULNERABILITY.c.id), primary_key=True),
    # Whether it is about nothing else: it knows better than one about many.
    Column("is_alone", Boolean, nullable=False),
    Index("ix_advisory_vulnerability_vulnerability", "vulnerability_id"),
)

AFFECTED = Table(
    "affected",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("advisory_id", Integer, ForeignKey(ADVISORY.c.id), nullable=False, index=True),
    Column("ecosystem", Name, nullable=False),
    Column("name", Name, nullable=False),
    Column("introduced", LargeBinary, nullable=False),
    Column("fixed", LargeBinary, nullable=False),
    Column("introduced_version", Text, nullable=False),
    Column("fixed_version", Text),
    # The package's own, else the advisory's; and how much that word counts, see `_rating`.
    Column("severity", Integer, nullable=False),
    Column("severity_source", Text, nullable=False),
    Column("rating", Integer, nullable=False),
    Column("status", Text, nullable=False),
    # Between blanks, as in " x86_64 aarch64 "; NULL for all.
    Column("arches", Text),
    # A record names a package in several releases. With the name first these lie in one page, which
    # is what takes the time when a feed is loaded.
    Index("ix_affected_package", "name", "ecosystem"),
)

# Vulnerabilities whose ranges changed since they were joined with packages.
UNMATCHED = Table(
    "unmatched",
    METADATA,
    Column("vulnerability_id", Integer, ForeignKey(VULNERABILITY.c.id), primary_key=True),
)

# Goes up when a version's key or the reading of a record changes: everything is loaded anew then.
ENCODING = 4

_BODY = msgspec.json.Encoder()
_fixed = attrgetter("fixed")
_LOCK = "advisories"


class Body(msgspec.Struct, frozen=True):
    """What is shown of an advisory."""

    aliases: tuple[str, ...]
    cves: tuple[str, ...]
    summary: str
    details: str
    references: tuple[str, ...]
    scores: tuple[Score, ...]
    severity_source: str


def fingerprint(document: bytes) -> bytes:
    """What tells whether a record changed since it was loaded."""
    return hashlib.blake2b(b"%d\0" % ENCODING + document, digest_size=16).digest()


def known(tx: Transaction, feed: str) -> dict[bytes, int]:
    """The numbers of a feed's advisories by their fingerprints."""
    rows = tx.execute(select(ADVISORY.c.fingerprint, ADVISORY.c.id).where(ADVISORY.c.feed == feed))
    return dict(rows.all())


def numbers(tx: Transaction, feed: str, names: Collection[str]) -> dict[str, int]:
    """The numbers of those of a feed's advisories that are there, by name."""
    return _by_name(tx, feed, names, ADVISORY.c.id)


def marks(tx: Transaction, feed: str, names: Collection[str]) -> dict[str, bytes]:
    """The fingerprints of those of a feed's advisories that are there, by name."""
    return _by_name(tx, feed, names, ADVISORY.c.fingerprint)


def _by_name(
    tx: Transaction, feed: str, names: Collection[str], column: Column[Any]
) -> dict[str, Any]:
    here = among(tx, ADVISORY.c.name, names)
    rows = tx.execute(select(ADVISORY.c.name, column).where(ADVISORY.c.feed == feed, here))
    return dict(rows.all())


def put(tx: Transaction, feed: str, records: Sequence[tuple[Advisory, bytes]]) -> dict[int, int]:
    """Store records of a feed in place of those of the same names.

    What they are about, and were, waits to be matched (`findings.match_changed`).

    Args:
        tx: the transaction.
        feed: the feed's name.
        records: new or changed advisories, each with its document's fingerprint.

    Returns:
        Vulnerabilities that turned out to be others: the number that is gone, and whose it is now.
    """
    if not records:
        return {}
    lock(tx, _LOCK)
    distinct = {advisory.id: (advisory, mark) for advisory, mark in records}
    there = numbers(tx, feed, distinct)
    if there:
        _forget(tx, list(there.values()))
        tx.execute(delete(ADVISORY).where(ADVISORY.c.id.in_(there.values())))
    number = int(tx.execute(select(func.max(ADVISORY.c.id))).scalar() or 0)
    for name in distinct:
        if name not in there:
            number += 1
            there[name] = number
    found = [advisory for advisory, _ in distinct.values()]
    insert_many(
        tx,
        ADVISORY,
        [column.name for column in ADVISORY.c],
        [
            _advisory_row(there[advisory.id], feed, advisory, mark)
            for advisory, mark in distinct.values()
        ],
    )
    about, merged = vulnerabilities.identify(tx, found)
    for old, new in merged.items():
        _merge(tx, old, new)
    insert_many(
        tx,
        ADVISORY_VULNERABILITY,
        ["advisory_id", "vulnerability_id", "is_alone"],
        [
            (there[advisory.id], each, len(listed) == 1)
            for advisory, listed in zip(found, about, strict=True)
            for each in listed
        ],
    )
    columns = [column.name for column in AFFECTED.c if column.name != "id"]
    rows = [row for advisory in found for row in _range_rows(there[advisory.id], advisory)]
    insert_many(tx, AFFECTED, columns, rows)
    _await_matching(tx, [there[advisory.id] for advisory in found])
    return merged


def withdraw(tx: Transaction, advisory_ids: Sequence[int]) -> None:
    """Let advisories affect nothing: their feed no longer has them. They wait to be matched."""
    lock(tx, _LOCK)
    _forget(tx, advisory_ids)
    # Should it come again, it is not to be taken for unchanged: this is nobody's fingerprint.
    tx.execute(
        update(ADVISORY)
        .where(ADVISORY.c.id == bindparam("number"))
        .values(fingerprint=bindparam("mark")),
        [{"number": number, "mark": number.to_bytes(8)} for number in advisory_ids],
    )


def drop(tx: Transaction, advisory_ids: Sequence[int]) -> None:
    """Delete advisories that were withdrawn, and since then matched."""
    tx.execute(delete(ADVISORY).where(ADVISORY.c.id.in_(advisory_ids)))


def _forget(tx: Transaction, advisory_ids: Sequence[int]) -> None:
    """Delete what advisories are about; it waits to be matched."""
    _await_matching(tx, advisory_ids)
    link = ADVISORY_VULNERABILITY
    tx.execute(delete(link).where(link.c.advisory_id.in_(advisory_ids)))
    tx.execute(delete(AFFECTED).where(AFFECTED.c.advisory_id.in_(advisory_ids)))


def _await_matching(tx: Transaction, advisory_ids: Sequence[int]) -> None:
    """Let the vulnerabilities that advisories are about wait to be matched."""
    link = ADVISORY_VULNERABILITY
    here = among(tx, link.c.advisory_id, advisory_ids)
    these = select(link.c.vulnerability_id).where(here).distinct()
    statement = insert(tx, UNMATCHED).from_select(["vulnerability_id"], these)
    tx.execute(statement.on_conflict_do_nothing())


def _merge(tx: Transaction, old: int, new: int) -> None:
    """Let what was about one vulnerability be about another, which is the same."""
    link = ADVISORY_VULNERABILITY
    moved = select(link.c.advisory_id, literal(new), link.c.is_alone).where(
        link.c.vulnerability_id == old
    )
    statement = insert(tx, link).from_select(["advisory_id", "vulnerability_id", "is_alone"], moved)
    tx.execute(statement.on_conflict_do_nothing())
    tx.execute(delete(link).where(link.c.vulnerability_id == old))
    tx.execute(delete(UNMATCHED).where(UNMATCHED.c.vulnerability_id == old))


def _advisory_row(number: int, feed: str, advisory: Advisory, mark: bytes) -> tuple[object, ...]:
    """The values of `ADVISORY`, in the order of its columns."""
    body = Body(
        aliases=advisory.aliases,
        cves=advisory.cves,
        summary=advisory.summary,
        details=advisory.details,
        references=tuple(reference.url for reference in advisory.references),
        scores=advisory.scores,
        severity_source=advisory.severity_source,
    )
    score, score_source = newest(() if advisory.withdrawn else advisory.scores)
    return (
        number,
        feed,
        advisory.id,
        mark,
        int(advisory.severity),
        _BODY.encode(body),
        _microseconds(advisory.published or advisory.modified),
        _microseconds(advisory.modified),
        int(score) or None,
        score_source or None,
    )


def _range_rows(number: int, advisory: Advisory) -> Iterator[tuple[object, ...]]:
    """The values of `AFFECTED`, in the order of its columns after the first, of an advisory."""
    severity, source = int(advisory.severity), advisory.severity_source
    rating = _rating(severity, source, is_own=False)
    affected: Sequence[Affected] = advisory.affected
    if len(affected) > 1:
        # Of several fixes the highest is shown, which is the last.
        affected = sorted(affected, key=_fixed)
    for item in affected:
        own, said = int(item.severity), item.severity_source
        yield (
            number,
            item.ecosystem,
            item.name,
            item.introduced,
            item.fixed,
            item.introduced_version,
            item.fixed_version,
            own or severity,
            said if own else source,
            _rating(own, said, is_own=True) if own else rating,
            item.status,
            f" {' '.join(item.arches)} " if item.arches else None,
        )


def _rating(severity: int, source: str, *, is_own: bool) -> int:
    """How much a severity counts beside those of other advisories for the same vulnerability.

    The word about the package counts most, then the one about the vulnerability, then a score; of
    equal ones the worse.
    """
    if not severity:
        return 0
    weight = 1 if source.startswith("CVSS ") else 3 if is_own else 2
    return weight * 8 + severity


def _microseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)


class Contents(NamedTuple):
    """What there is of a feed: how many advisories and ranges, and about which ecosystems."""

    advisories: int
    ranges: int
    ecosystems: list[str]


def contents(tx: Transaction, feed: str) -> Contents:
    """Count what there is of a feed. It takes a second for a million ranges."""
    total = tx.execute(select(func.count()).where(ADVISORY.c.feed == feed)).scalar_one()
    ranges = tx.execute(
        select(AFFECTED.c.ecosystem, func.count())
        .select_from(ADVISORY.join(AFFECTED))
        .where(ADVISORY.c.feed == feed)
        .group_by(AFFECTED.c.ecosystem)
        .order_by(AFFECTED.c.ecosystem)
    ).all()
    return Contents(
        total, sum(count for _, count in ranges), [ecosystem for ecosystem, _ in ranges]
    )


def note_import(
    tx: Transaction, feed: str, source: str, there: Contents, *, rejected: int, skipped: int
) -> None:
    """Note that a feed was imported, and how much of it is there."""
    values = {
        "name": feed,
        "source": source,
        "updated_at": now(),
        "rejected": rejected,
        "skipped": skipped,
        "advisories": there.advisories,
        "ranges": there.ranges,
        "ecosystems": msgspec.json.encode(there.ecosystems).decode(),
    }
    upsert(tx, FEED, ["name"], [values])


def feeds(tx: Transaction) -> list[dict[str, Any]]:
    """The feeds, by name, with how many advisories and ranges came from each."""
    rows = tx.execute(select(FEED).order_by(FEED.c.name)).mappings()
    return [{**row, "ecosystems": msgspec.json.decode(row["ecosystems"])} for row in rows]


def has_ecosystem(tx: Transaction, ecosystem: str) -> bool:
    """Whether there is any advisory for a release, in a feed that was imported to its end."""
    return any(
        ecosystem in msgspec.json.decode(each) for each in tx.scalars(select(FEED.c.ecosystems))
    )
