"""Direct comparisons of versions, written after the programs that define the orders.

They share nothing with the keys of the product: they walk two versions side by side.
"""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import TYPE_CHECKING, TypeVar

from hypothesis import strategies as st
from packaging.version import Version

from customhouse.errors import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


Order = TypeVar("Order", int, str, bytes, bool)
Given = TypeVar("Given")
Result = TypeVar("Result")


def sign(a: Order, b: Order) -> int:
    """Compare two values that Python orders: -1, 0 or 1."""
    return (a > b) - (a < b)


def outcome(function: Callable[[Given], Result], value: Given) -> Result | Failure:
    """Call a function; give its result, or the failure that it raises."""
    try:
        return function(value)
    except Failure as failure:
        return failure


def pairs_of(versions: st.SearchStrategy[str], tails: str) -> st.SearchStrategy[tuple[str, str]]:
    """Make pairs that often differ late: independent ones, and one with its end changed."""
    tail = st.text(tails, max_size=4)
    cut = st.builds(
        lambda version, at, a, b: (version[:at] + a, version[:at] + b),
        versions,
        st.integers(1, 30),
        tail,
        tail,
    )
    return st.one_of(st.tuples(versions, versions), cut)


# The order of lib/dpkg/version.c in dpkg


def _dpkg_weight(character: str) -> int:
    if character == "" or character.isdigit():
        return 0
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256


def _dpkg_part(a: str, b: str) -> int:
    i = j = 0
    while i < len(a) or j < len(b):
        while (i < len(a) and not a[i].isdigit()) or (j < len(b) and not b[j].isdigit()):
            difference = _dpkg_weight(a[i : i + 1]) - _dpkg_weight(b[j : j + 1])
            if difference:
                return sign(difference, 0)
            i += 1
            j += 1
        first = re.match(r"\d*", a[i:])
        second = re.match(r"\d*", b[j:])
        assert first
        assert second
        difference = int(first[0] or 0) - int(second[0] or 0)
        if difference:
            return sign(difference, 0)
        i += first.end()
        j += second.end()
    return 0


def dpkg(a: str, b: str) -> int:
    """Compare as dpkg does: negative, zero or positive."""
    parts = []
    for version in (a, b):
        epoch, rest = version.split(":", 1) if ":" in version else ("0", version)
        upstream, revision = rest.rsplit("-", 1) if "-" in rest else (rest, "")
        parts.append((int(epoch), upstream, revision))
    (epoch_a, upstream_a, revision_a), (epoch_b, upstream_b, revision_b) = parts
    return (
        sign(epoch_a, epoch_b)
        or _dpkg_part(upstream_a, upstream_b)
        or _dpkg_part(revision_a, revision_b)
    )


dpkg_versions = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "", "0:", "1:", "00:", "12:"]),
    st.text("0019azAZ~+._", min_size=1, max_size=8),
    st.one_of(st.just(""), st.builds("-{}".format, st.text("0019azA~+.", min_size=1, max_size=6))),
)


# The order of src/version.c in apk-tools 3

INITIAL, DIGIT, LETTER, SUFFIX, SUFFIX_NUMBER, HASH, REVISION, END, INVALID = range(9)
_APK_SUFFIXES = ["", "alpha", "beta", "pre", "rc", "NONE", "cvs", "svn", "git", "hg", "p"]


def _apk_tokens(version: str) -> Iterator[tuple[int, str]]:
    """Yield kind and text of each token, up to and with `END` or `INVALID`."""

    rest = version

    def take(characters: str) -> str:
        nonlocal rest
        taken = rest[: len(rest) - len(rest.lstrip(characters))]
        rest = rest[len(taken) :]
        return taken

    digits, hexadecimal, letters = (
        "0123456789",
        "0123456789abcdefABCDEF",
        "abcdefghijklmnopqrstuvwxyz",
    )
    kind, value = INITIAL, take(digits)
    if not value:
        kind = INVALID
    while True:
        yield kind, value
        if kind >= END:
            return
        start = rest[:1]
        if not start:
            kind, value = END, ""
        elif start in letters and kind <= DIGIT:
            kind, value, rest = LETTER, start, rest[1:]
        elif start == "." and kind <= DIGIT:
            rest = rest[1:]
            value = take(digits)
            kind = DIGIT if value else INVALID
        elif start in digits and kind == SUFFIX:
            kind, value = SUFFIX_NUMBER, take(digits)
        elif start == "_" and kind <= SUFFIX_NUMBER:
            rest = rest[1:]
            value = take(letters)
            kind = SUFFIX if value in _APK_SUFFIXES[1:] else INVALID
        elif start == "~" and kind < HASH:
            rest = rest[1:]
            value = take(hexadecimal)
            kind = HASH if value else INVALID
        elif rest.startswith("-r") and kind < REVISION:
            rest = rest[2:]
            value = take(digits)
            kind = REVISION if value else INVALID
        else:
            kind, value = INVALID, ""


def apk_valid(version: str) -> bool:
    """Tell whether apk takes a version for valid."""
    return list(_apk_tokens(version))[-1][0] == END


def apk(a: str, b: str) -> int:
    """Compare as apk does; versions that are invalid from the same place on are equal there."""
    none = _APK_SUFFIXES.index("NONE")
    for (kind_a, value_a), (kind_b, value_b) in zip(_apk_tokens(a), _apk_tokens(b), strict=False):
        if kind_a != kind_b:
            if kind_a == SUFFIX and _APK_SUFFIXES.index(value_a) < none:
                return -1
            if kind_b == SUFFIX and _APK_SUFFIXES.index(value_b) < none:
                return 1
            return sign(kind_b, kind_a)
        if kind_a >= END:
            return 0
        if kind_a == SUFFIX:
            order = sign(_APK_SUFFIXES.index(value_a), _APK_SUFFIXES.index(value_b))
        elif kind_a in {LETTER, HASH} or (kind_a == DIGIT and "0" in (value_a[0], value_b[0])):
            order = sign(value_a, value_b)
        else:
            order = sign(int(value_a), int(value_b))
        if order:
            return order
    return 0


_numbers = st.sampled_from(["0", "1", "2", "9", "10", "00", "01", "010", "12", "20240101"])
apk_versions = st.builds(
    "{}{}{}{}{}{}".format,
    _numbers,
    st.lists(_numbers.map(".{}".format), max_size=3).map("".join),
    st.sampled_from(["", "", "a", "b", "p", "z"]),
    st.lists(
        st.builds(
            "_{}{}".format,
            st.sampled_from(["alpha", "beta", "pre", "rc", "cvs", "svn", "git", "hg", "p"]),
            st.sampled_from(["", "0", "1", "01", "12"]),
        ),
        max_size=2,
    ).map("".join),
    st.sampled_from(["", "", "", "~0a", "~0ab", "~F1"]),
    st.sampled_from(["", "-r0", "-r1", "-r01", "-r10"]),
)


# SemVer 2.0.0, section 11


def semver(a: str, b: str) -> int:
    """Compare by precedence; numbers that are missing are zero."""
    numbers, prereleases = [], []
    for version in (a, b):
        core, hyphen, prerelease = version.removeprefix("v").split("+")[0].partition("-")
        numbers.append([int(number) for number in core.split(".")])
        prereleases.append(prerelease.split(".") if hyphen else None)
    for number_a, number_b in zip_longest(*numbers, fillvalue=0):
        if number_a != number_b:
            return sign(number_a, number_b)
    first, second = prereleases
    if first is None or second is None:
        return sign(first is None, second is None)
    for one, other in zip_longest(first, second):
        if one is None or other is None:
            return -1 if one is None else 1
        if one.isdigit() != other.isdigit():
            return -1 if one.isdigit() else 1
        order = sign(int(one), int(other)) if one.isdigit() else sign(one, other)
        if order:
            return order
    return 0


_identifiers = st.one_of(
    st.text("019", min_size=1, max_size=3), st.text("01aZ-", min_size=1, max_size=4)
)
semver_versions = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "v"]),
    st.lists(st.text("019", min_size=1, max_size=3), min_size=1, max_size=5).map(".".join),
    st.one_of(
        st.just(""),
        st.lists(_identifiers, min_size=1, max_size=3).map(lambda parts: "-" + ".".join(parts)),
    ),
    st.sampled_from(["", "+incompatible", "+20130313144700"]),
)

# The order of rpmio/rpmvercmp.cc in rpm


def _rpm_part(a: str, b: str) -> int:
    letters_or_digits = re.compile("[0-9]+|[A-Za-z]+")
    while True:
        a, b = (re.sub(r"^[^0-9A-Za-z~^]+", "", text) for text in (a, b))
        if a[:1] == "~" or b[:1] == "~":
            if a[:1] != b[:1]:
                return -1 if a[:1] == "~" else 1
            a, b = a[1:], b[1:]
            continue
        if a[:1] == "^" or b[:1] == "^":
            if a[:1] == b[:1]:
                a, b = a[1:], b[1:]
                continue
            if not a or not b:
                return sign(bool(a), bool(b))
            return -1 if a[:1] == "^" else 1
        if not a or not b:
            return sign(bool(a), bool(b))
        first, second = letters_or_digits.match(a), letters_or_digits.match(b)
        assert first
        assert second
        one, other = first[0], second[0]
        if one.isdigit() != other.isdigit():
            return 1 if one.isdigit() else -1
        order = sign(int(one), int(other)) if one.isdigit() else sign(one, other)
        if order:
            return order
        a, b = a[len(one) :], b[len(other) :]


def rpm(a: str, b: str) -> int:
    """Compare as rpm's `rpmverCmp` does; a missing release is below every other."""
    parts = []
    for version in (a, b):
        epoch, colon, rest = version.partition(":")
        epoch, rest = (epoch, rest) if colon else ("0", version)
        upstream, hyphen, release = rest.partition("-")
        parts.append((int(epoch), upstream, release if hyphen else None))
    (epoch_a, upstream_a, release_a), (epoch_b, upstream_b, release_b) = parts
    order = sign(epoch_a, epoch_b) or _rpm_part(upstream_a, upstream_b)
    if order or (release_a is None and release_b is None):
        return order
    if release_a is None or release_b is None:
        return -1 if release_a is None else 1
    return _rpm_part(release_a, release_b)


_rpm_texts = st.text("0019azAZ~^._+", min_size=1, max_size=8)
rpm_versions = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "", "0:", "1:", "00:", "12:"]),
    _rpm_texts,
    st.one_of(st.just(""), _rpm_texts.map("-{}".format)),
)

# PEP 440, as the library that installers use reads it


def pep440(a: str, b: str) -> int:
    """Compare as `packaging` does."""
    one, other = Version(a), Version(b)
    return (one > other) - (one < other)


pep440_versions = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["", "", "1!", "v"]),
    st.lists(st.sampled_from(["0", "1", "00", "10", "9"]), min_size=1, max_size=4).map(".".join),
    st.sampled_from(["", "", "a1", "b", "rc2", "-alpha.1"]),
    st.sampled_from(["", "", ".post1", "-1", ".dev0", ".dev3"]),
    st.sampled_from(["", "", "+l", "+1.a", "+2"]),
)

SCHEMES: dict[str, tuple[Callable[[str, str], int], st.SearchStrategy[str]]] = {
    "dpkg": (dpkg, dpkg_versions),
    "apk": (apk, apk_versions),
    "semver": (semver, semver_versions),
    "rpm": (rpm, rpm_versions),
    "pep440": (pep440, pep440_versions),
}
