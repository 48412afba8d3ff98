from __future__ import annotations

from typing import Any

import pytest

from customhouse.analysis.ecosystems import version_key
from customhouse.analysis.feeds import BEGINNING, UNFIXED, Affected, Omission
from customhouse.analysis.feeds.osv import packages
from customhouse.errors import Code, Failure
from tests.analysis.feeds.osv.records import entry, fixed, only_row, parsed


@pytest.mark.parametrize(
    ("ecosystem", "scheme", "name", "version"),
    [
        ("Debian:12", "dpkg", "openssl", "3.0.11-1~deb12u2"),
        ("Debian:sid", "dpkg", "openssl", "3.2.1-3"),
        ("Ubuntu:Pro:18.04:LTS", "dpkg", "openssl", "1.1.1-1ubuntu2.1~18.04.23+esm5"),
        ("Alpine:v3.19", "apk", "openssl", "3.1.4-r1"),
        ("Wolfi", "apk", "openssl", "3.2.0-r0"),
        ("Chainguard", "apk", "openssl", "3.2.0-r0"),
        ("npm", "semver", "@scope/name", "1.2.3-rc.1"),
        ("Go", "semver", "github.com/gin-gonic/gin", "1.6.0"),
        ("crates.io", "semver", "http", "0.1.20"),
    ],
)
def test_a_row(ecosystem: str, scheme: str, name: str, version: str) -> None:
    row = only_row(affected=[entry(ecosystem, name, *fixed(version))])
    assert row == Affected(
        ecosystem=ecosystem,
        name=name,
        introduced=BEGINNING,
        fixed=version_key(scheme, version),
        introduced_version="0",
        fixed_version=version,
    )


def test_a_range_without_an_end() -> None:
    row = only_row(affected=[entry("Debian:12", "a", {"introduced": "1.5"})])
    assert row.introduced == version_key("dpkg", "1.5")
    assert row.fixed == UNFIXED
    assert row.fixed_version is None


def test_each_pair_of_events_is_a_row() -> None:
    events = [{"introduced": "1"}, {"fixed": "2"}, {"introduced": "3"}, {"fixed": "4"}]
    rows = parsed(affected=[entry("Go", "a", *events)]).affected
    assert [(row.introduced_version, row.fixed_version) for row in rows] == [("1", "2"), ("3", "4")]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Ubuntu:22.04", "Ubuntu:22.04:LTS"),
        ("Ubuntu:22.04:LTS", "Ubuntu:22.04:LTS"),
        ("Ubuntu:8.04", "Ubuntu:8.04:LTS"),
        ("Ubuntu:6.06", "Ubuntu:6.06:LTS"),
        ("Ubuntu:26.04", "Ubuntu:26.04:LTS"),
        ("Ubuntu:Pro:18.04", "Ubuntu:Pro:18.04:LTS"),
        ("Ubuntu:Pro:FIPS-updates:20.04", "Ubuntu:Pro:FIPS-updates:20.04:LTS"),
        ("Ubuntu:19.10", "Ubuntu:19.10"),
        ("Ubuntu:22.10", "Ubuntu:22.10"),
        ("Ubuntu:23.04", "Ubuntu:23.04"),
        ("Ubuntu:6.04", "Ubuntu:6.04"),
        ("Debian:12", "Debian:12"),
        ("Alpine:v3.19", "Alpine:v3.19"),
    ],
)
def test_ubuntu_releases_meet(written: str, expected: str) -> None:
    row = only_row(affected=[entry(written, "a", {"introduced": "0"})])
    assert row.ecosystem == expected


@pytest.mark.parametrize(
    ("affected", "omission"),
    [
        (entry("Debian", "a", *fixed("1")), ("Debian", "no release is named")),
        (entry("Ubuntu", "a", *fixed("1")), ("Ubuntu", "no release is named")),
        (entry("Alpine", "a", *fixed("1")), ("Alpine", "no release is named")),
        (entry("Hackage", "a:b", *fixed("1")), ("Hackage", "the ecosystem is not supported")),
        (entry("debian:12", "a", *fixed("1")), ("debian:12", "the ecosystem is not supported")),
        (entry("", "a", *fixed("1")), ("", "no package is named")),
        ({}, ("", "no package is named")),
        ({"package": None}, ("", "no package is named")),
        (
            entry("Debian:\x00", "a", *fixed("1")),
            ("Debian:?", "not the name of an ecosystem"),
        ),
        (entry("Debian:12", "a"), ("Debian:12", "no versions are named")),
        (
            entry("Debian:12", "a", ranges=None, versions=None),
            ("Debian:12", "no versions are named"),
        ),
        (
            entry(
                "Go", "a", ranges=[{"type": "GIT", "repo": "r", "events": [{"introduced": "0"}]}]
            ),
            ("Go", "no versions are named"),
        ),
    ],
)
def test_what_is_not_supported_is_counted(affected: Any, omission: tuple[str, str]) -> None:
    advisory = parsed(affected=[affected, entry("Debian:12", "other", *fixed("1")), affected])
    assert [row.name for row in advisory.affected] == ["other"]
    assert advisory.skipped == (Omission(*omission, 2),)
    assert advisory.rejected == ()


def test_a_record_of_which_nothing_is_supported_is_no_failure() -> None:
    advisory = parsed(affected=[entry("Hackage", "a:b", *fixed("1"))])
    assert advisory.affected == ()
    assert advisory.skipped == (Omission("Hackage", "the ecosystem is not supported", 1),)


def test_an_overlong_ecosystem_is_none() -> None:
    (omission,) = parsed(affected=[entry("Debian:" + "1" * 5000, "a", *fixed("1"))]).skipped
    assert omission.reason == "not the name of an ecosystem"
    assert len(omission.ecosystem) < 200


@pytest.mark.parametrize(
    ("affected", "reason", "example"),
    [
        (
            entry("Debian:12", "a", *fixed("1 2")),
            "not a version",
            "'1 2' is not a valid dpkg version",
        ),
        (
            entry("Debian:12", "a", {"introduced": "0"}, {"last_affected": "x_y z"}),
            "not a version",
            "'x_y z' is not a valid dpkg version",
        ),
        (
            entry("Debian:12", "a", {"fixed": "1"}),
            "not a range of versions",
            "the advisory cannot be read: a range without an introduced event",
        ),
        (
            entry("Debian:12", "a", {"introduced": "0", "fixed": "1"}),
            "not a range of versions",
            "the advisory cannot be read: an event has 2 entries, not 1",
        ),
        (entry("Debian:12", "", *fixed("1")), "not the name of a package", ""),
        (entry("Debian:12", "a\0b", *fixed("1")), "not the name of a package", "a?b"),
        (entry("Debian:12", "a" * 513, *fixed("1")), "not the name of a package", "a" * 256),
    ],
)
def test_what_is_malformed_is_counted(affected: Any, reason: str, example: str) -> None:
    advisory = parsed(affected=[affected, entry("Debian:12", "other", *fixed("1")), affected])
    assert [row.name for row in advisory.affected] == ["other"]
    assert advisory.rejected == (Omission("Debian:12", reason, 2, example),)
    assert advisory.skipped == ()


def test_a_bad_range_leaves_the_others_of_its_entry() -> None:
    ranges = [
        {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "no version"}]},
        {"type": "ECOSYSTEM", "events": fixed("2")},
    ]
    advisory = parsed(affected=[entry("Debian:12", "a", ranges=ranges, versions=["7"])])
    assert [row.fixed_version for row in advisory.affected] == ["2"]
    assert [each.count for each in advisory.rejected] == [1]


def test_never_affected_is_no_row() -> None:
    advisory = parsed(affected=[entry("Alpine:v3.19", "a", *fixed("0"), versions=["1.0-r0"])])
    assert (advisory.affected, advisory.skipped, advisory.rejected) == ((), (), ())


@pytest.mark.parametrize(
    "ranges",
    [
        {},
        {"ranges": []},
        {"ranges": [{"type": "GIT", "repo": "r", "events": fixed("1" * 40)}]},
        {"ranges": [{"type": "ECOSYSTEM", "events": fixed("no version")}]},
    ],
)
def test_listed_versions_count_where_no_range_does(ranges: dict[str, Any]) -> None:
    listed = ["1.0-1", "1.0-2", "not one"]
    advisory = parsed(affected=[entry("Debian:12", "a", versions=listed, **ranges)])
    keys = [version_key("dpkg", version) for version in listed[:2]]
    assert [(row.introduced, row.fixed) for row in advisory.affected] == [
        (key, key + b"\x00") for key in keys
    ]
    assert [row.introduced_version for row in advisory.affected] == listed[:2]
    assert {row.fixed_version for row in advisory.affected} == {None}
    assert [each.reason for each in advisory.rejected] == ["not a version"]


def test_listed_versions_do_not_count_where_a_range_does() -> None:
    versions = ["1.0-1", "not one"]
    advisory = parsed(affected=[entry("Debian:12", "a", *fixed("1.0-2"), versions=versions)])
    assert [row.fixed_version for row in advisory.affected] == ["1.0-2"]
    assert advisory.rejected == ()


def test_equal_ranges_are_one_row() -> None:
    same = entry("Go", "a", *fixed("1"))
    assert len(parsed(affected=[same, same, entry("Go", "b", *fixed("1"))]).affected) == 2


def test_semver_ranges_count_in_every_ecosystem() -> None:
    ranges = [{"type": "SEMVER", "events": fixed("1.2.3")}]
    assert only_row(affected=[entry("npm", "a", ranges=ranges)]).fixed_version == "1.2.3"


def test_ranges_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "MAX_RANGES", 100)
    full = entry("Go", "a", versions=[str(n) for n in range(100)])
    assert len(parsed(affected=[full]).affected) == 100
    for affected in (
        [full, entry("Go", "b", *fixed("1"))],
        [entry("Go", "a", versions=["1"] * 101)],
    ):
        with pytest.raises(Failure) as caught:
            parsed(affected=affected)
        assert caught.value.code is Code.ADVISORY_INVALID
