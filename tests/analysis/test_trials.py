"""Images that are not stored are matched as those that are, and nothing stays."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from customhouse.analysis import trials
from customhouse.analysis.ecosystems import Package
from customhouse.database import METADATA, LoopDatabase
from tests.analysis.stored import (
    advisory,
    affects,
    found_in,
    inventory,
    load,
    package,
    store_image,
)

if TYPE_CHECKING:
    from sqlalchemy import Row

    from customhouse.analysis.inventory import Inventory
    from customhouse.database import Database, Transaction

FROM_THE_FIRST = {"introduced": "0"}
FIELDS = ("advisory", "name", "version", "arch", "fixed_version", "severity", "status", "path")


def tried(database: Database, found: Inventory) -> tuple[list[list[Row[Any]]], bool]:
    """What a trial of an inventory finds."""

    async def run() -> tuple[list[list[Row[Any]]], bool]:
        return await trials.match(LoopDatabase(database), found)

    return asyncio.run(run())


def rows(database: Database) -> dict[str, int]:
    """How many rows each table has."""

    def count(tx: Transaction) -> dict[str, int]:
        tables = METADATA.tables.values()
        return {
            table.name: int(tx.execute(select(func.count()).select_from(table)).scalar_one())
            for table in tables
        }

    return database.read(count)


def shown(found: list[Row[Any]]) -> list[tuple[Any, ...]]:
    return sorted(tuple(getattr(row, field) for field in FIELDS) for row in found)


def test_it_finds_what_a_stored_image_has(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "_BATCH_PACKAGES", 7)
    contents = [package(f"p{n}={n}.0", source=f"s{n % 5}={n}.0") for n in range(60)]
    # Of one source, some of it in two places.
    contents += [package(f"same{n % 7}=3-{n % 7}", source="s1=3") for n in range(10)]
    contents += [package(f"equal{n}=3", source="s1=3") for n in range(10)]
    contents += [
        Package("django", "3.2", "", "django", "3.2", ecosystem="PyPI"),
        Package("docker-ce", "1", "amd64", "s1", "1", maintainer="Docker <support@docker.com>"),
        package("broken=is no version", source="s1=is no version"),
    ]
    load(
        database,
        *(
            advisory(f"DSA-{n}", affects(f"s{n}", FROM_THE_FIRST, {"fixed": f"{n + 30}"}))
            for n in range(5)
        ),
        advisory("PYSEC-1", affects("django", FROM_THE_FIRST, ecosystem="PyPI")),
    )
    sample = inventory(*contents)
    # Some of it is known already, and found in an image.
    store_image(database, inventory(*contents[:10]))
    before = rows(database)
    grouped, is_whole = tried(database, sample)
    assert is_whole
    assert rows(database) == before
    assert [group[0].advisory for group in grouped] == [
        *(f"DSA-{n}" for n in range(5)),
        "PYSEC-1",
    ]
    number = store_image(database, sample)
    assert shown([row for group in grouped for row in group]) == shown(found_in(database, number))


def test_what_is_too_much_is_cut_and_said(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "_BATCH_PACKAGES", 2)
    monkeypatch.setattr(trials, "MAX_FINDINGS", 5)
    load(database, *(advisory(f"DSA-{n}", affects("s", FROM_THE_FIRST)) for n in range(3)))
    many = inventory(*(package(f"p{n}=1", source=f"s={n}") for n in range(10)))
    grouped, is_whole = tried(database, many)
    assert not is_whole
    assert sum(map(len, grouped)) == 5
    same = inventory(*(package(f"p{n}=1", source="s=1") for n in range(10)))
    grouped, is_whole = tried(database, same)
    assert (sum(map(len, grouped)), is_whole) == (5, False)
    monkeypatch.setattr(trials, "MAX_FINDINGS", 30)
    grouped, is_whole = tried(database, same)
    assert (sum(map(len, grouped)), is_whole) == (30, True)


@pytest.mark.parametrize("ecosystem", [None, "Debian:99"])
def test_nothing_to_find(database: Database, ecosystem: str | None) -> None:
    assert tried(database, inventory(package("a=1"), ecosystem=ecosystem)) == ([], True)
    assert tried(database, inventory()) == ([], True)
