"""Keys of service accounts: which count, and for how long."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from customhouse.database import METADATA, now
from customhouse.errors import Code, Failure
from customhouse.iam import keyfiles, projects, service_account_keys, service_accounts
from customhouse.iam.service_account_keys import SERVICE_ACCOUNT_KEY, Standing
from tests.iam.test_service_accounts import CI, backdate, generation, make
from tests.support.failures import failed

if TYPE_CHECKING:
    from customhouse.database import Database, Transaction

HOUR = 3600 * 1_000_000
OTHER = "other-one@acme.iam.example.net"


@pytest.fixture(scope="module")
def pem() -> str:
    """A public key."""
    return keyfiles.make_key(CI, "acme", 1, "http://127.0.0.1").public_pem


@pytest.fixture(autouse=True)
def accounts(database: Database) -> None:
    """Two accounts."""
    METADATA.create_all(database.writers)
    database.write(projects.create, "acme", "user:ana")
    make(database)
    make(database, OTHER)


def add(database: Database, pem: str, expires_at: int | None = None) -> str:
    key_id = keyfiles.new_key_id()
    database.write(service_account_keys.create, CI, key_id, pem, expires_at)
    return key_id


def expire(tx: Transaction, key_id: str) -> None:
    """Let a key have expired."""
    tx.execute(
        update(SERVICE_ACCOUNT_KEY)
        .where(SERVICE_ACCOUNT_KEY.c.id == key_id)
        .values(expires_at=now() - 1)
    )


def test_created_and_listed(database: Database, pem: str) -> None:
    until = now() + HOUR
    first, second = add(database, pem, until), add(database, pem)
    keys = database.read(service_account_keys.of, CI)
    assert [(key.id, key.expires_at, key.bits, key.origin) for key in keys] == [
        (first, until, 2048, service_account_keys.MADE_HERE),
        (second, None, 2048, service_account_keys.MADE_HERE),
    ]
    assert database.read(service_account_keys.get, CI, first) == keys[0]
    assert database.read(service_account_keys.of, OTHER) == []


def test_in_a_project_that_is_being_deleted_no_key_counts(database: Database, pem: str) -> None:
    key = add(database, pem)
    assert database.read(service_account_keys.standing, CI)
    database.write(projects.delete, "acme")
    assert database.read(service_account_keys.standing, CI) is None
    assert database.read(service_account_keys.verification_key, key) is None
    database.write(projects.undelete, "acme")
    assert database.read(service_account_keys.verification_key, key) == (CI, pem)


def test_uploaded(database: Database, pem: str) -> None:
    key = database.write(service_account_keys.upload, CI, pem)
    assert key.origin == service_account_keys.UPLOADED
    assert database.read(service_account_keys.verification_key, key.id) == (CI, pem)


def test_of_another_account(database: Database, pem: str) -> None:
    key_id = add(database, pem)
    for function in (service_account_keys.get, service_account_keys.delete):
        with failed(Code.THING_UNKNOWN):
            database.write(function, OTHER, key_id)
    with failed(Code.THING_UNKNOWN):
        database.write(service_account_keys.set_disabled, OTHER, key_id, disabled=True)
    assert database.read(service_account_keys.verification_key, key_id) == (CI, pem)


@pytest.mark.parametrize("key_id", ["", "a" * 40, "\0", "\ud800", "A" * 40, "a" * 10_000])
def test_unknown(database: Database, key_id: str) -> None:
    assert database.read(service_account_keys.verification_key, key_id) is None
    with failed(Code.THING_UNKNOWN):
        database.read(service_account_keys.get, CI, key_id)


def test_of_unknown_accounts(database: Database, pem: str) -> None:
    assert database.read(service_account_keys.standing, "nobody@acme.example") is None
    assert database.read(service_account_keys.standing, "a\0@acme.example") is None
    with failed(Code.THING_UNKNOWN):
        database.write(service_account_keys.upload, "nobody@acme.example", pem)
    with failed(Code.THING_UNKNOWN):
        database.read(service_account_keys.of, "nobody@acme.example")


def test_standing(database: Database, pem: str) -> None:
    def stands(keys: set[str], expires_at: int | None) -> None:
        found = database.read(service_account_keys.standing, CI)
        assert found == Standing(frozenset(keys), expires_at)

    stands(set(), None)
    lasting = add(database, pem)
    stands({lasting}, None)
    soon, late = now() + HOUR, now() + 2 * HOUR
    first, second = add(database, pem, late), add(database, pem, soon)
    stands({lasting, first, second}, soon)
    database.write(service_account_keys.set_disabled, CI, second, disabled=True)
    stands({lasting, first}, late)
    database.write(expire, first)
    stands({lasting}, None)
    database.write(service_account_keys.delete, CI, lasting)
    stands(set(), None)
    database.write(service_accounts.set_disabled, CI, disabled=True)
    assert database.read(service_account_keys.standing, CI) is None


def test_a_key_counts_as_long_as_it_and_its_account_do(database: Database, pem: str) -> None:
    key_id = add(database, pem, now() + HOUR)

    def counts() -> bool:
        found = database.read(service_account_keys.verification_key, key_id)
        assert found in {None, (CI, pem)}
        return found is not None

    assert counts()
    database.write(service_account_keys.set_disabled, CI, key_id, disabled=True)
    assert not counts()
    database.write(service_account_keys.set_disabled, CI, key_id, disabled=False)
    assert counts()
    database.write(service_accounts.set_disabled, CI, disabled=True)
    assert not counts()
    database.write(service_accounts.set_disabled, CI, disabled=False)
    database.write(service_accounts.delete, CI)
    assert not counts()
    database.write(service_accounts.undelete, CI)
    assert counts()
    database.write(expire, key_id)
    assert not counts()
    database.write(service_account_keys.delete, CI, key_id)
    with failed(Code.THING_UNKNOWN):
        database.write(service_account_keys.delete, CI, key_id)


def test_keys_go_with_a_purged_account(database: Database, pem: str) -> None:
    key_id = add(database, pem)
    database.write(service_accounts.delete, CI)
    with failed(Code.THING_UNKNOWN):
        add(database, pem)
    database.write(backdate, CI, 31)
    assert database.write(service_accounts.purge, 10) == [CI]
    make(database)
    assert database.read(service_account_keys.of, CI) == []
    assert database.read(service_account_keys.verification_key, key_id) is None


def test_every_change_is_told(database: Database, pem: str) -> None:
    last = generation(database)
    key_id = add(database, pem)
    for change in (
        lambda tx: None,
        lambda tx: service_account_keys.set_disabled(tx, CI, key_id, disabled=True),
        lambda tx: service_account_keys.delete(tx, CI, key_id),
        lambda tx: service_account_keys.upload(tx, CI, pem),
    ):
        database.write(change)
        last, before = generation(database), last
        assert last > before


def test_refused(database: Database, pem: str) -> None:
    key_id = add(database, pem)
    with failed(Code.THING_EXISTS):
        database.write(service_account_keys.create, OTHER, key_id, pem)
    for bad_id, bad_pem, expires_at in (
        ("short", pem, None),
        (keyfiles.new_key_id(), "no key", None),
        (keyfiles.new_key_id(), pem, now() - 1),
        (keyfiles.new_key_id(), pem, 0),
    ):
        with failed(Code.THING_INVALID):
            database.write(service_account_keys.create, CI, bad_id, bad_pem, expires_at)
    assert len(database.read(service_account_keys.of, CI)) == 1


def test_limit_holds_when_all_come_at_once(database: Database, pem: str) -> None:
    refusals: list[Code] = []

    def create() -> None:
        for _ in range(4):
            try:
                add(database, pem)
            except Failure as failure:
                refusals.append(failure.code)

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refusals == [Code.LIMIT_REACHED] * 6
    assert len(database.read(service_account_keys.of, CI)) == service_account_keys.MAX_KEYS
