"""The Exploit Prediction Scoring System: how likely each vulnerability is to be exploited.

Source: https://www.first.org/epss/data_stats: one CSV file a day, compressed by gzip. The first
line tells version and date of the model (since February 2022), the next names the columns.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from datetime import date
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from customhouse.analysis.feeds.decoding import BYTE_ORDER_MARK
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_CONTENT: Final = 128 << 20
"""The most bytes, packed or not; a real file of 300,000 scores has 9 MB when unpacked."""

_SAMPLE: Final = 4096
_CHUNK: Final = 1 << 20
_GZIP: Final = b"\x1f\x8b"
_HEAD: Final = re.compile(
    rb"(?:#[^\r\n]{0,1000}\r?\n)?cve,epss(,percentile)?[ \t]*(?:\r?\n|\Z)"
).match
_DATE: Final = re.compile(rb"#[^\r\n]*?score_date:([0-9]{4}-[0-9]{2}-[0-9]{2})").match
_SHARE: Final = rb"((?:0(?:\.[0-9]{1,30})?|1(?:\.0{1,30})?|[0-9](?:\.[0-9]{1,30})?[eE]-[0-9]{1,3}))"
_ROW: Final = re.compile(rb"(CVE-[0-9]{4}-[0-9]{4,19})," + _SHARE + rb"\s*").fullmatch
_FULL_ROW: Final = re.compile(
    rb"(CVE-[0-9]{4}-[0-9]{4,19})," + _SHARE + rb"," + _SHARE + rb"\s*"
).fullmatch


class Score(NamedTuple):
    """The score of one vulnerability.

    Attributes:
        cve: its identifier.
        probability: of being exploited within the next 30 days, 0.0 to 1.0.
        percentile: the share of all vulnerabilities with the same or a lower score, 0.0 to 1.0;
            None in files from before September 2021.
    """

    cve: str
    probability: float
    percentile: float | None


class Scores:
    """The scores of a file. Iterating reads them one by one, in the order of the file.

    Attributes:
        model_date: the day they are of, as `2025-12-26`; empty if the file does not tell.
        rejected: lines that are not read; known once the iteration is over.
    """

    def __init__(self, model_date: str, rows: bytes, has_percentiles: bool) -> None:
        """Take the lines below the names of the columns."""
        self.model_date = model_date
        self.rejected = 0
        self._rows = rows
        self._match = _FULL_ROW if has_percentiles else _ROW

    def __iter__(self) -> Iterator[Score]:
        """Read the lines; each iteration counts `rejected` anew."""
        self.rejected = 0
        for line in io.BytesIO(self._rows):
            if match := self._match(line):
                cve, probability, *percentile = match.groups()
                rank = float(percentile[0]) if percentile else None
                yield Score(cve.decode(), float(probability), rank)
            elif not line.isspace():
                self.rejected += 1


def recognises(content: bytes) -> bool:
    """Tell cheaply whether a file, compressed by gzip or not, begins as one of scores."""
    beginning = content[:_SAMPLE]
    if beginning.startswith(_GZIP):
        try:
            beginning = zlib.decompressobj(31).decompress(beginning, _SAMPLE)
        except zlib.error:
            return False
    return bool(_HEAD(beginning.removeprefix(BYTE_ORDER_MARK)))


def scores(content: bytes) -> Scores:
    """Read a file of scores.

    Args:
        content: CSV, compressed by gzip or not.

    Raises:
        Failure: FEED_INVALID if it is too large, damaged, or does not begin with the columns.
    """
    text = _unpacked(content).removeprefix(BYTE_ORDER_MARK)
    head = _HEAD(text)
    if not head:
        raise Failure(Code.FEED_INVALID, reason="it does not begin with columns of EPSS scores")
    return Scores(_day(text), text[head.end() :], head[1] is not None)


def _unpacked(content: bytes) -> bytes:
    if content.startswith(_GZIP):
        try:
            # In pieces, because reading takes the memory for all that is asked for.
            file = gzip.GzipFile(fileobj=io.BytesIO(content))
            pieces = iter(lambda: file.read(_CHUNK), b"")
            content = b"".join(islice(pieces, MAX_CONTENT // _CHUNK + 1))
        except (OSError, EOFError, zlib.error):
            raise Failure(Code.FEED_INVALID, reason="its compression is damaged") from None
    if len(content) > MAX_CONTENT:
        raise Failure(Code.FEED_INVALID, reason=f"it has more than {MAX_CONTENT >> 20} MiB")
    return content


def _day(text: bytes) -> str:
    match = _DATE(text)
    if not match:
        return ""
    try:
        return date.fromisoformat(match[1].decode()).isoformat()
    except ValueError:
        return ""
