"""Where the analysis of each image stands."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Table, Text, func, or_, select

from customhouse.analysis.layers import READER_VERSION
from customhouse.analysis.packages import INVENTORY
from customhouse.analysis.systems import System
from customhouse.database import METADATA, Name, now, upsert
from customhouse.errors import Code, Failure
from customhouse.events import AnalysisOutdated
from customhouse.oci import Kind, parse_manifest
from customhouse.registry import manifests
from customhouse.registry.manifests import MANIFEST, REPOSITORY_MANIFEST
from customhouse.registry.repositories import REPOSITORY
from customhouse.workflows import outbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from customhouse.database import Transaction


class Status(Enum):
    """Grafeas' `DiscoveryOccurrence.AnalysisStatus`. An image without a row is PENDING."""

    PENDING = "PENDING"
    SCANNING = "SCANNING"
    FINISHED_SUCCESS = "FINISHED_SUCCESS"
    FINISHED_FAILED = "FINISHED_FAILED"
    FINISHED_UNSUPPORTED = "FINISHED_UNSUPPORTED"


IMAGE_ANALYSIS = Table(
    "image_analysis",
    METADATA,
    Column("digest", Name, primary_key=True),
    Column("status", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("reader", Integer, nullable=False),
    Column("inventory_id", Integer, ForeignKey(INVENTORY.c.id), index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)


MAX_IMAGES = 500
"""How many images of an index are looked at."""

_MAX_DEPTH = 4


class ImageAnalysis(NamedTuple):
    """Where the analysis of an image stands; times in microseconds, 0 before it began.

    Attributes:
        status: how far it is.
        error: why it failed or is not possible; empty otherwise.
        reader: the version of the reader that the inventory comes from.
        inventory_id: the inventory, if there is one.
        system: the system, if the inventory tells one.
        has_database: whether there is a database of the system's packages.
        created_at: when it was begun first.
        updated_at: when it last changed.
    """

    status: Status = Status.PENDING
    error: str = ""
    reader: int = 0
    inventory_id: int | None = None
    system: System | None = None
    has_database: bool = True
    created_at: int = 0
    updated_at: int = 0

    @property
    def is_current(self) -> bool:
        """Whether reading the image again would find nothing else."""
        is_told = self.status is Status.FINISHED_SUCCESS or (
            self.status is Status.FINISHED_UNSUPPORTED and self.inventory_id is not None
        )
        return is_told and self.reader == READER_VERSION


def runnable(tx: Transaction, repository: str, digest: str) -> list[str]:
    """The digests of the images that run: a manifest itself, or the children of an index.

    Raises:
        Failure: MANIFEST_UNKNOWN.
    """
    found: list[str] = []
    queue = [(digest, 0)]
    seen = {digest}
    while queue and len(found) < MAX_IMAGES:
        each, depth = queue.pop()
        row = manifests.get(tx, repository, each)
        if row is None:
            if each == digest:
                raise Failure(Code.MANIFEST_UNKNOWN, reference=digest)
            continue
        manifest = parse_manifest(row[2], row[1], each)
        if manifest.kind is Kind.INDEX and depth < _MAX_DEPTH:
            children = [child.digest for child in manifest.children if child.digest not in seen]
            seen.update(children)
            queue += [(child, depth + 1) for child in children]
        elif manifest.is_runnable:
            found.append(each)
    return found


class Held(NamedTuple):
    """A manifest of an image that a repository holds; `number` is the manifest's."""

    repository: str
    number: int
    digest: str


def of_project(
    tx: Transaction, project: str, until: int, after: tuple[str, int], count: int
) -> list[Held]:
    """Manifests of images in a project, in order of repository and number.

    Args:
        tx: the transaction.
        project: the project.
        until: only what was pushed by then, in microseconds, so that a walk ends.
        after: repository and number that the page before ended with; `("", 0)` for the first.
        count: how many at most.
    """
    name, number = after
    rows = tx.execute(
        select(REPOSITORY.c.name, MANIFEST.c.id, MANIFEST.c.digest)
        .select_from(REPOSITORY.join(REPOSITORY_MANIFEST).join(MANIFEST))
        .where(
            REPOSITORY.c.project == project,
            REPOSITORY.c.name >= name,
            or_(REPOSITORY.c.name > name, REPOSITORY_MANIFEST.c.manifest_id > number),
            REPOSITORY_MANIFEST.c.pushed_at <= until,
            MANIFEST.c.kind == Kind.IMAGE.value,
        )
        .order_by(REPOSITORY.c.name, REPOSITORY_MANIFEST.c.manifest_id)
        .limit(count)
    )
    return [Held(*row) for row in rows]


def get(tx: Transaction, digests: Sequence[str]) -> dict[str, ImageAnalysis]:
    """Where the analyses of these images stand."""
    rows = tx.execute(
        select(
            IMAGE_ANALYSIS,
            INVENTORY.c.system,
            INVENTORY.c.ecosystem,
            INVENTORY.c.system_id,
            INVENTORY.c.system_version,
            INVENTORY.c.system_also,
            INVENTORY.c.caveat,
            INVENTORY.c.has_database,
        )
        .select_from(IMAGE_ANALYSIS.outerjoin(INVENTORY))
        .where(IMAGE_ANALYSIS.c.digest.in_(digests))
    )
    found = {
        row.digest: ImageAnalysis(
            Status(row.status),
            row.error,
            row.reader,
            row.inventory_id,
            _system(row),
            row.has_database is not False,
            row.created_at,
            row.updated_at,
        )
        for row in rows
    }
    return {digest: found.get(digest, ImageAnalysis()) for digest in digests}


def inventories(tx: Transaction, digests: Sequence[str]) -> list[int]:
    """The numbers of the inventories of images, those that have one."""
    rows = tx.scalars(
        select(IMAGE_ANALYSIS.c.inventory_id)
        .where(IMAGE_ANALYSIS.c.digest.in_(digests), IMAGE_ANALYSIS.c.inventory_id.is_not(None))
        .distinct()
        .order_by(IMAGE_ANALYSIS.c.inventory_id)
    )
    return list(rows)


def _system(row: Row[Any]) -> System | None:
    if not row.system:
        return None
    return System(
        row.system_id or "",
        row.system_version or "",
        row.system,
        row.ecosystem or None,
        tuple((row.system_also or "").split("+")) if row.system_also else (),
        row.caveat or "",
    )


def note(
    tx: Transaction,
    digest: str,
    status: Status,
    *,
    reader: int,
    error: str = "",
    inventory_id: int | None = None,
) -> None:
    """Note where the analysis of an image stands."""
    moment = now()
    values = {
        "digest": digest,
        "status": status.value,
        "error": error,
        "reader": reader,
        "inventory_id": inventory_id,
        "created_at": moment,
        "updated_at": moment,
    }
    kept = {"created_at"}
    if inventory_id is None:
        kept.add("inventory_id")  # what was found before is shown until something else is
    upsert(tx, IMAGE_ANALYSIS, ["digest"], [values], kept=kept)


def renew(tx: Transaction, after: str, count: int) -> str:
    """Ask for another analysis of images that an older reader read.

    Args:
        tx: the transaction.
        after: where the call before ended; empty for the first.
        count: of how many images at most.

    Returns:
        Where it ended; empty when there are no more.
    """
    rows = tx.execute(
        select(IMAGE_ANALYSIS.c.digest, func.min(REPOSITORY.c.name).label("repository"))
        .select_from(
            IMAGE_ANALYSIS.join(MANIFEST, MANIFEST.c.digest == IMAGE_ANALYSIS.c.digest)
            .join(REPOSITORY_MANIFEST)
            .join(REPOSITORY)
        )
        .where(IMAGE_ANALYSIS.c.reader < READER_VERSION, IMAGE_ANALYSIS.c.digest > after)
        .group_by(IMAGE_ANALYSIS.c.digest)
        .order_by(IMAGE_ANALYSIS.c.digest)
        .limit(count)
    ).all()
    for row in rows:
        outbox.append(tx, AnalysisOutdated(row.repository, row.digest))
    return rows[-1].digest if len(rows) == count else ""
