"""People: who sign in with a password, or through an identity provider."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import BigInteger, Boolean, Column, Integer, Table, Text, bindparam, select

from customhouse.database import METADATA, Name, Prepared, insert, now
from customhouse.errors import Code, Failure
from customhouse.iam import groups, policies, state
from customhouse.iam.permissions import ROOT, Principal
from customhouse.iam.roles import ADMINISTRATOR as ADMINISTRATOR_ROLE

if TYPE_CHECKING:
    from customhouse.database import Database, Transaction

ACCOUNT = Table(
    "account",
    METADATA,
    Column("name", Name, primary_key=True),
    # Empty for those who sign in through an identity provider alone.
    Column("password_hash", Text, nullable=False),
    # Raised when the password changes: refresh tokens of before are void then, access tokens too.
    Column("generation", Integer, nullable=False),
    Column("is_disabled", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

ADMINISTRATOR = "admin"

_FIND = Prepared(
    select(
        ACCOUNT.c.password_hash,
        ACCOUNT.c.generation,
        ACCOUNT.c.is_disabled,
    ).where(ACCOUNT.c.name == bindparam("name"))
)

# argon2id, RFC 9106's second recommended option with less memory: 19 MiB, 2 passes.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_MIN_PASSWORD, _MAX_PASSWORD = 8, 4096
# No `_` in front: those are the names that stand for tokens and keys.
_NAME = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9._@+-]{0,198}[a-zA-Z0-9])?")


@cache
def _nobody() -> str:
    """A hash to check when there is no such account: the answer takes as long as a wrong one."""
    return _HASHER.hash(secrets.token_urlsafe(16))


def create_administrator(database: Database, password: str | None) -> str | None:
    """Make the account `admin` if there is none.

    Args:
        database: where.
        password: its password, or None to make one up.

    Returns:
        The password if it was made up, which is then shown once; otherwise None.
    """
    if database.read(_has_account, ADMINISTRATOR):
        return None
    chosen = password or secrets.token_urlsafe(15)
    database.write(_create_administrator, _HASHER.hash(chosen))
    return None if password else chosen


def _has_account(tx: Transaction, name: str) -> bool:
    return _FIND.first(tx, name=name) is not None


def _create_administrator(tx: Transaction, password_hash: str) -> None:
    create(tx, ADMINISTRATOR, password_hash)
    policies.grant(tx, ROOT, ADMINISTRATOR_ROLE, f"user:{ADMINISTRATOR}")


@dataclass(frozen=True, slots=True)
class Account:
    """A person's account."""

    name: str
    has_password: bool
    is_disabled: bool
    created_at: int


def hash_password(password: str) -> str:
    """The hash of a new password; slow.

    Raises:
        Failure: THING_INVALID.
    """
    if not _MIN_PASSWORD <= len(password) <= _MAX_PASSWORD:
        reason = f"it has {_MIN_PASSWORD} to {_MAX_PASSWORD} characters"
        raise Failure(Code.THING_INVALID, kind="password", reason=reason)
    return _HASHER.hash(password)


def create(tx: Transaction, name: str, password_hash: str = "") -> None:
    """Create an account.

    Raises:
        Failure: THING_INVALID, THING_EXISTS.
    """
    if not _NAME.fullmatch(name):
        reason = "a user name has letters, digits, dots, dashes, +, @ and, not at its ends, _"
        raise Failure(Code.THING_INVALID, kind="user", reason=reason)
    values = {
        "name": name,
        "password_hash": password_hash,
        # Tokens of an account of that name that was deleted are none of this one's.
        "generation": 1 + secrets.randbelow(1 << 30),
        "is_disabled": False,
        "created_at": now(),
    }
    result = tx.execute(insert(tx, ACCOUNT).on_conflict_do_nothing(), values)
    if result.rowcount != 1:
        raise Failure(Code.THING_EXISTS, kind="user", name=name)
    state.bump(tx)


def page(tx: Transaction, after: str, count: int) -> list[Account]:
    """The first `count` accounts after `after`, in order of their names."""
    rows = tx.execute(
        select(ACCOUNT).where(ACCOUNT.c.name > after).order_by(ACCOUNT.c.name).limit(count)
    )
    return [
        Account(row.name, bool(row.password_hash), row.is_disabled, row.created_at) for row in rows
    ]


def set_password(tx: Transaction, name: str, password_hash: str) -> None:
    """Change a password; every token of before is void from then on.

    Raises:
        Failure: THING_UNKNOWN.
    """
    generation = ACCOUNT.c.generation + 1
    _change(tx, name, {"password_hash": password_hash, "generation": generation})


def set_disabled(tx: Transaction, name: str, *, disabled: bool) -> None:
    """Shut an account, with every token of it, or open it again.

    Raises:
        Failure: THING_UNKNOWN, LAST_OWNER.
    """
    if disabled:
        policies.check_not_last(tx, f"user:{name}")
    _change(tx, name, {"is_disabled": disabled, "generation": ACCOUNT.c.generation + 1})


def delete(tx: Transaction, name: str) -> None:
    """Delete an account, with every binding and membership of it.

    Raises:
        Failure: THING_UNKNOWN, LAST_OWNER.
    """
    if tx.execute(ACCOUNT.delete().where(ACCOUNT.c.name == name)).rowcount != 1:
        raise Failure(Code.THING_UNKNOWN, kind="user", name=name[:255])
    policies.forget_member(tx, f"user:{name}")
    groups.forget_member(tx, f"user:{name}")
    state.bump(tx)


def credentials(tx: Transaction, name: str) -> frozenset[str] | None:
    """What an account may have signed in with: the generation of its password; None if shut."""
    row = _FIND.first(tx, name=name)
    return None if row is None or row[2] else frozenset({str(row[1])})


def _change(tx: Transaction, name: str, values: dict[str, object]) -> None:
    if tx.execute(ACCOUNT.update().where(ACCOUNT.c.name == name).values(values)).rowcount != 1:
        raise Failure(Code.THING_UNKNOWN, kind="user", name=name[:255])
    state.bump(tx)


class Passwords:
    """Checks passwords, remembering for a minute which were right.

    Clients that use Basic authentication send the password with each request; argon2 takes tens
    of milliseconds on purpose. What is remembered is a keyed hash under a key of this process.
    """

    _REMEMBER_SECONDS = 60
    _REMEMBER_COUNT = 10_000

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._known: dict[bytes, float] = {}
        self._lock = threading.Lock()

    def is_right(self, password_hash: str | None, password: str) -> bool:
        """Whether the password is the one that was hashed; slow.

        Args:
            password_hash: the stored hash, or None where there is no such account.
            password: what was sent.
        """
        if len(password) > _MAX_PASSWORD:
            return False
        known = self._mark(password_hash, password)
        try:
            _HASHER.verify(password_hash or _nobody(), password)
        except (VerificationError, InvalidHashError):
            return False
        if password_hash is None:
            return False
        with self._lock:
            if len(self._known) >= self._REMEMBER_COUNT:
                self._known.clear()
            self._known[known] = time.monotonic() + self._REMEMBER_SECONDS
        return True

    def is_remembered(self, password_hash: str | None, password: str) -> bool:
        """Whether this password was found to be right within the last minute; quick."""
        if len(password) > _MAX_PASSWORD:
            return False
        return self._known.get(self._mark(password_hash, password), 0.0) > time.monotonic()

    def _mark(self, password_hash: str | None, password: str) -> bytes:
        message = f"{password_hash}\0{password}".encode()
        return hmac.digest(self._key, message, hashlib.sha256)


def find(tx: Transaction, name: str) -> tuple[Principal, str] | None:
    """The principal of an account and its password hash; None if there is none, or it is shut."""
    row = _FIND.first(tx, name=name)
    if row is None or row[2]:
        return None
    return Principal(f"user:{name}", credential=str(row[1])), row[0]
