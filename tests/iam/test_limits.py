"""Token buckets."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customhouse.iam.limits import Limiter, network


class Clock:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


def test_a_burst_then_the_rate() -> None:
    clock = Clock()
    limiter = Limiter(10, 3, clock=clock)
    assert [limiter.take("a") for _ in range(3)] == [0, 0, 0]
    wait = limiter.take("a")
    assert wait == pytest.approx(0.1)
    assert limiter.take("a") == pytest.approx(0.1), "who is refused does not wait longer for it"
    assert limiter.take("b") == 0, "another key has a bucket of its own"
    clock.at += wait
    assert limiter.take("a") == 0
    assert limiter.take("a") == pytest.approx(0.1)
    clock.at += 3600
    assert [limiter.take("a") for _ in range(3)] == [0, 0, 0]
    assert limiter.take("a") > 0, "a bucket holds no more than the burst"


def test_no_limit() -> None:
    limiter = Limiter(0, 1, clock=Clock())
    assert {limiter.take("a") for _ in range(10_000)} == {0.0}


@pytest.mark.parametrize(
    ("rate", "burst", "size"),
    [(-1, 1, 10), (float("nan"), 1, 10), (float("inf"), 1, 10), (1, 0, 10), (1, 1, 1)],
)
def test_senseless(rate: float, burst: int, size: int) -> None:
    with pytest.raises(ValueError, match="a limiter needs"):
        Limiter(rate, burst, size)


@given(
    rate=st.floats(0.1, 1000),
    burst=st.integers(1, 50),
    pauses=st.lists(st.floats(0, 5), max_size=200),
)
def test_never_more_than_the_rate_and_the_burst(
    rate: float, burst: int, pauses: list[float]
) -> None:
    clock = Clock()
    limiter = Limiter(rate, burst, clock=clock)
    began, taken = clock.at, 0
    for pause in pauses:
        clock.at += pause
        wait = limiter.take("a")
        taken += wait == 0
        assert 0 <= wait <= 1 / rate + 1e-6
        assert taken <= burst + (clock.at - began) * rate + 0.01
        if wait:
            clock.at += wait
            assert limiter.take("a") == 0
            taken += 1


def test_bounded() -> None:
    clock = Clock()
    limiter = Limiter(1, 1, size=100, clock=clock)
    assert limiter.take("loud") == 0
    for number in range(10_000):
        assert limiter.take(f"key {number}") == 0
        # One that keeps asking keeps its bucket, however many others come.
        assert limiter.take("loud") > 0
    assert len(limiter._newer) + len(limiter._older) <= 100


def test_cheap() -> None:
    """Well under two microseconds; the bound here has room for a busy machine."""
    limiter = Limiter(1_000_000, 1_000_000)
    keys = [f"192.0.2.{number}" for number in range(250)]

    def seconds() -> float:
        began = time.perf_counter()
        for _ in range(20):
            for key in keys:
                limiter.take(key)
        return (time.perf_counter() - began) / (20 * len(keys))

    assert min(seconds() for _ in range(10)) < 2e-6


@pytest.mark.parametrize(
    ("address", "same"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8:0:0:ffff:1:2:3"),
        ("2001:db8:0:1::", "2001:0DB8::1:a:b:c:d"),
        ("fe80::1%eth0", "fe80::2"),
        ("", ""),
        ("unknown", "unknown"),
        (":::", ":::"),
        ("a\0:b", "a\0:b"),
        ("\ud800:", "\ud800:"),
    ],
)
def test_networks_that_are_one(address: str, same: str) -> None:
    assert network(address) == network(same)


@pytest.mark.parametrize(
    ("address", "other"),
    [
        ("192.0.2.1", "192.0.2.2"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2"),
        ("2001:db8:0:1::1", "2001:db8:0:2::1"),
    ],
)
def test_networks_that_are_two(address: str, other: str) -> None:
    assert network(address) != network(other)
