"""NuGet's versions: SemVer 2.0.0 with four numbers and without regard to case.

Source: NuGet's documentation, "Package versioning", sections "Version basics", "Pre-release
versions" and "Normalized version numbers"; NuGet.Versioning's `NuGetVersion` and `VersionComparer`.
"""

from __future__ import annotations

import re

from customhouse.analysis.ecosystems.encoding import MAX_VERSION, invalid

SCHEME = "nuget"

_LABELS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_VERSION = re.compile(rf"([0-9]+(?:\.[0-9]+){{0,3}})(?:-({_LABELS}))?(?:\+{_LABELS})?").fullmatch
_INTEGER = re.compile(r"-?[0-9]+").fullmatch
_NUMBER, _PRERELEASE, _RELEASE = 3, "\x01", "\x02"
_END, _NUMERIC, _TEXT = "\x01", "\x02", "\x03"
_OFFSET = 2**31


def key(version: str) -> bytes:
    """Encode a version so that keys compare as bytes in the order of NuGet.

    A missing number is zero, leading zeros and metadata (`+sha`) count for nothing. A label of a
    pre-release is numeric if it is an integer of 32 bits, as in NuGet: `-1` is the number minus
    one, and 2147483648 is a text.

    A key is the numbers up to the last that is not zero (3 + the count of digits in one byte, then
    the digits), then 0x02 for a release, or 0x01 and the labels of the pre-release (numeric: 0x02
    and ten digits, of the number and 2**31; others: 0x03, the text in capitals, 0x00) and 0x01.

    Beyond NuGet, whose numbers have 32 bits, they may be of any length.

    Raises:
        Failure: `VERSION_INVALID`, also for more than `MAX_VERSION` characters.
    """
    match = _VERSION(version) if len(version) <= MAX_VERSION else None
    if not match:
        raise invalid(version, SCHEME)
    numbers = [digits.lstrip("0") for digits in match[1].split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    parts = [f"{chr(_NUMBER + len(digits))}{digits}" for digits in numbers]
    if match[2] is None:
        parts.append(_RELEASE)
    else:
        parts += (_PRERELEASE, *map(_label, match[2].split(".")), _END)
    return "".join(parts).encode("latin-1")


def _label(label: str) -> str:
    if _INTEGER(label) and -_OFFSET <= (number := int(label)) < _OFFSET:
        return f"{_NUMERIC}{number + _OFFSET:010}"
    return f"{_TEXT}{label.upper()}\x00"
