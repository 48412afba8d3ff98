"""The history of an image: what changes of feeds did to the findings of its packages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func, select

from customhouse.analysis import images
from customhouse.analysis.findings import FINDING, FINDING_CHANGE
from customhouse.analysis.packages import INVENTORY, INVENTORY_PACKAGE, PACKAGE
from customhouse.analysis.sbom import attached
from customhouse.analysis.severity import Severity
from customhouse.analysis.vulnerabilities import VULNERABILITY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Row

    from customhouse.analysis.occurrences import Resource
    from customhouse.database import Transaction


class Beginning(NamedTuple):
    """How the history of an image begins.

    Attributes:
        at: when it was analysed first, in microseconds; 0 if it was not.
        findings: how many findings it had then, as far as its present packages tell: one for each
            package and vulnerability.
    """

    at: int
    findings: int


class Subject(NamedTuple):
    """What an image's history is read of: its inventories, and since when."""

    inventories: tuple[int, ...]
    since: int


def subject(tx: Transaction, resource: Resource) -> Subject:
    """The inventories of an image, or of the images of an index, and when the first one was made.

    Raises:
        Failure: MANIFEST_UNKNOWN.
    """
    digests = images.runnable(tx, resource.repository, resource.digest)
    analyses = images.get(tx, digests)
    numbers = {each.inventory_id for each in analyses.values() if each.inventory_id is not None}
    told = attached.inventories(tx, resource.repository, {resource.digest, *digests})
    times = [each.created_at for each in analyses.values() if each.inventory_id is not None]
    if told:
        times += tx.scalars(select(INVENTORY.c.created_at).where(INVENTORY.c.id.in_(told)))
    return Subject(tuple(sorted(numbers | told)), min(times, default=0))


def beginning(tx: Transaction, image: Subject) -> Beginning:
    """When an image was analysed first, and with how many findings it began."""
    packages = _packages(image.inventories)
    now = select(func.count()).where(FINDING.c.package_id.in_(packages))
    change = FINDING_CHANGE.c
    changed = select(
        func.count().filter(change.severity_before.is_(None)),
        func.count().filter(change.severity_after.is_(None)),
    ).where(change.package_id.in_(packages), change.created_at >= image.since)
    came, went = tx.execute(changed).one()
    return Beginning(image.since, max(0, tx.execute(now).scalar_one() - came + went))


def changes(tx: Transaction, image: Subject, before: int, count: int) -> list[Row[Any]]:
    """What changed in the findings of an image since it was analysed first, the newest first.

    Args:
        tx: the transaction.
        image: the image.
        before: only changes with smaller numbers; 0 for the newest.
        count: how many at most.
    """
    change = FINDING_CHANGE.c
    statement = (
        select(
            FINDING_CHANGE,
            VULNERABILITY.c.name.label("vulnerability"),
            PACKAGE.c.ecosystem,
            PACKAGE.c.name,
            PACKAGE.c.version,
        )
        .select_from(
            FINDING_CHANGE.join(PACKAGE, PACKAGE.c.id == change.package_id).join(
                VULNERABILITY, VULNERABILITY.c.id == change.vulnerability_id
            )
        )
        .where(change.package_id.in_(_packages(image.inventories)))
        .where(change.created_at >= image.since)
        .order_by(change.id.desc())
        .limit(count)
    )
    if before:
        statement = statement.where(change.id < before)
    return list(tx.execute(statement))


def kinds(row: Row[Any]) -> list[str]:
    """What a change is: NEW or GONE, else any of SEVERITY, FIXABLE and UNFIXABLE.

    Args:
        row: as of `changes`.
    """
    if row.severity_before is None:
        return ["NEW"]
    if row.severity_after is None:
        return ["GONE"]
    found = ["SEVERITY"] if row.severity_before != row.severity_after else []
    if bool(row.fixed_before) != bool(row.fixed_after):
        found.append("FIXABLE" if row.fixed_after else "UNFIXABLE")
    return found


def severity_name(number: int | None) -> str:
    """A severity by its name in Grafeas; empty for none."""
    return "" if number is None else Severity(number).name


def _packages(inventories: Sequence[int]) -> ColumnElement[Any]:
    """The numbers of the packages in inventories, as a subquery."""
    return (
        select(INVENTORY_PACKAGE.c.package_id)
        .where(INVENTORY_PACKAGE.c.inventory_id.in_(inventories))
        .scalar_subquery()
    )
