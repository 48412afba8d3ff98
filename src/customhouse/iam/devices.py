"""Sign-in of programs on devices without a browser: the device authorization grant, RFC 8628.

A program gets two codes. It polls with the long one while the person who uses it types the short
one into a browser, on any machine, and allows it there.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Table, delete, func, select, update

from customhouse.database import METADATA, Name, insert
from customhouse.errors import Code, Failure
from customhouse.iam.limits import network
from customhouse.iam.permissions import Principal
from customhouse.iam.sessions import hash_secret

if TYPE_CHECKING:
    from customhouse.database import Transaction

DEVICE_GRANT = Table(
    "device_grant",
    METADATA,
    # Hashes of both codes.
    Column("device_code", Name, primary_key=True),
    Column("user_code", Name, nullable=False, unique=True),
    Column("client", Name, nullable=False),
    Column("address", Name, nullable=False),
    # The address, or for IPv6 its network: what grants are counted for.
    Column("network", Name, nullable=False, index=True),
    # "pending", "allowed" or "denied".
    Column("state", Name, nullable=False),
    # Who allowed it, and what they had signed in with.
    Column("account", Name, ForeignKey("account.name", ondelete="CASCADE"), index=True),
    Column("credential", Name, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    # When the program asked last, and how many seconds it has to let pass.
    Column("polled_at", BigInteger, nullable=False),
    Column("interval", Integer, nullable=False),
)

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"

EXPIRES_SECONDS = 600
INTERVAL_SECONDS = 5
_SLOWER_SECONDS = 5
_LONGEST_INTERVAL = 60
# Clocks of programs and the way of a request are not exact.
_TOLERANCE = 500_000
# A grant is kept for some time after its end: its program is told that it has expired.
_KEPT_SECONDS = 600
_PRUNED_AT_ONCE = 100

# RFC 8628 section 6.1: consonants make no words, and nothing looks like something else.
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
_LENGTH = 8
_CLIENT = re.compile(r"[A-Za-z0-9._-]{1,100}")
_MAX_CODE = 100

# How many grants may wait at once, and after how long somebody who may have no more comes again.
_MOST_OF_NETWORK, _MOST = 20, 10_000
_WAIT_SECONDS = 60

_PENDING, _ALLOWED, _DENIED = "pending", "allowed", "denied"


class DeviceError(StrEnum):
    """Why there is no token: the values of `error`, RFC 8628 section 3.5, RFC 6749 section 5.2."""

    PENDING = "authorization_pending"
    SLOW_DOWN = "slow_down"
    DENIED = "access_denied"
    EXPIRED = "expired_token"
    UNKNOWN = "invalid_grant"


@dataclass(frozen=True, slots=True)
class Codes:
    """The two codes of a new grant, the short one as `XXXX-XXXX`."""

    device_code: str
    user_code: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody who is asked to allow a sign-in is told about it.

    Attributes:
        client: what the program calls itself.
        address: where it asked from.
        created_at: when, in microseconds since 1970.
    """

    client: str
    address: str
    created_at: int


def create(tx: Transaction, client: str, address: str, at: int) -> Codes:
    """Begin a sign-in.

    Args:
        tx: the transaction.
        client: what the program calls itself.
        address: where it asks from.
        at: the time, in microseconds since 1970.

    Raises:
        Failure: THING_INVALID, or TOO_MANY_REQUESTS when too many wait to be allowed.
    """
    if not _CLIENT.fullmatch(client):
        reason = "it has 1 to 100 letters, digits, dots, dashes and underscores"
        raise Failure(Code.THING_INVALID, kind="client_id", reason=reason)
    columns = DEVICE_GRANT.c
    old = (
        select(columns.device_code)
        .where(columns.expires_at <= at - _KEPT_SECONDS * 1_000_000)
        .limit(_PRUNED_AT_ONCE)
    )
    tx.execute(delete(DEVICE_GRANT).where(columns.device_code.in_(old)))
    place = network(address)
    waiting = select(func.count()).select_from(DEVICE_GRANT).where(columns.expires_at > at)
    of_network = tx.scalar(waiting.where(columns.network == place)) or 0
    if of_network >= _MOST_OF_NETWORK or (tx.scalar(waiting) or 0) >= _MOST:
        raise Failure(Code.TOO_MANY_REQUESTS, wait=_WAIT_SECONDS)
    while True:
        codes = Codes(secrets.token_urlsafe(32), _user_code())
        row = {
            "device_code": hash_secret(codes.device_code),
            "user_code": hash_secret(codes.user_code),
            "client": client,
            "address": address,
            "network": place,
            "state": _PENDING,
            "account": None,
            "credential": "",
            "created_at": at,
            "expires_at": at + EXPIRES_SECONDS * 1_000_000,
            "polled_at": 0,
            "interval": INTERVAL_SECONDS,
        }
        if tx.execute(insert(tx, DEVICE_GRANT).on_conflict_do_nothing(), row).rowcount == 1:
            return codes


def find(tx: Transaction, user_code: str, at: int) -> Asked | None:
    """The sign-in that waits for a short code; None where there is none any more, or never was."""
    columns = DEVICE_GRANT.c
    row = tx.execute(
        select(columns.client, columns.address, columns.created_at).where(
            columns.user_code == hash_secret(normal(user_code)),
            columns.state == _PENDING,
            columns.expires_at > at,
        )
    ).one_or_none()
    return None if row is None else Asked(row.client, row.address, row.created_at)


def decide(
    tx: Transaction, user_code: str, principal: Principal, at: int, *, allowed: bool
) -> bool:
    """Allow or deny a sign-in that waits, once.

    Args:
        tx: the transaction.
        user_code: the short code.
        principal: the user who decides, with the credential that they signed in with.
        at: the time, in microseconds since 1970.
        allowed: what they decide.

    Returns:
        Whether there was one.
    """
    columns = DEVICE_GRANT.c
    changed = tx.execute(
        update(DEVICE_GRANT)
        .where(
            columns.user_code == hash_secret(normal(user_code)),
            columns.state == _PENDING,
            columns.expires_at > at,
        )
        .values(
            state=_ALLOWED if allowed else _DENIED,
            account=principal.name.removeprefix("user:"),
            credential=principal.credential,
        )
    )
    return changed.rowcount == 1


def exchange(tx: Transaction, device_code: str, client: str, at: int) -> Principal | DeviceError:
    """Who has allowed a sign-in; it is answered so once (RFC 8628 section 3.4).

    Whether the account still stands is for the caller to check. Errors are returned, not raised:
    that a program polls too fast is remembered.

    Args:
        tx: the transaction, which is to be committed.
        device_code: the long code.
        client: what the program calls itself; a code is good for the one that it was given to.
        at: the time, in microseconds since 1970.
    """
    if len(device_code) > _MAX_CODE:
        return DeviceError.UNKNOWN
    columns = DEVICE_GRANT.c
    of_code = columns.device_code == hash_secret(device_code)
    row = tx.execute(select(DEVICE_GRANT).where(of_code, columns.client == client)).one_or_none()
    if row is None:
        return DeviceError.UNKNOWN
    if row.state == _PENDING:
        if row.expires_at <= at:
            return DeviceError.EXPIRED
        is_too_fast = at < row.polled_at + row.interval * 1_000_000 - _TOLERANCE
        slower = min(row.interval + _SLOWER_SECONDS, _LONGEST_INTERVAL)
        values = {"polled_at": at, "interval": slower if is_too_fast else row.interval}
        tx.execute(update(DEVICE_GRANT).where(of_code).values(values))
        return DeviceError.SLOW_DOWN if is_too_fast else DeviceError.PENDING
    # The same code sent twice at once: it is for the one that finds the row.
    if tx.execute(delete(DEVICE_GRANT).where(of_code)).rowcount != 1:
        return DeviceError.UNKNOWN
    if row.expires_at <= at:
        return DeviceError.EXPIRED
    if row.state == _DENIED:
        return DeviceError.DENIED
    return Principal(f"user:{row.account}", row.credential)


def _user_code() -> str:
    letters = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
    return f"{letters[:4]}-{letters[4:]}"


def normal(user_code: str) -> str:
    """A short code as it was given out, however it was typed (RFC 8628 section 6.1)."""
    letters = "".join(letter for letter in user_code[:_MAX_CODE].upper() if letter in _LETTERS)
    return f"{letters[:4]}-{letters[4:]}"
