"""Decisions are those of a reference that is as naive as can be, whatever the policies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from customhouse.iam import custom_roles, groups, policies
from customhouse.iam.conditions import Circumstances
from customhouse.iam.explain import ALLOWS, explain
from customhouse.iam.permissions import ANONYMOUS, ROOT, Permission, Resource
from customhouse.iam.policies import Binding
from customhouse.iam.roles import ROLES
from tests.iam.places import DOWNLOAD, READER, WRITER, Place

if TYPE_CHECKING:
    from collections.abc import Callable

    from customhouse.database import Database, Transaction

# A small world, in which everything can be asked of everybody.
MEMBERS = ("user:ana", "user:ben", "group:g", "group:h", "allAuthenticatedUsers", "allUsers")
WHERE = (
    *(ROOT, Resource("p"), Resource("example.com/proj")),
    *(Resource("p", "repositories", name) for name in ("a", "a/**", "a/b", "**", "ab/**")),
    *(Resource("example.com/proj", "repositories", name) for name in ("a/**", "a")),
)
ASKED = (
    *(ROOT, Resource("p"), Resource("example.com/proj"), Resource("none")),
    *(Resource("p", "repositories", name) for name in ("a", "a/b", "a/b/c", "ab", "ab/c", "c")),
    *(Resource("example.com/proj", "repositories", name) for name in ("a", "a/b", "b")),
)
GIVEN = (READER, WRITER, "roles/artifactregistry.repoAdmin", "roles/browser")
CONDITIONS: dict[str, Callable[[Resource, Circumstances], bool]] = {
    "": lambda about, said: True,
    "false": lambda about, said: False,
    'resource.tag.startsWith("dev-")': lambda about, said: said.tag.startswith("dev-"),
    'inIpRange(origin.ip, "10.0.0.0/8")': lambda about, said: said.address.startswith("10."),
    'resource.name.endsWith("/b")': lambda about, said: str(about).endswith("/b"),
}
PERMISSIONS = (DOWNLOAD, Permission.UPLOAD, Permission.DELETE, Permission.PROJECTS_GET)
WORLD = st.dictionaries(
    st.sampled_from(WHERE),
    st.lists(
        st.tuples(
            st.sampled_from(GIVEN), st.sampled_from(MEMBERS), st.sampled_from(sorted(CONDITIONS))
        ),
        max_size=3,
    ),
    max_size=4,
)
INSIDE = st.dictionaries(
    st.sampled_from(["g", "h"]),
    st.sets(st.sampled_from(["user:ana", "user:ben", "group:g", "group:h"]), max_size=2),
)
World = dict[Resource, list[tuple[str, str, str]]]
Inside = dict[str, set[str]]


def allowed(
    world: World,
    inside: Inside,
    who: str,
    permission: Permission,
    about: Resource,
    said: Circumstances,
) -> bool:
    """What must come out, said as simply as it can be."""
    mine = {who, "allUsers"} | ({"allAuthenticatedUsers"} if who != "allUsers" else set())
    for _ in inside:
        mine |= {f"group:{name}" for name, members in inside.items() if members & mine}
    for where, bindings in world.items():
        if where.project and where.project != about.project:
            continue
        if where.kind:
            prefix = where.name.removesuffix("**")
            is_same = where.name == about.name
            is_below = where.name.endswith("**") and about.name.startswith(prefix)
            if where.kind != about.kind or not (is_same or is_below):
                continue
        for role, member, condition in bindings:
            if (
                member in mine
                and permission in ROLES[role].permissions
                and CONDITIONS[condition](about, said)
            ):
                return True
    return False


@pytest.fixture
def place(database: Database) -> Place:
    """One for all the examples of a test."""
    return Place(database)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    world=WORLD,
    inside=INSIDE,
    said=st.sampled_from(
        [Circumstances(), Circumstances("10.1.2.3", "dev-1"), Circumstances("192.0.2.1", "v1")]
    ),
)
def test_it_is_as_a_naive_reference_has_it(
    place: Place, world: World, inside: Inside, said: Circumstances
) -> None:
    """One `Access` goes through all the worlds, so that what it remembers is at stake too."""

    def put(tx: Transaction) -> None:
        known = {group.name for group in groups.page(tx, "", 10)}
        for name in ("g", "h"):
            if name in known:
                groups.delete(tx, name)
        for name in ("g", "h"):
            groups.create(tx, name)
            for member in inside.get(name, ()):
                groups.add(tx, name, member)
        for where in WHERE:
            bindings = [
                Binding(role, (member,), text) for role, member, text in world.get(where, [])
            ]
            if not where.kind:
                owner = "roles/owner" if where.project else "roles/customhouse.admin"
                bindings.append(Binding(owner, ("user:root",)))
            policies.put(
                tx, where, tuple(bindings), "", custom_roles.permissions(tx, where.project)
            )

    place.database.write(put)
    principals = [place.principal("ana"), place.principal("ben"), ANONYMOUS]

    def compare(tx: Transaction) -> None:
        for who in principals:
            for about in ASKED:
                for permission in PERMISSIONS:
                    expected = allowed(world, inside, who.name, permission, about, said)
                    asked = (who, permission, about, said)
                    assert place.access.allows(tx, *asked) is expected, asked
                    reasons = explain(tx, place.access, *asked)
                    assert reasons.allowed is expected, asked
                    assert any(item.verdict == ALLOWS for item in reasons.looked) is expected
                    if about.kind and expected:
                        folder = about.name.rpartition("/")[0]
                        assert place.access.sees(tx, who, permission, about.project, folder)

    place.database.read(compare)
