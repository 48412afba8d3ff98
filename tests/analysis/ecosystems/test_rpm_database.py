"""rpm's databases in all their forms, against what rpm itself lists in them."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customhouse.analysis.ecosystems import rpm
from customhouse.errors import Code, Failure
from tests.analysis.ecosystems import rpm_databases
from tests.analysis.ecosystems.reference import outcome

if TYPE_CHECKING:
    from pathlib import Path

    from customhouse.analysis.ecosystems import Package

DATABASES = [
    "bdb/libuuid.Packages",
    "bdb/reencoded-cbl-mariner-first60.Packages",
    "bdb/reencoded-sle15-bci.Packages",
    "bdb/scalibr-epoch.Packages",
    "bdb/syft-dive.Packages",
    "ndb/sle15-bci.Packages.db",
    "sqlite/cbl-mariner-2.0.rpmdb.sqlite",
    "sqlite/reencoded-sle15-bci.rpmdb.sqlite",
]


def line(package: Package) -> str:
    """A package in the form of the lists: name epoch version release arch source module."""
    epoch, colon, rest = package.version.rpartition(":")
    version, _, release = rest.rpartition("-")
    source = f"{package.source}-{package.source_version}.src.rpm"
    parts = (package.name, epoch if colon else "0", version, release, package.arch, source)
    return " ".join((*parts, package.module or "(none)"))


@pytest.mark.parametrize("name", DATABASES)
def test_it_lists_what_rpm_lists(shared_data: Path, name: str) -> None:
    found = rpm.parse((shared_data / "rpmdb" / name).read_bytes())
    truth = (shared_data / "rpmdb" / f"{name}.list").read_text().splitlines()
    expected = sorted(
        each.replace("(none)", "0", 1) if " (none) " in each.split("src.rpm")[0] else each
        for each in truth
        if not each.startswith(("#", "gpg-pubkey "))
    )
    assert sorted(map(line, found.packages)) == expected
    assert found.unreadable == 0


def test_forms_agree(shared_data: Path) -> None:
    forms = [
        rpm.parse((shared_data / "rpmdb" / name).read_bytes())
        for name in DATABASES
        if "sle15-bci" in name
    ]
    assert len(forms) == 3
    first = {package.name: package for package in forms[0].packages}
    for form in forms[1:]:
        assert {package.name: package for package in form.packages} == first
        assert form.owned == forms[0].owned
    bash = first["bash"]
    assert bash.vendor == "SUSE LLC <https://www.suse.com/>"
    assert bash.licence == "GPL-3.0-or-later"
    assert "bin/bash" in forms[0].owned["bash"] or "usr/bin/bash" in forms[0].owned["bash"]


def test_a_file_that_was_written_ahead(shared_data: Path) -> None:
    """Its header says that there is a log beside it."""
    content = bytearray((shared_data / "rpmdb" / DATABASES[-1]).read_bytes())
    content[18:20] = b"\x02\x02"
    assert len(rpm.parse(bytes(content)).packages) == 35


def test_big_endian(shared_data: Path) -> None:
    """The other byte order, as images of s390x have it: every number of the pages is swapped."""
    content = bytearray((shared_data / "rpmdb" / "bdb/libuuid.Packages").read_bytes())
    expected = rpm.parse(bytes(content))
    size = int.from_bytes(content[20:24], "little")
    last = int.from_bytes(content[32:36], "little")

    def swap(at: int, width: int) -> int:
        number = int.from_bytes(content[at : at + width], "little")
        content[at : at + width] = number.to_bytes(width, "big")
        return number

    for at in (12, 16, 20, 32):
        swap(at, 4)
    for page in range(1, last + 1):
        start = page * size
        kind = content[start + 25]
        count = swap(start + 20, 2)
        swap(start + 16, 4)
        swap(start + 22, 2)
        if kind in {2, 13}:
            for index in range(count):
                item = start + swap(start + 26 + 2 * index, 2)
                if content[item] == 3:
                    swap(item + 4, 4)
                    swap(item + 8, 4)
    assert rpm.parse(bytes(content)) == expected


@pytest.mark.parametrize("name", ["bdb/invalid", "sqlite/no_packages.sqlite"])
def test_files_that_hold_no_packages(shared_data: Path, name: str) -> None:
    found = outcome(rpm.parse, (shared_data / "rpmdb" / name).read_bytes())
    assert isinstance(found, Failure)
    assert found.code is Code.ARCHIVE_CORRUPT


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("blob.bin", "publicsuffix-list-dafsa 0 20210518 2.fc35 noarch"),
        ("package.header", "crypto-policies 0 20210213 1.git5c710c0.fc34 noarch"),
    ],
)
def test_single_headers(shared_data: Path, name: str, expected: str) -> None:
    header = (shared_data / "rpmdb" / "header" / name).read_bytes()
    (package,) = rpm.parse(rpm_databases.ndb([header])).packages
    assert line(package).startswith(f"{expected} ")


@pytest.mark.parametrize("content", [b"x", b"x" * 4096, b"RpmP", b"SQLite format 3\0" + b"x" * 99])
def test_what_is_no_database(content: bytes) -> None:
    with pytest.raises(Failure) as caught:
        rpm.parse(content)
    assert caught.value.code is Code.ARCHIVE_CORRUPT


def test_an_empty_file_lists_nothing() -> None:
    assert rpm.parse(b"").packages == ()


@pytest.mark.parametrize("schema", ["CREATE VIEW Packages AS SELECT 1 AS hnum, x'00' AS blob"])
def test_a_view_is_no_table_of_packages(schema: str) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute(schema)
    content = connection.serialize()
    connection.close()
    with pytest.raises(Failure):
        rpm.parse(content)


@pytest.mark.parametrize("name", DATABASES)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_damage_never_ends_otherwise(shared_data: Path, name: str, data: st.DataObject) -> None:
    content = bytearray((shared_data / "rpmdb" / name).read_bytes())
    for _ in range(data.draw(st.integers(0, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    found = outcome(rpm.parse, bytes(content[:end]))
    if isinstance(found, Failure):
        assert found.code is Code.ARCHIVE_CORRUPT
    else:
        assert len(found.packages) <= 200
