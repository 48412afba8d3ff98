"""What rpm's databases say in each form, and that hostile ones cost no more than their size."""

from __future__ import annotations

import sqlite3
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customhouse.analysis.ecosystems import rpm
from customhouse.analysis.ecosystems.package import MAX_FILES, MAX_PACKAGES, MAX_PATH, MAX_PATHS
from customhouse.errors import Code, Failure
from tests.analysis.ecosystems import rpm_databases as made
from tests.analysis.ecosystems.reference import outcome

forms = pytest.mark.parametrize("form", sorted(made.FORMS))

PLAIN: dict[int, made.Value] = {made.NAME: "a", made.VERSION: "1.0", made.RELEASE: "1"}


def code_of(content: bytes, reason: str) -> Code:
    with pytest.raises(Failure, match=reason) as caught:
        rpm.parse(content)
    return caught.value.code


@forms
def test_every_form_is_read(form: str) -> None:
    blobs = [
        made.package("npm", source="nodejs-12.1-3.src.rpm", module="nodejs:12:80300:229f0a1c"),
        made.header(PLAIN | {made.EPOCH: [2], made.SOURCE: "a-b-c-3.1-4.el8.nosrc.rpm"}),
        made.header(PLAIN | {made.NAME: "zero", made.EPOCH: [0]}),
        made.package("gpg-pubkey"),
        made.package("no name"),
        b"cut",
        made.package("long", source="x-" * 3000 + "1-1.src.rpm"),
    ]
    found = rpm.parse(made.FORMS[form](blobs))
    described = [(p.name, p.version, p.source, p.source_version, p.module) for p in found.packages]
    assert sorted(described) == [
        ("a", "2:1.0-1", "a-b-c", "3.1-4.el8", ""),
        ("long", "1.0-1", "long", "1.0-1", ""),
        ("npm", "1.0-1", "nodejs", "12.1-3", "nodejs:12"),
        ("zero", "1.0-1", "zero", "1.0-1", ""),
    ]
    assert found.unreadable == 2


@forms
def test_owned_files(form: str) -> None:
    files: dict[int, made.Value] = {
        made.FOLDERS: ["/usr/bin/", "/usr/lib/x.dist-info/", "/" + "d" * MAX_PATH + "/"],
        made.BASE_NAMES: ["gh", "METADATA", "a.so", "lost", "long"],
        made.FOLDER_OF: [0, 1, 0, 7, 2],
    }
    found = rpm.parse(made.FORMS[form]([made.header(PLAIN | files)]))
    assert found.owned == {"a": ("usr/bin/gh", "usr/lib/x.dist-info/METADATA")}


@forms
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_damage_is_a_failure_or_is_counted(form: str, data: st.DataObject) -> None:
    blobs = [made.package(f"p{number}", source="s-1-1.src.rpm") for number in range(9)]
    content = bytearray(made.FORMS[form](blobs))
    for _ in range(data.draw(st.integers(0, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    end = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    found = outcome(rpm.parse, bytes(content[:end]))
    if isinstance(found, Failure):
        assert found.code is Code.ARCHIVE_CORRUPT
    else:
        assert len(found.packages) + found.unreadable <= 2 * len(blobs)


def test_a_chain_of_pages_that_goes_round() -> None:
    content = bytearray(made.bdb([made.header(PLAIN | {made.SOURCE: "x" * 10_000})]))
    page = 2 * 512
    struct.pack_into("<I", content, page + 16, 2)
    struct.pack_into("<H", content, page + 22, 1)
    assert code_of(bytes(content), "its values overlap") is Code.ARCHIVE_CORRUPT


def test_items_of_a_page_that_overlap() -> None:
    content = bytearray(made.bdb([made.package("a")]))
    content[512 + 28 : 512 + 30] = content[512 + 26 : 512 + 28]
    assert code_of(bytes(content), "an index is wrong") is Code.ARCHIVE_CORRUPT


def test_a_blob_that_many_slots_lead_to() -> None:
    big = made.header(PLAIN | {made.SOURCE: "x" * 100_000})
    assert code_of(made.ndb([big], slots=5000), "its packages overlap") is Code.ARCHIVE_CORRUPT


@pytest.mark.parametrize(
    "table",
    [
        "CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, x, blob BLOB AS (zeroblob(900000000)))",
        "CREATE VIRTUAL TABLE Packages USING rtree(hnum, x, y)",
        "CREATE VIEW Packages AS SELECT 1 AS hnum, x'00' AS blob",
    ],
)
def test_a_table_that_is_not_as_rpm_makes_it(table: str) -> None:
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute(table)
        if " x, blob" in table:
            connection.execute("INSERT INTO Packages(x) VALUES (1)")
        connection.commit()
        content = connection.serialize()
    except sqlite3.OperationalError as error:
        pytest.skip(f"this SQLite cannot make it: {error}")
    finally:
        connection.close()
    assert code_of(content, "no table of packages") is Code.ARCHIVE_CORRUPT


def test_more_headers_than_packages_may_be() -> None:
    content = made.sqlite([b""] * (MAX_PACKAGES + 1))
    assert code_of(content, "more than 100000 packages") is Code.ARCHIVE_LIMIT


def test_paths_that_are_longer_together_than_any_installation() -> None:
    count = MAX_PATHS // 4000 + 1
    files: dict[int, made.Value] = {
        made.FOLDERS: ["/usr/share/doc/" + "d" * 4000 + "/"],
        made.BASE_NAMES: ["a"] * count,
        made.FOLDER_OF: [0] * count,
    }
    content = made.ndb([made.header(PLAIN | files)])
    assert code_of(content, "characters") is Code.ARCHIVE_LIMIT


def test_the_files_of_a_package_are_bounded() -> None:
    files: dict[int, made.Value] = {
        made.FOLDERS: ["/usr/bin/"],
        made.BASE_NAMES: [f"p{number}" for number in range(MAX_FILES)],
        made.FOLDER_OF: [0] * MAX_FILES,
    }
    found = rpm.parse(made.ndb([made.header(PLAIN | files)] * 2))
    assert len(found.packages) == 2
    assert len(found.owned["a"]) == MAX_FILES


@pytest.mark.parametrize(("count", "offset"), [(2**32 - 1, 0), (1, -1), (1, 2**31 - 1), (9, 0)])
def test_an_entry_that_leads_out_of_a_header(count: int, offset: int) -> None:
    for tag, kind in ((made.NAME, 6), (made.EPOCH, 4), (made.BASE_NAMES, 8)):
        good = made.header(PLAIN)
        entry = struct.pack(">IIiI", tag, kind, offset, count)
        entries, size = struct.unpack_from(">II", good)
        bad = struct.pack(">II", entries + 1, size) + good[8 : 8 + 16 * entries] + entry
        found = rpm.parse(made.ndb([bad + good[8 + 16 * entries :], made.package("good")]))
        is_single = kind == 6 and (count, offset) == (9, 0)  # of a text only the first is read
        assert found.unreadable == (0 if is_single else 1), (tag, count, offset)
