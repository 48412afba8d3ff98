"""A database of each engine, for the tests of contracts, of migrations and of modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from customhouse.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.postgres import Postgres

ENGINES = (
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.xdist_group("postgresql")),
)


@pytest.fixture(params=ENGINES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of each engine in turn."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'test.sqlite'}"
    else:
        postgres: Postgres = request.getfixturevalue("postgres")
        url = postgres.database()
    made = Database(url)
    yield made
    made.close()
