"""Loading a feed from files into the database."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from customhouse.analysis import advisories, findings
from customhouse.analysis.feeds import Advisory, Rejected, documents, parse, survey
from customhouse.errors import Code, Failure
from customhouse.events import AdvisoriesChanged
from customhouse.workflows import outbox

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from customhouse.database import Database, Transaction

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Plan:
    """How a feed is loaded.

    Attributes:
        feed: the name under which it is listed.
        form: the parser; empty to recognise it.
        is_whole: whether what is no longer in it is removed.
        max_shrink: the share of its records that may vanish.
        ecosystem: what it is about, for updateinfo.
    """

    feed: str
    form: str = ""
    is_whole: bool = False
    max_shrink: float = 0.2
    ecosystem: str = ""


@dataclass(slots=True)
class Outcome:
    """What came of the records of a feed."""

    read: int = 0
    changed: int = 0
    removed: int = 0
    ranges: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    rejected: int = 0
    rejects: list[dict[str, str]] = field(default_factory=list)


def load(
    database: Database, path: Path, plan: Plan, progress: Callable[[int, int], None]
) -> Outcome:
    """Load a feed.

    Raises:
        Failure: FEED_INVALID, FEED_SHRUNK.
    """
    outcome = Outcome()
    total = survey(path).total
    batch: list[tuple[Advisory, bytes]] = []
    for document in documents(path):
        if isinstance(document, Rejected):
            outcome.rejected += 1
            outcome.rejects.append({"name": document.name, "reason": document.reason})
            continue
        try:
            advisory = parse(document.content)
        except Failure as failure:
            outcome.rejected += 1
            outcome.rejects.append({"name": document.name, "reason": str(failure.fields["reason"])})
            continue
        outcome.read += 1
        outcome.ranges += len(advisory.affected)
        batch.append((advisory, advisories.fingerprint(document.content)))
        if len(batch) == _BATCH:
            outcome.changed += database.write(_store, plan.feed, batch)
            batch = []
            progress(outcome.read, max(total, outcome.read))
    if batch:
        outcome.changed += database.write(_store, plan.feed, batch)
    if not outcome.read:
        reason = outcome.rejects[0]["reason"] if outcome.rejects else "it is empty"
        raise Failure(Code.FEED_INVALID, reason=f"no record can be read: {reason}")
    database.write(_note, plan.feed, outcome)
    return outcome


def _store(tx: Transaction, feed: str, batch: list[tuple[Advisory, bytes]]) -> int:
    changed = advisories.put(tx, feed, batch)
    findings.match_advisories(tx, changed)
    return len(changed)


def _note(tx: Transaction, feed: str, outcome: Outcome) -> None:
    skipped = sum(outcome.skipped.values())
    advisories.note_import(tx, feed, "", rejected=outcome.rejected, skipped=skipped)
    if outcome.changed:
        outbox.append(tx, AdvisoriesChanged(feed, outcome.changed))
