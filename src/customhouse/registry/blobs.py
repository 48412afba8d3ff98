"""Blobs: which content there is, and which repositories hold it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    bindparam,
    delete,
    select,
)

from customhouse.database import METADATA, Name, Prepared, insert, now
from customhouse.errors import Code, Failure
from customhouse.registry.repositories import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from customhouse.database import Transaction

BLOB = Table(
    "blob",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("digest", Name, nullable=False, unique=True),
    Column("size", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

REPOSITORY_BLOB = Table(
    "repository_blob",
    METADATA,
    Column("repository_id", Integer, ForeignKey(REPOSITORY.c.id), primary_key=True),
    Column("blob_id", Integer, ForeignKey(BLOB.c.id), primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_repository_blob_blob", "blob_id"),
)

_SIZE = Prepared(
    select(BLOB.c.size)
    .select_from(REPOSITORY.join(REPOSITORY_BLOB).join(BLOB))
    .where(REPOSITORY.c.name == bindparam("repository"), BLOB.c.digest == bindparam("digest"))
)
_ID = Prepared(select(BLOB.c.id).where(BLOB.c.digest == bindparam("digest")))
_HOLDERS = Prepared(
    select(REPOSITORY.c.name)
    .select_from(BLOB.join(REPOSITORY_BLOB).join(REPOSITORY))
    .where(BLOB.c.digest == bindparam("digest"))
    .limit(bindparam("count"))
)

_BATCH = 5000


def size(tx: Transaction, repository: str, digest: str) -> int | None:
    """The size of a blob that the repository holds, or None."""
    row = _SIZE.first(tx, repository=repository, digest=digest)
    return None if row is None else row[0]


def sizes(tx: Transaction, repository_id: int, digests: Iterable[str]) -> dict[str, int]:
    """The sizes of those of these blobs that the repository holds."""
    wanted = list(dict.fromkeys(digests))
    found: dict[str, int] = {}
    for start in range(0, len(wanted), _BATCH):
        rows = tx.execute(
            select(BLOB.c.digest, BLOB.c.size)
            .join(REPOSITORY_BLOB)
            .where(
                REPOSITORY_BLOB.c.repository_id == repository_id,
                BLOB.c.digest.in_(wanted[start : start + _BATCH]),
            )
        )
        found.update({row.digest: row.size for row in rows})
    return found


def holders(tx: Transaction, digest: str, count: int) -> list[str]:
    """Names of repositories that hold a blob, at most `count`."""
    return [row[0] for row in _HOLDERS.all(tx, digest=digest, count=count)]


def link(tx: Transaction, repository_id: int, digest: str, length: int) -> None:
    """Let the repository hold a blob whose content is in the store."""
    moment = now()
    values = {"digest": digest, "size": length, "created_at": moment}
    tx.execute(insert(tx, BLOB).on_conflict_do_nothing(), values)
    row = _ID.first(tx, digest=digest)
    if row is None:
        raise AssertionError("the blob was inserted or was there")
    tx.execute(
        insert(tx, REPOSITORY_BLOB).on_conflict_do_nothing(),
        {"repository_id": repository_id, "blob_id": row[0], "created_at": moment},
    )


def unlink(tx: Transaction, repository_id: int, digest: str) -> None:
    """Let the repository hold a blob no longer.

    Raises:
        Failure: BLOB_UNKNOWN.
    """
    row = _ID.first(tx, digest=digest)
    result = tx.execute(
        delete(REPOSITORY_BLOB).where(
            REPOSITORY_BLOB.c.repository_id == repository_id,
            REPOSITORY_BLOB.c.blob_id == (row[0] if row else None),
        )
    )
    if result.rowcount == 0:
        raise Failure(Code.BLOB_UNKNOWN, digest=digest)
