"""Manifests: what was pushed, byte for byte, and what it refers to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    bindparam,
    delete,
    func,
    select,
)

from customhouse.database import METADATA, Name, Prepared, insert, now
from customhouse.errors import Code, Failure
from customhouse.events import ManifestDeleted
from customhouse.registry import blobs
from customhouse.registry.repositories import REPOSITORY
from customhouse.workflows import outbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from customhouse.database import Transaction
    from customhouse.oci import Manifest

MANIFEST = Table(
    "manifest",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("digest", Name, nullable=False, unique=True),
    Column("media_type", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("artifact_type", Text, nullable=False),
    Column("subject", Name, index=True),
    Column("annotations", Text, nullable=False),
    # Of an image: config and layers together, as they are stored.
    Column("image_size", BigInteger, nullable=False),
    # Of an image, from its config: when it was built (milliseconds) and what it runs on.
    Column("image_created", BigInteger, nullable=False),
    Column("platform", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

REPOSITORY_MANIFEST = Table(
    "repository_manifest",
    METADATA,
    Column("repository_id", Integer, ForeignKey(REPOSITORY.c.id), primary_key=True),
    Column("manifest_id", Integer, ForeignKey(MANIFEST.c.id), primary_key=True),
    Column("pushed_at", BigInteger, nullable=False),
    Column("pushed_by", Name, nullable=False),
    Index("ix_repository_manifest_manifest", "manifest_id", "repository_id"),
)

# What a manifest is made of: the digests of its config and layers, or of its children.
MANIFEST_PART = Table(
    "manifest_part",
    METADATA,
    Column("manifest_id", Integer, ForeignKey(MANIFEST.c.id), primary_key=True),
    Column("digest", Name, primary_key=True),
    Index("ix_manifest_part_digest", "digest"),
)

_GET = Prepared(
    select(MANIFEST.c.digest, MANIFEST.c.media_type, MANIFEST.c.body)
    .select_from(REPOSITORY.join(REPOSITORY_MANIFEST).join(MANIFEST))
    .where(REPOSITORY.c.name == bindparam("repository"), MANIFEST.c.digest == bindparam("digest"))
)
_ID = Prepared(select(MANIFEST.c.id).where(MANIFEST.c.digest == bindparam("digest")))
_HELD = Prepared(
    select(MANIFEST.c.id)
    .select_from(MANIFEST.join(REPOSITORY_MANIFEST))
    .where(
        MANIFEST.c.digest == bindparam("digest"),
        REPOSITORY_MANIFEST.c.repository_id == bindparam("repository_id"),
    )
)
_USERS = Prepared(
    select(MANIFEST.c.digest)
    .select_from(MANIFEST_PART.join(MANIFEST).join(REPOSITORY_MANIFEST))
    .where(
        MANIFEST_PART.c.digest == bindparam("digest"),
        REPOSITORY_MANIFEST.c.repository_id == bindparam("repository_id"),
    )
    .limit(1)
)

_BATCH = 5000
_MAX_SIZE = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What the config of an image says.

    Attributes:
        created: when it was built, in milliseconds since 1970; 0 where it does not say.
        platform: `os/architecture[/variant]`; empty where it does not say.
    """

    created: int = 0
    platform: str = ""


def get(tx: Transaction, repository: str, digest: str) -> tuple[str, str, bytes] | None:
    """The digest, media type and bytes of a manifest that the repository holds, or None."""
    return _GET.first(tx, repository=repository, digest=digest)


def anywhere(tx: Transaction, digest: str) -> tuple[str, bytes] | None:
    """The media type and bytes of a manifest, whichever repository holds it, or None."""
    row = tx.execute(
        select(MANIFEST.c.media_type, MANIFEST.c.body).where(MANIFEST.c.digest == digest)
    ).first()
    return None if row is None else (row.media_type, row.body)


def number(tx: Transaction, digest: str) -> int | None:
    """The number of a manifest, whichever repository holds it, or None."""
    row = _ID.first(tx, digest=digest)
    return None if row is None else row[0]


def pushed_at(tx: Transaction, repository: str, digest: str) -> int:
    """When a manifest came into a repository, in microseconds; 0 if it is not there."""
    moment = tx.scalar(
        select(REPOSITORY_MANIFEST.c.pushed_at)
        .select_from(REPOSITORY.join(REPOSITORY_MANIFEST).join(MANIFEST))
        .where(REPOSITORY.c.name == repository, MANIFEST.c.digest == digest)
    )
    return int(moment or 0)


def held(tx: Transaction, repository_id: int, digest: str) -> int | None:
    """The number of a manifest if the repository holds it."""
    row = _HELD.first(tx, repository_id=repository_id, digest=digest)
    return None if row is None else row[0]


def user(tx: Transaction, repository_id: int, digest: str) -> str | None:
    """The digest of a manifest of the repository that is made of this content, or None."""
    row = _USERS.first(tx, repository_id=repository_id, digest=digest)
    return None if row is None else row[0]


def pushed_by(tx: Transaction, repository: str, digest: str) -> str | None:
    """Who pushed a manifest first that the repository holds; None if it does not."""
    found: str | None = tx.execute(
        select(REPOSITORY_MANIFEST.c.pushed_by)
        .select_from(REPOSITORY.join(REPOSITORY_MANIFEST).join(MANIFEST))
        .where(REPOSITORY.c.name == repository, MANIFEST.c.digest == digest)
    ).scalar()
    return found


def indexes_of(tx: Transaction, repository: str, digest: str, count: int) -> list[str]:
    """The digests of at most `count` indexes of a repository that a manifest is part of."""
    return list(
        tx.execute(
            select(MANIFEST.c.digest)
            .select_from(MANIFEST_PART.join(MANIFEST).join(REPOSITORY_MANIFEST).join(REPOSITORY))
            .where(MANIFEST_PART.c.digest == digest, REPOSITORY.c.name == repository)
            .order_by(MANIFEST.c.digest)
            .limit(count)
        ).scalars()
    )


def holders(tx: Transaction, project: str, digest: str, count: int) -> list[str]:
    """The names of at most `count` repositories of a project that hold a manifest."""
    return list(
        tx.execute(
            select(REPOSITORY.c.name)
            .select_from(REPOSITORY.join(REPOSITORY_MANIFEST).join(MANIFEST))
            .where(REPOSITORY.c.project == project, MANIFEST.c.digest == digest)
            .order_by(REPOSITORY.c.name)
            .limit(count)
        ).scalars()
    )


def check_parts(
    tx: Transaction, repository_id: int, manifest: Manifest, *, sparse_indexes: bool
) -> None:
    """Check that everything a manifest is made of is in the repository.

    Layers that stay with their publisher may be missing; so may, if the settings say so, the
    children of an index. A subject may always be missing (distribution spec, "Pushing Manifests
    with Subject").

    Of what is there the size must be right: clients do not trust content of another length
    (image spec, "OCI Content Descriptors").

    Raises:
        Failure: MANIFEST_BLOB_UNKNOWN with the digests, MANIFEST_INVALID when a size is wrong.
    """
    children = [child.digest for child in manifest.children]
    sizes = blobs.sizes(tx, repository_id, (part.digest for part in manifest.blobs))
    sizes |= _sizes_of_children(tx, repository_id, children)
    missing = [
        part.digest for part in manifest.blobs if part.digest not in sizes and not part.is_foreign
    ]
    if not sparse_indexes:
        missing += [digest for digest in children if digest not in sizes]
    parts = (*manifest.blobs, *manifest.children)
    wrong = [part for part in parts if sizes.get(part.digest, part.size) != part.size]
    if missing:
        raise Failure(Code.MANIFEST_BLOB_UNKNOWN, digests=", ".join(dict.fromkeys(missing)))
    if wrong:
        part = wrong[0]
        reason = f"{part.digest} has {sizes[part.digest]} bytes, not {part.size}"
        raise Failure(Code.MANIFEST_INVALID, reason=reason)


def _sizes_of_children(
    tx: Transaction, repository_id: int, digests: Sequence[str]
) -> dict[str, int]:
    """The sizes of those of these manifests that the repository holds."""
    found: dict[str, int] = {}
    for start in range(0, len(digests), _BATCH):
        rows = tx.execute(
            select(MANIFEST.c.digest, func.length(MANIFEST.c.body).label("size"))
            .join(REPOSITORY_MANIFEST)
            .where(
                REPOSITORY_MANIFEST.c.repository_id == repository_id,
                MANIFEST.c.digest.in_(digests[start : start + _BATCH]),
            )
        )
        found.update({row.digest: row.size for row in rows})
    # An index may also hold blobs that are no manifests.
    rest = (digest for digest in digests if digest not in found)
    return found | blobs.sizes(tx, repository_id, rest)


def put(
    tx: Transaction,
    repository_id: int,
    manifest: Manifest,
    content: bytes,
    facts: ImageFacts,
    principal: str,
) -> tuple[int, bool]:
    """Store a manifest and let the repository hold it.

    Returns:
        Its number, and whether the repository did not hold it before.
    """
    inserted = tx.execute(
        insert(tx, MANIFEST).on_conflict_do_nothing(),
        {
            "digest": manifest.digest,
            "media_type": manifest.media_type,
            "kind": manifest.kind.value,
            "artifact_type": manifest.artifact_type,
            "subject": manifest.subject.digest if manifest.subject else None,
            "annotations": msgspec.json.encode(manifest.annotations).decode(),
            # Layers that stay with their publisher may claim to have any size.
            "image_size": min(sum(part.size for part in manifest.blobs), _MAX_SIZE),
            "image_created": facts.created,
            "platform": facts.platform,
            "body": content,
        },
    )
    row = _ID.first(tx, digest=manifest.digest)
    if row is None:
        raise AssertionError("the manifest was inserted or was there")
    number: int = row[0]
    parts = dict.fromkeys(part.digest for part in (*manifest.blobs, *manifest.children))
    if inserted.rowcount and parts:
        tx.execute(
            MANIFEST_PART.insert(),
            [{"manifest_id": number, "digest": digest} for digest in parts],
        )
    linked = tx.execute(
        insert(tx, REPOSITORY_MANIFEST).on_conflict_do_nothing(),
        {
            "repository_id": repository_id,
            "manifest_id": number,
            "pushed_at": now(),
            "pushed_by": principal,
        },
    )
    return number, bool(linked.rowcount)


def remove(
    tx: Transaction, repository_id: int, repository: str, digest: str, tags: list[str], by: str
) -> None:
    """Let the repository hold a manifest no longer; its tags must be gone already.

    Raises:
        Failure: MANIFEST_UNKNOWN.
    """
    number = held(tx, repository_id, digest)
    if number is None:
        raise Failure(Code.MANIFEST_UNKNOWN, reference=digest)
    tx.execute(
        delete(REPOSITORY_MANIFEST).where(
            REPOSITORY_MANIFEST.c.repository_id == repository_id,
            REPOSITORY_MANIFEST.c.manifest_id == number,
        )
    )
    outbox.append(tx, ManifestDeleted(repository, digest, tags, by))


def referrers(
    tx: Transaction, repository: str, subject: str, artifact_type: str, after: str, count: int
) -> list[dict[str, Any]]:
    """Descriptors of the manifests of a repository whose subject is this one, by digest.

    Args:
        tx: the transaction.
        repository: its name.
        subject: a digest, whether or not the repository holds it.
        artifact_type: only those of this type, or empty for all.
        after: only digests greater than this.
        count: at most this many.
    """
    statement = (
        select(
            MANIFEST.c.media_type,
            MANIFEST.c.digest,
            func.length(MANIFEST.c.body).label("size"),
            MANIFEST.c.artifact_type,
            MANIFEST.c.annotations,
        )
        .select_from(MANIFEST.join(REPOSITORY_MANIFEST).join(REPOSITORY))
        .where(
            REPOSITORY.c.name == repository,
            MANIFEST.c.subject == subject,
            MANIFEST.c.digest > after,
        )
        .order_by(MANIFEST.c.digest)
        .limit(count)
    )
    if artifact_type:
        statement = statement.where(MANIFEST.c.artifact_type == artifact_type)
    return [_descriptor(row) for row in tx.execute(statement)]


def _descriptor(row: Any) -> dict[str, Any]:
    descriptor: dict[str, Any] = {
        "mediaType": row.media_type,
        "digest": row.digest,
        "size": row.size,
    }
    if row.artifact_type:
        descriptor["artifactType"] = row.artifact_type
    annotations = msgspec.json.decode(row.annotations)
    if annotations:
        descriptor["annotations"] = annotations
    return descriptor
