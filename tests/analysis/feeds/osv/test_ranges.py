from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customhouse.analysis.ecosystems import version_key
from customhouse.analysis.feeds.advisory import BEGINNING, UNFIXED
from customhouse.analysis.feeds.osv.ranges import Interval, exactly, intervals, key
from customhouse.errors import Code, Failure


def k(version: str) -> bytes:
    return version_key("dpkg", version)


def event(text: str) -> dict[str, str]:
    """Read the tests' short form: `+1` introduced, `-2` fixed, `=3` last affected, `!4` limit."""
    kinds = {"+": "introduced", "-": "fixed", "=": "last_affected", "!": "limit"}
    return {kinds[text[0]]: text[1:]}


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ("+0", [(BEGINNING, UNFIXED, "0", None)]),
        ("+0 -1.2-3", [(BEGINNING, k("1.2-3"), "0", "1.2-3")]),
        ("+1.0", [(k("1.0"), UNFIXED, "1.0", None)]),
        ("+1.0 -2.0", [(k("1.0"), k("2.0"), "1.0", "2.0")]),
        # several pairs are several intervals
        ("+1 -2 +3 -4", [(k("1"), k("2"), "1", "2"), (k("3"), k("4"), "3", "4")]),
        ("+0 -2 +3", [(BEGINNING, k("2"), "0", "2"), (k("3"), UNFIXED, "3", None)]),
        # events are sorted by version, as numbers and not as texts
        ("-10 +9", [(k("9"), k("10"), "9", "10")]),
        ("-4 +1 +3 -2", [(k("1"), k("2"), "1", "2"), (k("3"), k("4"), "3", "4")]),
        # an epoch counts, a tilde is lower than nothing
        ("+0 -1:0.1", [(BEGINNING, k("1:0.1"), "0", "1:0.1")]),
        ("+2 -2~rc1", [(k("2"), UNFIXED, "2", None)]),
        # the last affected version is in the interval and no fix
        ("+0 =1.5", [(BEGINNING, k("1.5") + b"\x00", "0", None)]),
        ("+1 =1.5 +2 -3", [(k("1"), k("1.5") + b"\x00", "1", None), (k("2"), k("3"), "2", "3")]),
        # a limit cuts off and is no fix either
        ("+0 !2", [(BEGINNING, k("2"), "0", None)]),
        ("+0 -1 !2", [(BEGINNING, k("1"), "0", "1")]),
        ("+0 -3 !2", [(BEGINNING, k("2"), "0", None)]),
        ("+0 !2 !4", [(BEGINNING, k("4"), "0", None)]),
        ("+0 !2 !*", [(BEGINNING, UNFIXED, "0", None)]),
        ("+3 !2", []),
        # never affected
        ("+0 -0", []),
        ("+2 -2", []),
        ("+2 -1", [(k("2"), UNFIXED, "2", None)]),
        # at one version the order of the feed decides
        ("+1 -2 +2 -3", [(k("1"), k("2"), "1", "2"), (k("2"), k("3"), "2", "3")]),
        # what does not change the state is no event
        ("+1 +2 -3 -4", [(k("1"), k("3"), "1", "3")]),
    ],
)
def test_intervals(events: str, expected: list[tuple[bytes, bytes, str, str | None]]) -> None:
    assert intervals("dpkg", [event(each) for each in events.split()]) == [
        Interval(*each) for each in expected
    ]


@pytest.mark.parametrize(
    ("events", "code"),
    [
        ([], Code.ADVISORY_INVALID),
        ([{"fixed": "1"}], Code.ADVISORY_INVALID),
        ([{}], Code.ADVISORY_INVALID),
        ([{"introduced": "0", "fixed": "1"}], Code.ADVISORY_INVALID),
        ([{"introduced": "0"}, {"retired": "1"}], Code.ADVISORY_INVALID),
        ([{"introduced": "0"}, {"fixed": ""}], Code.VERSION_INVALID),
        ([{"introduced": "0"}, {"fixed": "no version"}], Code.VERSION_INVALID),
        ([{"introduced": "0"}, {"fixed": "1\0"}], Code.VERSION_INVALID),
        ([{"introduced": "0"}, {"fixed": "1" * 100_000}], Code.VERSION_INVALID),
        ([{"introduced": "x y"}], Code.VERSION_INVALID),
    ],
)
def test_malformed_events(events: list[dict[str, str]], code: Code) -> None:
    with pytest.raises(Failure) as caught:
        intervals("dpkg", events)
    assert caught.value.code is code
    assert len(caught.value.message) < 400


def test_one_version() -> None:
    found = exactly("dpkg", "1.0-1")
    assert found == Interval(k("1.0-1"), k("1.0-1") + b"\x00", "1.0-1", None)
    inside = [
        each for each in ("1.0-0", "1.0-1", "0:1.0-01", "1.0-1~", "1.0-1+b1") if _in(found, each)
    ]
    assert inside == ["1.0-1", "0:1.0-01"]


def test_the_key_is_that_of_the_ecosystem() -> None:
    assert key("apk", "1.2.3-r0") == version_key("apk", "1.2.3-r0")
    assert key("semver", "v1.2.3") == key("semver", "1.2.3")
    assert key("dpkg", "1.2.3-1") != key("semver", "1.2.3-1")


_MANY = st.lists(
    st.tuples(
        st.sampled_from(["introduced", "fixed", "last_affected", "limit"]),
        st.integers(0, 6).map(str),
    ),
    max_size=6,
)


@given(_MANY, st.sampled_from(["0", "0.5", "1", "1.5", "2", "2.5", "3", "4", "5", "6", "6.5"]))
def test_the_intervals_are_what_the_schema_evaluates(
    events: list[tuple[str, str]], version: str
) -> None:
    if all(kind != "introduced" for kind, _ in events):
        return
    found = intervals("semver", [{kind: at} for kind, at in events])
    affected = any(each.introduced <= version_key("semver", version) < each.fixed for each in found)
    assert affected == _evaluated(events, float(version))
    assert all(a.fixed <= b.introduced for a, b in pairwise(found))


def _evaluated(events: list[tuple[str, str]], version: float) -> bool:
    """The schema's `IncludedInRanges`, on numbers; "fixed 0" is below every version."""
    limits = [float(at) for kind, at in events if kind == "limit"]
    if limits and not any(version < limit for limit in limits):
        return False
    vulnerable = False
    # A last affected version takes effect just above itself.
    order = sorted(events, key=lambda each: float(each[1]) + 0.1 * (each[0] == "last_affected"))
    for kind, at in order:
        if kind == "introduced" and version >= float(at):
            vulnerable = True
        elif (kind == "fixed" and version >= float(at)) or (
            kind == "last_affected" and version > float(at)
        ):
            vulnerable = False
    return vulnerable


def _in(interval: Interval, version: str) -> bool:
    return interval.introduced <= k(version) < interval.fixed
