"""Findings: which package version is affected by which advisory. A join, nothing else.

A finding belongs to a package version, not to an image: images have the findings of the packages
in their inventory. New packages are joined with all ranges, changed ranges with all packages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    delete,
    func,
    literal,
    select,
)

from customhouse.analysis.advisories import ADVISORY, AFFECTED
from customhouse.analysis.packages import INVENTORY_PACKAGE, PACKAGE, PACKAGE_NAME
from customhouse.database import METADATA, insert, lock, now

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Row

    from customhouse.database import Transaction

FINDING = Table(
    "finding",
    METADATA,
    Column("package_id", Integer, ForeignKey(PACKAGE.c.id), primary_key=True),
    Column("advisory_id", Integer, ForeignKey(ADVISORY.c.id), primary_key=True),
    # The range that the version lies in. It is replaced when the advisory changes.
    Column("affected_id", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("ix_finding_advisory", "advisory_id"),
)

_LOCK = "findings"


def match_inventory(tx: Transaction, inventory_id: int) -> None:
    """Join the packages of an inventory with all ranges."""
    packages = select(INVENTORY_PACKAGE.c.package_id).where(
        INVENTORY_PACKAGE.c.inventory_id == inventory_id
    )
    lock(tx, _LOCK)
    _match(tx, PACKAGE_NAME.c.package_id.in_(packages))


def match_advisories(tx: Transaction, advisory_ids: Sequence[int]) -> None:
    """Join the ranges of advisories that changed with all packages."""
    if not advisory_ids:
        return
    lock(tx, _LOCK)
    _match(tx, AFFECTED.c.advisory_id.in_(advisory_ids))
    gone = ~select(AFFECTED.c.id).where(AFFECTED.c.id == FINDING.c.affected_id).exists()
    tx.execute(delete(FINDING).where(FINDING.c.advisory_id.in_(advisory_ids), gone))


def _match(tx: Transaction, which: ColumnElement[bool]) -> None:
    moment = literal(now())
    matches = (
        select(
            PACKAGE_NAME.c.package_id,
            AFFECTED.c.advisory_id,
            func.min(AFFECTED.c.id),
            moment,
            moment,
        )
        .select_from(
            PACKAGE_NAME.join(
                AFFECTED,
                (AFFECTED.c.ecosystem == PACKAGE_NAME.c.ecosystem)
                & (AFFECTED.c.name == PACKAGE_NAME.c.name)
                & (AFFECTED.c.introduced <= PACKAGE_NAME.c.key)
                & (PACKAGE_NAME.c.key < AFFECTED.c.fixed)
                & (
                    AFFECTED.c.arches.is_(None)
                    | (PACKAGE_NAME.c.arch == "")
                    | AFFECTED.c.arches.like("% " + PACKAGE_NAME.c.arch + " %")
                ),
            )
        )
        .where(which)
        .group_by(PACKAGE_NAME.c.package_id, AFFECTED.c.advisory_id)
    )
    statement = insert(tx, FINDING)
    names = ["package_id", "advisory_id", "affected_id", "created_at", "updated_at"]
    tx.execute(
        statement.from_select(names, matches).on_conflict_do_update(
            index_elements=[FINDING.c.package_id, FINDING.c.advisory_id],
            set_={
                "affected_id": statement.excluded.affected_id,
                "updated_at": statement.excluded.updated_at,
            },
            where=FINDING.c.affected_id != statement.excluded.affected_id,
        )
    )


def of_inventories(
    tx: Transaction, inventory_ids: Sequence[int], after: int, count: int
) -> list[Row[Any]]:
    """Findings in inventories, with package and advisory, in order of the advisory's number.

    Args:
        tx: the transaction.
        inventory_ids: the inventories, of one image or of all images of an index.
        after: only advisories with greater numbers.
        count: of how many advisories at most.
    """
    here = INVENTORY_PACKAGE.c.inventory_id.in_(inventory_ids)
    joined = INVENTORY_PACKAGE.join(FINDING, FINDING.c.package_id == INVENTORY_PACKAGE.c.package_id)
    page = (
        select(FINDING.c.advisory_id)
        .select_from(joined)
        .where(here, FINDING.c.advisory_id > after)
        .distinct()
        .order_by(FINDING.c.advisory_id)
        .limit(count)
    )
    statement = (
        select(
            FINDING.c.advisory_id,
            FINDING.c.created_at,
            FINDING.c.updated_at,
            ADVISORY.c.name.label("advisory"),
            ADVISORY.c.severity.label("advisory_severity"),
            ADVISORY.c.body,
            ADVISORY.c.published_at,
            ADVISORY.c.modified_at,
            PACKAGE.c.ecosystem,
            PACKAGE.c.name,
            PACKAGE.c.version,
            PACKAGE.c.arch,
            PACKAGE.c.source,
            PACKAGE.c.source_version,
            INVENTORY_PACKAGE.c.layer,
            INVENTORY_PACKAGE.c.layer_index,
            INVENTORY_PACKAGE.c.path,
            AFFECTED.c.fixed_version,
            AFFECTED.c.severity,
            AFFECTED.c.severity_source,
            AFFECTED.c.status,
        )
        .select_from(
            joined.join(ADVISORY, ADVISORY.c.id == FINDING.c.advisory_id)
            .join(PACKAGE, PACKAGE.c.id == FINDING.c.package_id)
            .join(AFFECTED, AFFECTED.c.id == FINDING.c.affected_id)
        )
        .where(here, FINDING.c.advisory_id.in_(page))
        .order_by(FINDING.c.advisory_id, PACKAGE.c.name, PACKAGE.c.arch)
    )
    return list(tx.execute(statement))
