"""Packages and advisories for tests, stored and matched as the analysis does it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from customhouse.analysis import advisories, findings, packages
from customhouse.analysis.ecosystems import Package
from customhouse.analysis.inventory import Inventory, InventoryPackage
from customhouse.analysis.systems import System
from tests.analysis.feeds.osv.records import encoded, entry, parsed

if TYPE_CHECKING:
    from sqlalchemy import Row

    from customhouse.analysis.feeds import Advisory
    from customhouse.database import Database, Transaction

LAYER = "sha256:" + "1" * 64


def package(text: str, source: str = "") -> Package:
    """A package `NAME=VERSION`, of a source package `NAME=VERSION` if it is not its own."""
    name, _, version = text.partition("=")
    source_name, _, source_version = (source or text).partition("=")
    return Package(name, version, "amd64", source_name, source_version)


def inventory(*contents: Package, ecosystem: str | None = "Debian:12") -> Inventory:
    """The inventory of an image with these packages."""
    listed = tuple(
        InventoryPackage(each, "dpkg", "var/lib/dpkg/status", LAYER, 0) for each in contents
    )
    digest = hashlib.sha256(repr((contents, ecosystem)).encode()).hexdigest()
    system = System("debian", "12", "Debian 12", ecosystem)
    return Inventory(system, listed, ("var/lib/dpkg/status",), f"sha256:{digest}")


def advisory(name: str, *affected: dict[str, Any], **fields: Any) -> bytes:
    """An OSV record."""
    return encoded(id=name, affected=list(affected), **fields)


def affects(package: str, *events: dict[str, str], ecosystem: str = "Debian:12") -> dict[str, Any]:
    """A package in an OSV record: `affects("sed", {"introduced": "0"}, {"fixed": "2"})`."""
    return entry(ecosystem, package, *events)


def store_image(database: Database, found: Inventory) -> int:
    """Store an inventory and match it, as the end of an analysis does; returns its number."""

    def store(tx: Transaction) -> int:
        number = packages.put(tx, found)
        findings.match_inventory(tx, number)
        return number

    return database.write(store)


def load(database: Database, *documents: bytes, feed: str = "test") -> int:
    """Load records and match what changed, as an import does; returns how many changed."""
    known = database.read(advisories.known, feed)
    marked = ((each, advisories.fingerprint(each)) for each in documents)
    return store(
        database,
        *((parsed_document(each), mark) for each, mark in marked if mark not in known),
        feed=feed,
    )


def store(database: Database, *records: tuple[Advisory, bytes], feed: str = "test") -> int:
    """Store advisories with their fingerprints and match them; returns how many they are."""

    def put(tx: Transaction) -> None:
        findings.merge(tx, advisories.put(tx, feed, records))

    database.write(put)
    while database.write(findings.match_changed, feed, 2):
        pass
    there = database.read(advisories.contents, feed)
    database.write(advisories.note_import, feed, feed, there, rejected=0, skipped=0)
    return len({advisory.id for advisory, _ in records})


def parsed_document(document: bytes) -> Any:
    """The advisory of a record."""
    return parsed(**msgspec.json.decode(document))


def found_in(database: Database, *numbers: int) -> list[Row[Any]]:
    """The findings in inventories."""
    return database.read(findings.of_inventories, numbers, 0, 1000)


def names(rows: list[Row[Any]]) -> list[tuple[str, str]]:
    """Advisory and package of each finding."""
    return [(row.advisory, row.name) for row in rows]
