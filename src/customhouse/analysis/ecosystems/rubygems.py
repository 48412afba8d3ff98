"""Ruby's versions: the order of RubyGems.

Source: RubyGems' documentation of `Gem::Version`, "Prereleases", and its methods `correct?`,
`segments`, `canonical_segments` and `<=>`.
"""

from __future__ import annotations

import re

from customhouse.analysis.ecosystems.encoding import MAX_VERSION, invalid

SCHEME = "rubygems"

_VERSION = re.compile(r"[0-9]+(?:\.[0-9a-zA-Z]+)*(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?").fullmatch
_SEGMENTS = re.compile(r"([0-9]+)|[A-Za-z]+").finditer
_TEXT, _END, _NUMBER = "\x01", "\x02", "\x03"


def key(version: str) -> bytes:
    """Encode a version so that keys compare as bytes in the order of `Gem::Version`.

    Segments are runs of digits or of letters; a dash stands for the segment `pre`. Zeros before
    the first letters and at the end count for nothing (`1` = `1.0`, `1.0.a` = `1.a`). A missing
    segment is zero, letters are below every number, and compare with regard to case.

    A key is each segment that is not zero, with how many zeros stand before it, and 0x02. Letters
    are 0x01, that count, the text and 0x00; the fewer zeros, the lower. A number is 0x03, 255 less
    that count, the count of its digits, and the digits; the fewer zeros, the higher.

    Refused is what RubyGems refuses, and an empty version, which is 0 there.

    Raises:
        Failure: `VERSION_INVALID`, also for more than `MAX_VERSION` characters.
    """
    if len(version) > MAX_VERSION or not _VERSION(version):
        raise invalid(version, SCHEME)
    parts: list[str] = []
    zeros = 0
    has_letters = False
    for match in _SEGMENTS(version.replace("-", ".pre.")):
        if match[1] is None:
            if not has_letters:
                has_letters, zeros = True, 0
            parts += (_TEXT, chr(zeros), match[0], "\x00")
        elif digits := match[1].lstrip("0"):
            parts += (_NUMBER, chr(255 - zeros), chr(len(digits)), digits)
        else:
            zeros += 1
            continue
        zeros = 0
    parts.append(_END)
    return "".join(parts).encode("latin-1")
