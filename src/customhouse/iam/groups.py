"""Groups: names for sets of members, for bindings to name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Column, Index, Table, Text, select

from customhouse.database import METADATA, Name, insert, now
from customhouse.errors import Code, Failure
from customhouse.iam import policies, state

if TYPE_CHECKING:
    from customhouse.database import Transaction

IDENTITY_GROUP = Table(
    "identity_group",
    METADATA,
    Column("name", Name, primary_key=True),
    Column("description", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)
GROUP_MEMBER = Table(
    "group_member",
    METADATA,
    Column("group", Name, primary_key=True),
    Column("member", Name, primary_key=True),
    Index("ix_group_member_member", "member"),
)

_NAME = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9._@+-]{0,198}[a-zA-Z0-9])?")
_MEMBER = re.compile(r"(?:user|serviceAccount|group):[^\s/\x00-\x1f\x7f]{1,200}")
_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Group:
    """A group."""

    name: str
    description: str
    created_at: int


def create(tx: Transaction, name: str, description: str = "") -> None:
    """Create a group.

    Raises:
        Failure: THING_INVALID, THING_EXISTS.
    """
    if not _NAME.fullmatch(name):
        reason = "a name has letters, digits, dots, dashes, _, + and @"
        raise Failure(Code.THING_INVALID, kind="group", reason=reason)
    values = {"name": name, "description": description[:256], "created_at": now()}
    result = tx.execute(insert(tx, IDENTITY_GROUP).on_conflict_do_nothing(), values)
    if result.rowcount != 1:
        raise Failure(Code.THING_EXISTS, kind="group", name=name)


def delete(tx: Transaction, name: str) -> None:
    """Delete a group, with every binding that names it.

    Raises:
        Failure: THING_UNKNOWN, LAST_OWNER.
    """
    _check(tx, name)
    policies.forget_member(tx, f"group:{name}")
    tx.execute(GROUP_MEMBER.delete().where(GROUP_MEMBER.c.group == name))
    tx.execute(GROUP_MEMBER.delete().where(GROUP_MEMBER.c.member == f"group:{name}"))
    tx.execute(IDENTITY_GROUP.delete().where(IDENTITY_GROUP.c.name == name))
    state.bump(tx)


def page(tx: Transaction, after: str, count: int) -> list[Group]:
    """The first `count` groups after `after`, in order."""
    rows = tx.execute(
        select(IDENTITY_GROUP)
        .where(IDENTITY_GROUP.c.name > after)
        .order_by(IDENTITY_GROUP.c.name)
        .limit(count)
    )
    return [Group(row.name, row.description, row.created_at) for row in rows]


def members(tx: Transaction, name: str, after: str, count: int) -> list[str]:
    """The first `count` members after `after`, in order.

    Raises:
        Failure: THING_UNKNOWN.
    """
    _check(tx, name)
    return list(
        tx.scalars(
            select(GROUP_MEMBER.c.member)
            .where(GROUP_MEMBER.c.group == name, GROUP_MEMBER.c.member > after)
            .order_by(GROUP_MEMBER.c.member)
            .limit(count)
        )
    )


def add(tx: Transaction, name: str, member: str) -> None:
    """Put a member into a group; a group may be one.

    Raises:
        Failure: THING_UNKNOWN, THING_INVALID.
    """
    _check(tx, name)
    if not _MEMBER.fullmatch(member):
        reason = f"{member[:100]!r} is no user:, serviceAccount: or group:"
        raise Failure(Code.THING_INVALID, kind="member", reason=reason)
    tx.execute(insert(tx, GROUP_MEMBER).on_conflict_do_nothing(), {"group": name, "member": member})
    state.bump(tx)


def remove(tx: Transaction, name: str, member: str) -> None:
    """Take a member out of a group.

    Raises:
        Failure: THING_UNKNOWN.
    """
    result = tx.execute(
        GROUP_MEMBER.delete().where(GROUP_MEMBER.c.group == name, GROUP_MEMBER.c.member == member)
    )
    if result.rowcount != 1:
        raise Failure(Code.THING_UNKNOWN, kind="member", name=member[:200])
    state.bump(tx)


def forget_member(tx: Transaction, member: str) -> None:
    """Take a member out of every group."""
    tx.execute(GROUP_MEMBER.delete().where(GROUP_MEMBER.c.member == member))


def of(tx: Transaction, member: str) -> frozenset[str]:
    """The groups that a member is in, directly or through groups, as `group:NAME`."""
    found: set[str] = set()
    names = {member}
    for _ in range(_DEPTH):
        rows = tx.scalars(select(GROUP_MEMBER.c.group).where(GROUP_MEMBER.c.member.in_(names)))
        names = {f"group:{name}" for name in rows} - found
        if not names:
            break
        found |= names
    return frozenset(found)


def _check(tx: Transaction, name: str) -> None:
    known = select(IDENTITY_GROUP.c.name).where(IDENTITY_GROUP.c.name == name)
    if tx.execute(known).one_or_none() is None:
        raise Failure(Code.THING_UNKNOWN, kind="group", name=name[:200])
