"""Debian's security tracker."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customhouse.analysis.ecosystems import dpkg
from customhouse.analysis.feeds import debian_tracker, kev, secdb
from customhouse.analysis.feeds.advisory import BEGINNING, NOT_AFFECTED, UNFIXED, Advisory, Affected
from customhouse.analysis.feeds.document import Document, Rejected
from customhouse.analysis.severity import Severity

if TYPE_CHECKING:
    from pathlib import Path

CVE = "CVE-2024-1000"


def release(status: str = "resolved", **more: object) -> dict[str, object]:
    return {"status": status, "repositories": {"bookworm": "1"}, **more}


def issue(value: object, codename: str = "bookworm") -> dict[str, object]:
    return {"description": "A flaw.", "scope": "local", "releases": {codename: value}}


def read(*contents: object) -> tuple[dict[str, Advisory], list[Rejected]]:
    found = list(
        debian_tracker.read(
            Document("t.json", each if isinstance(each, bytes) else json.dumps(each).encode())
            for each in contents
        )
    )
    return (
        {each.id: each for each in found if isinstance(each, Advisory)},
        [each for each in found if isinstance(each, Rejected)],
    )


def only(value: object, codename: str = "bookworm") -> Advisory:
    found, rejected = read({"a": {CVE: issue(value, codename)}})
    assert not rejected
    return found[f"DEBIAN-{CVE}"]


def test_sources_and_releases_are_collected() -> None:
    fixed = release(fixed_version="1:2-3", urgency="medium**")
    both = {"bookworm": fixed, "sid": release("open", urgency="unimportant")}
    found, rejected = read(
        {"a": {CVE: {"releases": both}}, "b": {CVE: issue(fixed), "TEMP-0000000-0CA7E3": issue(1)}},
        {"c": {CVE: issue(fixed, "trixie")}},
    )
    assert not rejected
    assert list(found) == [f"DEBIAN-{CVE}", "TEMP-0000000-0CA7E3"]
    temporary = found["TEMP-0000000-0CA7E3"]
    assert temporary.cves == temporary.aliases == ()
    advisory = found[f"DEBIAN-{CVE}"]
    assert advisory.cves == advisory.aliases == (CVE,)
    assert (advisory.details, advisory.modified) == ("A flaw.", debian_tracker.UNDATED)
    medium = (Severity.MEDIUM, "Debian urgency medium**")
    until = (BEGINNING, dpkg.key("1:2-3"), "0", "1:2-3")
    assert advisory.affected == (
        Affected("Debian:12", "a", *until, *medium),
        Affected(
            *("Debian:sid", "a", BEGINNING, UNFIXED, "0", None),
            *(Severity.MINIMAL, "Debian urgency unimportant"),
        ),
        Affected("Debian:12", "b", *until, *medium),
        Affected("Debian:13", "c", *until, *medium),
    )


@pytest.mark.parametrize(
    ("more", "severity", "status"),
    [
        ({}, Severity.SEVERITY_UNSPECIFIED, ""),
        ({"urgency": "not yet assigned"}, Severity.SEVERITY_UNSPECIFIED, ""),
        ({"urgency": "low"}, Severity.LOW, ""),
        ({"urgency": "high", "nodsa": "Minor issue", "nodsa_reason": ""}, Severity.HIGH, ""),
        ({"urgency": "low", "nodsa_reason": "ignored"}, Severity.LOW, "will not fix"),
        ({"nodsa_reason": "postponed"}, Severity.SEVERITY_UNSPECIFIED, "deferred"),
        ({"urgency": "end-of-life"}, Severity.SEVERITY_UNSPECIFIED, "end-of-life"),
        (
            {"urgency": "end-of-life", "nodsa_reason": "ignored"},
            Severity.SEVERITY_UNSPECIFIED,
            "end-of-life",
        ),
    ],
)
def test_what_is_open(more: dict[str, object], severity: Severity, status: str) -> None:
    (row,) = only(release("open", **more)).affected
    assert (row.fixed, row.fixed_version) == (UNFIXED, None)
    assert (row.severity, row.status) == (severity, status)
    assert bool(row.severity_source) is bool(severity)


def test_an_open_release_has_no_fix() -> None:
    (row,) = only(release("open", fixed_version="2-1")).affected
    assert (row.fixed, row.fixed_version) == (UNFIXED, None)


def test_version_zero_is_never_affected() -> None:
    advisory = only(release(fixed_version="0", urgency="unimportant"))
    (row,) = advisory.affected
    assert (row.introduced, row.fixed, row.status) == (UNFIXED, UNFIXED, NOT_AFFECTED)
    assert (advisory.skipped, advisory.rejected) == ((), ())


@pytest.mark.parametrize(
    ("value", "codename", "reason"),
    [
        (release("undetermined"), "bookworm", "undetermined"),
        (release(fixed_version="2"), "unheard", "of a release that is not known"),
        (release(fixed_version="2"), "12", "of a release that is not known"),
    ],
)
def test_what_is_skipped(value: object, codename: str, reason: str) -> None:
    advisory = only(value, codename)
    assert (advisory.affected, advisory.rejected) == ((), ())
    assert [(each.reason, each.count) for each in advisory.skipped] == [(reason, 1)]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (release(), "resolved without a version"),
        (release(fixed_version=""), "resolved without a version"),
        (release(fixed_version="1 2"), "not a version"),
        (release("fixed"), "not a status"),
        (release(fixed_version=2), "a release is malformed"),
        (release("open", urgency=[]), "a release is malformed"),
        ({}, "a release is malformed"),
        (None, "a release is malformed"),
        ("open", "a release is malformed"),
    ],
)
def test_a_malformed_release_is_counted(value: object, reason: str) -> None:
    advisory = only(value)
    assert (advisory.affected, advisory.skipped) == ((), ())
    assert [(each.ecosystem, each.reason) for each in advisory.rejected] == [("Debian:12", reason)]


@pytest.mark.parametrize(
    ("bad", "name"),
    [
        ({"b": []}, "t.json:b"),
        ({"b": None}, "t.json:b"),
        ({"b c": {}}, "t.json:b c"),
        ({"b": {"CVE-1": issue(release())}}, "t.json:b"),
        ({"b": {CVE: []}}, f"t.json:b:{CVE}"),
        ({"b": {CVE: {}}}, f"t.json:b:{CVE}"),
        ({"b": {CVE: {"releases": []}}}, f"t.json:b:{CVE}"),
        ({"b": {CVE: {"releases": {}, "description": 1}}}, f"t.json:b:{CVE}"),
        ([], "t.json"),
        (b"", "t.json"),
        (b'{"b": {', "t.json"),
        (b'{"\xff": {}}', "t.json"),
        (b'{"b": ' + b"[" * 100_000, "t.json"),
    ],
)
def test_what_is_malformed_is_rejected_and_the_rest_read(bad: object, name: str) -> None:
    good = issue(release(fixed_version="2"))
    found, (rejected,) = read(bad, {"a": {CVE: good, "CVE-2024-1001": good}})
    assert list(found) == [f"DEBIAN-{CVE}", "DEBIAN-CVE-2024-1001"]
    assert [row.name for row in found[f"DEBIAN-{CVE}"].affected] == ["a"]
    assert rejected.name == name


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    good = json.dumps({"a": {CVE: issue(release(fixed_version="2"))}}).encode()
    for bound, limit in (("MAX_CONTENT", len(good)), ("MAX_ITEMS", good.count(b","))):
        with monkeypatch.context() as patched:
            patched.setattr(debian_tracker, bound, limit)
            found, rejected = read(good, good)
        assert (len(found), len(rejected)) == (1, 1)


@given(st.binary(max_size=100), st.integers(0, 150))
def test_any_bytes(insert: bytes, at: int) -> None:
    good = json.dumps({"a": {CVE: issue(release(fixed_version="2"))}}).encode()
    for content in (insert, good[:at] + insert + good[at:]):
        debian_tracker.recognises(content)
        read(content)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=20) | st.sampled_from(["open", "resolved"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([CVE, "releases", "sid", "status"]), inner)
        ),
        max_leaves=12,
    )
)
def test_any_shape(value: object) -> None:
    for each in (value, {"a": value}, {"a": {CVE: value}}, {"a": {CVE: issue(value)}}):
        read(each)


NUMBERS = {"jessie": "8", "stretch": "9", "buster": "10", "bullseye": "11", "bookworm": "12"} | {
    "trixie": "13",
    "sid": "sid",
}


@pytest.mark.parametrize(
    ("name", "issues", "bad"),
    [
        ("osvdev-mock", 3, 0),
        ("vuls-advisory", 4, 0),
        ("vulnerablecode-debian", 6, 0),
        ("vunnel-debian", 6, 1),
    ],
)
def test_real_files(shared_data: Path, name: str, issues: int, bad: int) -> None:
    content = (shared_data / "debian" / "tracker-json" / f"{name}.json").read_bytes()
    assert debian_tracker.recognises(content)
    expected: Counter[tuple[str, str, str | None]] = Counter()
    names = set()
    for source, entries in json.loads(content).items():
        for identifier, entry in entries.items():
            if not isinstance(entry["releases"], dict):  # one fixture is malformed on purpose
                continue
            names.add(identifier if identifier.startswith("TEMP") else f"DEBIAN-{identifier}")
            for codename, state in entry["releases"].items():
                fixed = state.get("fixed_version")
                fixed = NOT_AFFECTED if fixed == "0" else fixed
                expected[f"Debian:{NUMBERS[codename]}", source, fixed] += 1
    found, rejected = read(content)
    assert set(found) == names
    assert (len(found), len(rejected)) == (issues, bad)
    assert expected == Counter(
        (row.ecosystem, row.name, NOT_AFFECTED if row.status == NOT_AFFECTED else row.fixed_version)
        for each in found.values()
        for row in each.affected
    )
    assert not any(each.skipped or each.rejected for each in found.values())


def test_other_files_are_not_recognised(shared_data: Path) -> None:
    others = [
        *(shared_data / "debian" / "tracker-json" / "vuls-split").rglob("*.json"),
        *(shared_data / "alpine" / "secdb-json").rglob("*.json"),
        *(shared_data / "wolfi").rglob("*.json"),
        *(shared_data / "kev").glob("*.json"),
        shared_data / "debian" / "tracker-json" / "vunnel-DSA.html",
    ]
    assert len(others) > 20
    assert not any(debian_tracker.recognises(each.read_bytes()) for each in others)
    tracker = (shared_data / "debian" / "tracker-json" / "vunnel-debian.json").read_bytes()
    assert not secdb.recognises(tracker)
    assert not kev.recognises(tracker)
    osv = [*(shared_data / "wolfi").rglob("CGA-*.json")]
    assert osv
    assert not any(secdb.recognises(each.read_bytes()) for each in osv)
