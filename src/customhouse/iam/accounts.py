"""People who sign in with a password."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from functools import cache
from typing import TYPE_CHECKING

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import BigInteger, Boolean, Column, Integer, Table, Text, bindparam, select

from customhouse.database import METADATA, Name, Prepared, now
from customhouse.iam.permissions import Principal

if TYPE_CHECKING:
    from customhouse.database import Database, Transaction

ACCOUNT = Table(
    "account",
    METADATA,
    Column("name", Name, primary_key=True),
    Column("password_hash", Text, nullable=False),
    # Raised when the password changes: refresh tokens of before are void then.
    Column("generation", Integer, nullable=False),
    Column("is_administrator", Boolean, nullable=False),
    Column("is_disabled", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

ADMINISTRATOR = "admin"

_FIND = Prepared(
    select(
        ACCOUNT.c.password_hash,
        ACCOUNT.c.generation,
        ACCOUNT.c.is_administrator,
        ACCOUNT.c.is_disabled,
    ).where(ACCOUNT.c.name == bindparam("name"))
)

# argon2id, RFC 9106's second recommended option with less memory: 19 MiB, 2 passes.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_MAX_PASSWORD = 4096


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
    database.write(_create, ADMINISTRATOR, _HASHER.hash(chosen))
    return None if password else chosen


def _has_account(tx: Transaction, name: str) -> bool:
    return _FIND.first(tx, name=name) is not None


def _create(tx: Transaction, name: str, password_hash: str) -> None:
    tx.execute(
        ACCOUNT.insert(),
        {
            "name": name,
            "password_hash": password_hash,
            "generation": 1,
            "is_administrator": True,
            "is_disabled": False,
            "created_at": now(),
        },
    )


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


def find(tx: Transaction, name: str) -> tuple[Principal, str, int] | None:
    """The principal of an account, its password hash and its generation; None if disabled."""
    row = _FIND.first(tx, name=name)
    if row is None or row[3]:
        return None
    return Principal(f"user:{name}", is_administrator=bool(row[2])), row[0], row[1]
