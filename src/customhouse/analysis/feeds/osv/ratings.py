"""How bad an OSV record says it is: as a whole, and for each package.

Sources: the OSV schema 1.7, section "severity field"; what Debian (`urgency`), Ubuntu (severity
type `Ubuntu`, `ubuntu_priority`, `uct_status`), GitHub (`severity`), AlmaLinux and Rocky Linux
(the first word of the summary) add to it.

Each function gives a severity with its source in words; the source is empty exactly when the
severity is unspecified.
"""

from __future__ import annotations

from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from customhouse.analysis.feeds.osv.schema import Specific
from customhouse.analysis.severity import Score, Severity, from_vectors, from_word, newest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from customhouse.analysis.feeds.osv.schema import Entry, Rating, Record

_MAX_WORD: Final = 64
_CACHED_WORDS: Final = 1024
_NOTHING: Final = Specific()
_UNRATED: Final = (Severity.SEVERITY_UNSPECIFIED, "")
_IN_SUMMARY: Final = MappingProxyType(
    {"ALSA": "AlmaLinux", "RLSA": "Rocky Linux", "RXSA": "Rocky Linux"}
)


def scores(ratings: Iterable[Rating] | None) -> tuple[Score, ...]:
    """What the CVSS vectors among ratings say, without those that are not valid."""
    return from_vectors(rating.score for rating in ratings or () if rating.type.startswith("CVSS_"))


def of_record(record: Record, given: Iterable[Score]) -> tuple[Severity, str]:
    """The rating of a record as a whole.

    The word of a distribution or database counts more than a CVSS score, because it knows what
    the vulnerability does to what it ships; and a newer version of CVSS more than an older one.

    Args:
        record: the record.
        given: its scores.
    """
    database = record.id.partition("-")[0]
    word = (record.database_specific or _NOTHING).severity
    if database in _IN_SUMMARY:
        database, word = _IN_SUMMARY[database], (record.summary or "").partition(":")[0]
    return _priority(record.severity) or _rated(f"{database} severity", word) or newest(given)


def of_package(entry: Entry, ecosystem: str) -> tuple[Severity, str]:
    """The rating of one package in one release; unspecified when it has none of its own.

    Args:
        entry: what the record says about the package.
        ecosystem: the package's.
    """
    own = entry.ecosystem_specific
    if own is None and not entry.severity:
        return _UNRATED
    own = own or _NOTHING
    rated = None
    if ecosystem.startswith("Debian:"):
        rated = _rated("Debian urgency", own.urgency)
    elif ecosystem.startswith("Ubuntu:"):
        rated = _rated("Ubuntu priority", own.ubuntu_priority) or _priority(entry.severity)
    if rated or not entry.severity:
        return rated or _UNRATED
    return newest(scores(entry.severity))


def status(entry: Entry) -> str:
    """What the distribution means to do about a package without a fix; empty if not told.

    Ubuntu's tracker adds a remark to its word, as in `ignored (end of life)`; that is left out.
    Of Debian's urgencies one is a status.
    """
    tracked = (entry.database_specific or _NOTHING).uct_status
    if isinstance(tracked, str) and (words := tracked.split(maxsplit=1)):
        return _word(words[0])
    urgency = (entry.ecosystem_specific or _NOTHING).urgency
    return "end-of-life" if urgency == "end-of-life" else ""


def _word(value: object) -> str:
    """A value that may be anything, as a short word; empty if it is none."""
    word = value.strip() if isinstance(value, str) else ""
    return word if len(word) <= _MAX_WORD and word.isprintable() else ""


def _rated(what: str, value: object) -> tuple[Severity, str] | None:
    return _worded(what, _word(value))


@lru_cache(maxsize=_CACHED_WORDS)
def _worded(what: str, word: str) -> tuple[Severity, str] | None:
    severity = from_word(word)
    return (severity, f"{what} {word}") if severity else None


def _priority(ratings: Iterable[Rating] | None) -> tuple[Severity, str] | None:
    for rating in ratings or ():
        if rating.type == "Ubuntu":
            return _rated("Ubuntu priority", rating.score)
    return None
