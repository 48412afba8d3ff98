"""What would be found in an image that is not stored: matched as those are, and taken back.

The packages are stored and matched in a transaction of which nothing is kept, so what is found is
by construction what a stored image would have. It is done in small batches, since a package's
findings are its own, and each batch holds up others' writes for as long as it takes.
"""

from __future__ import annotations

import secrets
import time
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec

from customhouse.analysis import findings, packages

if TYPE_CHECKING:
    from sqlalchemy import Row

    from customhouse.analysis.inventory import Inventory
    from customhouse.database import LoopDatabase, Transaction

MAX_FINDINGS = 100_000
"""Findings that are told at most."""

_FIRST_BATCH = 200
_BATCH_SECONDS = 0.05
_SMALLEST, _LARGEST = 10, 1000
_PAGE = 1000


async def match(database: LoopDatabase, inventory: Inventory) -> tuple[list[list[Row[Any]]], bool]:
    """Find what is vulnerable in an inventory, leaving nothing behind.

    Returns:
        The findings of each advisory, as rows of `findings.of_inventories`, and whether these are
        all there are.
    """
    found: list[Row[Any]] = []
    at, size = 0, _FIRST_BATCH
    while at < len(inventory.packages) and len(found) < MAX_FINDINGS:
        batch = msgspec.structs.replace(
            inventory,
            packages=inventory.packages[at : at + size],
            digest=f"trial:{secrets.token_hex(16)}",
        )
        rows, seconds = await database.write(_tried, batch)
        found += rows
        at += size
        size = min(max(int(size * _BATCH_SECONDS / max(seconds, 0.001)), _SMALLEST), _LARGEST)
    found.sort(key=attrgetter("advisory_id", "name", "arch"))
    grouped = [list(rows) for _, rows in groupby(found, key=attrgetter("advisory_id"))]
    return grouped, at >= len(inventory.packages) and len(found) < MAX_FINDINGS


def _tried(tx: Transaction, inventory: Inventory) -> tuple[list[Row[Any]], float]:
    """The findings in an inventory, and how long it took to find them."""
    started = time.monotonic()
    found: list[Row[Any]] = []
    savepoint = tx.begin_nested()
    try:
        number = packages.put(tx, inventory)
        findings.match_inventory(tx, number)
        after = 0
        while rows := findings.of_inventories(tx, [number], after, _PAGE):
            found += rows
            after = rows[-1].advisory_id
            if len(found) >= MAX_FINDINGS:
                break
    finally:
        savepoint.rollback()
    return found, time.monotonic() - started
