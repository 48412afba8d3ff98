"""Exceptions that people make: what is taken, how long they count, how they are listed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from customhouse.analysis.exceptions import people, table
from customhouse.analysis.exceptions.model import Place, Query, State, place_of
from customhouse.analysis.exceptions.people import DAY
from customhouse.analysis.vex.statement import Assessment, Justification
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from customhouse.analysis.exceptions.model import VulnerabilityException
    from customhouse.database import Database

CVE = "CVE-2024-1234"
DIGEST = "sha256:" + "a" * 64
PLACE = Place("acme", "acme/web")
TODAY = 1_700_000_000_000_000


def make(database: Database, place: Place = PLACE, **fields: Any) -> VulnerabilityException:
    """An exception by Ana, made today."""
    values: dict[str, Any] = {"owner": "user:ana", "reason": "not used", "at": TODAY, **fields}
    return database.write(people.create, place, values.pop("vulnerability", CVE), **values)


def test_one_is_made(database: Database) -> None:
    made = make(database, expires_at=TODAY + DAY, packages=["openssl", "pkg:npm/a"])
    assert made.place == PLACE
    assert (made.names, made.packages) == ((CVE,), ("openssl", "pkg:npm/a"))
    assert made.assessment is Assessment.ACCEPTED
    assert (made.owner, made.reason) == ("user:ana", "not used")
    assert (made.created_at, made.stated_at, made.expires_at) == (TODAY, TODAY, TODAY + DAY)
    assert database.read(table.get, "acme", made.id) == made
    why = Justification.COMPONENT_NOT_PRESENT
    assert make(database, justification=why).assessment is Assessment.NOT_AFFECTED


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("cve-2024-1234", CVE),
        (" CVE-2024-1234 ", CVE),
        ("GHSA-ABCD-2345-WXYZ", "GHSA-abcd-2345-wxyz"),
        ("dsa-5417-1", "DSA-5417-1"),
        ("PYSEC-2024-1", "PYSEC-2024-1"),
        ("RHSA-2024:1234", "RHSA-2024:1234"),
    ],
)
def test_names_are_written_as_findings_have_them(
    database: Database, written: str, kept: str
) -> None:
    assert make(database, vulnerability=written).names == (kept,)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"vulnerability": ""}, "no name"),
        ({"vulnerability": "a b"}, "no name"),
        ({"vulnerability": "https://x/CVE-1"}, "no name"),
        ({"vulnerability": "C-" + "1" * 100}, "no name"),
        ({"reason": ""}, "no reason"),
        ({"reason": " \0"}, "no reason"),
        ({"reason": "x" * 4097}, "more than 4096"),
        ({"packages": ["a b"]}, "neither"),
        ({"packages": ["a", "pkg:"]}, "neither"),
        ({"packages": [""]}, "neither"),
        ({"packages": ["x" * 513]}, "neither"),
        ({"packages": ["x"] * 101}, "more than 100"),
        ({"expires_at": TODAY}, "ended already"),
        ({"longest": 30}, "has no end"),
        ({"longest": 30, "expires_at": TODAY + 31 * DAY}, "longer than 30 days"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value)[:40],
)
def test_what_is_refused(database: Database, fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(Failure, match=reason) as caught:
        make(database, **fields)
    assert caught.value.code is Code.EXCEPTION_INVALID
    assert database.read(table.page, "acme", Query(), 0, 10) == []


def test_the_longest_is_still_taken(database: Database) -> None:
    assert make(database, longest=30, expires_at=TODAY + 30 * DAY).expires_at


@pytest.mark.parametrize(
    ("after", "state"),
    [(0, State.ACTIVE), (DAY - 1, State.ACTIVE), (DAY, State.EXPIRED), (9 * DAY, State.EXPIRED)],
)
def test_it_ends_by_itself(database: Database, after: int, state: State) -> None:
    made = make(database, expires_at=TODAY + DAY)
    assert made.state(TODAY + after) is state
    for asked in State:
        found = database.read(table.page, "acme", Query(state=asked), 0, 10, TODAY + after)
        assert [each.id for each in found] == ([made.id] if asked is state else [])


def test_one_that_ended_counts_again_when_it_is_given_another_end(database: Database) -> None:
    made = make(database, expires_at=TODAY + DAY)
    later = TODAY + 5 * DAY
    changed = database.write(people.update, "acme", made.id, expires_at=later + DAY, at=later)
    assert changed.state(later) is State.ACTIVE
    assert (changed.reason, changed.updated_at) == ("not used", later)
    endless = database.write(people.update, "acme", made.id, is_endless=True, at=later)
    assert endless.expires_at is None
    told = database.write(people.update, "acme", made.id, reason="still not", at=later)
    assert (told.reason, told.expires_at) == ("still not", None)


def test_it_cannot_be_drawn_out_for_ever(database: Database) -> None:
    made = make(database, expires_at=TODAY + DAY, longest=30)
    for day, is_endless in ((31, False), (0, True)):
        expires_at = TODAY + day * DAY if day else None
        with pytest.raises(Failure) as caught:
            database.write(
                people.update,
                "acme",
                made.id,
                expires_at=expires_at,
                is_endless=is_endless,
                longest=30,
                at=TODAY,
            )
        assert caught.value.code is Code.EXCEPTION_INVALID


def test_one_that_is_revoked_stays_readable(database: Database) -> None:
    made = make(database)
    revoked = database.write(people.revoke, "acme", made.id, "user:bob", TODAY + 1)
    assert revoked.state(TODAY) is State.REVOKED
    assert (revoked.revoked_at, revoked.revoked_by) == (TODAY + 1, "user:bob")
    with pytest.raises(Failure) as again:
        database.write(people.revoke, "acme", made.id, "user:eve", TODAY + 2)
    assert again.value.code is Code.EXCEPTION_REVOKED
    assert database.read(table.get, "acme", made.id) == revoked
    with pytest.raises(Failure, match="revoked"):
        database.write(people.update, "acme", made.id, reason="x", at=TODAY)


def test_one_of_another_project_is_not_there(database: Database) -> None:
    made = make(database)
    calls: list[Callable[[], object]] = [
        lambda: database.read(table.get, "other", made.id),
        lambda: database.write(people.update, "other", made.id, reason="x"),
        lambda: database.write(people.revoke, "other", made.id, "user:eve"),
        lambda: database.read(table.get, "acme", made.id + 1),
    ]
    for call in calls:
        with pytest.raises(Failure) as caught:
            call()
        assert caught.value.code is Code.EXCEPTION_UNKNOWN
    assert database.read(table.get, "acme", made.id) == made


def test_listing(database: Database) -> None:
    numbers = [make(database).id for _ in range(3)]
    make(database, Place("other", "other/web"))
    pinned = make(database, PLACE._replace(digest=DIGEST), vulnerability="CVE-2024-2")
    everywhere = make(database, Place("acme"))
    first = database.read(table.page, "acme", Query(), 0, 2)
    rest = database.read(table.page, "acme", Query(), first[-1].id, 10)
    assert [each.id for each in (*first, *rest)] == [*numbers, pinned.id, everywhere.id]

    def found(**query: Any) -> list[int]:
        return [each.id for each in database.read(table.page, "acme", Query(**query), 0, 10)]

    assert found(vulnerability=CVE) == [*numbers, everywhere.id]
    assert found(place=PLACE) == [*numbers, pinned.id]
    assert found(place=pinned.place) == [pinned.id]
    assert found(place=PLACE, vulnerability="CVE-2024-2") == [pinned.id]
    assert found(vulnerability="CVE-2024-3") == []


def test_nothing_is_left_of_a_project_that_is_gone(database: Database) -> None:
    made = make(database)
    kept = make(database, Place("other"))
    database.write(table.forget_project, "acme")
    with pytest.raises(Failure):
        database.read(table.get, "acme", made.id)
    assert database.read(table.get, "other", kept.id) == kept


@pytest.mark.parametrize(
    ("image", "place"),
    [
        ("", Place("acme")),
        ("acme/web", Place("acme", "acme/web")),
        (f"acme/web@{DIGEST}", Place("acme", "acme/web", DIGEST)),
        (f"registry.example.com/acme/web/api@{DIGEST}", Place("acme", "acme/web/api", DIGEST)),
    ],
    ids=["project", "repository", "digest", "host"],
)
def test_images_by_name(image: str, place: Place) -> None:
    assert place_of("acme", image) == place


@pytest.mark.parametrize("image", ["other/web", "acme", "acme/web:1", "acme/web@x", "a b"])
def test_images_that_are_refused(image: str) -> None:
    with pytest.raises(Failure):
        place_of("acme", image)
