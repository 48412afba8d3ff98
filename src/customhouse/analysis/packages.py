"""Package versions and inventories, each stored once in the whole registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
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
    update,
)

from customhouse.analysis.subjects import subjects
from customhouse.analysis.thirdparty import is_third_party
from customhouse.database import METADATA, Name, insert, now

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Row

    from customhouse.analysis.ecosystems import Package
    from customhouse.analysis.inventory import Inventory
    from customhouse.analysis.systems import System
    from customhouse.database import Transaction

PACKAGE = Table(
    "package",
    METADATA,
    Column("id", Integer, primary_key=True),
    # Of a package of the system those whose advisories count, joined by `+`; empty if none do.
    Column("ecosystem", Name, nullable=False),
    Column("name", Name, nullable=False, index=True),
    Column("version", Name, nullable=False),
    Column("arch", Name, nullable=False),
    Column("source", Name, nullable=False, index=True),
    Column("source_version", Name, nullable=False),
    Column("module", Name, nullable=False),
    Column("licence", Text, nullable=False),
    # When it was joined with all ranges; NULL before.
    Column("matched_at", BigInteger),
    UniqueConstraint(
        "ecosystem",
        "name",
        "version",
        "arch",
        "source",
        "source_version",
        "module",
        name="uq_package_identity",
    ),
)

# The names under which advisories know a package; see `subjects`.
PACKAGE_NAME = Table(
    "package_name",
    METADATA,
    Column("package_id", Integer, ForeignKey(PACKAGE.c.id), primary_key=True),
    Column("ecosystem", Name, primary_key=True),
    Column("name", Name, primary_key=True),
    Column("key", LargeBinary, nullable=False),
    Column("arch", Name, nullable=False),
    Index("ix_package_name_name", "ecosystem", "name"),
)

INVENTORY = Table(
    "inventory",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("digest", Name, nullable=False, unique=True),
    Column("system", Text, nullable=False),
    Column("ecosystem", Name, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # What `systems.System` tells beside that; NULL where it was stored before this was noted.
    Column("system_id", Name),
    Column("system_version", Text),
    Column("system_also", Text),
    Column("caveat", Text),
    # Whether there is a database of the system's packages.
    Column("has_database", Boolean),
)

INVENTORY_PACKAGE = Table(
    "inventory_package",
    METADATA,
    Column("inventory_id", Integer, ForeignKey(INVENTORY.c.id), primary_key=True),
    Column("package_id", Integer, ForeignKey(PACKAGE.c.id), primary_key=True),
    Column("layer", Name, nullable=False),
    Column("layer_index", Integer, nullable=False),
    Column("path", Text, nullable=False),
    Index("ix_inventory_package_package", "package_id", "inventory_id"),
)

_BATCH = 1000
_IDENTITY = (
    PACKAGE.c.ecosystem,
    PACKAGE.c.name,
    PACKAGE.c.version,
    PACKAGE.c.arch,
    PACKAGE.c.source,
    PACKAGE.c.source_version,
    PACKAGE.c.module,
)


def put(tx: Transaction, inventory: Inventory) -> int:
    """Store an inventory and its packages unless they are there; returns its number."""
    known = tx.execute(
        select(INVENTORY.c.id, INVENTORY.c.has_database).where(
            INVENTORY.c.digest == inventory.digest
        )
    ).first()
    system = inventory.system
    facts = _facts(inventory)
    if known is not None:
        if known.has_database is None:
            tx.execute(update(INVENTORY).where(INVENTORY.c.id == known.id).values(facts))
        return int(known.id)
    values: dict[str, object] = {
        "digest": inventory.digest,
        "system": system.name if system else "",
        "ecosystem": (system.ecosystem if system else None) or "",
        "created_at": now(),
        **facts,
    }
    tx.execute(insert(tx, INVENTORY).on_conflict_do_nothing(), values)
    number = int(
        tx.execute(
            select(INVENTORY.c.id).where(INVENTORY.c.digest == inventory.digest)
        ).scalar_one()
    )
    identities = [identity(item.package, system) for item in inventory.packages]
    packages = [item.package for item in inventory.packages]
    numbers = _put_packages(tx, dict(zip(identities, packages, strict=True)))
    # Two files may tell of one package; the row is the first one's.
    rows = {
        numbers[identity]: {
            "layer": item.layer,
            "layer_index": item.layer_index,
            "path": item.path,
        }
        for identity, item in zip(reversed(identities), reversed(inventory.packages), strict=True)
    }
    if rows:
        tx.execute(
            insert(tx, INVENTORY_PACKAGE).on_conflict_do_nothing(),
            [{"inventory_id": number, "package_id": key, **row} for key, row in rows.items()],
        )
    return number


def of_inventories(
    tx: Transaction, inventory_ids: Sequence[int], after: int, count: int
) -> list[Row[Any]]:
    """The packages of inventories with their places, in order of the package's number.

    Args:
        tx: the transaction.
        inventory_ids: the inventories, of one image or of all images of an index.
        after: only packages with greater numbers.
        count: of how many packages at most.
    """
    here = INVENTORY_PACKAGE.c.inventory_id.in_(inventory_ids)
    page = (
        select(INVENTORY_PACKAGE.c.package_id)
        .where(here, INVENTORY_PACKAGE.c.package_id > after)
        .distinct()
        .order_by(INVENTORY_PACKAGE.c.package_id)
        .limit(count)
    )
    statement = (
        select(
            INVENTORY_PACKAGE.c.package_id,
            INVENTORY_PACKAGE.c.layer,
            INVENTORY_PACKAGE.c.layer_index,
            INVENTORY_PACKAGE.c.path,
            PACKAGE.c.ecosystem,
            PACKAGE.c.name,
            PACKAGE.c.version,
            PACKAGE.c.arch,
            PACKAGE.c.licence,
        )
        .select_from(INVENTORY_PACKAGE.join(PACKAGE))
        .where(here, INVENTORY_PACKAGE.c.package_id.in_(page))
        .order_by(INVENTORY_PACKAGE.c.package_id, INVENTORY_PACKAGE.c.inventory_id)
    )
    return list(tx.execute(statement))


def _facts(inventory: Inventory) -> dict[str, object]:
    system = inventory.system
    return {
        "system_id": system.id if system else "",
        "system_version": system.version if system else "",
        "system_also": "+".join(system.also) if system else "",
        "caveat": system.caveat if system else "",
        "has_database": bool(inventory.databases),
    }


def identity(package: Package, system: System | None) -> tuple[str, ...]:
    """What tells a package from others: the columns of `uq_package_identity`.

    The first is its ecosystem, several joined by `+`; empty if no advisories are about it.
    """
    ecosystem = package.ecosystem
    if not ecosystem and system and system.ecosystem and not is_third_party(system.id, package):
        ecosystem = "+".join((system.ecosystem, *system.also))
    return (
        ecosystem,
        package.name,
        package.version,
        package.arch,
        package.source,
        package.source_version,
        package.module,
    )


def _put_packages(
    tx: Transaction, packages: Mapping[tuple[str, ...], Package]
) -> dict[tuple[str, ...], int]:
    """The numbers of package versions, those that were not there inserted.

    A licence is not always in reach, so those that were there without one get it.
    """
    identities = list(packages)
    numbers: dict[tuple[str, ...], int] = {}
    for start in range(0, len(identities), _BATCH):
        batch = identities[start : start + _BATCH]
        known = _numbers(tx, batch)
        new = [identity for identity in batch if identity not in known]
        if new:
            rows = [
                dict(zip((column.name for column in _IDENTITY), identity, strict=True))
                | {"licence": packages[identity].licence}
                for identity in new
            ]
            tx.execute(insert(tx, PACKAGE).on_conflict_do_nothing(), rows)
            known |= _numbers(tx, new)
            names = [
                {"package_id": known[identity], **subject._asdict()}
                for identity in new
                if identity[0]
                for subject in subjects(packages[identity], identity[0].split("+"))
            ]
            if names:
                tx.execute(insert(tx, PACKAGE_NAME).on_conflict_do_nothing(), names)
        _state_licences(tx, {known[each]: packages[each].licence for each in batch})
        numbers |= known
    return numbers


def _state_licences(tx: Transaction, licences: Mapping[int, str]) -> None:
    """Give packages their licences, as far as they have none yet."""
    stated = [number for number, licence in licences.items() if licence]
    if not stated:
        return
    without = select(PACKAGE.c.id).where(PACKAGE.c.id.in_(stated), PACKAGE.c.licence == "")
    for (number,) in tx.execute(without.order_by(PACKAGE.c.id)).all():
        here = PACKAGE.c.id == number
        tx.execute(update(PACKAGE).where(here).values(licence=licences[number]))


def _numbers(tx: Transaction, identities: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], int]:
    rows = tx.execute(select(PACKAGE.c.id, *_IDENTITY).where(tuple_(*_IDENTITY).in_(identities)))
    return {tuple(row[1:]): int(row.id) for row in rows}
