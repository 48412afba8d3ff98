"""Policies: what may stand in one, versions, owners, and the names of what they stand on."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from customhouse.errors import Code, Failure
from customhouse.iam import policies
from customhouse.iam.permissions import ROOT, Resource
from customhouse.iam.policies import Binding
from tests.iam.places import READER, Place, check_refused

if TYPE_CHECKING:
    from customhouse.database import Database

OWNER = Binding("roles/owner", ("user:root",))
ADMIN = Binding("roles/customhouse.admin", ("user:root",))


@pytest.mark.parametrize(
    ("text", "resource"),
    [
        ("organizations/customhouse", ROOT),
        ("projects/p", Resource("p")),
        ("projects/example.com:proj", Resource("example.com/proj")),
        ("projects/example.com/proj", Resource("example.com/proj")),
        ("projects/p/repositories/a/b", Resource("p", "repositories", "a/b")),
        ("projects/p/repositories/a/**", Resource("p", "repositories", "a/**")),
        ("projects/p/repositories/**", Resource("p", "repositories", "**")),
        (
            "projects/example.com/proj/repositories/a/b",
            Resource("example.com/proj", "repositories", "a/b"),
        ),
        (
            "projects/example.com:proj/repositories/a",
            Resource("example.com/proj", "repositories", "a"),
        ),
        (
            "projects/p/serviceAccounts/ci@p.iam.test",
            Resource("p", "serviceAccounts", "ci@p.iam.test"),
        ),
    ],
)
def test_resources(text: str, resource: Resource) -> None:
    assert policies.parse_resource(text) == resource
    assert policies.parse_resource(str(resource)) == resource


@pytest.mark.parametrize(
    "text",
    [
        *("", "/", "p", "projects", "projects/", "projects//x", "projects/P", "organizations/x"),
        *("projects/p/", "projects/p/repositories", "projects/p/repositories/"),
        *(
            "projects/p/repositories//**",
            "projects/p/repositories/a/*",
            "projects/p/repositories/*",
        ),
        *("projects/p/repositories/A", "projects/p/repositories/a/../b", "projects/p/secrets/a"),
        *("projects/p/repositories/a/**/b", "projects/p/repositories/**/**"),
        *("projects/p/serviceAccounts/**", "projects/p/serviceAccounts/a/b"),
        *("projects/p/serviceAccounts/", f"projects/p/repositories/{'a' * 300}"),
        *("projects/a:b:c", "projects/example.com/", "projects/x\0y", "projects/\ud800"),
    ],
)
def test_no_resources(text: str) -> None:
    with pytest.raises(Failure) as caught:
        policies.parse_resource(text)
    assert 400 <= caught.value.status < 500


WRONG: dict[str, object] = {
    "no object": [],
    "bindings are no list": {"bindings": {"a": 1}},
    "a binding is none": {"bindings": [1]},
    "no role": {"bindings": [{"members": ["user:a"]}]},
    "a role that is a list": {"bindings": [{"role": ["x"], "members": []}]},
    "members that are a text": {"bindings": [{"role": READER, "members": "user:a"}]},
    "a member that is none": {"bindings": [{"role": READER, "members": [1]}]},
    "a condition that is a text": {"bindings": [{"role": READER, "condition": "true"}]},
    "a condition of numbers": {"bindings": [{"role": READER, "condition": {"expression": 1}}]},
    "a condition with a title alone": {
        "bindings": [{"role": READER, "members": ["user:a"], "condition": {"title": "until May"}}]
    },
    "an empty condition": {
        "bindings": [{"role": READER, "condition": {"title": "x", "expression": ""}}]
    },
    "an etag that is a number": {"etag": 1},
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_policy(name: str) -> None:
    check_refused(Code.POLICY_INVALID, policies.from_json, WRONG[name])


@pytest.mark.parametrize(
    "binding",
    [
        *(Binding("roles/none", ("user:a",)), Binding("", ("user:a",))),
        *(Binding("projects/example.com:proj/roles/x", ("user:a",)),),
        *(
            Binding(READER, (member,))
            for member in (
                *("", "ana", "user:", "user:a b", "owner:a", "allusers", "user:a\0", "group:a/b"),
                *("domain:x", "principal://example.com/x", f"user:{'a' * 300}", "user:a\n"),
            )
        ),
        *(
            Binding(role, (member,))
            for role in ("roles/owner", "roles/editor", "roles/customhouse.admin", "roles/viewer")
            for member in ("allUsers", "allAuthenticatedUsers")
        ),
        Binding(READER, tuple(f"user:u{n}" for n in range(1501))),
        *(Binding(READER, ("user:a",), text) for text in ("", "1", "nope", "[1].all(x, true)")[1:]),
    ],
    ids=lambda binding: f"{binding.role} {binding.members[0][:40]!r} {binding.condition}",
)
def test_what_may_not_be_bound(database: Database, binding: Binding) -> None:
    place = Place(database)
    check_refused(Code.POLICY_INVALID, place.bind, "projects/p", OWNER, binding)
    many = [Binding(READER, ("user:a",), f"{n} == {n}") for n in range(101)]
    check_refused(Code.POLICY_INVALID, place.bind, "projects/p", OWNER, *many)


def test_read_modify_write(database: Database) -> None:
    place = Place(database)
    first = place.bind("projects/p", OWNER)
    assert database.read(policies.get, Resource("p")) == first
    # Clients send the bytes back in either alphabet of base64.
    second = place.bind(
        "projects/p",
        OWNER,
        Binding(READER, ("user:ana",)),
        etag=first.etag.replace("+", "-").replace("/", "_"),
    )
    assert second.etag != first.etag
    for etag in (first.etag, "AAAAAAAAAAA=", "x"):
        failure = check_refused(Code.POLICY_CHANGED, place.bind, "projects/p", OWNER, etag=etag)
        assert failure.status == 409
    assert database.read(policies.get, Resource("p")) == second
    nothing = database.read(policies.get, Resource("p", "repositories", "a"))
    assert nothing.bindings == ()
    place.bind("projects/p/repositories/a", Binding(READER, ("user:a",)), etag=nothing.etag)


def test_of_writers_at_once_one_wins(database: Database) -> None:
    place = Place(database)
    etag = place.bind("projects/p", OWNER).etag

    def write(number: int) -> Code | None:
        try:
            place.bind("projects/p", OWNER, Binding(READER, (f"user:u{number}",)), etag=etag)
        except Failure as failure:
            return failure.code
        return None

    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(write, range(8)))
    assert sorted(codes, key=str) == [Code.POLICY_CHANGED] * 7 + [None]


def test_grants_at_once_are_all_kept(database: Database) -> None:
    place = Place(database)
    etags = set[str]()

    def grant(number: int) -> None:
        database.write(policies.grant, Resource("p"), READER, f"user:u{number}")
        etags.add(database.read(policies.get, Resource("p")).etag)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(grant, range(12)))
    policy = database.read(policies.get, Resource("p"))
    (members,) = [binding.members for binding in policy.bindings if binding.role == READER]
    assert {f"user:u{number}" for number in range(12)} <= set(members)
    database.write(policies.grant, Resource("p"), READER, "user:u1")
    assert database.read(policies.get, Resource("p")) == policy
    assert place.allows("root", "projects/p")


@pytest.mark.parametrize(
    ("resource", "holder"), [("organizations/customhouse", ADMIN), ("projects/p", OWNER)]
)
def test_the_last_owner_stays(database: Database, resource: str, holder: Binding) -> None:
    place = Place(database)
    place.bind(resource, holder)
    for bindings in (
        (),
        (Binding(READER, ("user:ana",)),),
        (Binding(holder.role, ()),),
        (Binding(holder.role, holder.members, "true"),),
    ):
        check_refused(Code.LAST_OWNER, place.bind, resource, *bindings)
    place.bind(resource, Binding(holder.role, ("user:ben",)))
    place.bind("projects/p/repositories/a")


def test_bindings_are_merged(database: Database) -> None:
    place = Place(database)
    policy = place.bind(
        "projects/p",
        OWNER,
        Binding(READER, ("user:a", "user:b")),
        Binding(READER, ("user:b", "user:c")),
        Binding(READER, ("user:a",), "true", "title"),
        Binding("roles/viewer", ()),
    )
    assert policy.bindings == (
        OWNER,
        Binding(READER, ("user:a", "user:b", "user:c")),
        Binding(READER, ("user:a",), "true", "title"),
    )
    document = policies.to_json(policy)
    assert document["version"] == 3
    assert policies.from_json(json.loads(json.dumps(document))) == (policy.bindings, policy.etag)
    assert database.read(policies.within, "p")[0] == (Resource("p"), policy.bindings)
