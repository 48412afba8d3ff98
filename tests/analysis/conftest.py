"""Databases of both engines for the tests of what the analysis stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from customhouse.database import Database
from customhouse.database.migrations import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.postgres import Postgres


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.xdist_group("postgresql")),
    ]
)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database with all tables, on each engine in turn."""
    url = f"sqlite:///{tmp_path / 'test.sqlite'}"
    if request.param == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        url = postgres.database()
    made = Database(url)
    migrate(made, tmp_path / "backups")
    yield made
    made.close()
