"""What readers of feeds share: texts, links, and counts of what is left out."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from customhouse.analysis.feeds.advisory import Omission, Reference
from customhouse.analysis.feeds.decoding import malformed
from customhouse.analysis.feeds.document import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_SUMMARY: Final = 1 << 10
"""Bytes that are kept of a summary."""

MAX_DETAILS: Final = 16 << 10
"""Bytes that are kept of the details."""

REJECTIONS: Final = ("** REJECT **", "Rejected reason:")
"""How CVE descriptions begin that say that there is no such vulnerability."""

MAX_REFERENCES: Final = 256
"""The most links that are kept of an advisory."""

MAX_NAME: Final = 512
"""Characters of the name of a package."""

is_cve = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}").fullmatch
"""Tells whether a text is a CVE identifier."""

_MAX_URL: Final = 2048


class Tally:
    """Counts what is left out, by ecosystem and reason."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._counts: dict[tuple[str, str], int] = {}
        self._examples: dict[tuple[str, str], str] = {}

    def add(self, ecosystem: str, reason: str, example: str = "") -> None:
        """Count one more; the example of the first is kept."""
        self._counts[ecosystem, reason] = self._counts.get((ecosystem, reason), 0) + 1
        self._examples.setdefault((ecosystem, reason), shown(example))

    def omissions(self) -> tuple[Omission, ...]:
        """Give the counts in the form of an advisory."""
        return tuple(
            Omission(*where, count, self._examples[where]) for where, count in self._counts.items()
        )


def is_name(text: str) -> bool:
    """Tell whether a text can be the name of a package of rpm: printable ASCII without space."""
    return 0 < len(text) <= MAX_NAME and text.isascii() and text.isprintable() and " " not in text


def plain(text: str, limit: int) -> str:
    """A text for people, of at most `limit` bytes, without what databases cannot store."""
    text = text.replace("\0", "").strip()
    if len(text) <= limit and text.isascii():
        return text
    return text.encode(errors="replace")[:limit].decode(errors="ignore")


def links(found: Iterable[tuple[str, str]]) -> tuple[Reference, ...]:
    """Links, as pairs of type and address, that can be followed from a page without harm."""
    kept = {
        url: Reference(kind, url)
        for kind, url in found
        if url.startswith(("https://", "http://")) and len(url) <= _MAX_URL and url.isprintable()
    }
    return tuple(kept.values())[:MAX_REFERENCES]


def utc(moment: datetime) -> datetime:
    """A moment in UTC.

    Raises:
        Failure: ADVISORY_INVALID if it is out of range there.
    """
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise malformed("a date is out of range") from None
