"""How bad a vulnerability is: the scale of Grafeas, and the way from each source's words to it.

The scale is `grafeas.v1.Severity` (proto/v1/severity.proto). Words come from the distributions
and from GitHub's advisories; vectors are those of the Common Vulnerability Scoring System
(https://www.first.org/cvss/), versions 2.0, 3.0, 3.1 and 4.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from cvss import CVSS2, CVSS3, CVSS4
from cvss.exceptions import CVSSError

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_VECTOR: Final = 512
"""The longest vector that is read, in characters: twice what a CVSS 4.0 vector with every metric
takes."""

MAX_SCORES: Final = 16
"""The most scores that are kept of a record."""

_CACHED_VECTORS: Final = 16_384


class Severity(IntEnum):
    """`grafeas.v1.Severity`, with its numbers: a higher one is worse."""

    SEVERITY_UNSPECIFIED = 0
    MINIMAL = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4
    CRITICAL = 5


@dataclass(frozen=True, slots=True)
class Score:
    """What a CVSS vector says.

    Attributes:
        version: "2.0", "3.0", "3.1" or "4.0"; empty when the vector is not valid.
        vector: the vector as it was given; empty when it is not valid.
        score: the base score, 0.0 to 10.0.
        severity: the band of the score; unspecified when the vector is not valid.
    """

    version: str
    vector: str
    score: float
    severity: Severity


_INVALID: Final = Score("", "", 0.0, Severity.SEVERITY_UNSPECIFIED)

# No two sources mean different things by one word, so one table serves them all. Words that are
# not here ("not yet assigned", "end-of-life", "untriaged", "none" ...) rate nothing.
_WORDS: Final = MappingProxyType(
    {
        "unimportant": Severity.MINIMAL,  # Debian
        "negligible": Severity.MINIMAL,  # Ubuntu
        "low": Severity.LOW,
        "medium": Severity.MEDIUM,  # Debian, Ubuntu, Amazon
        "moderate": Severity.MEDIUM,  # Red Hat and its rebuilds, SUSE, GitHub
        "high": Severity.HIGH,  # Debian, Ubuntu, GitHub
        "important": Severity.HIGH,  # Red Hat and its rebuilds, Amazon, SUSE
        "critical": Severity.CRITICAL,
    }
)


def from_word(word: str) -> Severity:
    """The severity that a source's word stands for.

    Args:
        word: a Debian urgency (a trailing `*` marks a guess of the tracker and is dropped), an
            Ubuntu priority, a rating of Red Hat, AlmaLinux, Rocky Linux, Amazon or SUSE, or a
            severity of a GitHub advisory; in upper or lower case.

    Returns:
        The severity; unspecified for a word that rates nothing or is not known.
    """
    return _WORDS.get(word.strip().rstrip("*").lower(), Severity.SEVERITY_UNSPECIFIED)


def from_score(score: float) -> Severity:
    """The severity of a CVSS base score.

    The bands are those of the CVSS 3.1 and 4.0 specifications ("Qualitative Severity Rating
    Scale"). Grafeas has no word for their "None": it is MINIMAL here, because the source did rate
    the vulnerability.

    Args:
        score: 0.0 to 10.0.
    """
    if score >= 9.0:
        return Severity.CRITICAL
    if score >= 7.0:
        return Severity.HIGH
    if score >= 4.0:
        return Severity.MEDIUM
    return Severity.LOW if score > 0.0 else Severity.MINIMAL


def from_vector(vector: str) -> Score:
    """The base score and severity of a CVSS vector of any version.

    Args:
        vector: as its specification writes it: `CVSS:4.0/...`, `CVSS:3.1/...`, `CVSS:3.0/...`, or
            the bare metrics of version 2.0, with or without parentheses.

    Returns:
        What it says. A vector that is not valid, or longer than `MAX_VECTOR`, gives a score of
        severity unspecified with an empty version and vector; it never raises.
    """
    return _from_vector(vector) if len(vector) <= MAX_VECTOR else _INVALID


def from_vectors(vectors: Iterable[str]) -> tuple[Score, ...]:
    """What CVSS vectors say, without those that are not valid; at most `MAX_SCORES`."""
    valid = [score for score in map(from_vector, dict.fromkeys(vectors)) if score.version]
    return tuple(valid[:MAX_SCORES])


def newest(scores: Iterable[Score]) -> tuple[Severity, str]:
    """The severity of the newest version's first score, which is the source's own, and its words.

    Returns:
        Unspecified and an empty text if there are no scores.
    """
    score = None
    for each in scores:
        if score is None or each.version > score.version:
            score = each
    if score is None:
        return Severity.SEVERITY_UNSPECIFIED, ""
    return score.severity, f"CVSS {score.version} score {score.score}"


@lru_cache(maxsize=_CACHED_VECTORS)
def _from_vector(vector: str) -> Score:
    version = vector[5:8] if vector.startswith("CVSS:") else "2.0"
    try:
        match version:
            case "4.0":
                score = CVSS4(vector).base_score
            case "3.0" | "3.1":
                score = CVSS3(vector).base_score
            case "2.0":
                score = CVSS2(vector.removeprefix("(").removesuffix(")")).base_score
            case _:
                return _INVALID
    except CVSSError:
        return _INVALID
    return Score(version, vector, float(score), from_score(float(score)))
