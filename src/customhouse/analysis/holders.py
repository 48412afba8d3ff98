"""The images, in the projects that somebody may look into, that hold certain package versions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, func, or_, select, true, union_all

from customhouse.analysis.contents import IMAGE_CONTENT
from customhouse.analysis.findings import FINDING
from customhouse.analysis.packages import INVENTORY_PACKAGE, PACKAGE
from customhouse.analysis.sbom.attached import SBOM_INVENTORY
from customhouse.database import among
from customhouse.iam import projects
from customhouse.iam.permissions import ROOT, Permission, Resource
from customhouse.iam.projects import ACTIVE, PROJECT
from customhouse.registry.manifests import MANIFEST, MANIFEST_PART, REPOSITORY_MANIFEST
from customhouse.registry.repositories import REPOSITORY
from customhouse.registry.tags import TAG

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, Row, Select

    from customhouse.analysis.wanted import Sought
    from customhouse.database import Transaction
    from customhouse.iam.access import Access
    from customhouse.iam.conditions import Circumstances
    from customhouse.iam.permissions import Principal

_STEP = 500
_BATCH = 5000
_MAX_TAGS = 100

Reach = tuple[str, ...] | None
"""Projects that are looked into, as they stand in image names; None for all that there are."""


class Image(NamedTuple):
    """An image in a repository.

    Attributes:
        repository: `PROJECT/IMAGE`.
        project: the project as it stands in image names.
        number: the manifest's number.
        digest: the manifest's digest.
        pushed_at: since when the repository holds it, in microseconds.
        tags: those that point at it or at an index that it is part of, in order.
        rows: the packages that were asked for, of `_matches`.
    """

    repository: str
    project: str
    number: int
    digest: str
    pushed_at: int
    tags: tuple[str, ...]
    rows: tuple[Row[Any], ...]


@dataclass(frozen=True, slots=True)
class Tally:
    """How many images of all that were found have what; an image in two repositories is two.

    Attributes:
        images: how many there are.
        repositories: in how many repositories.
        projects: in how many projects.
        bases: how many stand right on each node of `contents.LAYER_CHAIN`; 0 for none.
        examples: of each node the number of a manifest that stands right on it.
        inventories: how many have each inventory.
    """

    images: int = 0
    repositories: int = 0
    projects: int = 0
    bases: Mapping[int, int] = field(default_factory=dict)
    examples: Mapping[int, int] = field(default_factory=dict)
    inventories: Mapping[int, int] = field(default_factory=dict)


def reach(
    tx: Transaction, access: Access, principal: Principal, circumstances: Circumstances
) -> Reach:
    """The projects in which a principal may list occurrences.

    Raises:
        Failure: TOKEN_INVALID.
    """
    permission = Permission.OCCURRENCES_LIST
    everywhere = access.find(tx, principal, permission, ROOT, circumstances)
    # A condition may hold for the server and not for a project.
    if everywhere is not None and not everywhere.condition:
        is_deleted = select(PROJECT.c.id).where(PROJECT.c.state != ACTIVE).limit(1)
        if tx.execute(is_deleted).first() is None:
            return None
    found: list[str] = []
    last = ""
    while page := projects.page(tx, last, _STEP):
        last = page[-1].id
        found += [
            project.id
            for project in page
            if access.allows(tx, principal, permission, Resource(project.id), circumstances)
        ]
    return tuple(found)


def page(
    tx: Transaction, sought: Sought, within: Reach, after: tuple[str, int], count: int
) -> list[Image]:
    """Images that hold what is sought, in order of repository and the manifest's number.

    Args:
        tx: the transaction.
        sought: what they hold.
        within: where they are.
        after: repository and number that the page before ended with; `("", 0)` for the first.
        count: how many at most.
    """
    if not sought.packages:
        return []
    name, number = after
    found = union_all(*_found(tx, sought.packages, within, is_named=True)).subquery()
    statement = select(found).order_by(found.c.name, found.c.manifest_id).limit(count)
    if name:
        here = and_(found.c.name == name, found.c.manifest_id > number)
        statement = statement.where(or_(found.c.name > name, here))
    return _described(tx, sought, list(tx.execute(statement)))


def is_anywhere(tx: Transaction, packages: Collection[int], within: Reach) -> bool:
    """Whether some image holds one of these packages."""
    if not packages:
        return False
    return any(
        tx.execute(statement.limit(1)).first() is not None
        for statement in _found(tx, packages, within)
    )


def tally(tx: Transaction, sought: Sought, within: Reach) -> Tally:
    """Count the images that hold what is sought."""
    if not sought.packages:
        return Tally()
    repositories: set[int] = set()
    bases: Counter[int] = Counter()
    examples: dict[int, int] = {}
    inventories: Counter[int] = Counter()
    for statement in _found(tx, sought.packages, within):
        for rows in _fetched(tx, statement):
            in_repositories, manifests, of_inventories, on_bases = zip(*rows, strict=True)
            repositories.update(in_repositories)
            inventories.update(of_inventories)
            bases.update(on_bases)
            examples.update(zip(on_bases, manifests, strict=True))
    here = among(tx, REPOSITORY.c.id, repositories)
    in_projects = tx.scalars(select(REPOSITORY.c.project).where(here).distinct()).all()
    images = inventories.total()
    return Tally(images, len(repositories), len(in_projects), bases, examples, inventories)


def _fetched(tx: Transaction, statement: Select[Any]) -> Iterator[list[tuple[Any, ...]]]:
    """Rows of numbers as the driver has them: of many, half of the time goes into better ones."""
    result = tx.execute(statement)
    if result.cursor is None:
        raise AssertionError("a query has rows")
    while rows := result.cursor.fetchmany(_BATCH):
        yield list(rows)
    result.close()


def packages(tx: Transaction, sought: Sought) -> list[Row[Any]]:
    """The package versions that are sought, and what was found in each."""
    columns, joined, where = _versions(tx, sought, PACKAGE)
    return list(tx.execute(select(PACKAGE.c.id, *columns).select_from(joined).where(*where)))


def places(tx: Transaction, sought: Sought) -> dict[int, list[int]]:
    """The inventories that have each package that is sought."""
    found: dict[int, list[int]] = {}
    held = INVENTORY_PACKAGE.c
    here = among(tx, held.package_id, sought.packages)
    for rows in _fetched(tx, select(held.package_id, held.inventory_id).where(here)):
        for package, inventory in rows:
            found.setdefault(package, []).append(inventory)
    return found


def tagged(
    tx: Transaction, images: Collection[tuple[int, int, str]]
) -> dict[tuple[int, int], tuple[str, ...]]:
    """The tags of images, those of indexes that they are part of among them, in order.

    Args:
        tx: the transaction.
        images: the numbers of repository and manifest, and the manifest's digest.

    Returns:
        By the numbers of repository and manifest.
    """
    parts = MANIFEST_PART.c
    rows = tx.execute(
        select(parts.digest, parts.manifest_id).where(
            parts.digest.in_({each[2] for each in images})
        )
    )
    indexes: dict[str, list[int]] = {}
    for digest, number in rows:
        indexes.setdefault(digest, []).append(number)
    manifests = {each[1] for each in images}.union(*indexes.values())
    names: dict[tuple[int, int], list[str]] = {}
    # By way of the repositories that hold them: tags are found by repository and manifest.
    held = REPOSITORY_MANIFEST.join(
        TAG,
        (TAG.c.repository_id == REPOSITORY_MANIFEST.c.repository_id)
        & (TAG.c.manifest_id == REPOSITORY_MANIFEST.c.manifest_id),
    )
    columns = (TAG.c.repository_id, TAG.c.manifest_id, TAG.c.name)
    here = among(tx, REPOSITORY_MANIFEST.c.manifest_id, manifests)
    for repository, number, name in tx.execute(select(*columns).select_from(held).where(here)):
        names.setdefault((repository, number), []).append(name)
    found = {}
    for repository, number, digest in images:
        all_names = {
            name
            for each in (number, *indexes.get(digest, ()))
            for name in names.get((repository, each), ())
        }
        found[repository, number] = tuple(sorted(all_names)[:_MAX_TAGS])
    return found


def permitted(tx: Transaction, within: Reach) -> ColumnElement[bool]:
    """Whether a repository is in reach."""
    if within is None:
        return true()
    # What is sought narrows the search, its place seldom does: as an expression it tempts no
    # engine to begin with the repositories.
    return among(tx, func.coalesce(REPOSITORY.c.project, ""), within)


def _found(
    tx: Transaction, packages: Collection[int], within: Reach, *, is_named: bool = False
) -> tuple[Select[Any], Select[Any]]:
    """Each image that holds one of these packages, once, with one of the inventories that do.

    The first statement gives images by their own inventories, the second those of the others that
    bills of materials tell of.

    Args:
        tx: the transaction.
        packages: the packages.
        within: where the images are.
        is_named: whether the repository's name is told too.
    """
    holding = select(INVENTORY_PACKAGE.c.inventory_id).where(
        among(tx, INVENTORY_PACKAGE.c.package_id, packages)
    )
    content, held, bill = IMAGE_CONTENT.c, REPOSITORY_MANIFEST.c, SBOM_INVENTORY.c
    own = (
        select(held.repository_id, content.manifest_id, content.inventory_id, content.base_id)
        .select_from(
            IMAGE_CONTENT.join(REPOSITORY_MANIFEST, held.manifest_id == content.manifest_id)
        )
        .where(content.inventory_id.in_(holding))
    )
    told = (
        select(
            held.repository_id,
            held.manifest_id,
            func.min(bill.inventory_id).label("inventory_id"),
            func.coalesce(content.base_id, 0).label("base_id"),
        )
        .select_from(
            SBOM_INVENTORY.join(MANIFEST, MANIFEST.c.digest == bill.image_digest)
            .join(
                REPOSITORY_MANIFEST,
                (held.manifest_id == MANIFEST.c.id) & (held.repository_id == bill.repository_id),
            )
            .outerjoin(IMAGE_CONTENT, content.manifest_id == MANIFEST.c.id)
        )
        .where(
            bill.inventory_id.in_(holding),
            or_(content.inventory_id.is_(None), content.inventory_id.not_in(holding)),
        )
        .group_by(held.repository_id, held.manifest_id, content.base_id)
    )
    if is_named or within is not None:
        own, told = (
            each.join(REPOSITORY, REPOSITORY.c.id == held.repository_id) for each in (own, told)
        )
        own, told = own.where(permitted(tx, within)), told.where(permitted(tx, within))
    if is_named:
        own = own.add_columns(REPOSITORY.c.name)
        told = told.add_columns(REPOSITORY.c.name).group_by(REPOSITORY.c.name)
    return own, told


def _described(tx: Transaction, sought: Sought, found: Sequence[Row[Any]]) -> list[Image]:
    """What is shown of images, with all that they hold of what is sought."""
    facts = {
        (row.repository_id, row.id): row
        for row in tx.execute(
            select(
                REPOSITORY_MANIFEST.c.repository_id,
                MANIFEST.c.id,
                MANIFEST.c.digest,
                REPOSITORY_MANIFEST.c.pushed_at,
                REPOSITORY.c.project,
            )
            .select_from(REPOSITORY_MANIFEST.join(MANIFEST).join(REPOSITORY))
            .where(REPOSITORY_MANIFEST.c.manifest_id.in_({row.manifest_id for row in found}))
        )
    }
    places = {(row.repository_id, row.manifest_id): {row.inventory_id} for row in found}
    _add_bills(tx, {facts[place].digest: place[1] for place in places}, places)
    rows: dict[int, list[Row[Any]]] = {}
    numbers: set[int] = set().union(*places.values())
    for row in tx.execute(_matches(tx, sought, numbers)):
        rows.setdefault(row.inventory_id, []).append(row)
    tags = tagged(tx, [(*place, facts[place].digest) for place in places])
    images = []
    for row in found:
        place = (row.repository_id, row.manifest_id)
        fact = facts[place]
        held = {
            match.package_id: match
            for inventory in sorted(places[place], reverse=True)
            for match in rows.get(inventory, ())
        }
        shown = sorted(held.values(), key=lambda match: (match.name, match.version, match.arch))
        images.append(
            Image(
                row.name,
                fact.project,
                row.manifest_id,
                fact.digest,
                fact.pushed_at,
                tags[place],
                tuple(shown),
            )
        )
    return images


def _add_bills(
    tx: Transaction, numbers: dict[str, int], places: dict[tuple[int, int], set[int]]
) -> None:
    """Add the inventories of bills of materials to those of images.

    Args:
        tx: the transaction.
        numbers: the images' manifests by digest.
        places: their inventories by repository and manifest.
    """
    rows = tx.execute(
        select(
            SBOM_INVENTORY.c.repository_id,
            SBOM_INVENTORY.c.image_digest,
            SBOM_INVENTORY.c.inventory_id,
        ).where(SBOM_INVENTORY.c.image_digest.in_(numbers))
    )
    for repository, digest, inventory in rows:
        place = repository, numbers[digest]
        if place in places:
            places[place].add(inventory)


def _matches(tx: Transaction, sought: Sought, inventories: Collection[int]) -> Select[Any]:
    """The packages that are sought in inventories, with their places."""
    columns, joined, where = _versions(tx, sought, INVENTORY_PACKAGE.join(PACKAGE))
    here = among(tx, INVENTORY_PACKAGE.c.inventory_id, inventories)
    return select(INVENTORY_PACKAGE, *columns).select_from(joined).where(here, *where)


def _versions(
    tx: Transaction, sought: Sought, joined: Any
) -> tuple[list[Any], Any, list[ColumnElement[bool]]]:
    """What is told of package versions that are sought: columns, from where, and which."""
    names = ("ecosystem", "name", "version", "arch", "source", "source_version")
    columns: list[Any] = [PACKAGE.c[name] for name in names]
    where: list[ColumnElement[bool]] = [among(tx, PACKAGE.c.id, sought.packages)]
    if sought.vulnerability:
        columns += [FINDING.c.severity, FINDING.c.fixed_version, FINDING.c.status]
        joined = joined.join(FINDING, FINDING.c.package_id == PACKAGE.c.id)
        where.append(FINDING.c.vulnerability_id == sought.vulnerability)
    return columns, joined, where
