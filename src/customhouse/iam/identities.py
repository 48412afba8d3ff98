"""Which account somebody has who signed in at an identity provider.

People are known by the provider and what it calls them for good (`iss` and `sub`: OpenID Connect
Core 1.0 section 5.7): names and addresses change, and are given to others.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Column, ForeignKey, Table, delete, select

from customhouse.database import METADATA, Name, insert, lock
from customhouse.errors import Code, Failure
from customhouse.iam import accounts, state
from customhouse.iam.groups import GROUP_MEMBER, IDENTITY_GROUP

if TYPE_CHECKING:
    from collections.abc import Iterable

    from customhouse.database import Transaction
    from customhouse.iam.oidc import Person
    from customhouse.iam.permissions import Principal
    from customhouse.settings import OidcSettings

EXTERNAL_IDENTITY = Table(
    "external_identity",
    METADATA,
    Column("issuer", Name, primary_key=True),
    Column("subject", Name, primary_key=True),
    # One account is one person's.
    Column(
        "account", Name, ForeignKey("account.name", ondelete="CASCADE"), nullable=False, unique=True
    ),
    Column("created_at", BigInteger, nullable=False),
)

# What is left of a group's name behind the prefix.
_GROUP = re.compile(r"[a-zA-Z0-9._@+-]{0,149}[a-zA-Z0-9]")


def sign_in(tx: Transaction, settings: OidcSettings, person: Person, at: int) -> Principal:
    """The account of a person, made if the settings say so; its groups become the provider's.

    The first sign-in finds the account by its name. One that has a password is not given away
    so: else whoever can choose a name at the provider could be anybody here.

    Args:
        tx: the transaction.
        settings: of the provider.
        person: who it was.
        at: the time, in microseconds since 1970.

    Raises:
        Failure: SIGN_IN_REFUSED, or THING_INVALID where the name can be no account's.
    """
    if settings.allowed_domains:
        domain = person.email.rpartition("@")[2]
        if not domain or domain not in {each.lower() for each in settings.allowed_domains}:
            raise _refused("no verified address is in a domain that may sign in")
    # Two first sign-ins of one person at once.
    lock(tx, f"external identity {person.issuer} {person.subject}")
    columns = EXTERNAL_IDENTITY.c
    known = select(columns.account).where(
        columns.issuer == person.issuer, columns.subject == person.subject
    )
    name = tx.scalar(known) or _link(tx, settings, person, at)
    found = accounts.find(tx, name)
    if found is None:
        raise _refused(f"the account {name} is disabled")
    if settings.groups_claim:
        prefix = settings.groups_prefix
        names = {f"{prefix}{group}" for group in person.groups if _GROUP.fullmatch(group)}
        _sync_groups(tx, f"user:{name}", prefix, names, at)
    return found[0]


def _link(tx: Transaction, settings: OidcSettings, person: Person, at: int) -> str:
    name = person.username
    if not name:
        raise _refused(f"the provider says no {settings.username_claim} that can be used")
    account = accounts.ACCOUNT.c
    row = tx.execute(select(account.password_hash).where(account.name == name)).one_or_none()
    if row is None:
        if not settings.auto_create:
            raise _refused(f"there is no account {name}")
        accounts.create(tx, name)
    elif row.password_hash:
        raise _refused(f"the account {name} signs in with its password")
    values = {
        "issuer": person.issuer,
        "subject": person.subject,
        "account": name,
        "created_at": at,
    }
    if tx.execute(insert(tx, EXTERNAL_IDENTITY).on_conflict_do_nothing(), values).rowcount != 1:
        raise _refused(f"the account {name} is somebody else's at the provider")
    return name


def _sync_groups(tx: Transaction, member: str, prefix: str, wanted: Iterable[str], at: int) -> None:
    """Let a member be in these of the provider's groups and in no others of them."""
    column = GROUP_MEMBER.c
    rows = tx.scalars(select(column.group).where(column.member == member))
    current = {group for group in rows if group.startswith(prefix)}
    added, removed = set(wanted) - current, current - set(wanted)
    if removed:
        tx.execute(delete(GROUP_MEMBER).where(column.member == member, column.group.in_(removed)))
    if added:
        # In one order: two sign-ins never wait for each other.
        groups = [
            {"name": name, "description": "of the identity provider", "created_at": at}
            for name in sorted(added)
        ]
        tx.execute(insert(tx, IDENTITY_GROUP).on_conflict_do_nothing(), groups)
        members = [{"group": name, "member": member} for name in sorted(added)]
        tx.execute(insert(tx, GROUP_MEMBER).on_conflict_do_nothing(), members)
    if added or removed:
        state.bump(tx)


def _refused(reason: str) -> Failure:
    return Failure(Code.SIGN_IN_REFUSED, reason=reason)
