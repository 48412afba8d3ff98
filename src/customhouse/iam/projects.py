"""Projects: the unit of ownership."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Column, Table, bindparam, select

from customhouse.database import METADATA, Name, Prepared, insert, now

if TYPE_CHECKING:
    from customhouse.database import Transaction

PROJECT = Table(
    "project",
    METADATA,
    Column("id", Name, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Name, nullable=False),
)

_EXISTS = Prepared(select(PROJECT.c.id).where(PROJECT.c.id == bindparam("project")))


def exists(tx: Transaction, project: str) -> bool:
    """Whether there is such a project."""
    return _EXISTS.first(tx, project=project) is not None


def ensure(tx: Transaction, project: str, principal: str) -> bool:
    """Create the project unless it is there; returns whether it was created."""
    values = {"id": project, "created_at": now(), "created_by": principal}
    result = tx.execute(insert(tx, PROJECT).on_conflict_do_nothing(), values)
    return result.rowcount == 1
