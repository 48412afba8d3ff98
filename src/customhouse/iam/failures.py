"""Sign-ins that failed: whoever fails again and again is slowed, in every process.

Failures are counted for an account and an address together, for an address, and for an account.
The first makes one who guesses slow; the second, one who guesses at many accounts; the third,
many who guess at one. What others do hinders nobody who signed in to the account from the same
address before: of such a pair only its own failures count.

The caller asks for `standing` before it looks at a password, also at one that it remembers to be
right, and refuses without looking while there is a delay. Only attempts that were looked at are
noted: one that was refused is not counted, and those that were looked at side by side all are.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    Table,
    and_,
    bindparam,
    case,
    delete,
    or_,
    select,
    update,
)

from customhouse.database import METADATA, Name, Prepared, insert, upsert
from customhouse.iam.limits import network

if TYPE_CHECKING:
    from customhouse.database import Transaction

SIGN_IN_FAILURE = Table(
    "sign_in_failure",
    METADATA,
    # A hash of what is counted.
    Column("key", Name, primary_key=True),
    # How many failed; 0 says that the account was signed in to from the address.
    Column("count", Integer, nullable=False),
    # No attempt is looked at before that time.
    Column("until", BigInteger, nullable=False),
    # The last time that the row was written.
    Column("at", BigInteger, nullable=False, index=True),
)

# How many attempts fail until the next has to wait, for a pair; for an address and for an account
# it is as many times more.
FREE = 5
_TIMES_OF_ADDRESS, _TIMES_OF_ACCOUNT = 10, 20
_SECOND = 1_000_000
_LONGEST = 60
_HOUR, _DAY = 3600 * _SECOND, 24 * 3600 * _SECOND
# Failures count until there was none for that long.
_FORGET = _HOUR
# A sign-in is remembered for that long, and noted again when it is a day old.
_KNOWN = 30 * _DAY

_FIND = Prepared(
    select(SIGN_IN_FAILURE).where(
        SIGN_IN_FAILURE.c.key.in_(
            [bindparam("pair"), bindparam("address"), bindparam("account"), bindparam("known")]
        )
    )
)


class Standing(NamedTuple):
    """How an account stands with an address.

    Attributes:
        delay: seconds until the next attempt is looked at; 0 for at once.
        is_settled: whether `note_success` would change nothing, so that it need not be called.
    """

    delay: float
    is_settled: bool


@dataclass(frozen=True, slots=True)
class _Keys:
    pair: str
    address: str
    account: str
    known: str


def _keys(account: str, address: str) -> _Keys:
    place = network(address)
    return _Keys(
        pair=_hash("pair", account, place),
        address=_hash("address", place),
        account=_hash("account", account),
        known=_hash("known", account, place),
    )


def _hash(*parts: str) -> str:
    return hashlib.blake2b(repr(parts).encode(), digest_size=20).hexdigest()


def standing(tx: Transaction, account: str, address: str, at: int) -> Standing:
    """How long the next attempt has to wait.

    Args:
        tx: the transaction.
        account: the name that somebody wants to sign in with, whether there is such an account
            or not.
        address: where from; an IPv6 address stands for its /64.
        at: the time, in microseconds since 1970.
    """
    keys = _keys(account, address)
    rows = _FIND.all(
        tx, pair=keys.pair, address=keys.address, account=keys.account, known=keys.known
    )
    until = {key: until for key, _, until, _ in rows}
    known_at = max((moment for key, _, _, moment in rows if key == keys.known), default=None)
    waits = [until.get(keys.pair, 0)]
    if known_at is None or known_at < at - _KNOWN:
        waits += [until.get(keys.address, 0), until.get(keys.account, 0)]
    return Standing(
        delay=max(0, max(waits) - at) / _SECOND,
        is_settled=keys.pair not in until and known_at is not None and known_at >= at - _DAY,
    )


def note_failure(tx: Transaction, account: str, address: str, at: int, allowed: int = FREE) -> None:
    """Count an attempt that was looked at and failed.

    The arguments are those of `standing`, and how many may fail before the next has to wait.
    """
    keys = _keys(account, address)
    free = {
        keys.pair: allowed,
        keys.address: allowed * _TIMES_OF_ADDRESS,
        keys.account: allowed * _TIMES_OF_ACCOUNT,
    }
    count = SIGN_IN_FAILURE.c.count
    statement = (
        insert(tx, SIGN_IN_FAILURE)
        # Everyone takes the rows in the same order: none waits for one that waits for it.
        .values([{"key": key, "count": 1, "until": 0, "at": at} for key in sorted(free)])
        .on_conflict_do_update(
            index_elements=["key"],
            set_={
                "count": case((SIGN_IN_FAILURE.c.at < at - _FORGET, 1), else_=count + 1),
                "at": at,
            },
        )
        .returning(SIGN_IN_FAILURE.c.key, count)
    )
    for key, failed in tx.execute(statement).all():
        if failed >= free[key]:
            seconds = min(_LONGEST, 2 ** min(failed - free[key], 10))
            tx.execute(
                update(SIGN_IN_FAILURE)
                .where(SIGN_IN_FAILURE.c.key == key)
                .values(until=at + seconds * _SECOND)
            )


def note_success(tx: Transaction, account: str, address: str, at: int) -> None:
    """Forget the failures of an account at an address, and remember that it was signed in to.

    What is counted for the address and for the account stays: whoever has an account could
    otherwise go on guessing at others', and a person's own sign-ins would cover who guesses.
    """
    keys = _keys(account, address)
    tx.execute(delete(SIGN_IN_FAILURE).where(SIGN_IN_FAILURE.c.key == keys.pair))
    row = {"key": keys.known, "count": 0, "until": 0, "at": at}
    upsert(tx, SIGN_IN_FAILURE, ["key"], [row])


def prune(tx: Transaction, at: int, count: int) -> int:
    """Delete rows that mean nothing any more.

    Args:
        tx: the transaction.
        at: the time, in microseconds since 1970.
        count: how many at most; call again until fewer than that went.

    Returns:
        How many were deleted.
    """
    columns = SIGN_IN_FAILURE.c
    old = or_(columns.at < at - _KNOWN, and_(columns.at < at - _FORGET, columns.count > 0))
    keys = select(columns.key).where(old).order_by(columns.at).limit(count)
    return tx.execute(delete(SIGN_IN_FAILURE).where(columns.key.in_(keys))).rowcount
