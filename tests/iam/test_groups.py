"""Groups, in groups, in circles; and what is left of those that are gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from customhouse.database import METADATA
from customhouse.errors import Code
from customhouse.iam import groups
from tests.iam.places import READER, Place, check_refused

if TYPE_CHECKING:
    from customhouse.database import Database


@pytest.fixture(autouse=True)
def schema(database: Database) -> None:
    """Every table."""
    METADATA.create_all(database.writers)


def make(database: Database, **inside: str) -> None:
    """Create groups, each with members separated by spaces."""
    for name in inside:
        database.write(groups.create, name)
    for name, members in inside.items():
        for member in members.split():
            database.write(groups.add, name, member)


def test_groups_in_groups(database: Database) -> None:
    make(database, a="user:ana", b="group:a user:ben", c="group:b", other="user:eve")
    of = {name: database.read(groups.of, f"user:{name}") for name in ("ana", "ben", "eve", "x")}
    assert of == {
        "ana": {"group:a", "group:b", "group:c"},
        "ben": {"group:b", "group:c"},
        "eve": {"group:other"},
        "x": frozenset(),
    }


def test_circles(database: Database) -> None:
    make(database, a="group:b user:ana", b="group:c", c="group:a", self="group:self user:ben")
    assert database.read(groups.of, "user:ana") == {"group:a", "group:b", "group:c"}
    assert database.read(groups.of, "user:ben") == {"group:self"}


def test_many_groups(database: Database) -> None:
    make(database, **{f"g{number}": "user:ana" for number in range(200)})
    assert len(database.read(groups.of, "user:ana")) == 200


def test_a_group_of_the_same_name_begins_anew(database: Database) -> None:
    place = Place(database)
    make(database, inner="user:ana", outer="group:inner")
    place.give("projects/p", READER, "group:outer")
    assert place.allows("ana", "projects/p")
    database.write(groups.delete, "inner")
    assert not place.allows("ana", "projects/p")
    make(database, inner="user:ben")
    assert not place.allows("ben", "projects/p")
    assert database.read(groups.members, "outer", "", 10) == []


def test_pages(database: Database) -> None:
    make(database, a="user:1 user:2 user:3", b="", c="")
    assert [group.name for group in database.read(groups.page, "a", 1)] == ["b"]
    assert database.read(groups.members, "a", "user:1", 5) == ["user:2", "user:3"]
    database.write(groups.remove, "a", "user:2")
    assert database.read(groups.members, "a", "", 5) == ["user:1", "user:3"]


@pytest.mark.parametrize("name", ["", "a b", "-a", "a-", "a/b", "a:b", "\0", "x" * 300, "é"])
def test_names(database: Database, name: str) -> None:
    check_refused(Code.THING_INVALID, database.write, groups.create, name)


@pytest.mark.parametrize(
    "member", ["", "ana", "allUsers", "principal://x", "user:", "user:a b", "user:a/b", "group:\0"]
)
def test_members(database: Database, member: str) -> None:
    make(database, a="")
    check_refused(Code.THING_INVALID, database.write, groups.add, "a", member)


def test_what_is_not_there(database: Database) -> None:
    make(database, a="")
    check_refused(Code.THING_EXISTS, database.write, groups.create, "a")
    for function, *arguments in (
        (groups.delete, "x"),
        (groups.members, "x", "", 1),
        (groups.add, "x", "user:a"),
        (groups.remove, "a", "user:a"),
    ):
        check_refused(Code.THING_UNKNOWN, database.write, function, *arguments)
