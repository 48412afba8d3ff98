"""Amazon Linux's advisories."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customhouse.analysis.ecosystems import rpm
from customhouse.analysis.feeds import updateinfo
from customhouse.analysis.feeds.advisory import Advisory
from customhouse.analysis.feeds.document import Document, Rejected
from customhouse.analysis.severity import Severity

if TYPE_CHECKING:
    from pathlib import Path

AMAZON = "Amazon Linux:2023"
HEAD = '<update type="security"><id>ALAS2023-2023-001</id><issued date="2023-02-17 20:41:00"/>'


def package(name: str = "a", version: str = "1", arch: str = "x86_64", epoch: str = "0") -> str:
    return (
        f'<package name="{name}" version="{version}" release="1" epoch="{epoch}" arch="{arch}">'
        "<filename>f</filename></package>"
    )


def update(*packages: str, head: str = HEAD) -> str:
    return f"{head}<pkglist><collection>{''.join(packages)}</collection></pkglist></update>"


def read(content: bytes | str) -> list[Advisory | Rejected]:
    content = content if isinstance(content, bytes) else f"<updates>{content}</updates>".encode()
    return list(updateinfo.read([Document("u.xml", content)], AMAZON))


def rows(content: str) -> list[tuple[str, str | None, tuple[str, ...]]]:
    (found,) = read(content)
    assert isinstance(found, Advisory)
    return [(row.name, row.fixed_version, row.arches) for row in found.affected]


def real(folder: Path, name: str) -> Advisory:
    content = (folder / "amazon" / "updateinfo" / f"{name}.xml.gz").read_bytes()
    assert updateinfo.recognises(content)
    (found,) = updateinfo.read([Document(name, content)], AMAZON)
    assert isinstance(found, Advisory)
    return found


def test_packages() -> None:
    found = update(
        package(arch="x86_64"),
        package(arch="aarch64"),
        package("b", epoch="2"),
        package("b", "3", epoch="1"),
        package("c", arch="noarch"),
        package("d", "2", "x86_64"),
        package("d", "1", "i686"),
    )
    assert rows(found) == [
        ("a", "1-1", ("aarch64", "x86_64")),
        ("b", "2:1-1", ("x86_64",)),
        ("c", "1-1", ()),
        ("d", "1-1", ("i686",)),
        ("d", "2-1", ("x86_64",)),
    ]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (package(version="1 2"), "not a version"),
        (package(version="1-2"), "not a version"),
        (package(epoch="x"), "not a version"),
        (package(name=""), "not the name of a package"),
        (package(arch="x 64"), "not the name of a package"),
    ],
)
def test_a_bad_package_is_counted(bad: str, reason: str) -> None:
    (found,) = read(update(bad, package("b")))
    assert isinstance(found, Advisory)
    assert [row.name for row in found.affected] == ["b"]
    assert [(each.reason, each.count) for each in found.rejected] == [(reason, 1)]


@pytest.mark.parametrize("kind", ["2KERNEL-5.15-2022", "2023LIVEPATCH-2023", "2023NVIDIA-2025"])
def test_extras_are_left_out_and_counted(kind: str) -> None:
    (found,) = read(update(package(), package("b"), head=HEAD.replace("2023-2023", kind)))
    assert isinstance(found, Advisory)
    assert found.affected == ()
    assert [(each.reason, each.count) for each in found.skipped] == [("of an extras repository", 2)]


def test_other_updates_are_about_no_vulnerability() -> None:
    (found,) = read(update(package(), head=HEAD.replace("security", "bugfix")))
    assert isinstance(found, Advisory)
    assert found.affected == ()
    assert [each.reason for each in found.skipped] == ["not about a vulnerability"]


@pytest.mark.parametrize(
    "bad",
    [
        update(package(), head=HEAD.replace("ALAS2023-2023-001", "")),
        update(package(), head=HEAD.replace("2023-02-17", "tomorrow")),
    ],
)
def test_a_bad_advisory_does_not_stop_a_file(bad: str) -> None:
    first, second = read(bad + update(package()))
    assert isinstance(first, Rejected)
    assert isinstance(second, Advisory)


def test_what_was_read_of_a_damaged_file_counts() -> None:
    whole = f"<updates>{update(package())}</updates>".encode()
    found = read(whole[:-5])
    assert isinstance(found[0], Advisory)
    assert isinstance(found[1], Rejected)
    packed = gzip.compress(whole)
    assert [type(each) for each in read(packed)] == [Advisory]
    assert isinstance(read(packed[:-40])[-1], Rejected)
    assert isinstance(read(packed[:10])[-1], Rejected)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"<html/>",
        b"\x1f\x8bnothing",
        b'<!DOCTYPE u [<!ENTITY a "b">]><updates>&a;</updates>',
        b'<!DOCTYPE updates SYSTEM "file:///etc/passwd"><updates/>',
        b"<updates>" + b"<a>" * 100,
        b"<updates>&nothing;</updates>",
        b'<updates a="' + b"x" * (3 << 20),
    ],
)
def test_bad_files(content: bytes) -> None:
    (found,) = read(content)
    assert isinstance(found, Rejected)
    assert found.name == "u.xml"


def test_an_advisory_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updateinfo, "MAX_PACKAGES", 3)
    first, second = read(update(*[package()] * 4) + update(*[package()] * 3))
    assert isinstance(first, Rejected)
    assert isinstance(second, Advisory)


def test_a_file_that_is_too_large_when_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updateinfo, "MAX_UNPACKED", 1 << 20)
    (found,) = read(gzip.compress(b"<updates>" + b" " * (2 << 20)))
    assert isinstance(found, Rejected)
    assert "when unpacked" in found.reason


@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    updateinfo.recognises(content)
    assert all(isinstance(each, Rejected) for each in read(content))
    read(gzip.compress(content))
    read(b"\x1f\x8b\x08" + content)


def test_rsyslog(shared_data: Path) -> None:
    """The file has 61 packages of 21 names."""
    found = real(shared_data, "updateinfo_2023")
    assert found.id == "ALAS2023-2023-001"
    assert found.cves == ("CVE-2014-3634", "CVE-2022-24903")
    assert found.published == datetime(2023, 2, 17, 20, 41, tzinfo=UTC)
    assert (found.severity, found.severity_source) == (
        Severity.HIGH,
        "Amazon severity Important",
    )
    named = {row.name: row for row in found.affected}
    assert len(named) == len(found.affected) == 21
    assert named["rsyslog"].fixed_version == "8.2204.0-3.amzn2023.0.2"
    assert named["rsyslog"].fixed == rpm.key("8.2204.0-3.amzn2023.0.2")
    assert named["rsyslog-doc"].arches == ()


@pytest.mark.parametrize(
    ("name", "identifier", "ranges"),
    [
        ("updateinfo_1", "ALAS-2011-1", [("httpd-devel", "2.2.21-1.18.amzn1", ("i686",))]),
        ("updateinfo_2", "ALAS2-2018-939", [("kernel", "4.9.76-38.79.amzn2", ("x86_64",))]),
        (
            "updateinfo_2022",
            "ALAS2022-2021-001",
            [
                ("vim-X11-debuginfo", "2:8.2.3512-1.amzn2022", ("x86_64",)),
                ("vim-common-debuginfo", "2:8.2.3512-1.amzn2022", ("x86_64",)),
            ],
        ),
        ("updateinfo_2_kernel-5.15", "ALAS2KERNEL-5.15-2022-001", []),
        ("updateinfo_2023_kernel-livepatch", "ALAS2023LIVEPATCH-2023-001", []),
        ("updateinfo_2023_nvidia", "ALAS2023NVIDIA-2025-001", []),
    ],
)
def test_real_files(
    shared_data: Path,
    name: str,
    identifier: str,
    ranges: list[tuple[str, str, tuple[str, ...]]],
) -> None:
    found = real(shared_data, name)
    assert found.id == identifier
    assert [(row.name, row.fixed_version, row.arches) for row in found.affected] == ranges
