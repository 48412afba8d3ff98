"""Real feeds of several distributions; what they are stands in the data folder's SOURCES.md."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from customhouse.analysis.feeds import Advisory, Rejected, Survey, documents, load, survey
from customhouse.analysis.feeds.document import Document
from customhouse.analysis.feeds.osv import parse
from customhouse.analysis.severity import Severity
from customhouse.errors import Failure

if TYPE_CHECKING:
    from pathlib import Path

DEBIAN = "debian/osv-from-dsa-dla-2023-04-02.all.zip"
ALPINE = "alpine/osv-from-secdb-2020-06-08.all.zip"
UBUNTU = "ubuntu/osv-from-uct-2020-06-18.all.zip"


def advisories(path: Path) -> list[Advisory]:
    """All of a feed; none may be rejected."""
    found = []
    for each in load(path):
        assert isinstance(each, Advisory), each
        found.append(each)
    return found


def of(found: list[Advisory], identifier: str) -> Advisory:
    (advisory,) = (each for each in found if each.id == identifier)
    return advisory


def test_debian(shared_data: Path) -> None:
    found = advisories(shared_data / DEBIAN)
    rows = [row for each in found for row in each.affected]
    assert survey(shared_data / DEBIAN) == Survey(7337, 0)
    assert len(found) == 7337
    assert len(rows) == 8518
    assert not any(each.skipped or each.rejected for each in found)
    assert Counter(row.ecosystem for row in rows) == {
        "Debian:8": 1826,
        "Debian:7": 1799,
        "Debian:9": 1568,
        "Debian:6.0": 1145,
        "Debian:10": 945,
        "Debian:5.0": 585,
        "Debian:11": 410,
        "Debian:4.0": 240,
    }
    assert Counter(row.status for row in rows if not row.fixed_version) == {"end-of-life": 5}
    heartbleed = of(found, "DSA-2896-1")
    assert heartbleed.cves == ("CVE-2014-0160",)
    assert [(row.ecosystem, row.name, row.fixed_version) for row in heartbleed.affected] == [
        ("Debian:7", "openssl", "1.0.1e-2+deb7u5")
    ]


def test_alpine(shared_data: Path) -> None:
    found = advisories(shared_data / ALPINE)
    assert len(found) == 2437
    assert sum(len(each.affected) for each in found) == 11_887
    assert not any(each.skipped or each.rejected for each in found)
    assert all(each.cves for each in found)
    assert {row.ecosystem for each in found for row in each.affected} == {
        f"Alpine:v3.{minor}" for minor in range(3, 12)
    }


def test_ubuntu(shared_data: Path) -> None:
    found = advisories(shared_data / UBUNTU)
    taken_back = [each for each in found if each.withdrawn]
    rows = [row for each in found for row in each.affected]
    assert len(found) == 12_928
    assert all("** REJECT **" in each.details for each in taken_back)
    # 33,500 entries, of which 164 are about identifiers that were rejected
    assert (len(taken_back), len(rows)) == (75, 33_336)
    assert not any(each.skipped or each.rejected for each in found)
    assert {row.ecosystem for row in rows} == {
        "Ubuntu:Pro:14.04:LTS",
        "Ubuntu:16.04:LTS",
        "Ubuntu:18.04:LTS",
        "Ubuntu:19.10",
    }
    assert {row.status for row in rows if row.fixed_version} == {""}
    assert {row.status for row in rows if not row.fixed_version} == {
        "needs-triage",
        "ignored",
        "needed",
        "deferred",
        "pending",
    }
    assert all(row.severity_source.startswith("Ubuntu priority") for row in rows if row.severity)
    bash = of(found, "UBUNTU-CVE-2019-18276")
    assert (bash.severity, bash.severity_source) == (Severity.LOW, "Ubuntu priority low")
    assert [(each.version, each.severity) for each in bash.scores] == [("3.1", Severity.HIGH)]


def test_go(shared_data: Path) -> None:
    found = advisories(shared_data / "lang" / "Go.all.zip")
    assert len(found) == 4291
    assert sum(each.withdrawn is not None for each in found) == 17
    assert not any(each.skipped or each.rejected for each in found)
    gin = of(found, "GO-2020-0001")
    assert gin.aliases == ("CVE-2020-36567", "GHSA-6vm3-jj99-7229")
    assert [(row.name, row.fixed_version) for row in gin.affected] == [
        ("github.com/gin-gonic/gin", "1.6.0")
    ]


def test_yaml_is_ignored(shared_data: Path) -> None:
    path = shared_data / "lang" / "PyPI.all.zip"
    assert list(load(path)) == []
    with pytest.raises(Failure, match=r"no JSON files \(2661 others are ignored\)"):
        survey(path)


def test_an_ecosystem_that_is_not_supported_is_counted(shared_data: Path) -> None:
    found = advisories(shared_data / "almalinux" / "AlmaLinux-9.all.zip")
    assert len(found) == 1783
    omitted = {(each.ecosystem, each.reason) for one in found for each in one.skipped}
    rated = Counter(each.severity.name for each in found if each.id.startswith("ALSA-"))
    assert sum(bool(each.cves) for each in found) == 1776
    assert rated["SEVERITY_UNSPECIFIED"] == 0
    assert omitted == {("AlmaLinux", "not about a vulnerability")}


@pytest.mark.parametrize(
    ("folder", "records"),
    [("debian/osv", 4), ("ubuntu/osv", 18), ("alpine/osv", 1), ("rocky/osv", 8)],
)
def test_records_of_later_years(shared_data: Path, folder: str, records: int) -> None:
    found = advisories(shared_data / folder)
    assert len(found) == records
    assert all(each.cves for each in found)
    assert not any(each.rejected for each in found)


def test_single_records(shared_data: Path) -> None:
    (wayland,) = advisories(shared_data / "ubuntu" / "osv" / "UBUNTU-CVE-2021-3782.json")
    assert wayland.withdrawn is None
    (withdrawn,) = advisories(shared_data / "ubuntu" / "osv" / "UBUNTU-CVE-2001-1593.json")
    assert withdrawn.withdrawn is not None
    assert withdrawn.affected == ()
    (squeeze,) = advisories(shared_data / "debian" / "osv" / "DLA-0001-1.json")
    assert squeeze.cves == ("CVE-2014-3466",)
    assert [row.fixed_version for row in squeeze.affected] == ["2.8.6-1+squeeze4"]
    (unfixed,) = advisories(shared_data / "ubuntu" / "osv" / "UBUNTU-CVE-2026-1403.json")
    assert [(row.name, row.fixed_version) for row in unfixed.affected] == [("gitlab", None)]


def test_a_table_of_contents_is_no_feed(shared_data: Path) -> None:
    found = list(load(shared_data / "wolfi" / "vunnel-chainguard" / "osv"))
    advisory_ids = [each.id for each in found if isinstance(each, Advisory)]
    rejected = [each for each in found if isinstance(each, Rejected)]
    assert len(advisory_ids) == 3
    assert {each.name for each in rejected} == {f"all.json[{n}]" for n in range(3)}
    assert {each.reason for each in rejected} == {"it is an identifier and a date without a record"}


def test_ten_thousand_records_a_second(shared_data: Path) -> None:
    contents = [
        each.content for each in documents(shared_data / DEBIAN) if isinstance(each, Document)
    ]
    begin = time.process_time()
    for content in contents:
        parse(content)
    assert len(contents) / (time.process_time() - begin) > 10_000
