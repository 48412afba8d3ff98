"""Databases of both engines, and servers on each, for the tests of the analysis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.program import CommandLine, signed_in
from tests.faults.registry import Registry
from tests.support.databases import with_all_tables
from tests.support.servers import CustomhouseServer, customhouse_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from customhouse.database import Database
    from tests.support.postgres import Postgres


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.xdist_group("postgresql")),
    ]
)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database with all tables, on each engine in turn."""
    made = with_all_tables(request, request.param, tmp_path)
    yield made
    made.close()


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("sqlite", marks=pytest.mark.xdist_group("analysis")),
        pytest.param("postgresql", marks=pytest.mark.xdist_group("postgresql")),
    ],
)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CustomhouseServer]:
    """A server on each engine in turn."""
    env = {}
    if request.param == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        env["CUSTOMHOUSE_DATABASE_URL"] = postgres.database()
    with customhouse_server(tmp_path_factory.mktemp("server"), env=env) as running:
        yield running


@pytest.fixture
def registry(server: CustomhouseServer) -> Iterator[Registry]:
    """A client of the server."""
    with Registry(server) as client:
        yield client


@pytest.fixture
def cli(server: CustomhouseServer, tmp_path: Path) -> CommandLine:
    """The command line, signed in."""
    return signed_in(server, tmp_path)
