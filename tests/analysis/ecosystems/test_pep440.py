"""The order of Python's versions, against `packaging`, which installers use."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from packaging.version import InvalidVersion, Version

from customhouse.analysis.ecosystems import pep440
from customhouse.errors import Failure
from tests.analysis.ecosystems import reference

# The specification's own summary of the order.
ORDERED = [
    *("1.0.dev456", "1.0a1", "1.0a2.dev456", "1.0a12.dev456", "1.0a12", "1.0b1.dev456"),
    *("1.0b2", "1.0b2.post345.dev456", "1.0b2.post345", "1.0rc1.dev456", "1.0rc1", "1.0"),
    *("1.0+abc.5", "1.0+abc.7", "1.0+5", "1.0.post456.dev34", "1.0.post456", "1.0.15"),
    *("1.1.dev1", "1!0.1"),
]
# Spellings that mean the same.
EQUAL = [
    ("1.0", "v1.0.0"),
    ("1.0a1", "1.0-alpha.1"),
    ("1.0rc1", "1.0c1", "1.0_pre1"),
    ("1.0.post1", "1.0-1", "1.0r1"),
]


def test_order() -> None:
    keys = list(map(pep440.key, ORDERED))
    assert keys == sorted(set(keys))


@pytest.mark.parametrize("versions", EQUAL)
def test_equal(versions: tuple[str, ...]) -> None:
    assert len(set(map(pep440.key, versions))) == 1


@pytest.mark.parametrize(
    "version", ["", "x", "1.0-", "1.0+", "1.0.x", "1..0", "1" * 251, "\N{ARABIC-INDIC DIGIT ONE}"]
)
def test_invalid(version: str) -> None:
    with pytest.raises(Failure):
        pep440.key(version)


@given(reference.pairs_of(reference.pep440_versions, "01a.+-"))
@settings(max_examples=2000, deadline=None)
def test_keys_order_as_packaging_does(pair: tuple[str, str]) -> None:
    keys = [reference.outcome(pep440.key, version) for version in pair]
    expected: list[Version] = []
    for version, key in zip(pair, keys, strict=True):
        try:
            expected.append(Version(version))
        except InvalidVersion:
            assert isinstance(key, Failure), version
        else:
            assert isinstance(key, bytes), version
    one, other = keys
    if isinstance(one, bytes) and isinstance(other, bytes):
        assert (one < other) == (expected[0] < expected[1])
        assert (one == other) == (expected[0] == expected[1])
