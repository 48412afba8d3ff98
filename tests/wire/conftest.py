"""One server per engine, which all tests of the wire share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.support.servers import customhouse_server
from tests.wire.calls import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.postgres import Postgres

BLOB_LIMIT = 4_000_000
"""The largest blob that these servers take: more than every blob of the tables."""


def registry_on(folder: Path, database_url: str) -> Iterator[Registry]:
    """A server on a database; empty for SQLite in its data folder."""
    env = {"CUSTOMHOUSE_REGISTRY__MAX_BLOB_BYTES": str(BLOB_LIMIT)}
    if database_url:
        env["CUSTOMHOUSE_DATABASE_URL"] = database_url
    with (
        customhouse_server(folder, env=env) as server,
        httpx2.Client(base_url=server.url, timeout=20, trust_env=False) as http,
    ):
        url = database_url or f"sqlite:///{server.data / 'customhouse.sqlite'}"
        yield Registry(server, url, http)


@pytest.fixture(scope="session")
def sqlite_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A server on SQLite."""
    yield from registry_on(tmp_path_factory.mktemp("sqlite"), "")


@pytest.fixture(scope="session")
def postgresql_registry(
    tmp_path_factory: pytest.TempPathFactory, postgres: Postgres
) -> Iterator[Registry]:
    """A server on PostgreSQL."""
    yield from registry_on(tmp_path_factory.mktemp("postgresql"), postgres.database())


@pytest.fixture(
    scope="session",
    params=[
        pytest.param("sqlite", marks=pytest.mark.xdist_group("wire-sqlite")),
        pytest.param("postgresql", marks=pytest.mark.xdist_group("postgresql")),
    ],
)
def registry(request: pytest.FixtureRequest) -> Registry:
    """The server of each engine in turn."""
    found: Registry = request.getfixturevalue(f"{request.param}_registry")
    return found
