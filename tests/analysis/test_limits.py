"""What is said of an image that was analysed and of which not everything is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, update

from customhouse.analysis import advisories, feed_states, images, limits, packages
from customhouse.analysis.advisories import FEED
from customhouse.analysis.ecosystems import Package
from customhouse.analysis.images import Status
from customhouse.analysis.inventory import Inventory
from customhouse.analysis.layers import READER_VERSION
from customhouse.analysis.packages import INVENTORY
from customhouse.analysis.systems import System
from customhouse.database import now
from tests.analysis.stored import advisory, affects, inventory, load, package

if TYPE_CHECKING:
    from customhouse.database import Database, Transaction

DAY = 24 * 3600 * 1_000_000
FROM_THE_FIRST = {"introduced": "0"}
DIGEST = "sha256:" + "7" * 64


def analysed(database: Database, found: Inventory) -> images.ImageAnalysis:
    """Store an inventory as the end of an analysis does."""

    def store(tx: Transaction) -> images.ImageAnalysis:
        number = packages.put(tx, found)
        status = Status.FINISHED_SUCCESS
        images.note(tx, DIGEST, status, reader=READER_VERSION, inventory_id=number)
        return images.get(tx, [DIGEST])[DIGEST]

    return database.write(store)


def said(database: Database, *systems: Inventory, max_age: int = 0) -> list[str]:
    """What is said of images."""
    found = [analysed(database, each) for each in systems]
    return database.read(limits.of, found, max_age)


def of(system: System | None, *contents: Package, paths: tuple[str, ...] = ("x",)) -> Inventory:
    """An inventory of another system than Debian 12."""
    made = inventory(*contents, ecosystem=repr((system, paths)))
    return Inventory(system, made.packages, paths, made.digest)


DEBIAN_12 = System("debian", "12", "Debian 12", "Debian:12")
DEBIAN_9 = System("debian", "9", "Debian 9", "Debian:9")
DEBIAN_99 = System("debian", "99", "Debian 99", "Debian:99")
PRO = System("ubuntu", "18.04", "Ubuntu 18.04", "Ubuntu:18.04:LTS", ("Ubuntu:Pro:18.04:LTS",))
STANDARD = System("ubuntu", "18.04", "Ubuntu 18.04", "Ubuntu:18.04:LTS")
CENTOS = System("centos", "7", "CentOS Linux 7", "Red Hat:7")
STREAM = System("centos", "10", "CentOS Stream 10", "Red Hat:10", caveat="It is ahead.")


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        (
            DEBIAN_9,
            ["Debian 9 is past its end of life: it had security support until 2020-07-18"],
        ),
        (DEBIAN_99, []),
        (PRO, []),
        (
            STANDARD,
            ["Ubuntu 18.04 is past its end of life: it had security support until 2023-05-31"],
        ),
        (
            CENTOS,
            ["CentOS Linux 7 is past its end of life: it had security support until 2024-06-30"],
        ),
        (STREAM, ["It is ahead"]),
        (None, []),
    ],
    ids=["old", "unborn", "pro", "without pro", "centos", "stream", "none"],
)
def test_systems(database: Database, system: System | None, expected: list[str]) -> None:
    ecosystems = [each.ecosystem for each in (DEBIAN_9, DEBIAN_99, PRO, CENTOS, STREAM)]
    records = [
        advisory(f"A-{n}", affects("a", FROM_THE_FIRST, ecosystem=each or ""))
        for n, each in enumerate(ecosystems)
    ]
    load(database, *records)
    assert said(database, of(system, package("a=1"))) == expected


def test_a_release_without_advisories(database: Database) -> None:
    expected = "no advisories for Debian:99 are loaded; customhouse feeds import loads some"
    assert said(database, of(DEBIAN_99, package("a=1"))) == [expected]


def test_languages_without_advisories(database: Database) -> None:
    load(
        database,
        advisory("DSA-1", affects("a", FROM_THE_FIRST, ecosystem="Debian:99")),
        advisory("PYSEC-1", affects("django", FROM_THE_FIRST, ecosystem="PyPI")),
    )
    found = of(
        DEBIAN_99,
        Package("django", "3", "", "django", "3", ecosystem="PyPI"),
        Package("left-pad", "1", "", "left-pad", "1", ecosystem="npm"),
        Package("right-pad", "1", "", "right-pad", "1", ecosystem="npm"),
        Package("serde", "1", "", "serde", "1", ecosystem="crates.io"),
        Package("unknown", "1", "", "unknown", "1", ecosystem="Hex"),
    )
    load_some = "customhouse feeds import loads some"
    assert said(database, found) == [
        f"no advisories for crates.io are loaded: 1 package is not judged; {load_some}",
        f"no advisories for npm are loaded: 2 packages are not judged; {load_some}",
    ]


def test_no_package_database(database: Database) -> None:
    load(database, advisory("PYSEC-1", affects("django", FROM_THE_FIRST, ecosystem="PyPI")))
    django = Package("django", "3", "", "django", "3", ecosystem="PyPI")
    (told,) = said(database, of(None, django, paths=()))
    assert told.startswith("no package database of dpkg, apk or rpm was found: only packages of")


def test_feeds_that_are_old(database: Database) -> None:
    load(database, advisory("DSA-1", affects("a", FROM_THE_FIRST, ecosystem="Debian:99")))
    for name in ("fresh", "old", "older"):
        there = database.read(advisories.contents, name)
        database.write(advisories.note_import, name, name, there, rejected=0, skipped=0)

    def age(tx: Transaction, name: str, days: int) -> None:
        moment = FEED.c.updated_at - days * DAY
        tx.execute(update(FEED).where(FEED.c.name == name).values(updated_at=moment))

    database.write(age, "old", 8)
    database.write(age, "older", 1200)
    found = of(DEBIAN_99, package("a=1"))
    assert said(database, found) == []
    assert said(database, found, max_age=7 * DAY) == [
        "feed old was last loaded 8 days ago: newer advisories are missing",
        "feed older was last loaded 1,200 days ago: newer advisories are missing",
    ]
    assert len(said(database, found, max_age=9 * DAY)) == 1
    # What the source confirmed since then is not old, whenever it was loaded; an old bundle is.
    database.write(feed_states.succeed, "old", data_at=now())
    database.write(feed_states.succeed, "fresh", data_at=now() - 30 * DAY)
    assert said(database, found, max_age=7 * DAY) == [
        "feed fresh was last loaded 30 days ago: newer advisories are missing",
        "feed older was last loaded 1,200 days ago: newer advisories are missing",
    ]


def test_what_was_stored_before_is_completed(database: Database) -> None:
    found = of(PRO, package("a=1"))
    analysed(database, found)
    columns = ("system_id", "system_version", "system_also", "caveat", "has_database")
    before = database.read(lambda tx: tx.execute(select(INVENTORY)).mappings().one())
    forgotten = update(INVENTORY).values(dict.fromkeys(columns))
    database.write(lambda tx: tx.execute(forgotten) and None)
    again = analysed(database, found)
    assert again.system == PRO
    assert database.read(lambda tx: tx.execute(select(INVENTORY)).mappings().one()) == before
