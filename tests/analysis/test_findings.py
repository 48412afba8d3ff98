"""Inventories, advisories and the join of both, on both engines."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from sqlalchemy import func, select

from customhouse.analysis import advisories, findings, packages
from customhouse.analysis.advisories import AFFECTED
from customhouse.analysis.ecosystems import Package
from customhouse.analysis.findings import FINDING
from customhouse.analysis.inventory import InventoryPackage
from customhouse.analysis.packages import INVENTORY_PACKAGE, PACKAGE, PACKAGE_NAME
from customhouse.analysis.severity import Severity
from tests.analysis.stored import (
    LAYER,
    advisory,
    affects,
    found_in,
    inventory,
    load,
    names,
    package,
    parsed_document,
    store,
    store_image,
)

if TYPE_CHECKING:
    from sqlalchemy import Table

    from customhouse.database import Database

FROM_THE_FIRST = {"introduced": "0"}
SED = package("sed=4.9-1")


def count(database: Database, table: Table) -> int:
    """How many rows a table has."""
    return database.read(
        lambda tx: tx.execute(select(func.count()).select_from(table)).scalar_one()
    )


RANGES: list[tuple[str, tuple[dict[str, str], ...], bool]] = [
    ("4.9-1", (FROM_THE_FIRST,), True),
    ("4.9-1", (FROM_THE_FIRST, {"fixed": "4.9-1"}), False),
    ("4.9-1", (FROM_THE_FIRST, {"fixed": "4.9-1+deb12u1"}), True),
    ("4.9-1", (FROM_THE_FIRST, {"fixed": "4.9-1~deb12u1"}), False),
    ("4.9-1", (FROM_THE_FIRST, {"fixed": "1:0"}), True),
    ("1:4.9-1", (FROM_THE_FIRST, {"fixed": "5"}), False),
    ("4.9-1", ({"introduced": "4.9-1"},), True),
    ("4.9-1", ({"introduced": "4.9-2"},), False),
    ("4.10-1", ({"introduced": "4.9-2"},), True),
    ("4.9-1", (FROM_THE_FIRST, {"last_affected": "4.9-1"}), True),
    ("4.9-1+b1", (FROM_THE_FIRST, {"last_affected": "4.9-1"}), False),
    ("4.9~rc1-1", ({"introduced": "4.9"}, {"fixed": "5"}), False),
    ("is no version", (FROM_THE_FIRST,), False),
]


@pytest.mark.parametrize("image_first", [True, False])
def test_ranges(database: Database, image_first: bool) -> None:
    image = inventory(*(package(f"p{n}={version}") for n, (version, _, _) in enumerate(RANGES)))
    documents = [
        advisory(f"DSA-{n}", affects(f"p{n}", *events)) for n, (_, events, _) in enumerate(RANGES)
    ]
    number = store_image(database, image) if image_first else 0
    assert load(database, *documents) == len(RANGES)
    number = number or store_image(database, image)
    expected = {(f"DSA-{n}", f"p{n}") for n, (_, _, matches) in enumerate(RANGES) if matches}
    assert set(names(found_in(database, number))) == expected


def test_what_matches_is_the_source_package_and_its_version(database: Database) -> None:
    number = store_image(
        database,
        inventory(
            package("libssl3=3.0.9-1", source="openssl=3.0.9-1"),
            package("openssl=3.0.9-1"),
            package("python3-minimal=3.11.2-1+b1", source="python3-defaults=3.11.2-1"),
            package("openssl-doc=1", source="docs=1"),
        ),
    )
    load(
        database,
        advisory("DSA-1", affects("openssl", FROM_THE_FIRST, {"fixed": "3.0.11-1"})),
        advisory("DSA-2", affects("libssl3", FROM_THE_FIRST)),
        advisory("DSA-3", affects("python3-defaults", {"introduced": "3.11.2-1+b1"})),
        advisory("DSA-4", affects("openssl", FROM_THE_FIRST, ecosystem="Debian:11")),
        advisory("DSA-5", affects("openssl", FROM_THE_FIRST, ecosystem="Ubuntu:22.04:LTS")),
    )
    rows = found_in(database, number)
    assert names(rows) == [("DSA-1", "libssl3"), ("DSA-1", "openssl")]
    assert {row.fixed_version for row in rows} == {"3.0.11-1"}


def changed(severity: str, fixed: str, **fields: Any) -> bytes:
    """One version of an advisory whose severity and fix change."""
    events = (FROM_THE_FIRST, {"fixed": fixed}) if fixed else (FROM_THE_FIRST,)
    return advisory(
        "DSA-1", affects("sed", *events), database_specific={"severity": severity}, **fields
    )


def test_a_changed_advisory_changes_its_finding_in_place(database: Database) -> None:
    number = store_image(database, inventory(SED))
    assert load(database, changed("LOW", "")) == 1
    (first,) = found_in(database, number)
    assert (first.advisory_severity, first.fixed_version) == (Severity.LOW, None)
    assert first.created_at == first.updated_at

    # The same again: nothing is written.
    assert load(database, changed("LOW", "")) == 0
    assert found_in(database, number) == [first]

    time.sleep(0.002)
    assert load(database, changed("CRITICAL", "4.9-2")) == 1
    (second,) = found_in(database, number)
    assert (second.advisory_severity, second.fixed_version) == (Severity.CRITICAL, "4.9-2")
    assert second.advisory_id == first.advisory_id
    assert second.created_at == first.created_at
    assert second.updated_at > first.updated_at

    # A fix that the image has: the finding goes, and comes again with the range.
    assert load(database, changed("CRITICAL", "4.9-1")) == 1
    assert found_in(database, number) == []
    assert load(database, changed("CRITICAL", "4.9-3")) == 1
    assert len(found_in(database, number)) == 1


def test_what_is_withdrawn_is_found_no_more(database: Database) -> None:
    number = store_image(database, inventory(SED))
    load(database, changed("LOW", ""), advisory("DSA-2", affects("sed", FROM_THE_FIRST)))
    assert len(found_in(database, number)) == 2
    assert load(database, changed("LOW", "", withdrawn="2024-06-01T00:00:00Z")) == 1
    assert names(found_in(database, number)) == [("DSA-2", "sed")]
    assert count(database, FINDING) == 1
    # It is still known, affects nothing new, and counts when it stands again.
    other = store_image(database, inventory(SED, package("bash=5.2")))
    assert names(found_in(database, other)) == [("DSA-2", "sed")]
    assert load(database, changed("LOW", "")) == 1
    assert len(found_in(database, number)) == len(found_in(database, other)) == 2


def test_an_advisory_that_leaves_a_package_alone(database: Database) -> None:
    number = store_image(database, inventory(SED, package("bash=5.2")))
    load(
        database, advisory("DSA-1", affects("sed", FROM_THE_FIRST), affects("bash", FROM_THE_FIRST))
    )
    assert names(found_in(database, number)) == [("DSA-1", "bash"), ("DSA-1", "sed")]
    load(database, advisory("DSA-1", affects("bash", FROM_THE_FIRST)))
    assert names(found_in(database, number)) == [("DSA-1", "bash")]


def test_two_ranges_make_one_finding(database: Database) -> None:
    number = store_image(database, inventory(package("sed=3")))
    load(
        database,
        advisory(
            "DSA-1",
            affects("sed", {"introduced": "1"}, {"fixed": "5"}),
            affects("sed", {"introduced": "2"}, {"fixed": "4"}),
            affects("sed", {"introduced": "7"}, {"fixed": "9"}),
        ),
    )
    (row,) = found_in(database, number)
    assert row.fixed_version == "5"
    assert count(database, AFFECTED) == 3


def test_one_record_twice_in_a_batch(database: Database) -> None:
    number = store_image(database, inventory(SED))
    assert load(database, changed("LOW", ""), changed("HIGH", "4.9-2")) == 1
    (row,) = found_in(database, number)
    assert (row.advisory_severity, row.fixed_version) == (Severity.HIGH, "4.9-2")


def test_inventories_share_package_versions(database: Database) -> None:
    many = [package(f"package-{n}={n}.0") for n in range(2500)]
    first = store_image(database, inventory(*many))
    assert count(database, PACKAGE) == 2500
    assert store_image(database, inventory(*many)) == first
    second = store_image(database, inventory(*many[:1200], SED))
    assert second != first
    assert count(database, PACKAGE) == 2501
    assert count(database, INVENTORY_PACKAGE) == 2500 + 1201
    load(database, advisory("DSA-1", affects("package-7", FROM_THE_FIRST)))
    assert count(database, FINDING) == 1
    assert names(found_in(database, first)) == names(found_in(database, second))
    # Of several images together it is told once for each that has it.
    assert {row.advisory for row in found_in(database, first, second)} == {"DSA-1"}


def test_a_package_that_two_databases_list(database: Database) -> None:
    image = inventory(SED)
    twice = InventoryPackage(SED, "dpkg", "var/lib/dpkg/status.d/sed", LAYER, 1)
    image = type(image)(image.system, (*image.packages, twice), image.databases, image.digest)
    number = store_image(database, image)
    load(database, changed("LOW", ""))
    (row,) = found_in(database, number)
    assert row.path == "var/lib/dpkg/status"


@pytest.mark.parametrize("ecosystem", [None, "Debian:99", "Slackware:15"])
def test_systems_without_advisories(database: Database, ecosystem: str | None) -> None:
    load(database, advisory("DSA-1", affects("sed", FROM_THE_FIRST)))
    number = store_image(database, inventory(SED, ecosystem=ecosystem))
    assert found_in(database, number) == []
    assert count(database, PACKAGE) == 1
    assert not database.read(advisories.has_ecosystem, ecosystem or "")
    assert database.read(advisories.has_ecosystem, "Debian:12")


def test_pages(database: Database) -> None:
    number = store_image(
        database,
        inventory(package("a=1", source="s=1"), package("b=1", source="s=1"), package("t=1")),
    )
    documents = [advisory(f"DSA-{n}", affects("st"[n % 2], FROM_THE_FIRST)) for n in range(21)]
    load(database, *documents)
    whole = found_in(database, number)
    assert len(whole) == 11 * 2 + 10
    for size in (1, 2, 10, 20, 21):
        after, paged = 0, []
        while page := database.read(findings.of_inventories, [number], after, size):
            assert len({row.advisory_id for row in page}) <= size
            paged += page
            after = page[-1].advisory_id
        assert paged == whole


def test_feeds_are_counted(database: Database) -> None:
    assert database.read(advisories.feeds) == []
    load(database, advisory("DSA-1", affects("a", FROM_THE_FIRST), affects("b", FROM_THE_FIRST)))
    load(
        database,
        advisory("A-1", affects("a", FROM_THE_FIRST, ecosystem="Alpine:v3.19")),
        feed="alpine",
    )
    for name in ("test", "alpine", "test"):
        there = database.read(advisories.contents, name)
        database.write(advisories.note_import, name, f"{name}.zip", there, rejected=1, skipped=2)
    shown = database.read(advisories.feeds)
    assert [(each["name"], each["advisories"], each["ranges"]) for each in shown] == [
        ("alpine", 1, 1),
        ("test", 1, 2),
    ]
    assert [each["ecosystems"] for each in shown] == [["Alpine:v3.19"], ["Debian:12"]]
    assert {(each["rejected"], each["skipped"]) for each in shown} == {(1, 2)}


def test_versions_that_are_none_are_kept_without_a_key(database: Database) -> None:
    number = store_image(database, inventory(package("sed=is no version"), package("ok=1")))
    query = select(PACKAGE_NAME.c.name, PACKAGE_NAME.c.key)
    keys = database.read(lambda tx: dict(tx.execute(query).all()))
    assert list(keys) == ["ok"]
    assert keys["ok"]
    assert (
        database.read(
            lambda tx: packages.put(tx, inventory(package("sed=is no version"), package("ok=1")))
        )
        == number
    )


def rpm(text: str, source: str = "", *, module: str = "", arch: str = "x86_64") -> Package:
    """A package of rpm `NAME=VERSION`."""
    name, _, version = text.partition("=")
    source_name, _, source_version = (source or text).partition("=")
    return Package(name, version, arch, source_name, source_version, module=module)


def test_rpm_is_matched_by_its_own_name_and_its_source(database: Database) -> None:
    """AlmaLinux names binary packages, Rocky Linux source packages, which have no epoch."""
    image = (
        rpm("perl-Errno=0:1.28-422.el8", "perl=5.26.3-422.el8"),
        rpm("npm=1:6.14-1.module_el8", "nodejs=14.1-1.module_el8", module="nodejs:14"),
        rpm("nodejs=12.0-1.el8", "nodejs=12.0-1.el8"),
    )
    rocky = store_image(database, inventory(*image, ecosystem="Rocky Linux:8"))
    alma = store_image(database, inventory(*image, ecosystem="AlmaLinux:8"))
    modular = "2:99-1.module_el8"

    def about(name: str, fixed: str = "", *, ecosystem: str = "AlmaLinux:8") -> dict[str, Any]:
        events = (FROM_THE_FIRST, {"fixed": fixed}) if fixed else (FROM_THE_FIRST,)
        return affects(name, *events, ecosystem=ecosystem)

    rocky_8 = partial(about, ecosystem="Rocky Linux:8")
    load(
        database,
        advisory(
            "RLSA-1",
            affects(
                "perl", FROM_THE_FIRST, {"fixed": "4:5.26.3-422.el8"}, ecosystem="Rocky Linux:8"
            ),
        ),
        advisory(
            "RLSA-2",
            affects(
                "perl", FROM_THE_FIRST, {"fixed": "4:5.26.3-423.el8"}, ecosystem="Rocky Linux:8"
            ),
        ),
        advisory("RLSA-3", rocky_8("perl-Errno")),
        advisory(
            "ALSA-1",
            affects(
                "perl-Errno", FROM_THE_FIRST, {"fixed": "0:1.28-423.el8"}, ecosystem="AlmaLinux:8"
            ),
        ),
        advisory("ALSA-2", about("perl")),
        advisory(
            "ALSA-3",
            about("npm", modular),
            about("nodejs", modular),
            summary="Moderate: nodejs:14 security update",
        ),
        advisory(
            "ALSA-4",
            about("npm", modular),
            summary="Moderate: nodejs:12 security update",
        ),
    )
    assert names(found_in(database, rocky)) == [("RLSA-2", "perl-Errno")]
    assert names(found_in(database, alma)) == [("ALSA-1", "perl-Errno"), ("ALSA-3", "npm")]


def test_an_advisory_can_be_about_some_architectures(database: Database) -> None:
    image = (
        rpm("a=1-1", arch="x86_64"),
        rpm("a=1-1", arch="aarch64"),
        rpm("a=1-1", arch="noarch"),
    )
    number = store_image(database, inventory(*image, ecosystem="AlmaLinux:8"))
    document = advisory("ALSA-1", affects("a", FROM_THE_FIRST, ecosystem="AlmaLinux:8"))
    parsed = parsed_document(document)
    limited = tuple(
        msgspec.structs.replace(each, arches=("x86_64", "s390x")) for each in parsed.affected
    )
    record = msgspec.structs.replace(parsed, affected=limited)
    store(database, (record, b"1"))
    assert {row.arch for row in found_in(database, number)} == {"x86_64", "noarch"}


def test_packages_of_languages_have_their_own_ecosystem(database: Database) -> None:
    django = Package("django", "3.2.0", "", "django", "3.2.0", ecosystem="PyPI")
    number = store_image(database, inventory(SED, django))
    load(
        database,
        advisory(
            "PYSEC-1", affects("django", FROM_THE_FIRST, {"fixed": "3.2.1"}, ecosystem="PyPI")
        ),
        advisory("PYSEC-2", affects("sed", FROM_THE_FIRST, ecosystem="PyPI")),
        advisory("DSA-1", affects("django", FROM_THE_FIRST)),
    )
    assert names(found_in(database, number)) == [("PYSEC-1", "django")]


def test_third_parties_are_not_judged_by_the_distribution(database: Database) -> None:
    docker = Package(
        "docker-ce", "1-1", "amd64", "docker-ce", "1-1", maintainer="Docker <support@docker.com>"
    )
    number = store_image(database, inventory(docker, SED))
    load(
        database,
        advisory("DSA-1", affects("docker-ce", FROM_THE_FIRST), affects("sed", FROM_THE_FIRST)),
    )
    assert names(found_in(database, number)) == [("DSA-1", "sed")]
