"""Decisions: inheritance, patterns, standing, and that what is remembered is never old."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from customhouse.database import Database
from customhouse.errors import Code, Failure
from customhouse.iam import (
    accounts,
    custom_roles,
    federation,
    groups,
    policies,
    projects,
    service_account_keys,
    service_accounts,
)
from customhouse.iam.access import Access, matches
from customhouse.iam.conditions import Circumstances
from customhouse.iam.permissions import ANONYMOUS, ROOT, Permission, Principal, Resource
from customhouse.iam.policies import Binding
from customhouse.iam.pools import Pool
from tests.iam.places import DOWNLOAD, READER, Place, check_refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from customhouse.database import Transaction


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("team-a/**", "team-a/x", True),
        ("team-a/**", "team-a/x/y", True),
        ("team-a/**", "team-a", False),
        ("team-a/**", "team-ab/x", False),
        ("team-a/**", "x/team-a/y", False),
        ("team-a", "team-a", True),
        ("team-a", "team-a/x", False),
        ("team-a", "team-ab", False),
        ("**", "team-a", True),
        ("**", "a/b/c", True),
        ("a/b/**", "a/b/c", True),
        ("a/b/**", "a/c", False),
    ],
)
def test_patterns(pattern: str, name: str, expected: bool) -> None:
    assert matches(pattern, name) is expected


@pytest.mark.parametrize("pattern", ["team-a", "team-a/**", "**"])
@pytest.mark.parametrize("project", ["p", "example.com/proj"])
def test_a_policy_counts_where_it_stands(database: Database, pattern: str, project: str) -> None:
    place = Place(database)
    other = {"p": "example.com/proj", "example.com/proj": "p"}[project]
    place.give(f"projects/{project}/repositories/{pattern}", READER, "user:ana")
    for name in ("team-a", "team-a/x", "team-a/x/y", "team-ab", "team-ab/x", "b"):
        expected = matches(pattern, name)
        assert place.allows("ana", f"projects/{project}/repositories/{name}") is expected
        assert not place.allows("ana", f"projects/{other}/repositories/{name}")
        assert not place.allows("ben", f"projects/{project}/repositories/{name}")
    assert not place.allows("ana", f"projects/{project}", Permission.REPOSITORIES_LIST)
    assert not place.allows("ana", f"projects/{project}/serviceAccounts/team-a")
    # Who administers one repository does not thereby administer all below it.
    below = f"projects/{project}/repositories/team-a/**"
    assert place.allows("ana", below) is (pattern != "team-a")


def test_inheritance(database: Database) -> None:
    place = Place(database)
    image, project = "projects/p/repositories/a", "projects/p"
    place.give("projects/p", READER, "user:ana")
    place.give("organizations/customhouse", READER, "user:ben")
    place.give(image, READER, "user:eve")
    for name, on_image, on_project, elsewhere in (
        ("root", True, True, True),
        ("ben", True, True, True),
        ("ana", True, True, False),
        ("eve", True, False, False),
    ):
        assert place.allows(name, image) is on_image
        assert place.allows(name, project) is on_project
        assert place.allows(name, "projects/example.com:proj/repositories/a") is elsewhere
        assert place.allows(name, "projects/no-such/repositories/a") is (name in {"root", "ben"})
    assert not place.allows(ANONYMOUS, image)
    assert not place.allows("ana", ROOT)


def test_everybody(database: Database) -> None:
    place = Place(database)
    place.give("projects/p/repositories/public/**", READER, "allUsers")
    place.give("projects/p/repositories/shared", READER, "allAuthenticatedUsers")
    for who in (ANONYMOUS, "ana"):
        assert place.allows(who, "projects/p/repositories/public/x")
        assert not place.allows(who, "projects/p/repositories/private")
        assert not place.allows(who, "projects/p/repositories/public/x", Permission.UPLOAD)
    assert place.allows("ana", "projects/p/repositories/shared")
    assert not place.allows(ANONYMOUS, "projects/p/repositories/shared")


def test_a_role_that_grows_gives_everybody_no_power(database: Database) -> None:
    place = Place(database)
    role = "projects/p/roles/grows"

    def put(permissions: list[str], *, create: bool) -> None:
        database.write(
            custom_roles.put,
            "p",
            "grows",
            title="",
            description="",
            permissions=permissions,
            create=create,
        )

    put([DOWNLOAD.value], create=True)
    place.give("projects/p", role, "allUsers", "user:ana")
    more = [DOWNLOAD, Permission.PROJECTS_SET_POLICY, Permission.KEYS_CREATE]
    put([permission.value for permission in more], create=False)
    assert place.allows(ANONYMOUS, "projects/p")
    for permission in more[1:]:
        assert not place.allows(ANONYMOUS, "projects/p", permission)
        assert not place.allows("ben", "projects/p", permission)
        assert place.allows("ana", "projects/p", permission)


def test_standing(database: Database) -> None:
    place = Place(database)
    place.give("projects/p", READER, "user:ana")
    before = place.principal("ana")
    assert place.allows(before, "projects/p")
    for change in (
        lambda tx: accounts.set_password(tx, "ana", "x"),
        lambda tx: accounts.set_disabled(tx, "ana", disabled=True),
        lambda tx: accounts.set_disabled(tx, "ana", disabled=False),
        lambda tx: accounts.delete(tx, "ana"),
        lambda tx: accounts.create(tx, "ana"),
    ):
        database.write(change)
        check_refused(Code.TOKEN_INVALID, place.allows, before, "projects/p")
    for name in ("user:nobody", "nobody", "", "group:g", "user:", "principalSet://x", "owner:ana"):
        check_refused(Code.TOKEN_INVALID, place.allows, Principal(name), "projects/p")


def test_a_service_account(database: Database) -> None:
    place = Place(database)
    email = "builder@p.iam.test"
    database.write(service_accounts.create, email, "p")
    place.give("projects/p", READER, f"serviceAccount:{email}")
    impersonated = Principal(f"serviceAccount:{email}")
    with_key = Principal(f"serviceAccount:{email}", "0" * 40)
    assert place.allows(impersonated, "projects/p")
    check_refused(Code.TOKEN_INVALID, place.allows, with_key, "projects/p")
    database.write(service_accounts.set_disabled, email, disabled=True)
    check_refused(Code.TOKEN_INVALID, place.allows, impersonated, "projects/p")
    assert database.read(service_account_keys.standing, email) is None


def test_a_federated_identity(database: Database) -> None:
    place = Place(database)
    database.write(federation.create_pool, Pool("p", "ci-pool"))
    number = database.read(projects.get, "p").number
    root = f"//iam.googleapis.com/projects/{number}/locations/global/workloadIdentityPools/ci-pool"
    who = Principal(f"principal:{root}/subject/x", sets=frozenset({f"principalSet:{root}/*"}))
    assert not place.allows(who, "projects/p")
    place.give("projects/p", READER, f"principalSet:{root}/*")
    assert place.allows(who, "projects/p")
    database.write(federation.set_pool_deleted, "p", "ci-pool", deleted=True)
    check_refused(Code.TOKEN_INVALID, place.allows, who, "projects/p")


def test_a_deleted_project(database: Database) -> None:
    place = Place(database)
    place.give("projects/p", "roles/owner", "user:ana")
    database.write(projects.delete, "p")
    for who in ("ana", "root"):
        assert not place.allows(who, "projects/p/repositories/a")
        assert not place.allows(who, "projects/p", Permission.PROJECTS_SET_POLICY)
        assert place.allows(who, "projects/p", Permission.PROJECTS_UNDELETE)
        assert place.allows(who, "projects/p", Permission.PROJECTS_GET)
    refused = (Permission.DOWNLOAD, Resource("p", "repositories", "a"))
    for name, code in (("ana", Code.PROJECT_DELETED), ("ben", Code.DENIED)):
        check_refused(code, database.read, place.access.require, place.principal(name), *refused)
    database.write(projects.undelete, "p")
    assert place.allows("ana", "projects/p/repositories/a")


def test_a_refusal_tells_nothing(database: Database) -> None:
    place = Place(database)
    ana = place.principal("ana")
    said = {
        check_refused(
            Code.DENIED,
            *(database.read, place.access.require, ana, DOWNLOAD),
            Resource(project, "repositories", "a"),
        ).message.replace(f"projects/{project}/", "<project>")
        for project in ("p", "no-such-project")
    }
    assert len(said) == 1
    asked = (place.access.require, ANONYMOUS, DOWNLOAD, Resource("p"))
    check_refused(Code.UNAUTHORIZED, database.read, *asked)


@pytest.mark.parametrize(
    ("pattern", "folder", "expected"),
    [
        ("team-a/**", "", True),
        ("team-a/**", "team-a", True),
        ("team-a/**", "team-a/x", True),
        ("team-a/**", "team", False),
        ("team-a/b/**", "team-a", True),
        ("team-a/b", "team-a", True),
        ("team-ab", "team-a", False),
        ("**", "anything", True),
    ],
)
def test_what_is_below(database: Database, pattern: str, folder: str, expected: bool) -> None:
    place = Place(database)
    place.give(f"projects/p/repositories/{pattern}", READER, "user:ana")

    def sees(name: str, *circumstances: Circumstances) -> bool:
        who = place.principal(name)
        return database.read(place.access.sees, who, DOWNLOAD, "p", folder, *circumstances)

    assert sees("ana") is expected
    assert not sees("ben")
    place.give(f"projects/p/repositories/{pattern}", READER, "user:ben", condition="false")
    assert sees("ben") is expected
    assert not sees("ben", Circumstances())


CHANGES: dict[str, Callable[[Transaction], object]] = {
    "policy of a project": lambda tx: policies.grant(tx, Resource("p"), READER, "user:ana"),
    "policy of a repository": lambda tx: policies.grant(
        tx, Resource("p", "repositories", "a"), READER, "user:ana"
    ),
    "policy of the server": lambda tx: policies.grant(tx, ROOT, READER, "user:ana"),
    "group": lambda tx: groups.add(tx, "readers", "user:ana"),
    "role": lambda tx: custom_roles.put(
        tx, "p", "some", title="", description="", permissions=[DOWNLOAD.value], create=False
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_counts_at_the_next_decision_of_every_process(
    database: Database, change: str
) -> None:
    place = Place(database)
    database.write(groups.create, "readers")
    database.write(
        custom_roles.put, "p", "some", title="", description="", permissions=[], create=True
    )
    place.give("projects/p", READER, "group:readers")
    place.give("projects/p", "projects/p/roles/some", "user:ana")
    other_database = Database(database.url.render_as_string(hide_password=False))
    other = Access()
    ana, about = place.principal("ana"), Resource("p", "repositories", "a")

    def decide() -> tuple[bool, bool]:
        return (
            place.allows(ana, about),
            other_database.read(other.allows, ana, DOWNLOAD, about),
        )

    assert decide() == (False, False)
    assert decide() == (False, False)
    database.write(CHANGES[change])
    assert decide() == (True, True)
    other_database.write(accounts.set_disabled, "ana", disabled=True)
    check_refused(Code.TOKEN_INVALID, place.allows, ana, about)
    check_refused(Code.TOKEN_INVALID, other_database.read, other.allows, ana, DOWNLOAD, about)
    other_database.close()


def test_what_was_taken_back_is_not_remembered(database: Database) -> None:
    """A decision inside a transaction that fails, then another change with the same history."""
    place = Place(database)
    ana = place.principal("ana")

    def fail(tx: Transaction) -> None:
        policies.grant(tx, ROOT, READER, "user:ana")
        assert place.access.allows(tx, ana, DOWNLOAD, Resource("p"))
        raise Failure(Code.DENIED, permission="x", resource="y")

    check_refused(Code.DENIED, database.write, fail)
    database.write(policies.grant, ROOT, READER, "user:ben")
    assert not place.allows(ana, "projects/p")
    assert place.allows("ben", "projects/p")


def test_an_older_state_is_not_remembered_for_a_newer(database: Database) -> None:
    """A long read sees the state of its beginning, and must not teach it to the others."""
    place = Place(database)
    place.give("organizations/customhouse", READER, "user:ana")
    ana, ben = place.principal("ana"), place.principal("ben")

    def long_read(tx: Transaction) -> None:
        assert place.access.allows(tx, ana, DOWNLOAD, Resource("p"))
        with ThreadPoolExecutor(1) as pool:
            pool.submit(remove).result()
        # Something is read again, in the old state or the new, as the engine has it.
        place.access.allows(tx, ben, DOWNLOAD, Resource("p"))

    def remove() -> None:
        place.bind("organizations/customhouse", Binding("roles/customhouse.admin", ("user:root",)))
        assert not place.allows(ana, "projects/p")

    database.read(long_read)
    assert not place.allows(ana, "projects/p")


def test_deep_groups_and_cycles_end(database: Database) -> None:
    place = Place(database)

    def make(tx: Transaction) -> None:
        for number in range(40):
            groups.create(tx, f"g{number}")
        for number in range(40):
            groups.add(tx, f"g{(number + 1) % 40}", f"group:g{number}")
        groups.add(tx, "g0", "user:ana")

    database.write(make)
    place.give("projects/p/repositories/near", READER, "group:g3")
    place.give("projects/p/repositories/far", READER, "group:g30")
    assert place.allows("ana", "projects/p/repositories/near")
    assert not place.allows("ana", "projects/p/repositories/far")
