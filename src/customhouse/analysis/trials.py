"""What would be found in an image that is not stored: matched as those are, and taken back.

The packages are stored and matched in a transaction of which nothing is kept, so what is found is
by construction what a stored image would have. Of packages that advisories take for the same, such
as the many that are built from one source, one is tried. It is done in batches of few packages and
few findings, since each holds up others' writes for as long as it takes.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from itertools import chain, groupby, islice
from operator import attrgetter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import msgspec
from sqlalchemy import func, select, tuple_

from customhouse.analysis import findings, packages
from customhouse.analysis.advisories import AFFECTED
from customhouse.analysis.subjects import subjects

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Row

    from customhouse.analysis.inventory import Inventory, InventoryPackage
    from customhouse.analysis.subjects import Subject
    from customhouse.database import LoopDatabase, Transaction

MAX_FINDINGS = 100_000
"""Findings that are told at most."""

# Of these a batch takes some tens of milliseconds.
_BATCH_PACKAGES = 100
_BATCH_FINDINGS = 2000
_PAGE = 1000
_NAMES = 1000

_Name = tuple[str, str]


@dataclass(slots=True)
class _Kind:
    """Packages that the same advisories are about; each package is here once."""

    names: set[_Name]
    items: dict[tuple[str, ...], InventoryPackage] = field(default_factory=dict)


async def match(database: LoopDatabase, inventory: Inventory) -> tuple[list[list[Row[Any]]], bool]:
    """Find what is vulnerable in an inventory, leaving nothing behind.

    Returns:
        The findings of each vulnerability, as rows of `findings.of_inventories`, and whether
        these are all there are.
    """
    kinds = _kinds(inventory)
    names = sorted({name for kind in kinds for name in kind.names})
    counts = await database.query(_counts, names)
    found: list[Row[Any]] = []
    for batch in _batches(kinds, counts):
        if len(found) > MAX_FINDINGS:
            break
        chosen = {next(iter(kind.items)): kind for kind in batch}
        tried = msgspec.structs.replace(
            inventory,
            packages=tuple(kind.items[key] for key, kind in chosen.items()),
            digest=f"trial:{secrets.token_hex(16)}",
        )
        of_name = {(key[1], *key[2:4]): kind for key, kind in chosen.items()}
        rows = await database.write(_tried, tried)
        spread = (_spread(row, of_name[row.name, row.version, row.arch]) for row in rows)
        found += islice(chain.from_iterable(spread), MAX_FINDINGS + 1 - len(found))
    is_whole = len(found) <= MAX_FINDINGS
    del found[MAX_FINDINGS:]
    found.sort(key=attrgetter("vulnerability_id", "name", "arch"))
    grouped = [list(rows) for _, rows in groupby(found, key=attrgetter("vulnerability_id"))]
    return grouped, is_whole


def _kinds(inventory: Inventory) -> list[_Kind]:
    """The packages by what advisories know of them, those that none is about left out."""
    kinds: dict[tuple[frozenset[Subject], tuple[str, ...]], _Kind] = {}
    for item in inventory.packages:
        key = packages.identity(item.package, inventory.system)
        if not key[0]:
            continue
        known = frozenset(subjects(item.package, key[0].split("+")))
        if known:
            names = {(subject.ecosystem, subject.name) for subject in known}
            rest = (key[0], *key[2:])
            kinds.setdefault((known, rest), _Kind(names)).items.setdefault(key, item)
    return list(kinds.values())


def _counts(tx: Transaction, names: Sequence[_Name]) -> dict[_Name, int]:
    """How many affected ranges there are of each name that has any."""
    found: dict[_Name, int] = {}
    columns = (AFFECTED.c.ecosystem, AFFECTED.c.name)
    for start in range(0, len(names), _NAMES):
        here = tuple_(*columns).in_(names[start : start + _NAMES])
        rows = tx.execute(select(*columns, func.count()).where(here).group_by(*columns))
        found |= {(row[0], row[1]): int(row[2]) for row in rows}
    return found


def _batches(kinds: Sequence[_Kind], counts: Mapping[_Name, int]) -> Iterator[list[_Kind]]:
    """The packages that some advisory may be about, few at a time."""
    batch: list[_Kind] = []
    seen: set[tuple[str, ...]] = set()
    total = 0
    for kind in kinds:
        count = sum(counts.get(name, 0) for name in kind.names)
        if not count:
            continue
        # What is found is told apart by name, version and architecture.
        key = next(iter(kind.items))[1:4]
        if batch and (
            len(batch) >= _BATCH_PACKAGES or total + count > _BATCH_FINDINGS or key in seen
        ):
            yield batch
            batch, seen, total = [], set(), 0
        batch.append(kind)
        seen.add(key)
        total += count
    if batch:
        yield batch


def _tried(tx: Transaction, inventory: Inventory) -> list[Row[Any]]:
    """The findings in an inventory, which is not kept."""
    found: list[Row[Any]] = []
    savepoint = tx.begin_nested()
    try:
        number = packages.put(tx, inventory)
        findings.match_inventory(tx, number)
        after = 0
        while rows := findings.of_inventories(tx, [number], after, _PAGE):
            found += rows
            after = rows[-1].vulnerability_id
    finally:
        savepoint.rollback()
    return found


def _spread(row: Row[Any], kind: _Kind) -> Iterator[Row[Any]]:
    """A finding for each of the packages that the one is tried for."""
    for item in kind.items.values():
        place = {"layer": item.layer, "layer_index": item.layer_index, "path": item.path}
        values = {**row._mapping, **place, "name": item.package.name}  # noqa: SLF001  - a public name
        yield cast("Row[Any]", SimpleNamespace(**values))
