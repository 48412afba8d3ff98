"""The images whose projects subscribe to the topic `findings`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import or_, select

from customhouse.analysis.images import IMAGE_ANALYSIS
from customhouse.analysis.sbom.attached import SBOM_INVENTORY
from customhouse.notifications import subscriptions
from customhouse.notifications.subscriptions import SUBSCRIPTION
from customhouse.notifications.topics import FINDINGS
from customhouse.oci import Kind
from customhouse.registry.manifests import MANIFEST, MANIFEST_PART, REPOSITORY_MANIFEST
from customhouse.registry.repositories import REPOSITORY
from customhouse.registry.tags import TAG

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row, Select

    from customhouse.database import Transaction

_MAX_TAGS = 100


class Image(NamedTuple):
    """A manifest that a repository holds, of an image or of an index.

    Attributes:
        project: the project as it stands in image names.
        repository: `PROJECT/IMAGE`.
        repository_id: the repository's number.
        number: the manifest's number.
        digest: the manifest's digest.
        pushed_at: since when the repository holds it, microseconds since 1970.
        inventory: the number of its inventory; 0 if it has none, as an index.
    """

    project: str
    repository: str
    repository_id: int
    number: int
    digest: str
    pushed_at: int
    inventory: int


def is_there(tx: Transaction) -> bool:
    """Whether anybody subscribes at all."""
    return next_project(tx, "") != ""


def next_project(tx: Transaction, after: str) -> str:
    """The first project after the name `after` that subscribes; empty if there is none."""
    return next(iter(subscriptions.projects_of(tx, FINDINGS.id, after, 1)), "")


def page(tx: Transaction, project: str, after: tuple[str, int], count: int) -> list[Image]:
    """Images and indexes of a project, in order of repository and number.

    Args:
        tx: the transaction.
        project: the project.
        after: repository and number that the page before ended with; `("", 0)` for the first.
        count: how many at most.
    """
    name, number = after
    statement = (
        _images()
        .where(
            REPOSITORY.c.project == project,
            REPOSITORY.c.name >= name,
            or_(REPOSITORY.c.name > name, REPOSITORY_MANIFEST.c.manifest_id > number),
            MANIFEST.c.kind.in_([Kind.IMAGE.value, Kind.INDEX.value]),
        )
        .order_by(REPOSITORY.c.name, REPOSITORY_MANIFEST.c.manifest_id)
        .limit(count)
    )
    return [_image(row) for row in tx.execute(statement)]


def holding(
    tx: Transaction, digest: str, after: str, count: int, *, repository: str = ""
) -> list[Image]:
    """An image in each repository that holds it and whose project subscribes, in order.

    Args:
        tx: the transaction.
        digest: the image's.
        after: only in repositories with names after this.
        count: how many at most.
        repository: only in this one; empty for any.
    """
    subscribes = (
        select(SUBSCRIPTION.c.id)
        .where(SUBSCRIPTION.c.topic == FINDINGS.id, SUBSCRIPTION.c.project == REPOSITORY.c.project)
        .exists()
    )
    statement = _images().where(MANIFEST.c.digest == digest, REPOSITORY.c.name > after, subscribes)
    if repository:
        statement = statement.where(REPOSITORY.c.name == repository)
    rows = tx.execute(statement.order_by(REPOSITORY.c.name).limit(count))
    return [_image(row) for row in rows]


def inventories(tx: Transaction, images: Sequence[Image]) -> dict[Image, set[int]]:
    """The numbers of what is known to be in images: their own inventories and those of bills."""
    found = {image: {image.inventory} - {0} for image in images}
    places = {(image.repository_id, image.digest): image for image in images}
    rows = tx.execute(
        select(
            SBOM_INVENTORY.c.repository_id,
            SBOM_INVENTORY.c.image_digest,
            SBOM_INVENTORY.c.inventory_id,
        ).where(
            SBOM_INVENTORY.c.image_digest.in_({image.digest for image in images}),
            SBOM_INVENTORY.c.repository_id.in_({image.repository_id for image in images}),
        )
    )
    for repository, digest, inventory in rows:
        if (repository, digest) in places:
            found[places[repository, digest]].add(inventory)
    return found


def tags(tx: Transaction, image: Image) -> list[str]:
    """The tags of an image, and of the indexes of its repository that it is part of, in order."""
    parents = select(MANIFEST_PART.c.manifest_id).where(MANIFEST_PART.c.digest == image.digest)
    return list(
        tx.scalars(
            select(TAG.c.name)
            .where(
                TAG.c.repository_id == image.repository_id,
                or_(TAG.c.manifest_id == image.number, TAG.c.manifest_id.in_(parents)),
            )
            .order_by(TAG.c.name)
            .limit(_MAX_TAGS)
        )
    )


def _images() -> Select[Any]:
    return select(
        REPOSITORY.c.project,
        REPOSITORY.c.name,
        REPOSITORY.c.id,
        MANIFEST.c.id.label("number"),
        MANIFEST.c.digest,
        REPOSITORY_MANIFEST.c.pushed_at,
        IMAGE_ANALYSIS.c.inventory_id,
    ).select_from(
        REPOSITORY.join(REPOSITORY_MANIFEST)
        .join(MANIFEST)
        .outerjoin(IMAGE_ANALYSIS, IMAGE_ANALYSIS.c.digest == MANIFEST.c.digest)
    )


def _image(row: Row[Any]) -> Image:
    return Image(
        row.project,
        row.name,
        row.id,
        row.number,
        row.digest,
        row.pushed_at,
        row.inventory_id or 0,
    )
