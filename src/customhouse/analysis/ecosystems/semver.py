"""Semantic versions: npm, Go, crates.io and others.

Sources: SemVer 2.0.0 sections 9 to 11 (semver.org); Go modules reference, "Versions".
"""

from __future__ import annotations

import re

from customhouse.analysis.ecosystems.encoding import MAX_VERSION, invalid

SCHEME = "semver"

_VERSION = re.compile(
    r"v?([0-9]+(?:\.[0-9]+)*)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[!-~]*)?"
).fullmatch

_PRERELEASE, _RELEASE, _NUMBER = "\x01", "\x02", 3
_END, _NUMERIC, _TEXT = "\x01", "\x02", "\x03"


def key(version: str) -> bytes:
    """Encode a version so that keys compare as bytes in the order of precedence of SemVer.

    A leading `v` is dropped. Build metadata (`+incompatible` too) is ignored, so versions that
    differ only there are equal. Go's pseudo-versions are simply pre-releases.

    Beyond SemVer, as feeds and packages have them: one, two, four or more numbers, where a missing
    number is zero (`1` = `1.0.0` = `1.0.0.0` < `1.0.0.1`); leading zeros, which count for nothing.

    A key is the numbers up to the last that is not zero (3 + the count of digits in one byte, then
    the digits), then 0x02 for a release, or 0x01 and the identifiers of the pre-release (numeric:
    0x02, count of digits, digits; others: 0x03, text, 0x00) and 0x01.

    Raises:
        Failure: `VERSION_INVALID`, also for more than `MAX_VERSION` characters.
    """
    match = _VERSION(version) if len(version) <= MAX_VERSION else None
    if not match:
        raise invalid(version, SCHEME)
    numbers, prerelease = match.groups()
    parts = []
    length = 0
    for digits in numbers.split("."):
        stripped = digits.lstrip("0")
        parts.append(chr(_NUMBER + len(stripped)) + stripped)
        if stripped:
            length = len(parts)
    del parts[length:]
    if prerelease is None:
        parts.append(_RELEASE)
    else:
        parts.append(_PRERELEASE)
        for identifier in prerelease.split("."):
            if identifier.isdigit():
                stripped = identifier.lstrip("0")
                parts += (_NUMERIC, chr(len(stripped)), stripped)
            else:
                parts += (_TEXT, identifier, "\x00")
        parts.append(_END)
    return "".join(parts).encode("latin-1")
