"""The order of rpm's versions: against a direct comparison, and against rpm itself."""

from __future__ import annotations

import random
import shutil
import subprocess

import pytest
from hypothesis import given, settings

from customhouse.analysis.ecosystems import rpm
from customhouse.errors import Failure
from tests.analysis.ecosystems import reference

ORDERED = [
    ("1.0~rc1-1", "1.0-1"),
    ("1.0-1", "1.0^git1-1"),
    ("1.0^git1-1", "1.0.1-1"),
    ("1.0a-1", "1.0.1-1"),
    ("1.9-1", "1.10-1"),
    ("9.9-9", "1:0-0"),
    ("1.0", "1.0-0"),
    ("1.0-1.el7", "1.0-1.el7.centos"),
    ("1.5.1-21.el9_4", "1.5.1-21.el9_5"),
    ("1.1.1g-16.el8_4", "1.1.1k-6.el8_5"),
]
EQUAL = [("1.0-1", "0:1.0-1"), ("1.0-1", "1_0-1"), ("1.0-1", "1..0-1"), ("1.01-1", "1.1-01")]
INVALID = ["", "-1", "1-", "1:", "a:1-1", "1-2-3", "1:2:3", "1 2", "ü-1", "1" * 251]


@pytest.mark.parametrize(("low", "high"), ORDERED)
def test_order(low: str, high: str) -> None:
    assert rpm.key(low) < rpm.key(high)
    assert reference.rpm(low, high) < 0


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_equal(one: str, other: str) -> None:
    assert rpm.key(one) == rpm.key(other)


@pytest.mark.parametrize("version", INVALID)
def test_invalid(version: str) -> None:
    with pytest.raises(Failure):
        rpm.key(version)


@given(reference.pairs_of(reference.rpm_versions, "01a~^._"))
@settings(max_examples=2000, deadline=None)
def test_keys_order_as_the_comparison_does(pair: tuple[str, str]) -> None:
    keys = [reference.outcome(rpm.key, version) for version in pair]
    one, other = keys
    if isinstance(one, bytes) and isinstance(other, bytes):
        assert reference.sign(one, other) == reference.rpm(*pair)


def test_keys_order_as_rpm_does() -> None:
    """Twenty thousand pairs of texts between which rpm decides in one process."""
    program = shutil.which("rpm")
    if program is None:
        pytest.skip("rpm is not installed")
    choose = random.Random(20261125)
    texts = ["".join(choose.choices("0019azAZ~^._+", k=choose.randint(1, 7))) for _ in range(4000)]
    pairs = [(text, choose.choice(texts)) for text in texts for _ in range(5)]
    pairs += [(text, text[: choose.randint(1, 7)] + choose.choice("01a~^.")) for text in texts]
    results: list[int] = []
    for start in range(0, len(pairs), 1000):
        batch = pairs[start : start + 1000]
        lines = "".join(f"print(rpm.vercmp('{a}','{b}')..' ')" for a, b in batch)
        command = [program, "--eval", "%{lua:" + lines + "}"]
        answer = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
        results += map(int, answer.stdout.split())
    found = [reference.sign(rpm.key(f"{a}-1"), rpm.key(f"{b}-1")) for a, b in pairs]
    assert found == results
    assert set(found) == {-1, 0, 1}
