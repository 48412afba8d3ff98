"""Direct comparisons of the versions of languages, written after the programs that define them.

They share nothing with the keys of the product: they walk two versions side by side.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from tests.analysis.ecosystems.reference import semver, sign

if TYPE_CHECKING:
    from collections.abc import Callable

# ComparableVersion of Maven 4: items are numbers, qualifiers, and lists, which come last in theirs.

_QUALIFIERS = ["alpha", "beta", "milestone", "rc", "snapshot", "", "sp"]
_SHORT = {"a": "alpha", "b": "beta", "m": "milestone"}


@dataclass(frozen=True, slots=True)
class Qualifier:
    """A word, with the number that follows it."""

    word: str
    number: int | None = None

    @property
    def rank(self) -> tuple[int, str]:
        """Where the word stands among the others."""
        word = {"cr": "rc", "ga": "", "final": "", "release": ""}.get(self.word, self.word)
        return (_QUALIFIERS.index(word), "") if word in _QUALIFIERS else (7, word)

    @property
    def is_release(self) -> bool:
        """Whether the word alone is as if there were none."""
        return self.rank == (5, "")


Item = int | Qualifier | list["Item"]


def _maven_item(text: str) -> Item:
    if text.isdigit():
        return int(text)
    match = re.fullmatch(r"([^0-9]+?)-?([0-9]+)", text)
    if not match:
        return Qualifier(text)
    return Qualifier(_SHORT.get(match[1], match[1]), int(match[2]))


def _maven_normalised(items: list[Item]) -> list[Item]:
    if items and isinstance(items[-1], list):
        items = [*items[:-1], _maven_normalised(items[-1])]
    for at in reversed(range(len(items))):
        if items[at] in (0, []):
            after = items[at + 1] if at + 1 < len(items) else None
            first = after[0] if isinstance(after, list) else after
            if after is None or isinstance(first, Qualifier):
                items = items[:at] + items[at + 1 :]
    if len(items) == 1 and isinstance(items[0], list):
        return items[0]
    return items


def maven_items(version: str) -> list[Item]:
    """Parse character by character, as Maven does."""
    version = version.lower()
    items: list[Item] = []
    inner = items
    start = 0
    is_digit = False

    def nest() -> None:
        nonlocal inner
        if inner:
            deeper: list[Item] = []
            inner.append(deeper)
            inner = deeper

    for at, character in enumerate(version):
        if character in ".-":
            if at == start:
                inner.append(0)
            elif character == "-" and not is_digit and version[at + 1 : at + 2].isdigit():
                continue
            else:
                inner.append(_maven_item(version[start:at]))
            start = at + 1
            if character == "-":
                nest()
        elif character.isdigit():
            if not is_digit and at > start:
                nest()
            is_digit = True
        else:
            if is_digit and at > start:
                inner.append(_maven_item(version[start:at]))
                start = at
                nest()
            is_digit = False
    if start < len(version):
        if not is_digit:
            nest()
        inner.append(_maven_item(version[start:]))
    return _maven_normalised(items)


def _maven_to_nothing(item: Item) -> int:
    if isinstance(item, int):
        return sign(item, 0)
    if isinstance(item, list):
        return next(filter(None, map(_maven_to_nothing, item)), 0)
    return sign(item.rank[0], 5) or sign(item.number or 0, 0)


def _maven_item_order(a: Item | None, b: Item | None) -> int:
    if a is None or b is None:
        return _maven_to_nothing(a) if a is not None else -_maven_to_nothing(b or 0)
    if isinstance(a, int) or isinstance(b, int):
        if isinstance(a, int) and isinstance(b, int):
            return sign(a, b)
        return 1 if isinstance(a, int) else -1
    if isinstance(a, list) and isinstance(b, list):
        orders = (_maven_item_order(one, other) for one, other in zip_longest(a, b))
        return next(filter(None, orders), 0)
    if isinstance(a, list):
        return _maven_item_order(a[0], b) or _maven_to_nothing(a[1:])
    if isinstance(b, list):
        return -_maven_item_order(b, a)
    order = (a.rank > b.rank) - (a.rank < b.rank)
    if order:
        return order
    if a.is_release:
        return sign(a.number or 0, b.number or 0)
    return sign(-1 if a.number is None else a.number, -1 if b.number is None else b.number)


def maven(a: str, b: str) -> int:
    """Compare as Maven does."""
    return _maven_item_order(maven_items(a), maven_items(b))


_words = st.sampled_from(
    [
        *["a", "b", "m", "alpha", "beta", "milestone", "rc", "CR", "snapshot", "ga", "Final"],
        *["release", "sp", "x", "xy", "Foo", "_", "+b"],
    ]
)
_maven_tokens = st.one_of(st.sampled_from(["0", "1", "00", "01", "2", "10", ""]), _words)
maven_versions = st.lists(
    st.builds("{}{}".format, _maven_tokens, st.sampled_from([".", ".", "-", ""])),
    min_size=1,
    max_size=7,
).map(lambda tokens: "".join(tokens) or "0")


# Gem::Version#<=> of RubyGems


def _rubygems_segments(version: str) -> list[int | str]:
    segments = re.findall("[0-9]+|[a-z]+", version.replace("-", ".pre."), re.IGNORECASE)
    numbers: list[int | str] = []
    while segments and segments[0].isdigit():
        numbers.append(int(segments.pop(0)))
    rest: list[int | str] = [int(each) if each.isdigit() else each for each in segments]
    for part in (numbers, rest):
        while part and part[-1] == 0:
            part.pop()
    return numbers + rest


def rubygems(a: str, b: str) -> int:
    """Compare as RubyGems does."""
    for one, other in zip_longest(_rubygems_segments(a), _rubygems_segments(b), fillvalue=0):
        if isinstance(one, str) == isinstance(other, str):
            order = (one > other) - (one < other)  # type: ignore[operator]  # both are of one type
        else:
            order = -1 if isinstance(one, str) else 1
        if order:
            return order
    return 0


_gem_segments = st.sampled_from(["0", "00", "1", "2", "10", "a", "b", "B", "rc", "rc1", "1a0", "0"])
rubygems_versions = st.builds(
    "{}{}{}".format,
    st.sampled_from(["0", "1", "01", "20"]),
    st.lists(_gem_segments.map(".{}".format), max_size=6).map("".join),
    st.sampled_from(["", "", "-1", "-a", "-0.b", "-a-1"]),
)


# VersionComparer of NuGet


def _nuget_integer(label: str) -> int | None:
    """The number that .NET's `int.TryParse` reads."""
    if not re.fullmatch("-?[0-9]+", label) or not -(2**31) <= int(label) <= 2**31 - 1:
        return None
    return int(label)


def nuget(a: str, b: str) -> int:
    """Compare as NuGet does."""
    numbers, labels = [], []
    for version in (a, b):
        core, hyphen, prerelease = version.split("+")[0].partition("-")
        numbers.append([int(number) for number in core.split(".")])
        labels.append(prerelease.split(".") if hyphen else None)
    for number_a, number_b in zip_longest(*numbers, fillvalue=0):
        if number_a != number_b:
            return sign(number_a, number_b)
    first, second = labels
    if first is None or second is None:
        return sign(first is None, second is None)
    for one, other in zip_longest(first, second):
        if one is None or other is None:
            return -1 if one is None else 1
        integer_a, integer_b = _nuget_integer(one), _nuget_integer(other)
        if integer_a is not None and integer_b is not None:
            order = sign(integer_a, integer_b)
        elif integer_a is not None or integer_b is not None:
            order = 1 if integer_a is None else -1
        else:
            order = sign(one.upper(), other.upper())
        if order:
            return order
    return 0


_nuget_labels = st.one_of(
    st.sampled_from(["0", "-0", "-1", "-2147483648", "-2147483649", "2147483647", "2147483648"]),
    st.text("01aAzZ-", min_size=1, max_size=4),
)
nuget_versions = st.builds(
    "{}{}{}".format,
    st.lists(st.text("019", min_size=1, max_size=3), min_size=1, max_size=4).map(".".join),
    st.one_of(
        st.just(""),
        st.lists(_nuget_labels, min_size=1, max_size=3).map(lambda parts: "-" + ".".join(parts)),
    ),
    st.sampled_from(["", "+sha.1", "+5114f85"]),
)


# VersionParser::normalize of composer/semver, then PHP's version_compare

_MODIFIER = r"[._-]?(?:(stable|beta|b|RC|alpha|a|patch|pl|p)((?:[.-]?\d+)*)?)?([.-]?dev)?"
_LONG_NAMES = {"a": "alpha", "b": "beta", "p": "patch", "pl": "patch", "rc": "RC"}
_FORMS = ["dev", "alpha", "beta", "RC", "#", "patch"]


def composer_normalised(version: str) -> str | None:
    """Give the form that Composer has for a version; None if it is none, or a named branch."""
    version = re.sub(r"^([^,\s+]+)\+[^\s]+$", r"\1", version)
    flags = re.IGNORECASE | re.ASCII
    if match := re.fullmatch(rf"v?(\d{{1,5}})(\.\d+)?(\.\d+)?(\.\d+)?{_MODIFIER}", version, flags):
        numbers = "".join(match[at] or ".0" for at in range(1, 5))
        modifiers = match.groups()[4:]
    elif match := re.fullmatch(
        rf"v?(\d{{4}}(?:[.:-]?\d{{2}}){{1,6}}(?:[.:-]?\d{{1,3}}){{0,2}}){_MODIFIER}", version, flags
    ):
        numbers = re.sub(r"\D", ".", match[1])
        modifiers = match.groups()[1:]
    elif match := re.fullmatch(r"(.*?)[.-]?dev", version, flags):
        part = r"(\.(?:\d+|[xX*]))?"
        match = re.fullmatch(rf"v?(\d+){part * 3}", match[1], flags)
        if not match:
            return None
        filled = "".join(match[at] or ".x" for at in range(1, 5))
        return re.sub(r"[xX*]", "9999999", filled) + "-dev"
    else:
        return None
    stability, counts, dev = modifiers
    if stability == "stable":
        return numbers
    if stability:
        name = stability.lower()
        numbers += f"-{_LONG_NAMES.get(name, name)}{(counts or '').lstrip('.-')}"
    return f"{numbers}-dev" if dev else numbers


def _php_parts(version: str) -> list[str]:
    return re.findall(r"\d+|[A-Za-z]+", version)


def php_version_compare(a: str, b: str) -> int:
    """Compare as PHP's `version_compare`."""
    for one, other in zip_longest(_php_parts(a), _php_parts(b)):
        if one is None or other is None:
            rest = one or other
            order = 1 if rest.isdigit() else sign(_FORMS.index(rest), _FORMS.index("#"))
            return -order if one is None else order
        if one.isdigit() and other.isdigit():
            order = sign(int(one), int(other))
        else:
            forms = (_FORMS.index("#" if part.isdigit() else part) for part in (one, other))
            order = sign(*forms)
        if order:
            return order
    return 0


def packagist(a: str, b: str) -> int:
    """Compare as Composer does."""
    one, other = composer_normalised(a), composer_normalised(b)
    assert one is not None
    assert other is not None
    return php_version_compare(one, other)


_composer_numbers = st.one_of(
    st.lists(st.sampled_from(["0", "1", "01", "10", "9"]), min_size=1, max_size=4).map(".".join),
    st.sampled_from(["2021.01.01", "20210101", "2021-01-01", "20210101-1200", "20210101.1.2"]),
)
packagist_versions = st.one_of(
    st.builds(
        "{}{}{}{}{}{}".format,
        st.sampled_from(["", "v", "V"]),
        _composer_numbers,
        st.sampled_from(["", "-", ".", "_"]),
        st.one_of(
            st.just(""),
            st.builds(
                "{}{}".format,
                st.sampled_from(
                    ["stable", "beta", "b", "RC", "rc", "alpha", "a", "patch", "pl", "p", "Beta"]
                ),
                st.sampled_from(["", "0", "1", ".1", "-2", "10", "1.0", "1.2"]),
            ),
        ),
        st.sampled_from(["", "", "-dev", ".dev", "DEV"]),
        st.sampled_from(["", "", "+build.1"]),
    ),
    st.sampled_from(["1.x-dev", "1.0.x-dev", "v1.*.dev", "1.x.x.x-dev", "1.0.X-dev"]),
)


# Go: a release of Go itself is a semantic version


def go_semantic(version: str) -> str:
    """Write a release of Go as advisories do."""
    if not re.match("go|[0-9.]+(rc|beta)", version):
        return version
    release = version.removeprefix("go").split("-")[0]
    for kind in ("beta", "rc"):
        numbers, found, count = release.partition(kind)
        if found:
            return ".".join([*numbers.split("."), "0", "0"][:3]) + f"-{kind}.{count}"
    return ".".join([*release.split("."), "0", "0"][:3])


def go(a: str, b: str) -> int:
    """Compare as Go does."""
    return semver(go_semantic(a), go_semantic(b))


go_versions = st.one_of(
    st.builds(
        "{}{}{}".format,
        st.sampled_from(["go", "go", ""]),
        st.lists(st.sampled_from(["0", "1", "2", "20"]), min_size=1, max_size=3).map(".".join),
        st.sampled_from(["", "rc1", "rc2", "rc10", "beta1"]),
    ),
    st.builds(
        "{}{}.{}.{}{}".format,
        st.sampled_from(["v", ""]),
        *[st.sampled_from(["0", "1", "2", "20"])] * 3,
        st.sampled_from(
            ["", "+incompatible", "-rc.1", "-0.20210101000000-abcdefabcdef", "-beta.1", "-rc1"]
        ),
    ),
)

SCHEMES: dict[str, tuple[Callable[[str, str], int], st.SearchStrategy[str]]] = {
    "go": (go, go_versions),
    "maven": (maven, maven_versions),
    "nuget": (nuget, nuget_versions),
    "packagist": (packagist, packagist_versions),
    "rubygems": (rubygems, rubygems_versions),
}
