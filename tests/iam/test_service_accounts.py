"""Service accounts: names, limits, deletion and having them back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from customhouse.database import METADATA, now
from customhouse.errors import Code, Failure
from customhouse.iam import service_accounts
from customhouse.iam.service_accounts import SERVICE_ACCOUNT, email_of
from customhouse.iam.state import IAM_STATE
from tests.support.failures import code_of, failed

if TYPE_CHECKING:
    from customhouse.database import Database, Transaction

DOMAIN = "iam.example.net"
CI = email_of("ci-pusher", "acme", DOMAIN)
DAY = 24 * 3600 * 1_000_000


@pytest.fixture(autouse=True)
def schema(database: Database) -> None:
    """Every table of the modules that are used here."""
    METADATA.create_all(database.writers)


def generation(database: Database) -> int:
    """How many changes there have been."""
    with database.readers.connect() as tx:
        number: int = tx.scalars(select(IAM_STATE.c.generation)).one()
    return number


def make(database: Database, email: str = CI, project: str = "acme") -> None:
    database.write(service_accounts.create, email, project)


def backdate(tx: Transaction, email: str, days: int) -> None:
    """Let an account have been deleted some days ago."""
    tx.execute(
        update(SERVICE_ACCOUNT)
        .where(SERVICE_ACCOUNT.c.email == email)
        .values(deleted_at=now() - days * DAY)
    )


class TestNames:
    def test_of_projects(self) -> None:
        assert email_of("ci-pusher", "acme", DOMAIN) == "ci-pusher@acme.iam.example.net"
        assert (
            email_of("ci-pusher", "example.com/proj", DOMAIN)
            == email_of("ci-pusher", "example.com:proj", DOMAIN)
            == "ci-pusher@proj.example.com.iam.example.net"
        )

    @pytest.mark.parametrize("account_id", ["abcdef", "a" * 30, "a-1-b-2", "a00000"])
    def test_taken(self, account_id: str) -> None:
        assert email_of(account_id, "acme", DOMAIN).startswith(f"{account_id}@")

    @pytest.mark.parametrize(
        "account_id",
        [
            "",
            "abcde",
            "a" * 31,
            "1bcdef",
            "-bcdef",
            "abcde-",
            "Abcdef",
            "ab.cdef",
            "abcdéf",
            "abcdef\n",
            "abcdef@x",
            "abc\0def",
            "abcdef/..",
        ],
    )
    def test_refused(self, account_id: str) -> None:
        with failed(Code.THING_INVALID):
            email_of(account_id, "acme", DOMAIN)

    @given(st.text(max_size=40))
    def test_what_is_taken_is_an_address(self, account_id: str) -> None:
        code = code_of(email_of, account_id, "acme", DOMAIN)
        assert code in {None, Code.THING_INVALID}
        if code is None:
            assert service_accounts.is_email(email_of(account_id, "acme", DOMAIN))


class TestAccounts:
    def test_created_and_found_by_address_and_number(self, database: Database) -> None:
        made = database.write(
            service_accounts.create, CI, "acme", display_name="CI", description="Pushes.\nA lot."
        )
        assert made.email == CI
        assert len(str(made.number)) == 18
        assert not made.is_disabled
        assert database.read(service_accounts.get, CI) == made
        assert database.read(service_accounts.get, str(made.number)) == made

    def test_twice(self, database: Database) -> None:
        make(database)
        with failed(Code.THING_EXISTS):
            make(database)

    @pytest.mark.parametrize(
        "name",
        [
            "",
            "ci",
            "x@y.example",
            "1" * 18,
            "1" * 5000,
            "٣" * 18,
            "a\0b@acme.example",
            "\ud800",
            "a@b" * 1000,
        ],
    )
    def test_unknown(self, database: Database, name: str) -> None:
        with failed(Code.THING_UNKNOWN):
            database.read(service_accounts.get, name)
        with failed(Code.THING_UNKNOWN):
            database.write(service_accounts.delete, name)

    def test_bad_address(self, database: Database) -> None:
        with failed(Code.THING_INVALID):
            make(database, "a\0b@acme.example")

    @pytest.mark.parametrize(
        ("display_name", "description"),
        [
            ("x" * 101, ""),
            ("a\0", ""),
            ("a\nb", ""),
            ("\ud800", ""),
            ("", "x" * 257),
            ("", "é" * 129),
            ("", "\0"),
            ("", "\ud800"),
            ("", "\x1b[31m"),
        ],
    )
    def test_bad_texts(self, database: Database, display_name: str, description: str) -> None:
        make(database, email_of("other-one", "acme", DOMAIN))
        with failed(Code.THING_INVALID):
            database.write(
                service_accounts.create,
                CI,
                "acme",
                display_name=display_name,
                description=description,
            )
        with failed(Code.THING_INVALID):
            database.write(
                service_accounts.patch,
                email_of("other-one", "acme", DOMAIN),
                display_name=display_name,
                description=description,
            )

    def test_patch(self, database: Database) -> None:
        make(database)
        patched = database.write(service_accounts.patch, CI, description="é" * 128)
        assert (patched.display_name, patched.description) == ("", "é" * 128)
        patched = database.write(service_accounts.patch, CI, display_name="CI")
        assert (patched.display_name, patched.description) == ("CI", "é" * 128)
        assert database.read(service_accounts.get, CI) == patched

    def test_disabled(self, database: Database) -> None:
        make(database)
        assert database.write(service_accounts.set_disabled, CI, disabled=True).is_disabled
        assert database.read(service_accounts.get, CI).is_disabled
        assert not database.write(service_accounts.set_disabled, CI, disabled=False).is_disabled

    def test_every_change_is_told(self, database: Database) -> None:
        make(database)
        last = generation(database)
        for change in (
            lambda tx: service_accounts.patch(tx, CI, display_name="x"),
            lambda tx: service_accounts.set_disabled(tx, CI, disabled=True),
            lambda tx: service_accounts.delete(tx, CI),
            lambda tx: service_accounts.undelete(tx, CI),
        ):
            database.write(change)
            last, before = generation(database), last
            assert last > before

    def test_pages(self, database: Database) -> None:
        emails = [email_of(f"robot-{number}", "acme", DOMAIN) for number in range(5)]
        for email in reversed(emails):
            make(database, email)
        make(database, email_of("robot-9", "other", DOMAIN), "other")
        database.write(service_accounts.delete, emails[2])
        seen: list[str] = []
        while found := database.read(
            service_accounts.list_page, "acme", seen[-1] if seen else "", 2
        ):
            assert len(found) <= 2
            seen += [account.email for account in found]
        assert seen == [emails[0], emails[1], emails[3], emails[4]]

    @pytest.mark.parametrize("after", ["\0", "nothing", "\ud800"])
    def test_bad_page(self, database: Database, after: str) -> None:
        with failed(Code.REQUEST_INVALID):
            database.read(service_accounts.list_page, "acme", after, 2)


class TestDeletion:
    def test_deleted_and_had_back(self, database: Database) -> None:
        make(database)
        number = database.read(service_accounts.get, CI).number
        database.write(service_accounts.delete, CI)
        with failed(Code.THING_UNKNOWN):
            database.read(service_accounts.get, CI)
        with failed(Code.THING_UNKNOWN):
            database.write(service_accounts.delete, CI)
        with failed(Code.THING_UNKNOWN):
            database.write(service_accounts.set_disabled, CI, disabled=False)
        assert database.read(service_accounts.get, CI, deleted=True).deleted_at is not None
        back = database.write(service_accounts.undelete, str(number))
        assert back.deleted_at is None
        assert database.read(service_accounts.get, CI) == back
        with failed(Code.THING_UNKNOWN):
            database.write(service_accounts.undelete, CI)

    def test_the_address_is_not_free_before_it_is_purged(self, database: Database) -> None:
        make(database)
        database.write(service_accounts.delete, CI)
        with pytest.raises(Failure, match="undeleted") as raised:
            make(database)
        assert raised.value.code is Code.THING_EXISTS
        assert database.write(service_accounts.purge, 10) == []
        database.write(backdate, CI, 31)
        with failed(Code.THING_UNKNOWN):
            database.write(service_accounts.undelete, CI)
        assert database.write(service_accounts.purge, 10) == [CI]
        make(database)

    def test_ensure_brings_nothing_back(self, database: Database) -> None:
        agent = "service-123@containerscanning.iam.example.net"
        database.write(service_accounts.ensure, agent, "acme", "Agent")
        database.write(service_accounts.ensure, agent, "acme", "Agent again")
        assert database.read(service_accounts.get, agent).display_name == "Agent"
        database.write(service_accounts.delete, agent)
        database.write(service_accounts.ensure, agent, "acme", "Agent")
        with failed(Code.THING_UNKNOWN):
            database.read(service_accounts.get, agent)

    def test_limit(self, database: Database) -> None:
        def fill(tx: Transaction) -> None:
            for number in range(service_accounts.MAX_ACCOUNTS):
                service_accounts.create(tx, email_of(f"robot-{number:03}", "acme", DOMAIN), "acme")

        database.write(fill)
        with failed(Code.LIMIT_REACHED):
            make(database)
        make(database, email_of("ci-pusher", "other", DOMAIN), "other")
        first = email_of("robot-000", "acme", DOMAIN)
        database.write(service_accounts.delete, first)
        make(database)
        with failed(Code.LIMIT_REACHED):
            database.write(service_accounts.undelete, first)
