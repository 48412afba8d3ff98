"""The order of PHP's versions."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings

from customhouse.analysis.ecosystems.packagist import key
from customhouse.errors import Code, Failure
from tests.analysis.ecosystems import language_reference, reference


@given(pair=reference.pairs_of(language_reference.packagist_versions, "01ab.-"))
@settings(max_examples=1000, deadline=None)
def test_keys_order_as_composer_does(pair: tuple[str, str]) -> None:
    keys = [reference.outcome(key, version) for version in pair]
    for version, found in zip(pair, keys, strict=True):
        if language_reference.composer_normalised(version) is not None:
            assert isinstance(found, bytes), version
        elif isinstance(found, bytes):
            assert len(version.lstrip("vV").split(".")[0]) > 5, version
            return
    one, other = keys
    if isinstance(one, bytes) and isinstance(other, bytes):
        assert reference.sign(one, other) == language_reference.packagist(*pair)


@pytest.mark.parametrize(
    "ascending",
    [
        [
            *["1.0.0-dev", "1.0.0-alpha-dev", "1.0.0-alpha", "1.0.0-alpha1-dev", "1.0.0-alpha1"],
            *["1.0.0-alpha10", "1.0.0-beta", "1.0.0-beta1", "1.0.0-beta1.1", "1.0.0-RC1", "1.0.0"],
            *["1.0.0-p1", "1.0.0-patch2", "1.0.0.1", "1.0.1", "1.x-dev"],
        ],
        ["1.0.x-dev", "1.1.0-dev", "1.1.0", "1.10.0", "1.x-dev", "2.0.0-dev"],
        ["2021-01-01", "2021-01-02", "2021.1.3", "20210101", "20210101-1200", "20210102"],
        ["1.2.3", "v1.2.4", "v1.2.10"],
    ],
)
def test_tables_of_versions_in_ascending_order(ascending: list[str]) -> None:
    for a, b in pairwise(ascending):
        assert key(a) < key(b), (a, b)
        assert language_reference.packagist(a, b) < 0, (a, b)


@pytest.mark.parametrize(
    "equal",
    [
        ["1", "1.0", "1.0.0", "1.0.0.0", "v1", "V1.00", "1.0.0-stable", "1.0-stable2", "1.0+build"],
        ["1.0-rc1", "1.0.0RC1", "1.0.rc.1", "1.0_RC-01"],
        ["1.0-a1", "1.0alpha1"],
        ["1.0-pl1", "1.0-p1", "1.0-patch.1"],
        ["1.x-dev", "1.X.x-dev", "v1.*.*.*.dev"],
    ],
)
def test_tables_of_equal_versions(equal: list[str]) -> None:
    assert {key(version) for version in equal} == {key(equal[0])}


@pytest.mark.parametrize(
    "version",
    [
        *["", "dev-main", "dev-1.0", "main-dev", "master", "1.0.0.0.0", "1.x", "1.0-foo", "1.0-1"],
        *[
            "1.0-alpha-x",
            "8.x-1.0",
            "1.0 as 2.0",
            "1.0@dev",
            "1.0+",
            "1.0\n",
            " 1",
            "1" * 251,
            "\N{ARABIC-INDIC DIGIT ONE}",
        ],
        *["1.0-RC" + ".1" * 100 + "x", "1" * 240 + "x"],
    ],
)
def test_what_is_no_ordered_version_of_composer_is_refused(version: str) -> None:
    with pytest.raises(Failure) as caught:
        key(version)
    assert caught.value.code is Code.VERSION_INVALID


def test_a_first_number_that_is_no_date_may_be_long() -> None:
    assert key("1") < key("9" * 250) < b"\xff"
