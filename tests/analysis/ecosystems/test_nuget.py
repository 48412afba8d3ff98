"""The order of NuGet's versions."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import assume, given, settings

from customhouse.analysis.ecosystems.nuget import key
from customhouse.errors import Code, Failure
from tests.analysis.ecosystems import language_reference, reference


@given(pair=reference.pairs_of(language_reference.nuget_versions, "01aZ-"))
@settings(max_examples=1000, deadline=None)
def test_keys_order_as_nuget_does(pair: tuple[str, str]) -> None:
    a, b = pair
    assume(all(isinstance(reference.outcome(key, version), bytes) for version in pair))
    assert reference.sign(key(a), key(b)) == language_reference.nuget(a, b)


@pytest.mark.parametrize(
    "ascending",
    [
        # NuGet's documentation, "Pre-release versions"
        ["1.0.1-alpha.2", "1.0.1-alpha.10", "1.0.1-beta", "1.0.1-open", "1.0.1-rc.2"],
        ["1.0.1-rc.10", "1.0.1-zzz", "1.0.1", "1.0.1.1-a", "1.0.1.1", "1.0.2"],
        ["4.3.0", "4.3.0.1", "4.3.1", "4.10", "5"],
        # labels that are integers of 32 bits, and beyond
        ["1--2147483648", "1--1", "1-0", "1-1", "1-2147483647", "1--2147483649"],
        ["1-2147483647", "1-10000000000", "1-2147483648", "1-a"],
    ],
)
def test_tables_of_versions_in_ascending_order(ascending: list[str]) -> None:
    for a, b in pairwise(ascending):
        assert key(a) < key(b), (a, b)
        assert language_reference.nuget(a, b) < 0, (a, b)


@pytest.mark.parametrize(
    "equal",
    [
        ["1", "1.0", "1.0.0", "1.0.0.0", "01.0", "1+sha.5114f85"],
        ["1.0.0-Alpha", "1.0.0-alpha", "1.0-ALPHA+sha"],
        ["1-01", "1-1", "1.0.0-001"],
        ["1--0", "1-0"],
    ],
)
def test_tables_of_equal_versions(equal: list[str]) -> None:
    assert {key(version) for version in equal} == {key(equal[0])}


@pytest.mark.parametrize(
    "version",
    [
        *["", "v1", "1.0.0.0.0", "1.", "1..2", "1-", "1-a..b", "1-a_b", "1+"],
        *["1+a+b", "1.*", "a", " 1", "1\n", "1-é", "\N{ARABIC-INDIC DIGIT ONE}", "1" * 251],
    ],
)
def test_what_is_no_version_of_nuget_is_refused(version: str) -> None:
    with pytest.raises(Failure) as caught:
        key(version)
    assert caught.value.code is Code.VERSION_INVALID
