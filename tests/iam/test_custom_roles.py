"""Roles that projects and the server define: their lives, and where they can be named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from customhouse.errors import Code
from customhouse.iam import custom_roles
from customhouse.iam.permissions import Permission
from tests.iam.places import DOWNLOAD, Place, check_refused

if TYPE_CHECKING:
    from customhouse.database import Database

IMAGE = "projects/p/repositories/a"


@pytest.fixture
def place(database: Database) -> Place:
    """Two projects and some accounts."""
    return Place(database)


def put(place: Place, project: str, role: str, *permissions: str, create: bool = True) -> Any:
    """Create a role, or change one."""
    texts = {"title": "t" * 200, "description": "d" * 500}
    return place.database.write(
        custom_roles.put, project, role, **texts, permissions=list(permissions), create=create
    )


@pytest.mark.parametrize(
    ("project", "name"),
    [
        ("p", "projects/p/roles/puller"),
        ("example.com/proj", "projects/example.com:proj/roles/puller"),
        ("", "organizations/customhouse/roles/puller"),
    ],
)
def test_a_life(place: Place, project: str, name: str) -> None:
    image = f"projects/{project or 'p'}/repositories/a"
    role = put(place, project, "puller", DOWNLOAD.value, DOWNLOAD.value)
    assert (role.name, role.permissions) == (name, {DOWNLOAD})
    assert len(role.title) <= 100
    assert len(role.description) <= 300
    place.give(f"projects/{project or 'p'}", name, "user:ana")
    assert place.allows("ana", image)
    assert not place.allows("ana", image, Permission.UPLOAD)
    put(place, project, "puller", Permission.UPLOAD.value, create=False)
    assert not place.allows("ana", image)
    assert place.allows("ana", image, Permission.UPLOAD)
    for deleted in (True, False, True):
        place.database.write(custom_roles.set_deleted, project, "puller", deleted=deleted)
        assert place.allows("ana", image, Permission.UPLOAD) is not deleted
        shown = place.database.read(custom_roles.page, project, "", 10)
        assert [item.id for item in shown] == ([] if deleted else ["puller"])
    assert len(place.database.read(custom_roles.page, project, "", 10, deleted=True)) == 1
    check_refused(Code.THING_EXISTS, put, place, project, "puller")


def test_where_a_role_can_be_named(place: Place) -> None:
    for project in ("p", "example.com/proj", ""):
        put(place, project, "puller", DOWNLOAD.value)
    names = {
        project: custom_roles.role_name(project, "puller")
        for project in ("p", "example.com/proj", "")
    }
    for project, allowed in (
        ("p", {"p", ""}),
        ("example.com/proj", {"example.com/proj", ""}),
        ("", {""}),
    ):
        resource = f"projects/{project}" if project else "organizations/customhouse"
        for owner, name in names.items():
            if owner in allowed:
                place.give(resource, name, "user:ana")
            else:
                check_refused(Code.POLICY_INVALID, place.give, resource, name, "user:ana")


def test_what_is_refused(place: Place) -> None:
    for role in ("", "ab", "a" * 65, "a b", "a/b", "é" * 4, "a-b-c", "\0\0\0"):
        check_refused(Code.ROLE_INVALID, put, place, "p", role)
    for permission in ("", "x", "storage.objects.get", "\ud800", "*"):
        check_refused(Code.ROLE_INVALID, put, place, "p", "role", permission)
    check_refused(Code.THING_UNKNOWN, put, place, "p", "role", create=False)
    check_refused(Code.PROJECT_UNKNOWN, put, place, "no-such", "role")
    for function in (custom_roles.get,):
        check_refused(Code.THING_UNKNOWN, place.database.read, function, "p", "role")


def test_there_is_an_end(place: Place) -> None:
    def many(tx: Any) -> None:
        for number in range(300):
            custom_roles.put(
                tx, "p", f"r{number:03}", title="", description="", permissions=[], create=True
            )

    place.database.write(many)
    check_refused(Code.ROLE_INVALID, put, place, "p", "one.more")
    page = place.database.read(custom_roles.page, "p", "r100", 2)
    assert [role.id for role in page] == ["r101", "r102"]
