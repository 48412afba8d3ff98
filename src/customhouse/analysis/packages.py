"""Package versions and inventories, each stored once in the whole registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    select,
    tuple_,
)

from customhouse.analysis.ecosystems import scheme_of, version_key
from customhouse.database import METADATA, Name, insert, now
from customhouse.errors import Failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from customhouse.analysis.ecosystems import Package
    from customhouse.analysis.inventory import Inventory
    from customhouse.database import Transaction

PACKAGE = Table(
    "package",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("ecosystem", Name, nullable=False),
    Column("name", Name, nullable=False),
    Column("version", Name, nullable=False),
    Column("arch", Name, nullable=False),
    Column("source", Name, nullable=False),
    Column("source_version", Name, nullable=False),
    # Of the source's version, which is what advisories are about; NULL where it is no valid
    # version, so that it matches nothing.
    Column("key", LargeBinary),
    UniqueConstraint("ecosystem", "name", "version", "arch", "source", "source_version"),
    Index("ix_package_source", "ecosystem", "source"),
)

INVENTORY = Table(
    "inventory",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("digest", Name, nullable=False, unique=True),
    Column("system", Text, nullable=False),
    Column("ecosystem", Name, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

INVENTORY_PACKAGE = Table(
    "inventory_package",
    METADATA,
    Column("inventory_id", Integer, ForeignKey(INVENTORY.c.id), primary_key=True),
    Column("package_id", Integer, ForeignKey(PACKAGE.c.id), primary_key=True),
    Column("layer", Name, nullable=False),
    Column("path", Text, nullable=False),
    Index("ix_inventory_package_package", "package_id"),
)

_BATCH = 1000
_IDENTITY = (
    PACKAGE.c.name,
    PACKAGE.c.version,
    PACKAGE.c.arch,
    PACKAGE.c.source,
    PACKAGE.c.source_version,
)


def put(tx: Transaction, inventory: Inventory) -> int:
    """Store an inventory and its packages unless they are there; returns its number."""
    known = tx.execute(select(INVENTORY.c.id).where(INVENTORY.c.digest == inventory.digest))
    number = known.scalar()
    if number is not None:
        return int(number)
    system = inventory.system
    ecosystem = (system.ecosystem if system else None) or ""
    values = {
        "digest": inventory.digest,
        "system": system.name if system else "",
        "ecosystem": ecosystem,
        "created_at": now(),
    }
    tx.execute(insert(tx, INVENTORY).on_conflict_do_nothing(), values)
    number = int(
        tx.execute(
            select(INVENTORY.c.id).where(INVENTORY.c.digest == inventory.digest)
        ).scalar_one()
    )
    numbers = _put_packages(tx, ecosystem, [item.package for item in inventory.packages])
    # Two databases of different kinds may list one package; the row is the first one's.
    rows = {
        numbers[_identity(item.package)]: {"layer": item.layer, "path": item.path}
        for item in reversed(inventory.packages)
    }
    if rows:
        tx.execute(
            insert(tx, INVENTORY_PACKAGE).on_conflict_do_nothing(),
            [{"inventory_id": number, "package_id": key, **row} for key, row in rows.items()],
        )
    return number


def _identity(package: Package) -> tuple[str, ...]:
    return (
        package.name,
        package.version,
        package.arch,
        package.source,
        package.source_version,
    )


def _put_packages(
    tx: Transaction, ecosystem: str, packages: Sequence[Package]
) -> dict[tuple[str, ...], int]:
    """The numbers of package versions, those that were not there inserted."""
    scheme = scheme_of(ecosystem)
    distinct = {_identity(package): package for package in packages}
    identities = list(distinct)
    numbers: dict[tuple[str, ...], int] = {}
    for start in range(0, len(identities), _BATCH):
        batch = identities[start : start + _BATCH]
        tx.execute(
            insert(tx, PACKAGE).on_conflict_do_nothing(),
            [
                {
                    "ecosystem": ecosystem,
                    "name": package.name,
                    "version": package.version,
                    "arch": package.arch,
                    "source": package.source,
                    "source_version": package.source_version,
                    "key": _key(scheme, package.source_version),
                }
                for package in map(distinct.__getitem__, batch)
            ],
        )
        rows = tx.execute(
            select(PACKAGE.c.id, *_IDENTITY).where(
                PACKAGE.c.ecosystem == ecosystem, tuple_(*_IDENTITY).in_(batch)
            )
        )
        numbers.update({tuple(row[1:]): row.id for row in rows})
    return numbers


def _key(scheme: str | None, version: str) -> bytes | None:
    if scheme is None:
        return None
    try:
        return version_key(scheme, version)
    except Failure:
        return None
