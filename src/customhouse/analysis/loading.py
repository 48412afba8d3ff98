"""Loading a feed: what changed in it is stored in small transactions, then matched.

A feed that is whole takes the place of what was loaded of it before. Nothing of it is stored if
more has vanished than may vanish: half a feed is more likely an accident than news.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

import msgspec

from customhouse.analysis import advisories, exploits, findings
from customhouse.analysis.feeds import (
    Advisory,
    Document,
    Rejected,
    documents,
    epss,
    forms,
    kev,
    parse,
    survey,
)
from customhouse.analysis.feeds.forms import Form
from customhouse.database import now
from customhouse.errors import Code, Failure
from customhouse.events import AdvisoriesChanged, FindingsChanged
from customhouse.workflows import outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from sqlalchemy import Table

    from customhouse.database import Database, Transaction

# A transaction holds up pushes on SQLite for as long as it takes: some tens of milliseconds.
_BATCH_RECORDS: Final = 1000
_BATCH_BYTES: Final = 32 * 1024 * 1024
_BATCH_SCORES: Final = 10_000
_BATCH_VULNERABILITIES: Final = 2000
_TOLD_RECORDS: Final = 2000
_SHOWN_REJECTS: Final = 20
_LENGTH: Final = 8

MAX_SHRINK: Final = 0.2
"""The share of a feed's records that may be gone, unless another is asked for."""

Record = tuple[Advisory, bytes]
_RECORD: Final = msgspec.msgpack.Decoder(Record)


@dataclass(frozen=True, slots=True)
class Plan:
    """How to load a feed.

    Attributes:
        feed: its name.
        form: what it is written in, a value of `Form`; empty to find out.
        is_whole: whether what it no longer has is gone. Otherwise it adds and replaces.
        max_shrink: the share of its records that may be gone, 0 to 1.
        ecosystem: what it is about, where it does not say so itself (`Form.UPDATEINFO`).
    """

    feed: str
    form: str = ""
    is_whole: bool = True
    max_shrink: float = MAX_SHRINK
    ecosystem: str = ""


@dataclass(slots=True)
class Outcome:
    """What came of a load.

    Attributes:
        read: records that could be read, changed or not.
        changed: those that are new or changed.
        removed: those that the feed no longer has.
        ranges: affected ranges in what changed.
        skipped: parts of what changed that are matched with nothing here, by ecosystem.
        rejected: what could not be read.
        rejects: the first of these, each with name and reason.
    """

    read: int = 0
    changed: int = 0
    removed: int = 0
    ranges: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    rejected: int = 0
    rejects: list[dict[str, str]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """What came of it, as operations tell it."""
        return {
            "advisories": self.read,
            "changed": self.changed,
            "removed": self.removed,
            "ranges": self.ranges,
            "skippedByEcosystem": self.skipped,
            "rejected": self.rejected,
            "rejects": self.rejects,
        }

    def reject(self, name: str, reason: str, count: int = 1) -> None:
        """Count what could not be read."""
        self.rejected += count
        if len(self.rejects) < _SHOWN_REJECTS:
            self.rejects.append({"name": name, "reason": reason})

    def take(self, advisory: Advisory) -> None:
        """Count what is in a changed record."""
        self.changed += 1
        self.ranges += len(advisory.affected)
        for omission in advisory.skipped:
            count = self.skipped.get(omission.ecosystem, 0)
            self.skipped[omission.ecosystem] = count + omission.count
        for omission in advisory.rejected:
            reason = f"{omission.reason} ({omission.example})"
            self.reject(f"{advisory.id}, {omission.ecosystem}", reason, omission.count)


def load(
    database: Database, path: Path, plan: Plan, progress: Callable[[int, int], None]
) -> Outcome:
    """Load a feed and match what changed. It may be begun again after any end.

    Args:
        database: the database.
        path: a file, a folder or a zip.
        plan: how.
        progress: called now and then with how many records are read, and of how many.

    Raises:
        Failure: FEED_INVALID if nothing in it can be read; FEED_SHRUNK if too much is gone, and
            nothing was stored then.
    """
    form = Form(plan.form) if plan.form else forms.form_of(path)
    outcome = Outcome()
    if form is Form.EPSS:
        _load_scores(database, path, outcome)
    elif form is Form.KEV:
        _load_exploited(database, path, outcome)
    else:
        _load_advisories(database, path, form, plan, outcome, progress)
    if not outcome.read:
        example = outcome.rejects[0]["reason"] if outcome.rejects else "it is empty"
        raise Failure(Code.FEED_INVALID, reason=f"no record can be read: {example}")
    return outcome


def _load_advisories(
    database: Database,
    path: Path,
    form: Form,
    plan: Plan,
    outcome: Outcome,
    progress: Callable[[int, int], None],
) -> None:
    known = database.read(advisories.known, plan.feed) if plan.is_whole else {}
    reader = _Reader(known, outcome, progress)
    if form is Form.DOCUMENTS:
        reader.total = survey(path).total
        changed = reader.changed(documents(path))
    else:
        changed = reader.changed(forms.collected(path, form, plan.ecosystem))
    progress(0, reader.total)
    if not plan.is_whole:
        changed = _unlike(database, plan.feed, changed)
    changed = _counted(changed, outcome)
    if not known:
        _store(database, plan.feed, changed)
        match(database, plan.feed)
        return
    with _spooled(changed) as records:
        gone = _gone(database, plan, reader) if outcome.read else []
        _store(database, plan.feed, records)
    outcome.removed = len(gone)
    batches = [gone[n : n + _BATCH_RECORDS] for n in range(0, len(gone), _BATCH_RECORDS)]
    for batch in batches:
        database.write(advisories.withdraw, batch)
    match(database, plan.feed)
    for batch in batches:
        database.write(advisories.drop, batch)


def _gone(database: Database, plan: Plan, reader: _Reader) -> list[int]:
    """The numbers of the advisories that the feed no longer has.

    Raises:
        Failure: FEED_SHRUNK.
    """
    gone = set(reader.known.values()) - reader.seen
    if gone:
        gone -= set(database.read(advisories.numbers, plan.feed, reader.names).values())
    if len(gone) > plan.max_shrink * len(reader.known):
        raise Failure(
            Code.FEED_SHRUNK,
            feed=plan.feed,
            gone=len(gone),
            had=len(reader.known),
            percent=round(plan.max_shrink * 100),
        )
    return sorted(gone)


def match(database: Database, feed: str) -> None:
    """Match all that waits to be, in transactions of some tens of milliseconds."""
    while database.write(_match, feed):
        pass


def conclude(database: Database, feed: str, source: str, outcome: Outcome) -> None:
    """Note that a feed was loaded, from where, and what there is of it now."""
    there = database.read(advisories.contents, feed)
    database.write(_conclude, feed, source, outcome, there)


def _conclude(
    tx: Transaction, feed: str, source: str, outcome: Outcome, there: advisories.Contents
) -> None:
    skipped = sum(outcome.skipped.values())
    advisories.note_import(tx, feed, source, there, rejected=outcome.rejected, skipped=skipped)
    if outcome.changed or outcome.removed:
        outbox.append(tx, AdvisoriesChanged(feed, outcome.changed))


def _match(tx: Transaction, feed: str) -> bool:
    """Match some of it, and tell of what that changes; whether there is more."""
    before = findings.last_change(tx)
    is_more = findings.match_changed(tx, feed, _BATCH_VULNERABILITIES)
    last = findings.last_change(tx)
    if last > before:
        outbox.append(tx, FindingsChanged(feed, before, last))
    return is_more


@dataclass(slots=True)
class _Reader:
    """Reads the records of a feed of which some are known.

    Attributes:
        known: the numbers of its advisories by their fingerprints.
        outcome: what is counted.
        progress: as of `load`.
        total: how many records there are, about; 0 if nobody knows.
        seen: the numbers of those that are as they were.
        names: those that are not, also if they can no longer be read.
    """

    known: dict[bytes, int]
    outcome: Outcome
    progress: Callable[[int, int], None]
    total: int = 0
    seen: set[int] = field(default_factory=set)
    names: set[str] = field(default_factory=set)

    def changed(self, items: Iterable[Document | Advisory | Rejected]) -> Iterator[Record]:
        """Read the records; gives those that are new or changed, with their fingerprints."""
        for item in items:
            if isinstance(item, Rejected):
                self._reject(item.name, item.reason)
                continue
            if isinstance(item, Advisory):
                mark = advisories.fingerprint(msgspec.msgpack.encode(item))
            else:
                mark = advisories.fingerprint(item.content)
            if mark in self.known:
                self.seen.add(self.known[mark])
            else:
                advisory = item if isinstance(item, Advisory) else self._parsed(item)
                if advisory is None:
                    continue
                self.names.add(advisory.id)
                yield advisory, mark
            self.outcome.read += 1
            if self.outcome.read % _TOLD_RECORDS == 0:
                self.progress(self.outcome.read, max(self.total, self.outcome.read))

    def _parsed(self, document: Document) -> Advisory | None:
        try:
            return parse(document.content)
        except Failure as failure:
            self._reject(document.name, str(failure.fields["reason"]))
            return None

    def _reject(self, name: str, reason: str) -> None:
        # Files are called after the records in them: one that is damaged now stays as it was.
        self.names.add(PurePosixPath(name).stem)
        self.outcome.reject(name, reason)


def _unlike(database: Database, feed: str, records: Iterable[Record]) -> Iterator[Record]:
    """Leave out what is there as it is, looking for no more than these records.

    A feed's increment is a few of hundreds of thousands.
    """
    for batch in _batches(records):
        there = database.read(advisories.marks, feed, [advisory.id for advisory, _ in batch])
        for advisory, mark in batch:
            if there.get(advisory.id) != mark:
                yield advisory, mark


def _counted(records: Iterable[Record], outcome: Outcome) -> Iterator[Record]:
    for advisory, mark in records:
        outcome.take(advisory)
        yield advisory, mark


def _store(database: Database, feed: str, records: Iterable[Record]) -> None:
    for batch in _batches(records):
        database.write(_put, feed, batch)


def _batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    batch: list[Record] = []
    size = 0
    for advisory, mark in records:
        batch.append((advisory, mark))
        size += len(advisory.details) + 200 * len(advisory.affected)
        if len(batch) >= _BATCH_RECORDS or size > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _put(tx: Transaction, feed: str, batch: list[Record]) -> None:
    findings.merge(tx, advisories.put(tx, feed, batch))


@contextmanager
def _spooled(records: Iterable[Record]) -> Iterator[Iterator[Record]]:
    """Read records to the end and keep them in a file until it is known if they may be stored."""
    with tempfile.TemporaryFile() as spool:
        for record in records:
            content = msgspec.msgpack.encode(record)
            spool.write(len(content).to_bytes(_LENGTH))
            spool.write(content)
        spool.seek(0)

        def again() -> Iterator[Record]:
            while length := spool.read(_LENGTH):
                yield _RECORD.decode(spool.read(int.from_bytes(length)))

        yield again()


def _load_scores(database: Database, path: Path, outcome: Outcome) -> None:
    moment = now()
    for document in forms.whole_files(path):
        if isinstance(document, Rejected):
            outcome.reject(document.name, document.reason)
            continue
        scores = epss.scores(document.content)
        batch: list[epss.Score] = []
        for score in scores:
            batch.append(score)
            if len(batch) == _BATCH_SCORES:
                database.write(exploits.put_scores, batch, moment)
                outcome.read += len(batch)
                batch = []
        database.write(exploits.put_scores, batch, moment)
        outcome.read += len(batch)
        if scores.rejected:
            outcome.reject(document.name, "lines that are no scores", scores.rejected)
    _replace(database, exploits.EPSS, moment, outcome)


def _load_exploited(database: Database, path: Path, outcome: Outcome) -> None:
    moment = now()
    for document in forms.whole_files(path):
        if isinstance(document, Rejected):
            outcome.reject(document.name, document.reason)
            continue
        entries = kev.entries(document.content)
        taken = [entry for entry in entries if isinstance(entry, kev.Exploited)]
        for entry in entries:
            if isinstance(entry, Rejected):
                outcome.reject(f"{document.name}: {entry.name}", entry.reason)
        database.write(exploits.put_exploited, taken, moment)
        outcome.read += len(taken)
    _replace(database, exploits.KEV, moment, outcome)


def _replace(database: Database, table: Table, moment: int, outcome: Outcome) -> None:
    outcome.changed = outcome.read
    if outcome.read:
        outcome.removed = database.write(exploits.drop_older, table, moment)
