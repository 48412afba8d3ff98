"""The end of life of operating systems."""

from __future__ import annotations

import csv
import datetime
import json
from typing import TYPE_CHECKING

import pytest

from customhouse.analysis.lifetimes import end_of_life, of_system
from customhouse.analysis.systems import System, recognise

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("ecosystem", "day"),
    [
        ("Debian:10", "2022-09-10"),
        ("Debian:6.0", "2014-05-31"),
        ("Debian:13", "2028-08-09"),
        ("Debian:sid", None),
        ("Debian:14", None),
        ("Ubuntu:20.04:LTS", "2025-05-29"),
        ("Ubuntu:23.10", "2024-07-11"),
        ("Ubuntu:Pro:20.04:LTS", "2030-04-23"),
        ("Ubuntu:20.04", None),
        ("Alpine:v3.18", "2025-05-09"),
        ("Alpine:v3.22", "2027-05-01"),
        ("Alpine:edge", None),
        ("Red Hat:7", "2024-06-30"),
        ("AlmaLinux:9", "2032-05-31"),
        ("Rocky Linux:8", "2029-05-31"),
        ("Oracle Linux:6", "2021-03-31"),
        ("Amazon Linux:1", "2023-12-31"),
        ("Amazon Linux:2", "2026-06-30"),
        ("SUSE:Linux Enterprise Server 15 SP5", "2024-12-31"),
        ("SUSE:Linux Enterprise Server for SAP Applications 15 SP5", "2024-12-31"),
        ("SUSE:Linux Enterprise Server 12", "2016-06-30"),
        ("openSUSE:Leap 15.6", "2026-04-30"),
        ("openSUSE:Tumbleweed", None),
        ("Wolfi", None),
        ("Chainguard", None),
        ("", None),
        ("anything", None),
    ],
)
def test_end_of_life(ecosystem: str, day: str | None) -> None:
    expected = None if day is None else datetime.date.fromisoformat(day)
    assert end_of_life(ecosystem) == expected


@pytest.mark.parametrize(
    ("release", "day"),
    [
        (
            "ID=centos\nNAME='CentOS Linux'\nPRETTY_NAME='CentOS Linux 8'\nVERSION_ID=8",
            "2021-12-31",
        ),
        ("ID=centos\nNAME='CentOS Stream'\nVERSION_ID=8", "2024-05-31"),
        ("ID=centos\nNAME='CentOS Stream'\nVERSION_ID=9", "2027-05-31"),
        ("ID=rhel\nNAME='Red Hat Enterprise Linux'\nVERSION_ID=8.10", "2029-05-31"),
        ("ID=fedora\nNAME='Fedora Linux'\nVERSION_ID=36", "2023-05-16"),
        ("ID=fedora\nNAME='Fedora Linux'\nVERSION_ID=99", None),
        ("ID=debian\nVERSION_ID=9", "2020-07-18"),
        ("ID=amzn\nVERSION_ID=2018.03", "2023-12-31"),
        ("ID=arch", None),
    ],
)
def test_of_a_system(release: str, day: str | None) -> None:
    system = recognise({"etc/os-release": release.encode()})
    assert system
    assert of_system(system) == (day and datetime.date.fromisoformat(day))


def test_centos_by_its_sentence() -> None:
    system = recognise({"etc/redhat-release": b"CentOS release 6.10 (Final)\n"})
    assert system
    assert of_system(system) == datetime.date(2020, 11, 30)


def test_ubuntu_pro_has_more_of_it() -> None:
    plain = System("ubuntu", "18.04", "Ubuntu 18.04", "Ubuntu:18.04:LTS")
    pro = System("ubuntu", "18.04", "Ubuntu 18.04", "Ubuntu:18.04:LTS", ("Ubuntu:Pro:18.04:LTS",))
    assert of_system(plain) == datetime.date(2023, 5, 31)
    assert of_system(pro) == datetime.date(2028, 4, 26)


def test_the_tables_of_debian_and_ubuntu(shared_data: Path) -> None:
    checked = 0
    for name in ("debian", "ubuntu"):
        with (shared_data / "eol" / f"{name}.csv").open() as file:
            for row in csv.DictReader(file):
                version = row["version"].replace(" LTS", ":LTS")
                found = end_of_life(f"{name.capitalize()}:{version}")
                day = max(row["eol"] or "", row.get("eol-server") or "")
                assert found == (datetime.date.fromisoformat(day) if day else None), row
                checked += 1
                if day and found:
                    assert found > datetime.date.fromisoformat(row["release"])
    assert checked > 60


def test_dates_of_a_published_sample(shared_data: Path) -> None:
    sample = json.loads((shared_data / "eol" / "trivy-eoldata-sample.json").read_text())
    ends = {
        (product["name"], release["name"]): release.get("eolFrom")
        for product in sample["result"]
        for release in product["releases"]
    }
    assert str(end_of_life("Alpine:v3.22")) == ends["alpine-linux", "3.22"]
    assert str(end_of_life("Oracle Linux:9")) == ends["oracle-linux", "9"]
