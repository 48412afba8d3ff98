"""What holds for the keys of every scheme, and the tables of the package."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customhouse.analysis.ecosystems import (
    DATABASES,
    MAX_VERSION,
    SCHEMES,
    scheme_of,
    version_key,
)
from customhouse.errors import Code, Failure
from tests.analysis.ecosystems import language_reference, reference

REFERENCES = reference.SCHEMES | language_reference.SCHEMES

schemes = pytest.mark.parametrize("scheme", sorted(SCHEMES))
few = settings(max_examples=100, deadline=None)


def in_range(key: bytes, lo: bytes, hi: bytes) -> bool:
    """The test that the database's join makes."""
    return lo <= key < hi


@schemes
@given(data=st.data())
@few
def test_the_range_test_agrees_with_a_direct_comparison(scheme: str, data: st.DataObject) -> None:
    compare, versions = REFERENCES[scheme]
    low, high, version = data.draw(st.tuples(versions, versions, versions))
    key, lo, hi = (version_key(scheme, text) for text in (version, low, high))

    assert in_range(key, b"", b"\xff")
    assert in_range(key, lo, b"\xff") == (compare(version, low) >= 0)
    assert in_range(key, b"", hi) == (compare(version, high) < 0)
    assert in_range(key, b"", hi + b"\0") == (compare(version, high) <= 0)
    assert in_range(key, lo, hi) == (compare(version, low) >= 0 and compare(version, high) < 0)


@schemes
@given(data=st.data())
@few
def test_no_key_is_the_beginning_of_another(scheme: str, data: st.DataObject) -> None:
    _, versions = REFERENCES[scheme]
    first, second = sorted(version_key(scheme, data.draw(versions)) for _ in range(2))

    assert first
    assert first[0] != 0xFF
    assert first == second or not second.startswith(first)


@schemes
@given(version=st.text(max_size=20))
def test_any_text_has_a_key_or_is_refused(scheme: str, version: str) -> None:
    key = reference.outcome(partial(version_key, scheme), version)
    if isinstance(key, Failure):
        assert key.code is Code.VERSION_INVALID
        assert key.fields == {"version": version, "scheme": scheme}
    else:
        assert b"" < key < b"\xff"


@schemes
def test_the_length_of_a_version_is_bounded(scheme: str) -> None:
    longest = "9" * MAX_VERSION
    assert version_key(scheme, "1") < version_key(scheme, longest) < b"\xff"
    nines = "9" * (MAX_VERSION - 4)
    for version in (f"1.{nines}", f"1-r{nines}", f"1-{nines}", f"1_p{nines}", f"a{nines}"):
        outcome = reference.outcome(partial(version_key, scheme), version)
        assert isinstance(outcome, Failure) or outcome < b"\xff"
    with pytest.raises(Failure) as caught:
        version_key(scheme, longest * 1000)
    assert caught.value.code is Code.VERSION_INVALID
    assert len(caught.value.message) < 200


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(Failure, match="1 is not a valid portage version"):
        version_key("portage", "1")


@pytest.mark.parametrize(
    ("ecosystem", "scheme"),
    [
        ("Debian", "dpkg"),
        ("Debian:12", "dpkg"),
        ("Debian:sid", "dpkg"),
        ("Ubuntu:22.04:LTS", "dpkg"),
        ("Ubuntu:23.10", "dpkg"),
        ("Ubuntu:Pro:18.04:LTS", "dpkg"),
        ("Ubuntu:Pro:FIPS-updates:20.04:LTS", "dpkg"),
        ("Alpine:v3.19", "apk"),
        ("Alpine:edge", "apk"),
        ("Wolfi", "apk"),
        ("Chainguard", "apk"),
        ("MinimOS", "apk"),
        ("npm", "semver"),
        ("Go", "go"),
        ("crates.io", "semver"),
        ("Hex", "semver"),
        ("SwiftURL", "semver"),
        ("PyPI", "pep440"),
        ("Maven:https://maven.google.com", "maven"),
        ("RubyGems", "rubygems"),
        ("NuGet", "nuget"),
        ("Packagist", "packagist"),
        ("Hackage", None),
        ("Red Hat:enterprise_linux:9::appstream", "rpm"),
        ("AlmaLinux:9", "rpm"),
        ("debian:12", None),
        ("Debianish", None),
        ("", None),
    ],
)
def test_the_scheme_of_an_ecosystem(ecosystem: str, scheme: str | None) -> None:
    assert scheme_of(ecosystem) == scheme


def test_the_tables_are_closed_and_agree() -> None:
    assert [database.name for database in DATABASES][:3] == ["dpkg", "apk", "rpm"]
    assert all(database.name in SCHEMES for database in DATABASES if database.is_system)
    with pytest.raises(TypeError):
        SCHEMES["other"] = str.encode  # type: ignore[index]  # that it cannot be is the point


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("var/lib/dpkg/status", ["dpkg"]),
        ("usr/lib/dpkg/status", ["dpkg"]),
        ("var/lib/dpkg/status.d/libc6", ["dpkg"]),
        ("var/lib/dpkg/status.d/python3.11-minimal", ["dpkg"]),
        ("usr/lib/dpkg/status.d/pkg-1.0", ["dpkg"]),
        ("var/lib/dpkg/status.d/libc6.md5sums", ["dpkg-files"]),
        ("var/lib/dpkg/status.d/libc6.preinst", []),
        ("var/lib/dpkg/status.d/libc6.list", []),
        ("var/lib/dpkg/status.d/", []),
        ("var/lib/dpkg/status.d", []),
        ("var/lib/dpkg/status.d/a/b", []),
        ("var/lib/dpkg/status-old", []),
        ("var/lib/dpkg/info/libc6:amd64.list", ["dpkg-files"]),
        ("var/lib/dpkg/info/libc6.md5sums", []),
        ("usr/lib/python3/dist-packages/six-1.16.0.egg-info", ["python"]),
        ("usr/lib/python3/dist-packages/six-1.16.0.egg-info/PKG-INFO", ["python"]),
        ("opt/v/lib/python3.11/site-packages/a-1.dist-info/METADATA", ["python"]),
        ("opt/v/lib/python3.11/site-packages/a-1.dist-info/RECORD", []),
        ("app/node_modules/a/package.json", ["node"]),
        ("node_modules/@s/a/package.json", ["node"]),
        ("app/node_modules/a/node_modules/b/package.json", ["node"]),
        ("app/node_modules/a/test/package.json", []),
        ("app/node_modules/.bin/package.json", []),
        ("app/package.json", []),
        ("/var/lib/dpkg/status", []),
        ("rootfs/var/lib/dpkg/status", []),
        ("lib/apk/db/installed", ["apk"]),
        ("usr/lib/apk/db/installed", ["apk"]),
        ("lib/apk/db/scripts.tar", []),
        ("var/lib/rpm/Packages", ["rpm"]),
        ("usr/lib/sysimage/rpm/Packages.db", ["rpm"]),
        ("usr/share/rpm/rpmdb.sqlite", ["rpm"]),
        ("var/lib/rpm/rpmdb.sqlite-wal", []),
        ("var/lib/rpm/Name", []),
        ("lib/apk/db/installed/x", []),
        ("", []),
    ],
)
def test_the_files_of_a_database(path: str, names: list[str]) -> None:
    assert [database.name for database in DATABASES if database.matches(path)] == names
