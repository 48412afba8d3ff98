"""The audit log: who did what to which resource, from where, and whether they were let.

Entries are added and, when they are old enough, pruned; nothing changes one. They hold names and
what was changed, never a credential: whoever makes an entry keeps secrets out of its detail.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    Table,
    Text,
    delete,
    select,
    tuple_,
)

from customhouse.database import METADATA, Name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Select

    from customhouse.database import Transaction

AUDIT_ENTRY = Table(
    "audit_entry",
    METADATA,
    Column(
        "id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    ),
    Column("at", BigInteger, nullable=False, index=True),
    Column("project", Name, nullable=False),
    Column("principal", Name, nullable=False),
    Column("method", Name, nullable=False),
    Column("permission", Name, nullable=False),
    Column("resource", Name, nullable=False),
    Column("granted", Boolean, nullable=False),
    Column("status", Integer, nullable=False),
    Column("address", Text, nullable=False),
    Column("agent", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    # A JSON object.
    Column("detail", Text, nullable=False),
    # Pages go by the time: what several processes write has ids that follow it only nearly.
    Index("ix_audit_entry_project", "project", "at"),
    Index("ix_audit_entry_principal", "principal", "at"),
    sqlite_autoincrement=True,  # a page is asked for by an id, which must never come again
)

# Characters. The longest that is not invented is a resource: a project and a name in it.
_LIMITS = {
    "project": 255,
    "principal": 1024,
    "method": 255,
    "permission": 255,
    "resource": 1024,
    "address": 64,
    "agent": 512,
    "request_id": 64,
}
_MAX_DETAIL = 256 * 1024


class Entry(msgspec.Struct, frozen=True):
    """One call. A Struct, as one is made for each pull: a frozen dataclass takes 18 times as long.

    Attributes:
        at: when, in microseconds since 1970.
        project: the project as it stands in image names; empty for the server.
        principal: the member who called, found to be so; `allUsers` where nobody signed in.
        method: Google's name of the method (`google.iam.admin.v1.CreateServiceAccount`,
            `SetIamPolicy`, `Docker-PutManifest`).
        permission: the permission that it needs; empty if none.
        resource: what it was asked on, as `Resource` writes it.
        granted: whether the caller had the permission.
        status: the HTTP status that was answered.
        address: the client's address.
        agent: the User-Agent that the client sent.
        request_id: the identifier of the request, as in the access log.
        detail: what was changed, for JSON; no secrets.
        id: its number; 0 before it is stored.
    """

    at: int
    project: str
    principal: str
    method: str
    permission: str
    resource: str
    granted: bool
    status: int
    address: str = ""
    agent: str = ""
    request_id: str = ""
    detail: Mapping[str, Any] = {}
    id: int = 0


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries are wanted; what is empty or None is not asked for.

    Attributes:
        principal: who called, exactly.
        resource: what the resource begins with.
        method: the method, exactly.
        granted: whether it was allowed.
        since: the earliest time, in microseconds since 1970.
        until: the time before which it was, in microseconds since 1970.
    """

    principal: str = ""
    resource: str = ""
    method: str = ""
    granted: bool | None = None
    since: int | None = None
    until: int | None = None


EVERYTHING = Filter()


def add(tx: Transaction, entries: Sequence[Entry]) -> None:
    """Store entries. Texts that are too long are cut; a detail that is too large is left out."""
    if entries:
        tx.execute(AUDIT_ENTRY.insert(), [_row(entry) for entry in entries])


def _row(entry: Entry) -> dict[str, object]:
    row = {name: _clean(getattr(entry, name), limit) for name, limit in _LIMITS.items()}
    detail = _storable(json.dumps(entry.detail, ensure_ascii=False)) if entry.detail else "{}"
    if len(detail) > _MAX_DETAIL:
        detail = json.dumps({"omittedCharacters": len(detail)})
    return {
        **row,
        "at": entry.at,
        "granted": entry.granted,
        "status": entry.status,
        "detail": detail,
    }


def _clean(text: str, limit: int) -> str:
    if len(text) > limit:
        text = text[:limit]
    return text if text.isascii() and "\0" not in text else _storable(text)


def _storable(text: str) -> str:
    """The text without what UTF-8 or PostgreSQL cannot hold: half characters and zero bytes."""
    return text.encode(errors="replace").decode().replace("\0", "\ufffd")


def page(
    tx: Transaction, project: str | None, wanted: Filter, after: int, count: int
) -> list[Entry]:
    """Entries, the newest first.

    Args:
        tx: the transaction.
        project: the project; empty for what concerns the server alone, None for everything.
        wanted: which of them.
        after: the id of the last entry of the page before; 0 for the first page.
        count: how many at most.
    """
    last = None
    if after:
        at = tx.scalar(select(AUDIT_ENTRY.c.at).where(AUDIT_ENTRY.c.id == after))
        if at is None:
            # It was pruned, and so was everything that is older.
            return []
        last = (at, after)
    rows = tx.execute(page_query(project, wanted, last, count)).mappings()
    return [Entry(**{**row, "detail": json.loads(row["detail"])}) for row in rows]


def page_query(
    project: str | None, wanted: Filter, last: tuple[int, int] | None, count: int
) -> Select[Any]:
    """The query of `page`, of whole rows; `last` has the time and the id of the entry before."""
    columns = AUDIT_ENTRY.c
    conditions = _conditions(wanted)
    if project is not None:
        conditions.append(columns.project == project)
    if last is not None:
        conditions.append(tuple_(columns.at, columns.id) < last)
    query = select(AUDIT_ENTRY).where(*conditions)
    return query.order_by(columns.at.desc(), columns.id.desc()).limit(count)


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    columns = AUDIT_ENTRY.c
    conditions: list[ColumnElement[bool]] = []
    if wanted.principal:
        conditions.append(columns.principal == wanted.principal)
    if wanted.resource:
        # LIKE would not tell large letters from small on SQLite.
        conditions.append(columns.resource >= wanted.resource)
        conditions.append(columns.resource < wanted.resource + "\U0010ffff")
    if wanted.method:
        conditions.append(columns.method == wanted.method)
    if wanted.granted is not None:
        conditions.append(columns.granted == wanted.granted)
    if wanted.since is not None:
        conditions.append(columns.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(columns.at < wanted.until)
    return conditions


def prune(tx: Transaction, before: int, count: int) -> int:
    """Delete the oldest entries.

    Args:
        tx: the transaction.
        before: the time that the oldest entry to keep has, in microseconds since 1970.
        count: how many at most; call again until fewer than that went.

    Returns:
        How many were deleted.
    """
    columns = AUDIT_ENTRY.c
    old = select(columns.id).where(columns.at < before).order_by(columns.at).limit(count)
    return tx.execute(delete(AUDIT_ENTRY).where(columns.id.in_(old))).rowcount
