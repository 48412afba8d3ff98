"""The public halves of service accounts' keys, and whether they count.

The names and limits are those of Google's IAM API (`projects.serviceAccounts.keys`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    Table,
    Text,
    bindparam,
    or_,
    select,
)
from sqlalchemy import (
    delete as delete_from,
)

from customhouse.database import METADATA, Name, Prepared, insert, now
from customhouse.errors import Code, Failure
from customhouse.iam import keyfiles, service_accounts, state
from customhouse.iam.projects import ACTIVE, PROJECT
from customhouse.iam.service_accounts import SERVICE_ACCOUNT

if TYPE_CHECKING:
    from customhouse.database import Transaction

SERVICE_ACCOUNT_KEY = Table(
    "service_account_key",
    METADATA,
    Column("id", Name, primary_key=True),
    Column(
        "account",
        Name,
        ForeignKey(SERVICE_ACCOUNT.c.email, ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("public_key", Text, nullable=False),
    Column("bits", Integer, nullable=False),
    Column("origin", Name, nullable=False),
    Column("is_disabled", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
)

# Where a key was made, in Google's words: here, or by who uploaded its public half.
MADE_HERE = "GOOGLE_PROVIDED"
UPLOADED = "USER_PROVIDED"

MAX_KEYS = 10

_IS_LIVE = (
    SERVICE_ACCOUNT.c.deleted_at.is_(None)
    & SERVICE_ACCOUNT.c.is_disabled.is_(False)
    # Accounts of a project that is being deleted are shut with it.
    & select(PROJECT.c.id)
    .where(PROJECT.c.id == SERVICE_ACCOUNT.c.project, PROJECT.c.state == ACTIVE)
    .exists()
)
_IS_VALID = SERVICE_ACCOUNT_KEY.c.is_disabled.is_(False) & or_(
    SERVICE_ACCOUNT_KEY.c.expires_at.is_(None),
    SERVICE_ACCOUNT_KEY.c.expires_at > bindparam("now"),
)
_VERIFICATION_KEY = Prepared(
    select(SERVICE_ACCOUNT_KEY.c.account, SERVICE_ACCOUNT_KEY.c.public_key)
    .join(SERVICE_ACCOUNT, SERVICE_ACCOUNT.c.email == SERVICE_ACCOUNT_KEY.c.account)
    .where(SERVICE_ACCOUNT_KEY.c.id == bindparam("key"), _IS_LIVE, _IS_VALID)
)
_STANDING = Prepared(
    select(SERVICE_ACCOUNT_KEY.c.id, SERVICE_ACCOUNT_KEY.c.expires_at)
    .select_from(
        SERVICE_ACCOUNT.outerjoin(
            SERVICE_ACCOUNT_KEY,
            (SERVICE_ACCOUNT_KEY.c.account == SERVICE_ACCOUNT.c.email) & _IS_VALID,
        )
    )
    .where(SERVICE_ACCOUNT.c.email == bindparam("email"), _IS_LIVE)
)


@dataclass(frozen=True, slots=True)
class ServiceAccountKey:
    """A key of a service account, of which only the public half is known here.

    Attributes:
        id: 40 hexadecimal digits.
        account: the e-mail address of its account.
        public_key: PEM.
        bits: the size of its modulus.
        origin: `MADE_HERE` or `UPLOADED`.
        is_disabled: whether it is good for nothing for now.
        created_at: microseconds since 1970.
        expires_at: the same; None if it does not expire.
    """

    id: str
    account: str
    public_key: str
    bits: int
    origin: str
    is_disabled: bool
    created_at: int
    expires_at: int | None


class Standing(NamedTuple):
    """What a service account may have signed in with.

    Attributes:
        keys: the ids of its valid keys.
        expires_at: when the first of them expires, in microseconds since 1970; None if none does.
    """

    keys: frozenset[str]
    expires_at: int | None


def create(
    tx: Transaction, email: str, key_id: str, public_pem: str, expires_at: int | None = None
) -> ServiceAccountKey:
    """Register the public half of a key that `keyfiles.make_key` made.

    Args:
        tx: the transaction.
        email: the account.
        key_id: from `make_key`.
        public_pem: the same.
        expires_at: microseconds since 1970, or None for a key that does not expire.

    Raises:
        Failure: THING_UNKNOWN, THING_INVALID, LIMIT_REACHED.
    """
    return _add_key(tx, email, key_id, public_pem, expires_at, MADE_HERE)


def upload(
    tx: Transaction, email: str, public_pem: str, expires_at: int | None = None
) -> ServiceAccountKey:
    """Register a public key, or an X.509 certificate with one, whose private half is elsewhere.

    Args:
        tx: the transaction.
        email: the account.
        public_pem: RSA of 2048 to 4096 bits.
        expires_at: microseconds since 1970, or None; a certificate's own end counts if earlier.

    Raises:
        Failure: THING_UNKNOWN, THING_INVALID, LIMIT_REACHED.
    """
    return _add_key(tx, email, keyfiles.new_key_id(), public_pem, expires_at, UPLOADED)


def get(tx: Transaction, email: str, key_id: str) -> ServiceAccountKey:
    """A key of an account, valid or not.

    Raises:
        Failure: THING_UNKNOWN.
    """
    account = service_accounts.get(tx, email)
    for key in _of(tx, account.email):
        if key.id == key_id:
            return key
    raise Failure(Code.THING_UNKNOWN, kind="service account key", name=key_id[:200])


def of(tx: Transaction, email: str) -> list[ServiceAccountKey]:
    """All keys of an account, oldest first; at most `MAX_KEYS`.

    Raises:
        Failure: THING_UNKNOWN.
    """
    return _of(tx, service_accounts.get(tx, email).email)


def set_disabled(tx: Transaction, email: str, key_id: str, *, disabled: bool) -> ServiceAccountKey:
    """Shut a key, with every token that it got, or open it again.

    Raises:
        Failure: THING_UNKNOWN.
    """
    service_accounts.lock_all(tx)
    key = get(tx, email, key_id)
    change = SERVICE_ACCOUNT_KEY.update().where(SERVICE_ACCOUNT_KEY.c.id == key.id)
    tx.execute(change.values(is_disabled=disabled))
    state.bump(tx)
    return get(tx, email, key_id)


def delete(tx: Transaction, email: str, key_id: str) -> None:
    """Delete a key, with every token that it got, for good.

    Raises:
        Failure: THING_UNKNOWN.
    """
    service_accounts.lock_all(tx)
    key = get(tx, email, key_id)
    tx.execute(delete_from(SERVICE_ACCOUNT_KEY).where(SERVICE_ACCOUNT_KEY.c.id == key.id))
    state.bump(tx)


def verification_key(tx: Transaction, key_id: str) -> tuple[str, str] | None:
    """The account of a key and its public half in PEM.

    None unless the key and its account are there, enabled and not expired.
    """
    if not keyfiles.is_key_id(key_id):
        return None
    row = _VERIFICATION_KEY.first(tx, key=key_id, now=now())
    return None if row is None else (row[0], row[1])


def standing(tx: Transaction, email: str) -> Standing | None:
    """What an account may have signed in with; None if it is unknown, disabled or deleted."""
    if not service_accounts.is_email(email):
        return None
    rows = _STANDING.all(tx, email=email, now=now())
    if not rows:
        return None
    keys = frozenset(row[0] for row in rows if row[0] is not None)
    return Standing(keys, min((row[1] for row in rows if row[1] is not None), default=None))


def _add_key(
    tx: Transaction, email: str, key_id: str, pem: str, expires_at: int | None, origin: str
) -> ServiceAccountKey:
    if not keyfiles.is_key_id(key_id):
        raise Failure(Code.THING_INVALID, kind="service account key", reason="its id is none")
    public = keyfiles.read_public_key(pem)
    ends = [end for end in (expires_at, public.expires_at) if end is not None]
    created_at = now()
    if ends and min(ends) <= created_at:
        reason = "it has expired already"
        raise Failure(Code.THING_INVALID, kind="service account key", reason=reason)
    service_accounts.lock_all(tx)
    account = service_accounts.get(tx, email)
    if len(_of(tx, account.email)) >= MAX_KEYS:
        raise Failure(
            Code.LIMIT_REACHED, owner=account.email, limit=MAX_KEYS, kind="service account keys"
        )
    values = {
        "id": key_id,
        "account": account.email,
        "public_key": public.pem,
        "bits": public.bits,
        "origin": origin,
        "is_disabled": False,
        "created_at": created_at,
        "expires_at": min(ends, default=None),
    }
    statement = insert(tx, SERVICE_ACCOUNT_KEY).on_conflict_do_nothing()
    if tx.execute(statement, values).rowcount != 1:
        raise Failure(Code.THING_EXISTS, kind="service account key", name=key_id)
    state.bump(tx)
    return get(tx, account.email, key_id)


def _of(tx: Transaction, email: str) -> list[ServiceAccountKey]:
    rows = tx.execute(
        select(SERVICE_ACCOUNT_KEY)
        .where(SERVICE_ACCOUNT_KEY.c.account == email)
        .order_by(SERVICE_ACCOUNT_KEY.c.created_at, SERVICE_ACCOUNT_KEY.c.id)
    )
    return [ServiceAccountKey(*row) for row in rows]
