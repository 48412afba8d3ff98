"""Bills of materials that others attached to images, and the packages that these tell of.

They count in the repository that they were pushed to, and nowhere else.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import Column, ForeignKey, Index, Integer, Table, delete, func, select

from customhouse.analysis import findings, packages
from customhouse.analysis.ecosystems import canonical
from customhouse.analysis.packages import INVENTORY
from customhouse.database import METADATA, Name, upsert
from customhouse.registry import manifests, repositories
from customhouse.registry.repositories import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Row

    from customhouse.analysis.inventory import Inventory
    from customhouse.database import Transaction

SBOM_INVENTORY = Table(
    "sbom_inventory",
    METADATA,
    Column(
        "repository_id",
        Integer,
        ForeignKey(REPOSITORY.c.id, ondelete="CASCADE"),
        primary_key=True,
    ),
    # Of an image or an index, whether or not the repository holds it.
    Column("image_digest", Name, primary_key=True),
    Column("referrer_digest", Name, primary_key=True),
    # The tag by which the referrer names the image; empty where it has a subject.
    Column("tag", Name, nullable=False),
    Column("inventory_id", Integer, ForeignKey(INVENTORY.c.id), nullable=False, index=True),
    Index("ix_sbom_inventory_referrer", "repository_id", "referrer_digest"),
    Index("ix_sbom_inventory_image", "image_digest"),
)

LAYER_INDEX: Final = -1
"""Where packages stand that a bill tells of; their layer is the referrer."""

_MAX_OF_IMAGE = 20
_BATCH = 500
_TAG = re.compile(r"sha256-([0-9a-f]{64})\.sbom").fullmatch


class Link(NamedTuple):
    """Which referrer tells of which image.

    Attributes:
        repository: where both are.
        image: the digest of an image or an index.
        referrer: the digest of the manifest that has the bill.
        tag: the tag by which it names the image; empty where it has a subject.
    """

    repository: str
    image: str
    referrer: str
    tag: str = ""


def image_of(tag: str) -> str:
    """The image that a tag of cosign's names (`sha256-HEX.sbom`); empty for any other tag."""
    match = _TAG(tag)
    return f"sha256:{match[1]}" if match else ""


def put(tx: Transaction, link: Link, inventory: Inventory) -> bool:
    """Store what a bill tells of an image, in place of what it told before.

    Returns:
        Whether it counts: not if the referrer is gone, nor where the image has `_MAX_OF_IMAGE`.
    """
    repository = repositories.find(tx, link.repository)
    if repository is None:
        return False
    repositories.hold(tx, repository)
    if manifests.held(tx, repository, link.referrer) is None:
        return False
    here = (SBOM_INVENTORY.c.repository_id == repository) & (
        SBOM_INVENTORY.c.image_digest == link.image
    )
    if link.tag:
        # The tag may have pointed at another bill.
        others = SBOM_INVENTORY.c.referrer_digest != link.referrer
        tx.execute(delete(SBOM_INVENTORY).where(here, SBOM_INVENTORY.c.tag == link.tag, others))
    count = tx.execute(
        select(func.count()).where(here, SBOM_INVENTORY.c.referrer_digest != link.referrer)
    ).scalar_one()
    if count >= _MAX_OF_IMAGE:
        return False
    number = packages.put(tx, inventory)
    findings.match_inventory(tx, number)
    values = {
        "repository_id": repository,
        "image_digest": link.image,
        "referrer_digest": link.referrer,
        "tag": link.tag,
        "inventory_id": number,
    }
    key = ["repository_id", "image_digest", "referrer_digest"]
    upsert(tx, SBOM_INVENTORY, key, [values])
    return True


def remove(tx: Transaction, repository: str, referrer: str, tag: str = "") -> None:
    """Let a referrer count no longer.

    Args:
        tx: the transaction.
        repository: its repository.
        referrer: its digest.
        tag: only where it named an image by this tag; empty for everywhere.
    """
    number = repositories.find(tx, repository)
    which = (SBOM_INVENTORY.c.repository_id == number) & (
        SBOM_INVENTORY.c.referrer_digest == referrer
    )
    if tag:
        which &= SBOM_INVENTORY.c.tag == tag
    tx.execute(delete(SBOM_INVENTORY).where(which))


def is_known(tx: Transaction, repository: str, referrer: str) -> bool:
    """Whether a manifest of a repository is a bill that counts."""
    found = tx.execute(
        select(SBOM_INVENTORY.c.image_digest)
        .join(REPOSITORY)
        .where(REPOSITORY.c.name == repository, SBOM_INVENTORY.c.referrer_digest == referrer)
    )
    return found.first() is not None


def of_image(tx: Transaction, image: str) -> list[Link]:
    """Every referrer, in every repository, that tells of an image."""
    rows = tx.execute(
        select(
            REPOSITORY.c.name,
            SBOM_INVENTORY.c.image_digest,
            SBOM_INVENTORY.c.referrer_digest,
            SBOM_INVENTORY.c.tag,
        )
        .join(REPOSITORY)
        .where(SBOM_INVENTORY.c.image_digest == image)
        .order_by(REPOSITORY.c.name, SBOM_INVENTORY.c.referrer_digest)
    )
    return [Link(*row) for row in rows]


def inventories(tx: Transaction, repository: str, digests: Collection[str]) -> set[int]:
    """The numbers of the inventories that a repository's referrers tell of images."""
    found: set[int] = set()
    wanted = sorted(digests)
    for start in range(0, len(wanted), _BATCH):
        found.update(
            tx.scalars(
                select(SBOM_INVENTORY.c.inventory_id)
                .join(REPOSITORY)
                .where(
                    REPOSITORY.c.name == repository,
                    SBOM_INVENTORY.c.image_digest.in_(wanted[start : start + _BATCH]),
                )
            )
        )
    return found


def distinct(rows: Sequence[Row[Any]]) -> list[Row[Any]]:
    """Leave out packages that a bill tells of again.

    Args:
        rows: findings of one advisory, as `findings.of_inventories` gives them.
    """
    known = {_identity(row) for row in rows if row.layer_index != LAYER_INDEX}
    kept = []
    for row in rows:
        if row.layer_index != LAYER_INDEX:
            kept.append(row)
        elif _identity(row) not in known:
            known.add(_identity(row))
            kept.append(row)
    return kept


def _identity(row: Row[Any]) -> tuple[str, str, str]:
    return row.ecosystem, canonical(row.ecosystem, row.name).lower(), row.version
