"""Alpine's packages: the order of versions, and the list of installed packages."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from customhouse.analysis.ecosystems.apk import key, parse
from customhouse.analysis.ecosystems.package import MAX_PACKAGES, Listing, Package
from customhouse.errors import Code, Failure
from tests.analysis.ecosystems import reference

if TYPE_CHECKING:
    from pathlib import Path

versions = reference.pairs_of(reference.apk_versions, "019abrp_~-.")


@given(pair=versions)
@settings(max_examples=400, deadline=None)
def test_keys_of_valid_versions_order_as_apk_does(pair: tuple[str, str]) -> None:
    a, b = pair
    assume(reference.apk_valid(a) and reference.apk_valid(b))
    assert reference.sign(key(a), key(b)) == reference.apk(a, b)


@given(pair=versions)
@settings(max_examples=200, deadline=None)
def test_what_apk_tells_apart_in_invalid_versions_is_told_apart(pair: tuple[str, str]) -> None:
    a, b = pair
    order = reference.apk(a, b)
    assume(a and b and order)
    assert reference.sign(key(a), key(b)) == order


ASCENDING = [
    "0.1.0_alpha_pre2",
    "0.1.0_alpha",
    "0.1.0_alpha2",
    "0.1.0_alpha10",
    "0.1.0_beta",
    "0.1.0_pre1",
    "0.1.0_rc1-r1",
    "0.1.0",
    "0.1.0-r0",
    "0.1.0-r1",
    "0.1.0-r10",
    "0.1.0~0a",
    "0.1.0~0a-r1",
    "0.1.0~0ab",
    "0.1.0_cvs",
    "0.1.0_svn1",
    "0.1.0_git20240101",
    "0.1.0_hg",
    "0.1.0_p",
    "0.1.0_p0",
    "0.1.0_p2",
    "0.1.0_p10-r0",
    "0.1.0a",
    "0.1.0b-r3",
    "0.1.0.1",
    "1",
    "1.0",
    "1.00",
    "1.010",
    "1.02",
    "1.09",
    "1.1",
    "1.2",
    "1.10",
    "006",
    "9",
    "20050718-r1",
]


def test_a_table_of_versions_in_ascending_order() -> None:
    for a, b in pairwise(ASCENDING):
        assert key(a) < key(b), (a, b)
        assert reference.apk(a, b) < 0, (a, b)


@pytest.mark.parametrize(
    "equal", [["1", "01", "001"], ["1-r1", "1-r01"], ["1.2_p1", "1.2_p01"], ["0", "00"]]
)
def test_tables_of_equal_versions(equal: list[str]) -> None:
    assert {key(version) for version in equal} == {key(equal[0])}


def test_the_invalid_rest_breaks_ties_as_a_person_would() -> None:
    for ascending in (
        ["5.9.2p1-r0", "5.9.2p1-r1", "5.9.2p2-r0", "5.9.2p10-r0", "5.9.3"],
        ["1.0.0-rc1", "1.0.0-rc2", "1.0.0-rc10", "1.0.0"],
        ["2.3.4-invalid", "2.3.4", "2.3.4-r1", "3.4.5-r1", "10.1.1-invalid"],
        ["a", "b", "c", "0"],
    ):
        for a, b in pairwise(ascending):
            assert key(a) < key(b), (a, b)


@pytest.mark.parametrize("version", ["", " ", "1.0 ", "1\n", "1.0é", "\uff11", "1\x00", "1\x7f"])
def test_what_cannot_be_a_version_is_refused(version: str) -> None:
    with pytest.raises(Failure) as caught:
        key(version)
    assert caught.value.code is Code.VERSION_INVALID


INSTALLED = """\
C:Q1yyMWoYnr7lKCxKm9mHlMwkd6dMY=
P:musl-utils
V:1.1.24-r2
A:x86_64
S:377123
T:the musl c library (libc) implementation
L:MIT BSD GPL2+
o:musl
m:Timo Teräs <timo.teras@iki.fi>
D:scanelf so:libc.musl-x86_64.so.1
F:lib
R:libc.musl-x86_64.so.1
a:0:0:777
Z:Q17yJ3JFNypA4mxhJJr0ou6CzsJVI=

P:pkgname
V:1.2.3
A:noarch

P:no-version

P:.build-deps
V:20240101.101010
"""


def test_a_list_of_installed_packages() -> None:
    for content in (INSTALLED, INSTALLED.replace("\n", "\r\n")):
        listing = parse(content.encode())
        assert listing.packages == (
            Package(
                name="musl-utils",
                version="1.1.24-r2",
                arch="x86_64",
                source="musl",
                source_version="1.1.24-r2",
                licence="MIT BSD GPL2+",
                maintainer="Timo Teräs <timo.teras@iki.fi>",
            ),
            Package("pkgname", "1.2.3", "noarch", "pkgname", "1.2.3"),
            Package(".build-deps", "20240101.101010", "", ".build-deps", "20240101.101010"),
        )
        assert listing.unreadable == 1


@pytest.mark.parametrize("content", [b"", b"\n\n \n"])
def test_an_empty_list(content: bytes) -> None:
    assert parse(content).packages == ()


@pytest.mark.parametrize(
    "content", [b"\x00\x01\x02" * 99, b"asdf\n\nyolo\n", b"P:a b\nV:1\n", b"P:a\nV:1 2\n"]
)
def test_what_is_no_list_is_refused(content: bytes) -> None:
    with pytest.raises(Failure) as caught:
        parse(content)
    assert caught.value.code is Code.ARCHIVE_CORRUPT


def test_the_number_of_packages_is_bounded() -> None:
    with pytest.raises(Failure) as caught:
        parse(b"P:a\nV:1\n\n" * (MAX_PACKAGES + 1))
    assert caught.value.code is Code.ARCHIVE_LIMIT


@given(content=st.binary(max_size=400), cut=st.integers(0, len(INSTALLED)))
def test_damage_is_survived(content: bytes, cut: int) -> None:
    for candidate in (content, INSTALLED.encode()[:cut] + content):
        result = reference.outcome(parse, candidate)
        assert isinstance(result, Listing) or result.code is Code.ARCHIVE_CORRUPT


@pytest.mark.parametrize(
    ("name", "packages", "unreadable"),
    [
        ("alpine-3.11.5-image", 14, 0),
        ("trivy-fanal", 15, 1),
        ("scalibr-installed", 15, 0),
        ("scalibr-no-origin", 1, 0),
        ("scalibr-empty", 0, 0),
        ("syft-multiple-1", 4, 0),
        ("syft-multiple-2", 14, 0),
        ("syft-corrupt", 1, 1),
        ("syft-extra-file-attributes", 1, 0),
    ],
)
def test_real_lists(shared_data: Path, name: str, packages: int, unreadable: int) -> None:
    content = (shared_data / "apk" / "installed" / name).read_bytes()
    listing = parse(content)
    assert len(listing.packages) == packages
    assert listing.unreadable == unreadable
    assert packages == sum(line.startswith(b"V:") for line in content.split(b"\n"))


def test_real_origins(shared_data: Path) -> None:
    content = (shared_data / "apk/installed/alpine-3.11.5-image").read_bytes()
    origins = {package.name: package.source for package in parse(content).packages}
    assert origins["ssl_client"] == origins["busybox"] == "busybox"
    assert origins["libcrypto1.1"] == origins["libssl1.1"] == "openssl"
