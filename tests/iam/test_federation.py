"""Pools and providers as rows, on both engines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from customhouse.database import METADATA, now
from customhouse.errors import Code
from customhouse.iam import federation, projects
from customhouse.iam.federation import IDENTITY_POOL, IDENTITY_PROVIDER
from customhouse.iam.pools import Pool, Provider
from customhouse.iam.state import IAM_STATE
from tests.iam.issuer import make_key, public
from tests.support.failures import failed

if TYPE_CHECKING:
    from customhouse.database import Database, Transaction

DAY = 24 * 3600 * 1_000_000
POOL = Pool("acme", "ci-pool")
PROVIDER = Provider(
    "acme",
    "ci-pool",
    "github",
    issuer="https://token.actions.githubusercontent.com",
    attribute_mapping={"google.subject": "assertion.sub"},
)


@pytest.fixture(autouse=True)
def schema(database: Database) -> None:
    """The tables, and a project."""
    METADATA.create_all(database.writers)
    database.write(projects.create, "acme", "user:ana")


@pytest.fixture
def both(database: Database) -> None:
    """A pool with a provider."""
    database.write(federation.create_pool, POOL)
    database.write(federation.create_provider, PROVIDER)


def generation(tx: Transaction) -> int:
    return int(tx.scalars(select(IAM_STATE.c.generation)).one())


def backdate(tx: Transaction, table: Any, days: int) -> None:
    """Let what is deleted have been deleted some days ago."""
    tx.execute(
        update(table).where(table.c.deleted_at.is_not(None)).values(deleted_at=now() - days * DAY)
    )


class TestPools:
    def test_create_get(self, database: Database) -> None:
        made = database.write(federation.create_pool, Pool("acme", "ci-pool", "CI", "Jobs"))
        assert database.read(federation.get_pool, "acme", "ci-pool") == made
        assert made.created_at > 0
        assert made.deleted_at is None
        with failed(Code.THING_EXISTS):
            database.write(federation.create_pool, POOL)
        with failed(Code.THING_UNKNOWN):
            database.read(federation.get_pool, "other", "ci-pool")

    @pytest.mark.parametrize(
        "pool", ["", "abc", "a" * 33, "Upper", "gcp-pool", "under_score", "a/bcd", "abcd\n", "äbcd"]
    )
    def test_id(self, database: Database, pool: str) -> None:
        with failed(Code.THING_INVALID):
            database.write(federation.create_pool, Pool("acme", pool))

    def test_texts(self, database: Database) -> None:
        for texts in (("a" * 33, ""), ("", "a" * 257), ("\n", ""), ("", "\0")):
            with failed(Code.THING_INVALID):
                database.write(federation.create_pool, Pool("acme", "ci-pool", *texts))

    def test_pages(self, database: Database) -> None:
        names = [f"pool-{letter}" for letter in "abcde"]
        for name in names:
            database.write(federation.create_pool, Pool("acme", name))
        database.write(federation.create_pool, Pool("other", "pool-x"))
        database.write(federation.set_pool_deleted, "acme", "pool-c", deleted=True)

        def page(after: str, count: int, *, deleted: bool = False) -> list[str]:
            pools = database.read(federation.page_pools, "acme", after, count, deleted=deleted)
            return [pool.id for pool in pools]

        assert page("", 2) == ["pool-a", "pool-b"]
        assert page("pool-b", 9) == ["pool-d", "pool-e"]
        assert page("", 9, deleted=True) == names

    def test_patch(self, database: Database) -> None:
        database.write(federation.create_pool, POOL)
        changed = database.write(
            federation.patch_pool, "acme", "ci-pool", {"description": "x", "is_disabled": True}
        )
        assert (changed.description, changed.is_disabled) == ("x", True)
        assert database.read(federation.get_pool, "acme", "ci-pool") == changed
        with failed(Code.THING_INVALID):
            database.write(federation.patch_pool, "acme", "ci-pool", {"display_name": "a" * 33})
        with failed(Code.THING_UNKNOWN):
            database.write(federation.patch_pool, "acme", "other", {})

    def test_delete_and_back(self, database: Database) -> None:
        database.write(federation.create_pool, POOL)
        deleted = database.write(federation.set_pool_deleted, "acme", "ci-pool", deleted=True)
        assert deleted.deleted_at is not None
        with failed(Code.THING_UNKNOWN):
            database.write(federation.set_pool_deleted, "acme", "ci-pool", deleted=True)
        with failed(Code.THING_UNKNOWN):
            database.write(federation.patch_pool, "acme", "ci-pool", {"description": "x"})
        with failed(Code.THING_EXISTS):
            database.write(federation.create_pool, POOL)
        with failed(Code.THING_UNKNOWN):
            database.write(federation.create_provider, PROVIDER)
        back = database.write(federation.set_pool_deleted, "acme", "ci-pool", deleted=False)
        assert back.deleted_at is None
        with failed(Code.THING_UNKNOWN):
            database.write(federation.set_pool_deleted, "acme", "ci-pool", deleted=False)

    def test_too_many(self, database: Database) -> None:
        def fill(tx: Transaction) -> None:
            for number in range(100):
                federation.create_pool(tx, Pool("acme", f"pool-{number}"))

        database.write(fill)
        with failed(Code.THING_INVALID):
            database.write(federation.create_pool, POOL)
        database.write(federation.create_pool, Pool("other", "ci-pool"))


@pytest.mark.usefixtures("both")
class TestProviders:
    def test_create_get(self, database: Database) -> None:
        made = database.read(federation.get_provider, "acme", "ci-pool", "github")
        assert made.attribute_mapping == {"google.subject": "assertion.sub"}
        assert made.audiences == ()
        with failed(Code.THING_EXISTS):
            database.write(federation.create_provider, PROVIDER)
        with failed(Code.THING_UNKNOWN):
            database.write(federation.create_provider, Provider(**fields(pool="none")))

    @pytest.mark.parametrize(
        "changes",
        [
            {"id": "gcp-github"},
            {"issuer": "http://gitlab.example.com"},
            {"issuer": ""},
            {"attribute_mapping": {}},
            {"attribute_mapping": {"google.subject": "nope"}},
            {"attribute_condition": "assertion.sub =="},
            {"audiences": ("",)},
            {"audiences": ("a\n",)},
            {"audiences": ("a" * 257,)},
            {"audiences": ("a",) * 11},
            {"jwks": "{}"},
            {"jwks": "nonsense"},
            {"jwks": " " * 65_537},
        ],
    )
    def test_is_checked(self, database: Database, changes: dict[str, Any]) -> None:
        with failed(Code.THING_INVALID):
            database.write(federation.create_provider, Provider(**fields(id="other") | changes))
        changes = {name: value for name, value in changes.items() if name != "id"}
        if changes:
            with failed(Code.THING_INVALID):
                database.write(federation.patch_provider, "acme", "ci-pool", "github", changes)

    def test_uploaded_keys_lose_their_private_half(self, database: Database) -> None:
        key = make_key("first")
        jwks = json.dumps({"keys": [key.as_dict(private=True)]})
        changed = database.write(
            federation.patch_provider, "acme", "ci-pool", "github", {"jwks": jwks}
        )
        members = public(key)["keys"][0]
        del members["use"]
        assert json.loads(changed.jwks)["keys"] == [members]
        assert database.read(federation.get_provider, "acme", "ci-pool", "github") == changed

    def test_patch(self, database: Database) -> None:
        changes = {
            "audiences": ("https://a.example.com", "b"),
            "attribute_mapping": {"google.subject": "assertion.x", "attribute.y": "assertion.y"},
            "attribute_condition": "attribute.y == 'z'",
            "is_disabled": True,
        }
        changed = database.write(federation.patch_provider, "acme", "ci-pool", "github", changes)
        assert database.read(federation.get_provider, "acme", "ci-pool", "github") == changed
        assert changed.audiences == changes["audiences"]

    def test_pages_deletion_and_back(self, database: Database) -> None:
        database.write(federation.create_provider, Provider(**fields(id="another")))

        def names(*, deleted: bool = False) -> list[str]:
            page = database.read(
                federation.page_providers, "acme", "ci-pool", "", 9, deleted=deleted
            )
            return [provider.id for provider in page]

        assert names() == ["another", "github"]
        key = ("acme", "ci-pool", "github")
        database.write(federation.set_provider_deleted, *key, deleted=True)
        assert names() == ["another"]
        assert names(deleted=True) == ["another", "github"]
        with failed(Code.THING_UNKNOWN):
            database.write(federation.set_provider_deleted, *key, deleted=True)
        database.write(federation.set_provider_deleted, *key, deleted=False)
        assert names() == ["another", "github"]

    def test_too_many(self, database: Database) -> None:
        def fill(tx: Transaction) -> None:
            for number in range(49):
                federation.create_provider(tx, Provider(**fields(id=f"provider-{number}")))

        database.write(fill)
        with failed(Code.THING_INVALID):
            database.write(federation.create_provider, Provider(**fields(id="another")))


def fields(**changes: Any) -> dict[str, Any]:
    """Of a provider that is right."""
    names = ("project", "pool", "id", "issuer", "attribute_mapping")
    return {name: getattr(PROVIDER, name) for name in names} | changes


@pytest.mark.usefixtures("both")
class TestStanding:
    def test_is_active(self, database: Database) -> None:
        number = database.read(projects.get, "acme").number
        root = f"principal://iam.googleapis.com/projects/{number}/locations/global"
        name = f"{root}/workloadIdentityPools/ci-pool/subject/repo:acme/app"

        def counts(principal: str = name) -> bool:
            return database.read(federation.is_active, principal)

        assert counts()
        assert not counts(name.replace("ci-pool", "other"))
        assert not counts(name.replace(str(number), str(number + 1)))
        assert not counts(f"{root}/workloadIdentityPools/ci-pool/subject/")
        assert not counts("principal://nonsense")
        database.write(federation.patch_pool, "acme", "ci-pool", {"is_disabled": True})
        assert not counts()
        database.write(federation.patch_pool, "acme", "ci-pool", {"is_disabled": False})
        database.write(federation.set_pool_deleted, "acme", "ci-pool", deleted=True)
        assert not counts()
        database.write(federation.set_pool_deleted, "acme", "ci-pool", deleted=False)
        assert counts()
        database.write(projects.delete, "acme")
        assert not counts()

    def test_every_change_is_told(self, database: Database) -> None:
        pool, provider = ("acme", "ci-pool"), ("acme", "ci-pool", "github")
        seen = [database.read(generation)]
        for function, arguments, options in (
            (federation.patch_pool, (*pool, {"description": "x"}), {}),
            (federation.patch_provider, (*provider, {"description": "x"}), {}),
            (federation.set_provider_deleted, provider, {"deleted": True}),
            (federation.set_pool_deleted, pool, {"deleted": True}),
            (federation.set_pool_deleted, pool, {"deleted": False}),
            (federation.delete_within, ("acme",), {}),
        ):
            database.write(function, *arguments, **options)  # type: ignore[arg-type]
            seen.append(database.read(generation))
        assert seen == sorted(set(seen))

    def test_purge(self, database: Database) -> None:
        database.write(federation.create_provider, Provider(**fields(id="another")))
        database.write(federation.create_pool, Pool("acme", "stays"))
        database.write(federation.set_provider_deleted, "acme", "ci-pool", "another", deleted=True)
        database.write(backdate, IDENTITY_PROVIDER, 29)
        assert database.write(federation.purge, 10) == 0
        database.write(backdate, IDENTITY_PROVIDER, 31)
        assert database.write(federation.purge, 10) == 1
        database.write(federation.set_pool_deleted, "acme", "ci-pool", deleted=True)
        database.write(backdate, IDENTITY_POOL, 31)
        assert database.write(federation.purge, 10) == 1
        with failed(Code.THING_UNKNOWN):
            database.read(federation.get_provider, "acme", "ci-pool", "github")
        assert [p.id for p in database.read(federation.page_pools, "acme", "", 9)] == ["stays"]

    def test_delete_within(self, database: Database) -> None:
        database.write(federation.create_pool, Pool("other", "ci-pool"))
        database.write(federation.delete_within, "acme")
        assert database.read(federation.page_pools, "acme", "", 9) == []
        assert database.read(federation.page_providers, "acme", "ci-pool", "", 9) == []
        assert len(database.read(federation.page_pools, "other", "", 9)) == 1
