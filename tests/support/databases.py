"""Databases with all tables: copies of one that is made once in each process."""

from __future__ import annotations

import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

import customhouse.application  # noqa: F401  # knows every table
from customhouse.database import METADATA, Database
from customhouse.database.migrations import migrate

if TYPE_CHECKING:
    import pytest

    from tests.support.postgres import Postgres

_templates: dict[int, str] = {}


def with_all_tables(request: pytest.FixtureRequest, engine: str, folder: Path) -> Database:
    """An empty database with all tables.

    Args:
        request: of the fixture, for the server of PostgreSQL.
        engine: `sqlite` or `postgresql`.
        folder: where the file of SQLite is made.
    """
    if engine == "postgresql":
        return Database(_of_postgres(request.getfixturevalue("postgres")))
    path = folder / "test.sqlite"
    shutil.copyfile(_file(), path)
    return Database(f"sqlite:///{path}")


def _of_postgres(postgres: Postgres) -> str:
    if postgres.port not in _templates:
        url = postgres.database()
        _make(url)
        _templates[postgres.port] = sa.make_url(url).database or ""
    return postgres.database(_templates[postgres.port])


@cache
def _file() -> Path:
    path = Path(tempfile.mkdtemp(prefix="customhouse-tables-")) / "template.sqlite"
    _make(f"sqlite:///{path}")
    return path


def _make(url: str) -> None:
    database = Database(url)
    with tempfile.TemporaryDirectory() as backups:
        migrate(database, Path(backups), METADATA)
    if database.is_sqlite:
        # Into the file itself, which is copied without its log.
        with database.newest.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
