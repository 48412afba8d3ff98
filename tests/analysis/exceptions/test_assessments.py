"""Which of several exceptions holds for a finding."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from customhouse.analysis.exceptions import people, table
from customhouse.analysis.exceptions.assessments import Finding, Image, assess
from customhouse.analysis.exceptions.model import Origin, Place, VulnerabilityException
from customhouse.analysis.exceptions.people import DAY
from customhouse.analysis.vex.purls import Installed
from customhouse.analysis.vex.statement import Assessment

if TYPE_CHECKING:
    from customhouse.database import Database

CVE = "CVE-2024-1234"
GHSA = "GHSA-abcd-2345-wxyz"
DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
TODAY = 1_700_000_000_000_000
PROJECT = Place("acme")
REPOSITORY = Place("acme", "acme/web")
PINNED = REPOSITORY._replace(digest=DIGEST)
IMAGE = Image("acme", "acme/web", (DIGEST,))
OPENSSL = Installed("Debian:12", "libssl3", "3.0.8-1", "amd64", "openssl", "3.0.8-1")
FINDING = Finding(frozenset({CVE, GHSA, "DSA-1-1"}), OPENSSL)
PURL = "pkg:deb/debian/libssl3@3.0.8-1"


class Said(NamedTuple):
    """An exception to store: by a person if it has no source."""

    place: Place
    source: str = ""
    day: int = 0
    package: str = ""
    names: tuple[str, ...] = (CVE,)
    expires: int | None = None


def store(database: Database, *said: Said) -> list[int]:
    """Store exceptions; returns their numbers."""
    rows = [
        VulnerabilityException(
            place=each.place,
            names=each.names,
            packages=tuple(each.package.split()),
            assessment=Assessment.NOT_AFFECTED,
            justification=None,
            reason="x",
            action="",
            owner="user:ana",
            origin=Origin.DOCUMENT if each.source else Origin.USER,
            source=each.source,
            author="",
            stated_at=TODAY + each.day * DAY,
            expires_at=each.expires,
        )
        for each in said
    ]
    return database.write(table.put, rows, TODAY)


def holding(database: Database, finding: Finding = FINDING, at: int = TODAY) -> list[int]:
    """The numbers of what is said of a finding, the strongest first."""
    (found,) = database.read(assess, IMAGE, [finding], at)
    return [each.id for each in found]


# The strongest first.
ORDERS: dict[str, tuple[Said, ...]] = {
    "a person before a document, however exact": (
        Said(PROJECT),
        Said(PINNED, "doc", 9, PURL),
    ),
    "digest before repository before project": (
        Said(PINNED),
        Said(REPOSITORY, day=1),
        Said(PROJECT, day=2),
    ),
    "documents by place too": (
        Said(PINNED, "a"),
        Said(REPOSITORY, "b", 1),
        Said(PROJECT, "c", 2),
    ),
    "place before package": (Said(PINNED), Said(REPOSITORY, package="openssl", day=1)),
    "one of several packages": (Said(PINNED, package="bash openssl"), Said(PINNED, day=1)),
    "package before any": (Said(REPOSITORY, package="openssl"), Said(REPOSITORY, day=1)),
    "documents by package": (Said(PINNED, "a", 0, PURL), Said(PINNED, "b", 1)),
    "the newest of two documents": (Said(PINNED, "a", 1), Said(PINNED, "b", 0)),
    "the newest of two by people": (Said(PINNED, day=1), Said(PINNED)),
    "by any name": (Said(PINNED, "a", 1, names=("CVE-9", GHSA)), Said(PINNED, "b")),
}


@pytest.mark.parametrize("case", ORDERS)
@pytest.mark.parametrize("is_reversed", [False, True], ids=["in order", "reversed"])
def test_precedence(database: Database, case: str, is_reversed: bool) -> None:
    said = ORDERS[case]
    expected = store(database, *(reversed(said) if is_reversed else said))
    if is_reversed:
        expected.reverse()
    assert holding(database) == expected


def test_of_one_document_the_last_word_counts(database: Database) -> None:
    numbers = store(
        database, Said(PINNED, "doc", 1, PURL), Said(PINNED, "doc", 2), Said(PINNED, "doc", 0)
    )
    assert holding(database) == [numbers[1]]


NOTHING: dict[str, Said] = {
    "another vulnerability": Said(PINNED, names=("CVE-2024-12345",)),
    "another digest": Said(REPOSITORY._replace(digest=OTHER)),
    "another repository": Said(Place("acme", "acme/other")),
    "other packages": Said(PINNED, package="bash sed"),
    "a repository below": Said(Place("acme", "acme/web/api")),
    "another project": Said(Place("other")),
    "another package": Said(PINNED, package="libssl"),
    "another version": Said(PINNED, "doc", 0, "pkg:deb/debian/libssl3@3.0.8-2"),
    "expired": Said(PINNED, expires=TODAY),
}


@pytest.mark.parametrize("case", NOTHING)
def test_what_is_not_about_it(database: Database, case: str) -> None:
    store(database, NOTHING[case])
    assert holding(database) == []


def test_time_goes_by(database: Database) -> None:
    pinned, whole = store(database, Said(PINNED, expires=TODAY + DAY), Said(PROJECT))
    assert holding(database) == [pinned, whole]
    assert holding(database, at=TODAY + DAY) == [whole]
    database.write(people.revoke, "acme", whole, "user:ana", TODAY)
    assert holding(database, at=TODAY + DAY) == []


def test_each_finding_has_its_own(database: Database) -> None:
    (number,) = store(database, Said(PINNED, package="openssl"))
    other = Finding(FINDING.names, OPENSSL._replace(name="bash", source="bash"))
    far = Finding(frozenset({"CVE-1999-1"}), OPENSSL)
    many = [Finding(frozenset({f"CVE-2000-{n}"}), OPENSSL) for n in range(1200)]
    found = database.read(assess, IMAGE, [other, FINDING, far, *many, FINDING], TODAY)
    assert [[each.id for each in exceptions] for exceptions in found] == [
        [],
        [number],
        [],
        *([] for _ in many),
        [number],
    ]


def test_what_is_shown_is_bounded(database: Database) -> None:
    numbers = store(database, *(Said(PINNED, f"doc{n}", n) for n in range(30)))
    assert holding(database) == numbers[::-1][:10]
