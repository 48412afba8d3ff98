"""Explanations: which binding allows, or what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from customhouse.iam import accounts, groups, projects
from customhouse.iam.conditions import Circumstances
from customhouse.iam.explain import ALLOWS, Explanation, explain
from customhouse.iam.permissions import ANONYMOUS, Permission, Principal, Resource
from tests.iam.places import DOWNLOAD, READER, Place

if TYPE_CHECKING:
    from customhouse.database import Database

IMAGE = Resource("p", "repositories", "team-a/x")


@pytest.fixture
def place(database: Database) -> Place:
    """Two projects and some accounts."""
    return Place(database)


def ask(
    place: Place,
    name: str = "user:ana",
    permission: Permission = DOWNLOAD,
    resource: Resource = IMAGE,
    circumstances: Circumstances | None = None,
) -> Explanation:
    """Ask as an administrator does: about somebody who has not signed in."""
    said = circumstances or Circumstances()
    who = ANONYMOUS if name == ANONYMOUS.name else Principal(name)
    return place.database.read(explain, place.access, who, permission, resource, said)


def verdicts(found: Explanation) -> list[str]:
    """What is said of each binding."""
    return [item.verdict for item in found.looked]


def test_what_is_missing(place: Place) -> None:
    found = ask(place)
    assert (found.allowed, found.problem, found.looked) == (False, "", ())
    # The narrowest of the roles that would do.
    assert "roles/artifactregistry.reader" in found.roles[:3]
    assert found.roles[-1] == "roles/customhouse.admin"
    assert set(found.members) == {"user:ana", "allAuthenticatedUsers", "allUsers"}


def test_which_binding_allows(place: Place) -> None:
    place.database.write(groups.create, "team")
    place.database.write(groups.add, "team", "user:ana")
    place.give("projects/p/repositories/team-a/**", READER, "group:team")
    place.give("projects/p/repositories/b", READER, "user:ana")
    place.give("projects/p", "roles/browser", "allUsers")
    place.give("projects/p", READER, "user:ana", condition='resource.tag == "v1"')
    place.give("projects/p", READER, "user:ben")
    found = ask(place)
    assert found.allowed
    assert found.looked[0].verdict == ALLOWS
    assert found.looked[0].grant.member == "group:team"
    assert str(found.looked[0].grant.resource) == "projects/p/repositories/team-a/**"
    assert sorted(verdicts(found)) == [
        ALLOWS,
        "it stands on another resource",
        "its condition is not met",
        "the role does not have the permission",
    ]
    found = ask(place, circumstances=Circumstances(tag="v1"))
    assert verdicts(found).count(ALLOWS) == 2


def test_nobody_in_particular(place: Place) -> None:
    place.give("projects/p", READER, "allUsers")
    assert ask(place, "allUsers").allowed
    assert ask(place, "allUsers").members == ("allUsers",)


@pytest.mark.parametrize("name", ["user:nobody", "user:eve", "serviceAccount:x@y", "nonsense"])
def test_who_cannot_do_anything(place: Place, name: str) -> None:
    place.database.write(accounts.set_disabled, "eve", disabled=True)
    place.give("projects/p", READER, "user:eve", "user:nobody")
    found = ask(place, name)
    assert not found.allowed
    assert "disabled or gone" in found.problem


def test_a_deleted_project(place: Place) -> None:
    place.give("projects/p", "roles/owner", "user:ana")
    place.database.write(projects.delete, "p")
    found = ask(place)
    assert not found.allowed
    assert "p" in found.problem
    assert ask(place, permission=Permission.PROJECTS_UNDELETE, resource=Resource("p")).allowed
