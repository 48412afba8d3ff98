"""Tags: names that move between manifests, and where they stood before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    bindparam,
    delete,
    select,
)

from customhouse.database import METADATA, Name, Prepared, now, upsert
from customhouse.errors import Code, Failure
from customhouse.events import TagDeleted
from customhouse.registry.manifests import MANIFEST, REPOSITORY_MANIFEST
from customhouse.registry.repositories import REPOSITORY
from customhouse.workflows import outbox

if TYPE_CHECKING:
    from sqlalchemy import Row

    from customhouse.database import Transaction

TAG = Table(
    "tag",
    METADATA,
    Column("repository_id", Integer, primary_key=True),
    Column("name", Name, primary_key=True),
    Column("manifest_id", Integer, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    ForeignKeyConstraint(
        ["repository_id", "manifest_id"],
        [REPOSITORY_MANIFEST.c.repository_id, REPOSITORY_MANIFEST.c.manifest_id],
    ),
    Index("ix_tag_manifest", "repository_id", "manifest_id"),
)

# One row each time that a tag was set or removed (then without a digest).
TAG_HISTORY = Table(
    "tag_history",
    METADATA,
    Column(
        "id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    ),
    Column("repository_id", Integer, ForeignKey(REPOSITORY.c.id), nullable=False),
    Column("name", Name, nullable=False),
    Column("digest", Name),
    Column("changed_at", BigInteger, nullable=False),
    Column("changed_by", Name, nullable=False),
    Index("ix_tag_history_name", "repository_id", "name", "id"),
)

_GET = Prepared(
    select(MANIFEST.c.digest, MANIFEST.c.media_type, MANIFEST.c.body)
    .select_from(
        REPOSITORY.join(TAG, TAG.c.repository_id == REPOSITORY.c.id).join(
            MANIFEST, MANIFEST.c.id == TAG.c.manifest_id
        )
    )
    .where(REPOSITORY.c.name == bindparam("repository"), TAG.c.name == bindparam("tag"))
)
_TARGET = Prepared(
    select(TAG.c.manifest_id, MANIFEST.c.digest)
    .select_from(TAG.join(MANIFEST, MANIFEST.c.id == TAG.c.manifest_id))
    .where(TAG.c.repository_id == bindparam("repository_id"), TAG.c.name == bindparam("tag"))
)
_PAGE = Prepared(
    select(TAG.c.name)
    .where(TAG.c.repository_id == bindparam("repository_id"), TAG.c.name > bindparam("after"))
    .order_by(TAG.c.name)
    .limit(bindparam("count"))
)


# How many manifests without a tag a listing shows at most.
_MAX_UNTAGGED = 10_000


def get(tx: Transaction, repository: str, tag: str) -> tuple[str, str, bytes] | None:
    """The digest, media type and bytes of the manifest that a tag points at, or None."""
    return _GET.first(tx, repository=repository, tag=tag)


def page(tx: Transaction, repository_id: int, after: str, count: int) -> list[str]:
    """The first `count` tags after `after`, in order."""
    rows = _PAGE.all(tx, repository_id=repository_id, after=after, count=count)
    return [row[0] for row in rows]


def put(tx: Transaction, repository_id: int, tag: str, manifest_id: int, principal: str) -> None:
    """Point a tag at a manifest that the repository holds."""
    current = _TARGET.first(tx, repository_id=repository_id, tag=tag)
    values = {
        "repository_id": repository_id,
        "name": tag,
        "manifest_id": manifest_id,
        "updated_at": now(),
    }
    upsert(tx, TAG, ["repository_id", "name"], [values])
    if current is None or current[0] != manifest_id:
        digest = select(MANIFEST.c.digest).where(MANIFEST.c.id == manifest_id).scalar_subquery()
        _note(tx, repository_id, tag, tx.execute(select(digest)).scalar_one(), principal)


def remove(tx: Transaction, repository_id: int, repository: str, tag: str, principal: str) -> None:
    """Remove a tag; its manifest stays.

    Raises:
        Failure: MANIFEST_UNKNOWN.
    """
    current = _TARGET.first(tx, repository_id=repository_id, tag=tag)
    if current is None:
        raise Failure(Code.MANIFEST_UNKNOWN, reference=tag)
    tx.execute(delete(TAG).where(TAG.c.repository_id == repository_id, TAG.c.name == tag))
    _note(tx, repository_id, tag, None, principal)
    outbox.append(tx, TagDeleted(repository, tag, current[1], principal))


def remove_all_of(
    tx: Transaction, repository_id: int, manifest_id: int, principal: str
) -> list[str]:
    """Remove every tag that points at a manifest; returns them in order."""
    here = (TAG.c.repository_id == repository_id) & (TAG.c.manifest_id == manifest_id)
    names = list(tx.execute(select(TAG.c.name).where(here).order_by(TAG.c.name)).scalars())
    tx.execute(delete(TAG).where(here))
    for name in names:
        _note(tx, repository_id, name, None, principal)
    return names


def _note(
    tx: Transaction, repository_id: int, tag: str, digest: str | None, principal: str
) -> None:
    tx.execute(
        TAG_HISTORY.insert(),
        {
            "repository_id": repository_id,
            "name": tag,
            "digest": digest,
            "changed_at": now(),
            "changed_by": principal,
        },
    )


class Listed(NamedTuple):
    """A manifest as the listing of its repository shows it; times in microseconds."""

    digest: str
    media_type: str
    image_size: int
    image_created: int
    platform: str
    pushed_at: int
    tags: list[str]


def listed(
    tx: Transaction, repository_id: int, names: list[str], *, with_untagged: bool
) -> list[Listed]:
    """The manifests that these tags point at, each with those of its tags that are among them.

    Args:
        tx: the transaction.
        repository_id: the repository.
        names: tags, in order, without gaps.
        with_untagged: whether manifests that no tag points at come too.
    """
    columns = (
        MANIFEST.c.id,
        MANIFEST.c.digest,
        MANIFEST.c.media_type,
        MANIFEST.c.image_size,
        MANIFEST.c.image_created,
        MANIFEST.c.platform,
        REPOSITORY_MANIFEST.c.pushed_at,
    )
    held = (
        select(*columns)
        .select_from(MANIFEST.join(REPOSITORY_MANIFEST))
        .where(REPOSITORY_MANIFEST.c.repository_id == repository_id)
    )
    of_manifest = (TAG.c.repository_id == REPOSITORY_MANIFEST.c.repository_id) & (
        TAG.c.manifest_id == MANIFEST.c.id
    )
    found: dict[int, Listed] = {}
    if names:
        rows = tx.execute(
            held.add_columns(TAG.c.name)
            .join(TAG, of_manifest)
            .where(TAG.c.name >= names[0], TAG.c.name <= names[-1])
            .order_by(TAG.c.name)
        )
        for row in rows:
            found.setdefault(row.id, _listed(row)).tags.append(row.name)
    if with_untagged:
        untagged = held.where(~select(TAG.c.name).where(of_manifest).exists())
        for row in tx.execute(untagged.order_by(MANIFEST.c.digest).limit(_MAX_UNTAGGED)):
            found[row.id] = _listed(row)
    return list(found.values())


def _listed(row: Row[Any]) -> Listed:
    return Listed(
        digest=row.digest,
        media_type=row.media_type,
        image_size=row.image_size,
        image_created=row.image_created,
        platform=row.platform,
        pushed_at=row.pushed_at,
        tags=[],
    )
