"""PostgreSQL in a temporary folder, one instance per test process."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.support.clients import unavailable
from tests.support.processes import Program, free_port, run, start

if TYPE_CHECKING:
    from collections.abc import Iterator

DEBIAN = Path("/usr/lib/postgresql")
"""Debian keeps the programs of version N in this folder's N/bin, off the search path."""

SETTINGS = ("listen_addresses=127.0.0.1", "fsync=off", "shared_buffers=64MB", "max_connections=200")


@dataclass(slots=True)
class Postgres:
    """A running PostgreSQL server that trusts everybody on loopback."""

    port: int
    program: Program
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def database(self, template: str = "template0") -> str:
        """Make a database with collation C and return its SQLAlchemy URL.

        Args:
            template: the database that it is a copy of, to which nobody is connected; by default
                an empty one.
        """
        name = f"test_{next(self.numbers)}"
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        return self._address(name).replace("postgresql:", "postgresql+psycopg:")

    def answers(self) -> bool:
        """Whether it takes connections."""
        try:
            psycopg.connect(self._address("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _address(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"


def programs() -> Path | None:
    """The folder with `initdb` and `postgres`: Debian's newest, or the one on the search path."""
    versions = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = versions[-1] if versions else shutil.which("initdb")
    return Path(found).parent if found else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server; `postgres.database()` gives the URL of a fresh database."""
    folder = programs()
    if folder is None:
        unavailable("PostgreSQL is missing")
    # It refuses to run as root, and its user cannot see into pytest's temporary folders.
    user = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="customhouse-postgres-") as name:
        home = Path(name)
        if user is not None:
            os.chown(home, pwd.getpwnam(user).pw_uid, -1)
        rows, port = home / "data", free_port()
        run(
            *(folder / "initdb", "-D", rows, "-A", "trust", "-U", "postgres"),
            *("--no-sync", "-E", "UTF8", "--locale=C"),
            cwd=home,
            user=user,
        )
        program = start(
            *(folder / "postgres", "-D", rows, "-p", str(port), "-k", home),
            *(part for setting in SETTINGS for part in ("-c", setting)),
            log=home / "postgres.log",
            cwd=home,
            user=user,
        )
        server = Postgres(port, program)
        try:
            program.wait_until(server.answers, 30)
            yield server
        finally:
            program.stop(signal.SIGQUIT)  # at once: nothing in it is needed again
