"""Browsers that are signed in.

A browser has a random value in a cookie; the table has its hash. A session ends when it is signed
out of, when its time is over, and when the account is disabled or gets another password: what it
was signed in with does not count any more then (`Access.members`).
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Column, ForeignKey, Table, delete, select

from customhouse.database import METADATA, Name
from customhouse.iam.permissions import Principal

if TYPE_CHECKING:
    from customhouse.database import Transaction

BROWSER_SESSION = Table(
    "browser_session",
    METADATA,
    # A hash of what the cookie has: who reads the table cannot be anybody.
    Column("id", Name, primary_key=True),
    Column(
        "account", Name, ForeignKey("account.name", ondelete="CASCADE"), nullable=False, index=True
    ),
    Column("credential", Name, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

_USER = "user:"
_MAX_VALUE = 100
_PRUNED_AT_ONCE = 100


def create(tx: Transaction, principal: Principal, seconds: int, at: int) -> str:
    """Sign a browser in.

    Args:
        tx: the transaction.
        principal: a user with its credential.
        seconds: how long the session lasts.
        at: the time, in microseconds since 1970.

    Returns:
        The value for the browser's cookie.
    """
    columns = BROWSER_SESSION.c
    old = select(columns.id).where(columns.expires_at <= at).limit(_PRUNED_AT_ONCE)
    tx.execute(delete(BROWSER_SESSION).where(columns.id.in_(old)))
    value = secrets.token_urlsafe(32)
    row = {
        "id": hash_secret(value),
        "account": principal.name.removeprefix(_USER),
        "credential": principal.credential,
        "created_at": at,
        "expires_at": at + seconds * 1_000_000,
    }
    tx.execute(BROWSER_SESSION.insert(), row)
    return value


def find(tx: Transaction, value: str, at: int) -> Principal | None:
    """Who is signed in with a cookie's value; whether the account still stands is not looked at."""
    if not value or len(value) > _MAX_VALUE:
        return None
    columns = BROWSER_SESSION.c
    row = tx.execute(
        select(columns.account, columns.credential).where(
            columns.id == hash_secret(value), columns.expires_at > at
        )
    ).one_or_none()
    return None if row is None else Principal(f"{_USER}{row.account}", row.credential)


def end(tx: Transaction, value: str) -> None:
    """Sign a browser out."""
    tx.execute(delete(BROWSER_SESSION).where(BROWSER_SESSION.c.id == hash_secret(value)))


def hash_secret(value: str) -> str:
    """What is stored of a secret that is long and random, so that no salt is needed."""
    return hashlib.blake2b(value.encode(errors="replace"), digest_size=32).hexdigest()
