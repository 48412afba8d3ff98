"""Java's versions: the order of Maven.

Sources: Maven's POM reference, "Version Order Specification"; `ComparableVersion` of Maven 4, in
which `.qualifier` is `-qualifier`. Up to Maven 3.8 that class, and up to 3.9 with qualifiers in the
middle (`1.sp.1`), makes no order: there are circles of versions in it.
"""

from __future__ import annotations

import re

from customhouse.analysis.ecosystems.encoding import MAX_VERSION, invalid

SCHEME = "maven"

_PLAIN = re.compile(rf"[!-~]{{1,{MAX_VERSION}}}").fullmatch
# A qualifier with the number that directly follows it, a number, or nothing; what separates it.
_TOKENS = re.compile(r"(?=.)(?:([^.0-9-]+)(?:-?([0-9]+))?|([0-9]+)|)([.-]?)").finditer

_RELEASE, _UNKNOWN, _HYPHEN, _NUMBER = "\x06", "\x08", "\x09", "\x0a"
_QUALIFIERS = {
    "alpha": "\x01",
    "beta": "\x02",
    "milestone": "\x03",
    "rc": "\x04",
    "cr": "\x04",
    "snapshot": "\x05",
    "ga": _RELEASE,
    "final": _RELEASE,
    "release": _RELEASE,
    "sp": "\x07",
}
_SHORT = {"a": "\x01", "b": "\x02", "m": "\x03"}  # where a number follows
_ALONE, _COUNTED = "\x00", "\x01"
_NOTHING_FOLLOWS = "\x03"
_END = f"{_RELEASE}{_ALONE}{_NOTHING_FOLLOWS}"

_Item = tuple[bool, str, str | None]
"""Whether a hyphen stands before it, the code of its qualifier ("" for none), its number."""


def key(version: str) -> bytes:
    """Encode a version so that keys compare as bytes in the order of Maven.

    Every text is a version of Maven; refused are only characters other than printable ASCII, and
    none or more than `MAX_VERSION` of them. Case counts for nothing.

    A version is qualifiers, each with the number that follows it, and numbers, without the zeros
    that stand at the end or before a qualifier. What is missing compares as a release does (`1` =
    `1-ga`). A key is for each item: for a qualifier its code (0x01 alpha, beta, milestone, rc,
    snapshot, release, sp, 0x08 others with their text and 0x00), 0x00 or 0x01 and the number, and
    how it compares with what follows: 0x01 and 0x02 if that is below a release, 0x03 if it is one,
    which ends the key, 0x04 and 0x05 if it is above, of which the inner are for a qualifier after a
    dot. For a number after a hyphen 0x09, then for every number 0x0a, the count of its digits and
    the digits. A release is what ends a key.

    Raises:
        Failure: `VERSION_INVALID`.
    """
    if not _PLAIN(version):
        raise invalid(version, SCHEME)
    rest, sign = _END, 0
    for hyphen, qualifier, number in _trimmed(_items(version.lower())):
        if not qualifier:
            rest = f"{_HYPHEN if hyphen else ''}{_NUMBER}{_number(number or '')}{rest}"
            sign = 1
            continue
        counted = f"{_COUNTED}{_number(number)}" if number is not None else _ALONE
        if sign == 0:
            rest = f"{qualifier}{counted}{_NOTHING_FOLLOWS}"
        else:
            rest = f"{qualifier}{counted}{chr(3 + sign * (2 if hyphen else 1))}{rest}"
        if qualifier != _RELEASE:
            sign = 1 if qualifier > _RELEASE else -1
        elif number is not None:
            sign = 1
    return rest.encode("latin-1")


def _items(version: str) -> list[_Item]:
    """Split a version. A hyphen is before an item also where digits and letters meet."""
    items: list[_Item] = []
    hyphen = False
    for match in _TOKENS(version):
        text, count, digits, separator = match.groups()
        if text:
            # One that ends a version or has a number counts as after a hyphen; the first has none.
            hyphen = hyphen or bool(items and (count or not separator))
            items.append((hyphen, *_qualifier(text, count)))
        else:
            items.append((hyphen, "", (digits or "").lstrip("0")))
        hyphen = separator != "."
    return items


def _qualifier(text: str, count: str | None) -> tuple[str, str | None]:
    code = _SHORT.get(text) if count else None
    code = code or _QUALIFIERS.get(text) or f"{_UNKNOWN}{text}\x00"
    number = count.lstrip("0") if count else None
    # A release with the number zero is one without.
    return code, None if code == _RELEASE and not number else number


def _trimmed(items: list[_Item]) -> list[_Item]:
    """Give the items from the last to the first, without zeros at the end or before a qualifier."""
    found: list[_Item] = []
    for hyphen, qualifier, number in reversed(items):
        if qualifier or number or (found and not found[-1][1]):
            found.append((hyphen, qualifier, number))
        elif found:
            after, of_it, number_of_it = found[-1]
            found[-1] = (hyphen or after, of_it, number_of_it)
    if found:
        found[-1] = (False, *found[-1][1:])
    return found


def _number(digits: str) -> str:
    return f"{chr(len(digits))}{digits}"
