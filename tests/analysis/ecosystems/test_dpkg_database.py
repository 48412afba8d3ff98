"""The database of dpkg: status files and the single stanzas of distroless images."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customhouse.analysis.ecosystems.dpkg import matches, parse
from customhouse.analysis.ecosystems.package import MAX_PACKAGES, Listing, Package
from customhouse.errors import Code, Failure
from tests.analysis.ecosystems import reference

STATUS = """\
Package: libc6
Status: install ok installed
Maintainer: GNU Libc Maintainers <debian-glibc@lists.debian.org>
Architecture: amd64
Multi-Arch: same
Source: glibc
Version: 2.36-9+deb12u4
Conffiles:
 /etc/ld.so.conf.d/x86_64-linux-gnu.conf d4e7a7b88a71b5ffd9e2644e71a0cfab
Description: GNU C Library: Shared libraries
 Package: not-a-package
 .
 Version: 9

Package: libc6
Status: install ok installed
Architecture: i386
Multi-Arch: same
Source: glibc
Version: 2.36-9+deb12u4

Package: perl-base
Status: hold ok installed
Architecture: amd64
Source: perl (5.36.0-7)
Version: 5.36.0-7+b1

Package: removed
Status: deinstall ok config-files
Version: 1.0

Package: never-there
Status: purge ok not-installed

Package: half
Status: install reinstreq half-installed
Version: 1.0

Package: no-version
Status: install ok installed

Status: install ok installed
Version: 1.0

Package: tzdata
Status: install ok installed
Architecture: all
Version: 2024a-0+deb12u1
"""


def test_a_status_file() -> None:
    listing = parse(STATUS.encode())
    glibc = ("glibc", "2.36-9+deb12u4")
    assert listing.packages == (
        Package(
            name="libc6",
            version="2.36-9+deb12u4",
            arch="amd64",
            source=glibc[0],
            source_version=glibc[1],
            maintainer="GNU Libc Maintainers <debian-glibc@lists.debian.org>",
        ),
        Package("libc6", "2.36-9+deb12u4", "i386", *glibc),
        Package("perl-base", "5.36.0-7+b1", "amd64", "perl", "5.36.0-7"),
        Package("tzdata", "2024a-0+deb12u1", "all", "tzdata", "2024a-0+deb12u1"),
    )
    assert listing.unreadable == 2


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("blank", ["{0}{0}", "{0} \t{0}", "{0}{0}{0} {0}{0}"])
def test_separators_of_stanzas(ends: str, blank: str) -> None:
    stanzas = ["Package: a\nVersion: 1", "package : b\nVERSION:2 ", "Package: c\nVersion: 3"]
    text = blank.format("\n").join(["", *stanzas, ""]).replace("\n", ends)
    found = [(package.name, package.version) for package in parse(text.encode()).packages]
    assert found == [("a", "1"), ("b", "2"), ("c", "3")]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("glibc", ("glibc", "1-1+b2")),
        ("glibc (2:2.36-9)", ("glibc", "2:2.36-9")),
        ("glibc(2.36)", ("glibc", "2.36")),
        ("glibc ( 2.36 )", ("glibc", "2.36")),
        ("", ("x", "1-1+b2")),
        ("glibc ()", ("x", "1-1+b2")),
        ("(1.0)", ("x", "1-1+b2")),
        ("../../etc (1.0)", ("x", "1-1+b2")),
        ("glibc (é)", ("glibc", "1-1+b2")),
        ("a b c", ("x", "1-1+b2")),
    ],
)
def test_the_source_package(source: str, expected: tuple[str, str]) -> None:
    content = f"Package: x\nVersion: 1-1+b2\nSource: {source}\n".encode()
    (package,) = parse(content).packages
    assert (package.source, package.source_version) == expected


@pytest.mark.parametrize("content", [b"", b"\n", b" \n\n\t\n", b"\r\n\r\n"])
def test_an_empty_file_lists_nothing(content: bytes) -> None:
    listing = parse(content)
    assert listing.packages == ()
    assert listing.unreadable == 0


def test_a_database_of_removed_packages_is_one() -> None:
    assert parse(b"Package: a\nStatus: deinstall ok config-files\n").packages == ()


@pytest.mark.parametrize(
    "content",
    [
        b"\x7fELF\x02\x01\x01\x00\x00",
        bytes(range(256)) * 20,
        b"asdf\n\nyolo\n",
        b"Package:\n",
        b"Package: a b\nVersion: 1\n",
        b"Package: a\nVersion: 1 2\n",
        b"Package: \xff\nVersion: 1\n",
        b"Package: a\nVersion: " + b"1" * 300,
        b"Package: " + b"a" * 300 + b"\nVersion: 1",
    ],
)
def test_what_is_no_database_is_refused(content: bytes) -> None:
    with pytest.raises(Failure) as caught:
        parse(content)
    assert caught.value.code is Code.ARCHIVE_CORRUPT


def test_text_that_is_shown_is_bounded_and_printable() -> None:
    content = b"Package: a\nVersion: 1\nMaintainer: \x1b[31mX\xff" + b"y" * 5000
    (package,) = parse(content).packages
    assert package.maintainer.startswith("[31mX\ufffdyy")
    assert package.maintainer.isprintable()
    assert len(package.maintainer) < 300


def test_the_number_of_packages_is_bounded() -> None:
    with pytest.raises(Failure) as caught:
        parse(b"Package: a\nVersion: 1\n\n" * (MAX_PACKAGES + 1))
    assert caught.value.code is Code.ARCHIVE_LIMIT


@given(content=st.binary(max_size=400))
def test_random_bytes_are_read_or_refused(content: bytes) -> None:
    for candidate in (content, STATUS.encode() + b"\n" + content):
        result = reference.outcome(parse, candidate)
        assert isinstance(result, Listing) or result.code is Code.ARCHIVE_CORRUPT


@given(cut=st.integers(0, len(STATUS)), garbage=st.binary(max_size=30))
@settings(max_examples=200)
def test_damage_costs_only_the_stanza_that_it_hits(cut: int, garbage: bytes) -> None:
    content = STATUS.encode()
    damaged = content[:cut] + garbage.replace(b"\n", b"") + content[cut:]
    names = {package.name for package in parse(damaged).packages}
    assert len({"libc6", "perl-base", "tzdata"} - names) <= 1
    kept = content[:cut].rpartition(b"\n\n")[0]
    assert parse(kept).packages == parse(content).packages[: len(parse(kept).packages)]


@pytest.mark.parametrize(
    ("name", "packages"),
    [
        ("claircore-debian-only", 1),
        ("claircore-postgresql", 3),
        ("claircore-texlive", 357),
        # 9 of the 24 stanzas are features of vcpkg, without a version
        ("claircore-vcpkg", 15),
    ],
)
def test_real_status_files(shared_data: Path, name: str, packages: int) -> None:
    content = (shared_data / "dpkg" / "status" / f"{name}.status").read_bytes()
    listing = parse(content)
    assert len(listing.packages) == packages
    assert packages + listing.unreadable == content.count(b"Status: install ok installed")
    assert all(package.arch for package in listing.packages)


def test_real_sources_with_a_version(shared_data: Path) -> None:
    content = (shared_data / "dpkg/status/claircore-texlive.status").read_bytes()
    found = {package.name: package for package in parse(content).packages}
    compiler = found["gcc"]
    assert (compiler.source, compiler.source_version) == ("gcc-defaults", "1.176ubuntu2.3")
    assert compiler.version == "4:7.4.0-1ubuntu2.3"
    stated = [
        line for line in content.split(b"\n") if line.startswith(b"Source: ") and b"(" in line
    ]
    assert len([p for p in found.values() if p.version != p.source_version]) == len(stated) > 0


@pytest.mark.parametrize(
    ("name", "packages", "unreadable"),
    [
        ("dpkg/scalibr/dpkg/valid", 7, 0),
        ("dpkg/scalibr/dpkg/single", 1, 0),
        ("dpkg/scalibr/dpkg/trailingnewlines", 1, 0),
        ("dpkg/scalibr/dpkg/nopackage", 2, 1),
        ("dpkg/scalibr/dpkg/noversion", 2, 1),
        ("dpkg/scalibr/dpkg/empty", 0, 0),
        # of seven stanzas three are installed and one has no status
        ("dpkg/scalibr/dpkg/statusfield", 4, 0),
        ("dpkg/scalibr/dpkg/status.d/foo", 1, 0),
        ("dpkg/syft/var/lib/dpkg/status.d/single", 1, 0),
        ("dpkg/syft/var/lib/dpkg/status.d/deinstall", 1, 0),
        ("dpkg/syft/var/lib/dpkg/status.d/multiple", 2, 2),
        ("dpkg/syft/var/lib/dpkg/status.d/coreutils-relationships", 9, 0),
    ],
)
def test_files_of_other_scanners(
    shared_data: Path, name: str, packages: int, unreadable: int
) -> None:
    listing = parse((shared_data / name).read_bytes())
    assert len(listing.packages) == packages
    assert listing.unreadable == unreadable


@pytest.mark.parametrize(
    "name",
    [
        "dpkg/scalibr/dpkg/invalid",
        "dpkg/syft/var/lib/dpkg/status.d/corrupt",
        "dpkg/syft/var/lib/dpkg/status.d/empty",
    ],
)
def test_corrupt_files_of_other_scanners(shared_data: Path, name: str) -> None:
    with pytest.raises(Failure) as caught:
        parse((shared_data / name).read_bytes())
    assert caught.value.code is Code.ARCHIVE_CORRUPT


def test_a_distroless_image(shared_data: Path) -> None:
    root = shared_data / "dpkg/syft/image-distroless-deb"
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    databases = [path for path in files if matches(path.relative_to(root).as_posix())]
    assert len(files) == 3
    assert [path.name for path in databases] == ["libsqlite3-0"]
    (package,) = parse(databases[0].read_bytes()).packages
    assert (package.name, package.source) == ("libsqlite3-0", "sqlite3")


@pytest.mark.skipif(not shutil.which("dpkg-query"), reason="there is no dpkg on this machine")
def test_the_same_packages_as_dpkg_query_lists() -> None:
    fields = [
        "${Package}",
        "${Version}",
        "${Architecture}",
        "${source:Package}",
        "${source:Version}",
    ]
    answer = subprocess.run(
        ["dpkg-query", "-W", "-f", "|".join([*fields, "${db:Status-Status}"]) + "\n"],
        capture_output=True,
        text=True,
        check=True,
    )
    listed = {line.removesuffix("|installed") for line in answer.stdout.splitlines()}
    read = {
        "|".join(
            (package.name, package.version, package.arch, package.source, package.source_version)
        )
        for package in parse(Path("/var/lib/dpkg/status").read_bytes()).packages
    }
    assert read == {line for line in listed if line.count("|") == 4}
    assert read
