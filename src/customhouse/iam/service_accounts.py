"""Service accounts: what programs sign in as.

The names and limits are those of Google's IAM API (`projects.serviceAccounts`).
A deleted account can be had back for thirty days; its e-mail address is free after them.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Table,
    Text,
    func,
    select,
)
from sqlalchemy import (
    delete as delete_from,
)

from customhouse.database import METADATA, Name, insert, lock, now
from customhouse.errors import Code, Failure
from customhouse.iam import state
from customhouse.names import project_id

if TYPE_CHECKING:
    from customhouse.database import Transaction

SERVICE_ACCOUNT = Table(
    "service_account",
    METADATA,
    Column("email", Name, primary_key=True),
    Column("project", Name, nullable=False, index=True),
    Column("number", BigInteger, nullable=False, unique=True),
    Column("display_name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("is_disabled", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger, index=True),
)
MAX_ACCOUNTS = 100
UNDELETE_DAYS = 30

_MICROSECONDS_A_DAY = 24 * 3600 * 1_000_000
_MAX_DISPLAY_NAME = 100
_MAX_DESCRIPTION = 256
_ACCOUNT_ID = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")
_EMAIL = re.compile(r"[a-z0-9][a-z0-9-]{0,100}@[a-z0-9.-]{1,400}")
# Google's have 21 digits, which fit into no integer of a database.
_NUMBER = re.compile(r"[1-9][0-9]{17}")


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A service account.

    Attributes:
        email: its name, see `email_of`.
        project: the project that owns it, as it stands in image names.
        number: 18 digits, which no other account ever has: Google's `uniqueId`.
        display_name: for people.
        description: the same, longer.
        is_disabled: whether nobody can sign in as it for now.
        created_at: microseconds since 1970.
        deleted_at: the same; None while it stands.
    """

    email: str
    project: str
    number: int
    display_name: str
    description: str
    is_disabled: bool
    created_at: int
    deleted_at: int | None


def email_of(account_id: str, project: str, domain: str) -> str:
    """The e-mail address of an account.

    >>> email_of("deployer", "acme", "iam.example.net")
    'deployer@acme.iam.example.net'
    >>> email_of("deployer", "example.com/proj", "iam.example.net")
    'deployer@proj.example.com.iam.example.net'

    Args:
        account_id: 6 to 30 lower-case letters, digits and dashes, in Google's grammar.
        project: the project that owns it.
        domain: the part that all addresses of this installation end with.

    Raises:
        Failure: THING_INVALID.
    """
    if not _ACCOUNT_ID.fullmatch(account_id):
        reason = (
            "its id has 6 to 30 lower-case letters, digits and dashes, begins with a letter and"
            " does not end with a dash"
        )
        raise _invalid(reason)
    scope, colon, name = project_id(project).partition(":")
    return f"{account_id}@{name}.{scope}.{domain}" if colon else f"{account_id}@{scope}.{domain}"


def is_email(text: str) -> bool:
    """Whether a text has the form of an address that an account may have."""
    return _EMAIL.fullmatch(text) is not None


def lock_all(tx: Transaction) -> None:
    """Let changes of accounts and keys run one after the other, until the transaction ends.

    What may be had of them is counted, and a key goes to an account that stays.
    """
    lock(tx, "service accounts")


def create(
    tx: Transaction, email: str, project: str, *, display_name: str = "", description: str = ""
) -> ServiceAccount:
    """Create an account.

    Args:
        tx: the transaction.
        email: from `email_of`.
        project: the project that owns it, which is there.
        display_name: up to 100 characters.
        description: up to 256 bytes.

    Raises:
        Failure: THING_INVALID; THING_EXISTS, also for one that was deleted and can be had back;
            LIMIT_REACHED.
    """
    lock_all(tx)
    _check_room(tx, project)
    made = _insert(tx, email, project, display_name, description)
    if made is None:
        known = _find(tx, email)
        suffix = " (deleted, it can be undeleted)" if known and known.deleted_at else ""
        raise Failure(Code.THING_EXISTS, kind="service account", name=f"{email}{suffix}")
    return made


def ensure(tx: Transaction, email: str, project: str, display_name: str) -> None:
    """Create an account that the server itself needs in a project, unless it is or was there.

    Such as a project's default account and the agents of services: their addresses follow no
    grammar of ids, and they are made though the project has as many accounts as it may have.
    """
    lock_all(tx)
    _insert(tx, email, project, display_name, "")


def get(tx: Transaction, name: str, *, deleted: bool = False) -> ServiceAccount:
    """An account, by its e-mail address or its number.

    Args:
        tx: the transaction.
        name: the address or the digits.
        deleted: whether one that can be had back is looked for, instead of one that stands.

    Raises:
        Failure: THING_UNKNOWN.
    """
    found = _find(tx, name)
    if found is not None:
        is_here = (
            found.deleted_at is None
            if not deleted
            else found.deleted_at is not None and found.deleted_at >= _undeletable_from()
        )
        if is_here:
            return found
    raise Failure(Code.THING_UNKNOWN, kind="service account", name=name[:200])


def list_page(tx: Transaction, project: str, after: str, count: int) -> list[ServiceAccount]:
    """The first `count` accounts of a project after the address `after`, in order.

    Raises:
        Failure: REQUEST_INVALID, if `after` is no address.
    """
    if after and not is_email(after):
        raise Failure(Code.REQUEST_INVALID, reason="pageToken is not one that was given out")
    rows = tx.execute(
        select(SERVICE_ACCOUNT)
        .where(
            SERVICE_ACCOUNT.c.project == project,
            SERVICE_ACCOUNT.c.email > after,
            SERVICE_ACCOUNT.c.deleted_at.is_(None),
        )
        .order_by(SERVICE_ACCOUNT.c.email)
        .limit(count)
    )
    return [ServiceAccount(*row) for row in rows]


def patch(
    tx: Transaction, email: str, *, display_name: str | None = None, description: str | None = None
) -> ServiceAccount:
    """Change what people see of an account; None leaves a text as it is.

    Raises:
        Failure: THING_UNKNOWN, THING_INVALID.
    """
    values: dict[str, object] = {}
    if display_name is not None:
        values["display_name"] = _checked_display_name(display_name)
    if description is not None:
        values["description"] = _checked_description(description)
    return _change(tx, email, values)


def set_disabled(tx: Transaction, email: str, *, disabled: bool) -> ServiceAccount:
    """Shut an account, with every key and token of it, or open it again.

    Raises:
        Failure: THING_UNKNOWN.
    """
    return _change(tx, email, {"is_disabled": disabled})


def delete(tx: Transaction, email: str) -> None:
    """Delete an account, with every key and token of it. Bindings that name it give nothing.

    Raises:
        Failure: THING_UNKNOWN.
    """
    _change(tx, email, {"deleted_at": now()})


def undelete(tx: Transaction, name: str) -> ServiceAccount:
    """Have a deleted account back, with its keys, by its e-mail address or its number.

    Raises:
        Failure: THING_UNKNOWN, also when it was not deleted; LIMIT_REACHED.
    """
    lock_all(tx)
    account = get(tx, name, deleted=True)
    _check_room(tx, account.project)
    return _update(tx, account.email, {"deleted_at": None})


def purge(tx: Transaction, count: int) -> list[str]:
    """Forget up to `count` accounts that cannot be had back any more; returns their addresses."""
    lock_all(tx)
    gone = list(
        tx.scalars(
            select(SERVICE_ACCOUNT.c.email)
            .where(SERVICE_ACCOUNT.c.deleted_at < _undeletable_from())
            .order_by(SERVICE_ACCOUNT.c.email)
            .limit(count)
        )
    )
    if gone:
        tx.execute(delete_from(SERVICE_ACCOUNT).where(SERVICE_ACCOUNT.c.email.in_(gone)))
        state.bump(tx)
    return gone


def _find(tx: Transaction, name: str) -> ServiceAccount | None:
    query = select(SERVICE_ACCOUNT)
    if _NUMBER.fullmatch(name):
        query = query.where(SERVICE_ACCOUNT.c.number == int(name))
    elif is_email(name):
        query = query.where(SERVICE_ACCOUNT.c.email == name)
    else:
        return None
    row = tx.execute(query).one_or_none()
    return None if row is None else ServiceAccount(*row)


def _insert(
    tx: Transaction, email: str, project: str, display_name: str, description: str
) -> ServiceAccount | None:
    if not is_email(email):
        raise _invalid(f"{email[:100]!r} is no address of one")
    account = ServiceAccount(
        email=email,
        project=project,
        number=10**17 + secrets.randbelow(9 * 10**17),
        display_name=_checked_display_name(display_name),
        description=_checked_description(description),
        is_disabled=False,
        created_at=now(),
        deleted_at=None,
    )
    statement = insert(tx, SERVICE_ACCOUNT).on_conflict_do_nothing(index_elements=["email"])
    if tx.execute(statement, asdict(account)).rowcount != 1:
        return None
    state.bump(tx)
    return account


def _change(tx: Transaction, email: str, values: dict[str, object]) -> ServiceAccount:
    lock_all(tx)
    return _update(tx, get(tx, email).email, values)


def _update(tx: Transaction, email: str, values: dict[str, object]) -> ServiceAccount:
    if values:
        change = SERVICE_ACCOUNT.update().where(SERVICE_ACCOUNT.c.email == email)
        tx.execute(change.values(values))
        state.bump(tx)
    row = tx.execute(select(SERVICE_ACCOUNT).where(SERVICE_ACCOUNT.c.email == email)).one()
    return ServiceAccount(*row)


def _check_room(tx: Transaction, project: str) -> None:
    count = select(func.count()).where(
        SERVICE_ACCOUNT.c.project == project, SERVICE_ACCOUNT.c.deleted_at.is_(None)
    )
    if tx.execute(count).scalar_one() >= MAX_ACCOUNTS:
        owner = f"project {project_id(project)}"
        raise Failure(Code.LIMIT_REACHED, owner=owner, limit=MAX_ACCOUNTS, kind="service accounts")


def _undeletable_from() -> int:
    return now() - UNDELETE_DAYS * _MICROSECONDS_A_DAY


def _checked_display_name(text: str) -> str:
    if len(text) > _MAX_DISPLAY_NAME or not text.isprintable():
        reason = f"its display name has up to {_MAX_DISPLAY_NAME} characters that can be printed"
        raise _invalid(reason)
    return text


def _checked_description(text: str) -> str:
    # Lone surrogates and control characters but the end of a line are not printable.
    is_text = text.replace("\n", "").isprintable()
    if not is_text or len(text.encode()) > _MAX_DESCRIPTION:
        reason = f"its description has up to {_MAX_DESCRIPTION} bytes that can be printed"
        raise _invalid(reason)
    return text


def _invalid(reason: str) -> Failure:
    return Failure(Code.THING_INVALID, kind="service account", reason=reason)
