"""The order of semantic versions."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import assume, given, settings

from customhouse.analysis.ecosystems.semver import key
from customhouse.errors import Code, Failure
from tests.analysis.ecosystems import reference


@given(pair=reference.pairs_of(reference.semver_versions, "019aZ"))
@settings(max_examples=400, deadline=None)
def test_keys_order_by_precedence(pair: tuple[str, str]) -> None:
    a, b = pair
    assume(all(isinstance(reference.outcome(key, version), bytes) for version in pair))
    assert reference.sign(key(a), key(b)) == reference.semver(a, b)


@pytest.mark.parametrize(
    "ascending",
    [
        # semver.org, section 11
        ["1.0.0", "2.0.0", "2.1.0", "2.1.1"],
        ["1.0.0-alpha", "1.0.0"],
        [
            *["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2"],
            *["1.0.0-beta.11", "1.0.0-rc.1", "1.0.0"],
        ],
        # numeric identifiers are below all others, and compare as numbers
        ["1.0.0-0", "1.0.0-9", "1.0.0-10", "1.0.0--", "1.0.0-0a", "1.0.0-A", "1.0.0-a", "1.0.0-aa"],
        # pseudo-versions of Go
        [
            *["v0.0.0-20190101000000-abcdefabcdef", "v0.0.0-20200101000000-000000000000"],
            *["v0.0.0", "v1.2.3", "v1.2.4-0.20210101000000-abcdefabcdef", "v1.2.4-pre"],
            *["v1.2.4-pre.0.20210101000000-abcdefabcdef", "v1.2.4", "v2.0.0+incompatible"],
        ],
        # other counts of numbers
        ["0", "0.0.0.1", "0.1", "1-rc.1", "1", "1.0.0.1-rc", "1.0.0.1", "1.0.1", "1.2", "1.10"],
        ["9999999999999999999998.0.0", "9999999999999999999999.0.0"],
    ],
)
def test_tables_of_versions_in_ascending_order(ascending: list[str]) -> None:
    for a, b in pairwise(ascending):
        assert key(a) < key(b), (a, b)
        assert reference.semver(a, b) < 0, (a, b)


@pytest.mark.parametrize(
    "equal",
    [
        ["1", "1.0", "1.0.0", "1.0.0.0", "v1.0.0", "01.0.0", "1.0.0+build.5", "v1+incompatible"],
        ["0", "0.0.0", "v0"],
        ["1.0.0-rc.1", "1.0.0-rc.1+exp.sha.5114f85", "1-rc.01"],
    ],
)
def test_tables_of_equal_versions(equal: list[str]) -> None:
    assert {key(version) for version in equal} == {key(equal[0])}


@pytest.mark.parametrize(
    "version",
    [
        *["", "v", "(devel)", "latest", "1.", ".1", "1..2", "1.2.3-", "1.2.3-a..b", "1.2.3-a_b"],
        *[
            "1.2.3 ",
            "=1.2.3",
            "1.2.x",
            "vv1",
            "1.2.3rc1",
            "1.0.0-é",
            "\uff11.0.0",
            "1.0.0+a b",
            "1\n",
        ],
    ],
)
def test_what_is_no_semantic_version_is_refused(version: str) -> None:
    with pytest.raises(Failure) as caught:
        key(version)
    assert caught.value.code is Code.VERSION_INVALID
