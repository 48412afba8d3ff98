"""Sign-ins that fail are slowed, by account and address."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from customhouse.database import METADATA
from customhouse.iam import failures
from customhouse.iam.failures import SIGN_IN_FAILURE

if TYPE_CHECKING:
    from customhouse.database import Database

SECOND = 1_000_000
HOUR, DAY = 3600 * SECOND, 24 * 3600 * SECOND
AT = 1_700_000_000 * SECOND
HOME, CAFE = "192.0.2.1", "198.51.100.7"


class Door:
    """What a caller does: it asks, and looks at the password if there is no delay."""

    def __init__(self, database: Database) -> None:
        METADATA.create_all(database.writers)
        self.database = database
        self.at = AT

    def delay(self, account: str = "ana", address: str = HOME) -> float:
        return self.database.read(failures.standing, account, address, self.at).delay

    def attempt(self, account: str = "ana", address: str = HOME, *, right: bool = False) -> float:
        delay, is_settled = self.database.read(failures.standing, account, address, self.at)
        if delay:
            return delay
        if not right:
            self.database.write(failures.note_failure, account, address, self.at)
        elif not is_settled:
            self.database.write(failures.note_success, account, address, self.at)
        return 0

    def rows(self) -> int:
        return self.database.read(
            lambda tx: tx.execute(select(func.count()).select_from(SIGN_IN_FAILURE)).scalar_one()
        )


@pytest.fixture
def door(database: Database) -> Door:
    """A door with its clock."""
    return Door(database)


def test_slower_and_slower(door: Door) -> None:
    assert [door.attempt() for _ in range(5)] == [0] * 5
    delays = []
    for _ in range(9):
        delay = door.attempt()
        delays.append(delay)
        door.at += int(delay * SECOND)
        assert door.attempt() == 0
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_one_while_waiting_does_not_count(door: Door) -> None:
    for _ in range(6):
        door.attempt()
    for _ in range(100):
        assert door.attempt() == 1
    door.at += SECOND // 4
    assert door.attempt(right=True) == 0.75
    door.at += SECOND * 3 // 4
    assert door.attempt() == 0
    assert door.delay() == 2


def test_a_success_makes_free(door: Door) -> None:
    for _ in range(5):
        door.attempt()
    door.at += SECOND
    assert door.attempt(right=True) == 0
    assert [door.attempt() for _ in range(5)] == [0] * 5
    assert door.attempt() == 1


def test_failures_are_forgotten(door: Door) -> None:
    for _ in range(5):
        door.attempt()
    door.at += HOUR + 1
    assert door.delay() == 0
    assert [door.attempt() for _ in range(5)] == [0] * 5
    assert door.attempt() == 1


def test_others_are_not_slowed(door: Door) -> None:
    for _ in range(6):
        door.attempt()
    assert door.delay() == 1
    assert door.delay("bo", HOME) == 0
    assert door.delay("ana", CAFE) == 0
    assert door.delay("ANA", HOME) == 0


def test_one_address_at_many_accounts(door: Door) -> None:
    assert [door.attempt(f"user{number}") for number in range(50)] == [0] * 50
    assert door.attempt("another") == 1
    assert door.delay("another", CAFE) == 0
    door.at += SECOND
    assert door.attempt("another") == 0
    assert door.delay("and another") == 2


def test_many_addresses_at_one_account(door: Door) -> None:
    def address(number: int) -> str:
        return f"203.0.{number // 250}.{number % 250}"

    assert [door.attempt(address=address(number)) for number in range(100)] == [0] * 100
    assert door.attempt(address=address(100)) == 1
    assert door.delay("bo", address(100)) == 0


@pytest.mark.parametrize("kind", ["account", "address"])
def test_who_signed_in_before_is_not_hindered(door: Door, kind: str) -> None:
    assert door.attempt(right=True) == 0
    for number in range(100):
        if kind == "account":
            door.attempt(address=f"203.0.113.{number}")
        else:
            door.attempt(f"user{number}")
    stranger = ("ana", CAFE) if kind == "account" else ("bo", HOME)
    assert door.delay(*stranger) > 0
    assert door.attempt(right=True) == 0
    # But one who guesses from the same place is.
    assert [door.attempt() for _ in range(5)] == [0] * 5
    assert door.attempt() == 1
    door.at += 31 * DAY
    for number in range(100):
        door.attempt(address=f"203.0.113.{number}")
    assert door.delay() > 0, "it is long ago"


def test_own_sign_ins_do_not_cover_guesses_at_others(door: Door) -> None:
    for number in range(50):
        door.attempt(f"user{number}")
        door.attempt("mallory", right=True)
    assert door.delay("another") > 0


def test_success_is_noted_once_a_day(door: Door) -> None:
    def is_settled() -> bool:
        return door.database.read(failures.standing, "ana", HOME, door.at).is_settled

    assert not is_settled()
    door.attempt(right=True)
    assert is_settled()
    door.attempt()
    assert not is_settled()
    door.attempt(right=True)
    assert is_settled()
    door.at += DAY + 1
    assert not is_settled()
    door.attempt(right=True)
    assert is_settled()


def test_ipv6_counts_by_64(door: Door) -> None:
    for number in range(5):
        door.attempt(address=f"2001:db8::{number}")
    assert door.delay(address="2001:db8::ffff") == 1
    assert door.delay(address="2001:db8:0:1::1") == 0


@pytest.mark.parametrize("name", ["", "\0", "\ud800", "x" * 100_000, "ä"])
def test_any_name(door: Door, name: str) -> None:
    for _ in range(5):
        door.attempt(name, name)
    assert door.attempt(name, name) == 1
    door.at += SECOND
    door.attempt(name, name, right=True)
    longest = select(func.max(func.length(SIGN_IN_FAILURE.c.key)))
    assert door.database.read(lambda tx: tx.execute(longest).scalar_one()) == 40


def test_side_by_side_all_count(door: Door) -> None:
    """Attempts that were looked at before the first of them was noted."""

    def fail(number: int) -> None:
        for turn in range(5):
            account = ("ana", "bo")[(number + turn) % 2]
            door.database.write(failures.note_failure, account, HOME, door.at)

    threads = [threading.Thread(target=fail, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert door.delay("ana") == 32
    assert door.delay("bo") == 32
    counts = door.database.read(
        lambda tx: tx.execute(select(SIGN_IN_FAILURE.c["count"])).scalars().all()
    )
    assert sorted(counts) == [10, 10, 10, 10, 20]


def test_pruned(door: Door) -> None:
    door.attempt("bo", right=True)
    door.attempt()
    assert door.rows() == 4
    assert door.database.write(failures.prune, door.at + HOUR, 10) == 0
    assert door.database.write(failures.prune, door.at + HOUR + 1, 2) == 2
    assert door.database.write(failures.prune, door.at + HOUR + 1, 2) == 1
    assert door.database.write(failures.prune, door.at + 30 * DAY, 10) == 0
    assert door.database.write(failures.prune, door.at + 30 * DAY + 1, 10) == 1
    assert door.rows() == 0
