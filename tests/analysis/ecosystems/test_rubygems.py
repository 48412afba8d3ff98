"""The order of Ruby's versions."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import assume, given, settings

from customhouse.analysis.ecosystems.rubygems import key
from customhouse.errors import Code, Failure
from tests.analysis.ecosystems import language_reference, reference


@given(pair=reference.pairs_of(language_reference.rubygems_versions, "01aB.-"))
@settings(max_examples=1000, deadline=None)
def test_keys_order_as_rubygems_does(pair: tuple[str, str]) -> None:
    a, b = pair
    assume(all(isinstance(reference.outcome(key, version), bytes) for version in pair))
    assert reference.sign(key(a), key(b)) == language_reference.rubygems(a, b)


@pytest.mark.parametrize(
    "ascending",
    [
        # the documentation of Gem::Version
        ["0.9", "1.0.a.2", "1.0.b1", "1.0.b10", "1.0", "1.0.1"],
        ["2.0.0.rc1", "2.0.0", "2.0.0.1", "2.0.0.10", "2.0.1"],
        ["1.0-alpha", "1.0", "1.0.1-alpha", "1.0.1"],
        ["1.A", "1.a", "1.aa", "1.0.1"],
        ["1.a.b", "1.a", "1.a.0.1", "1.a.1"],
        ["1.a.b", "1.a.0.b", "1.a.0.0.b", "1.a", "1.a.0.0.1", "1.a.0.1"],
        ["9" * 100, "1" + "0" * 100],
    ],
)
def test_tables_of_versions_in_ascending_order(ascending: list[str]) -> None:
    for a, b in pairwise(ascending):
        assert key(a) < key(b), (a, b)
        assert language_reference.rubygems(a, b) < 0, (a, b)


@pytest.mark.parametrize(
    "equal",
    [
        ["1", "1.0", "1.0.0", "01"],
        ["0", "0.0"],
        ["1.a", "1.0.a", "1.0.0.a.0"],
        ["1.0.b1", "1.b.1", "1.b01"],
        ["1-1", "1.pre.1", "1.0.pre1"],
    ],
)
def test_tables_of_equal_versions(equal: list[str]) -> None:
    assert {key(version) for version in equal} == {key(equal[0])}


@pytest.mark.parametrize(
    "version",
    ["", "a", "1.", ".1", "1..2", "1_0", "1-", "v1", "1.0-x86_64", "1 ", "1\n", "1.é", "1" * 251],
)
def test_what_is_no_version_of_ruby_is_refused(version: str) -> None:
    with pytest.raises(Failure) as caught:
        key(version)
    assert caught.value.code is Code.VERSION_INVALID


def test_many_zeros() -> None:
    zeros = ".0" * 120
    ascending = [f"1.a{zeros}.b", f"1.a{zeros}", f"1.a{zeros}.1", f"1{zeros}", f"1{zeros}.1"]
    keys = list(map(key, ascending))
    assert keys == sorted(set(keys))
