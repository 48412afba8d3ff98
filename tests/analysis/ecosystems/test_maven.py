"""The order of Java's versions."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings

from customhouse.analysis.ecosystems.maven import key
from customhouse.errors import Code, Failure
from tests.analysis.ecosystems import language_reference, reference


@given(pair=reference.pairs_of(language_reference.maven_versions, "01ax.-"))
@settings(max_examples=2000, deadline=None)
def test_keys_order_as_maven_does(pair: tuple[str, str]) -> None:
    a, b = pair
    assert reference.sign(key(a), key(b)) == language_reference.maven(a, b)


@pytest.mark.parametrize(
    "ascending",
    [
        # the POM reference
        ["1-alpha", "1-beta", "1-milestone", "1-rc", "1-snapshot", "1", "1-sp", "1-foo", "1-1"],
        ["1-foo2", "1-foo10"],
        ["1-foo", "1-1", "1.1"],
        ["1-snapshot", "1-sp"],
        ["1", "1.1", "1.2", "1.10", "2"],
        # what is in the wild
        ["5.0.0.Alpha1", "5.0.0.Beta2", "5.0.0.CR1", "5.0.0.Final", "5.0.1.Final", "5.0.1-jre"],
        ["1.0-rc1-SNAPSHOT", "1.0-rc1", "1.0-SNAPSHOT", "1.0", "1.0-20200101.123456-1"],
        ["4.3.18.Final", "4.3.18.Final-redhat-1", "4.3.18.Final-redhat-2", "4.3.19.Final"],
        ["31.1-android", "31.1-jre", "32.0.0-android"],
        # in Maven up to 3.8 these went in a circle
        ["1.0.alpha", "1", "1-sp"],
        ["1-alpha", "1.ga", "1.sp.1", "1-1"],
        ["2.9.10", "2.9.10.1", "2.10.0"],
        ["1." + "9" * 100, "1.1" + "0" * 100],
    ],
)
def test_tables_of_versions_in_ascending_order(ascending: list[str]) -> None:
    for a, b in pairwise(ascending):
        assert key(a) < key(b), (a, b)
        assert language_reference.maven(a, b) < 0, (a, b)


@pytest.mark.parametrize(
    "equal",
    [
        ["1", "1.0", "1.0.0", "1-0", "1.", "1-", "1.ga", "1-GA", "1.0.Final", "1-release", "01"],
        ["1-a1", "1-alpha1", "1.0alpha1", "1.0-ALPHA-1", "1.0.alpha1"],
        ["1-cr1", "1-rc1", "1.0.RC1", "1.0.0rc01"],
        ["1x", "1-x", "1.x", "1.0.x", "1.0-x.0"],
    ],
)
def test_tables_of_equal_versions(equal: list[str]) -> None:
    assert {key(version) for version in equal} == {key(equal[0])}
    assert {language_reference.maven(version, equal[0]) for version in equal} == {0}


@pytest.mark.parametrize("version", ["", "1 2", "1.0\n", "1.é", "\N{ARABIC-INDIC DIGIT ONE}"])
def test_what_is_not_printable_ascii_is_refused(version: str) -> None:
    with pytest.raises(Failure) as caught:
        key(version)
    assert caught.value.code is Code.VERSION_INVALID


@pytest.mark.parametrize("part", ["-", ".", "1-", "x.", "0-x.", "ga-", "1x"])
def test_the_longest_versions_have_keys(part: str) -> None:
    longest = (part * 250)[:250]
    assert b"" < key(longest) < b"\xff"
    assert reference.sign(key(longest), key("1")) == language_reference.maven(longest, "1")
    with pytest.raises(Failure):
        key(longest + "1")
