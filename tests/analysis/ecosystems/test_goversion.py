"""The order of Go's versions, of modules and of Go itself."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings

from customhouse.analysis.ecosystems import semver
from customhouse.analysis.ecosystems.goversion import key, semantic
from customhouse.errors import Code, Failure
from tests.analysis.ecosystems import language_reference, reference


@given(pair=reference.pairs_of(language_reference.go_versions, "019r"))
@settings(max_examples=400, deadline=None)
def test_keys_order_as_go_does(pair: tuple[str, str]) -> None:
    keys = [reference.outcome(key, version) for version in pair]
    one, other = keys
    if isinstance(one, bytes) and isinstance(other, bytes):
        assert reference.sign(one, other) == language_reference.go(*pair)


@pytest.mark.parametrize(
    "ascending",
    [
        ["go1.20.14", "go1.21beta1", "go1.21rc1", "1.21rc2", "go1.21rc10", "go1.21.0", "go1.21.1"],
        ["go1.9.2rc2", "go1.9.2", "1.9.10", "go1.10"],
        ["v0.0.0-20190101000000-abcdefabcdef", "v0.0.0", "v1.2.3-rc.1", "v1.2.3", "1.2.4"],
        ["v1.2.3-pre", "v1.2.3-pre.0.20210101000000-abcdefabcdef", "v1.2.3", "v2.0.0+incompatible"],
    ],
)
def test_tables_of_versions_in_ascending_order(ascending: list[str]) -> None:
    for a, b in pairwise(ascending):
        assert key(a) < key(b), (a, b)
        assert language_reference.go(a, b) < 0, (a, b)


@pytest.mark.parametrize(
    ("version", "advised"),
    [
        ("go1.21rc2", "1.21.0-rc.2"),
        ("1.21rc2", "1.21.0-rc.2"),
        ("go1.9.2beta1", "1.9.2-beta.1"),
        ("go1.20", "1.20.0"),
        ("go1.21.3-bigcorp", "1.21.3"),
        ("v1.2.3-rc1", "1.2.3-rc1"),
        ("v2.0.0+incompatible", "2.0.0"),
    ],
)
def test_the_key_is_that_of_the_semantic_version(version: str, advised: str) -> None:
    assert key(version) == semver.key(advised)


def test_other_versions_are_left_as_they_are() -> None:
    assert semantic("v1.2.3-rc1") == "v1.2.3-rc1"
    assert semantic("(devel)") == "(devel)"


@pytest.mark.parametrize(
    "version",
    [
        *[
            "",
            "(devel)",
            "go",
            "gov1.2.3",
            "go1.21rc",
            "go1.21rc1.2",
            "devel go1.21",
            "1.21rc2-x",
            "go1.",
        ],
        *["go1.2.3.4", "v", "go1.21 rc2", "go" + "1" * 250, "1" * 251],
    ],
)
def test_what_is_no_version_of_go_is_refused(version: str) -> None:
    with pytest.raises(Failure) as caught:
        key(version)
    assert caught.value.code is Code.VERSION_INVALID
    assert caught.value.fields["scheme"] == "go"
