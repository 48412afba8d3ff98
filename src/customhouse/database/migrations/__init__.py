"""The schema's history: the database is brought to the present form when the server starts."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from customhouse.database.engine import Database, Transaction

# The newest revision. A test holds it to the scripts beside this file; to know it without reading
# them saves half of the time that a start takes.
HEAD = "0013"

_LOCK = 0x637573746F6D  # one process at a time migrates a PostgreSQL database
_KEPT_BACKUPS = 3


def migrate(database: Database, backups: Path, schema: sa.MetaData | None = None) -> None:
    """Bring the database to the present schema.

    An SQLite database that holds anything is copied first; the newest copies are kept.

    Args:
        database: the database.
        backups: the folder for copies.
        schema: every table there is, from one who knows them all: an empty database is made from
            it, which takes an eighth of the time that the scripts take. A test holds them equal.

    Raises:
        Failure: DATABASE_NEWER.
    """
    revision = database.read(_revision)
    if revision == HEAD:
        return
    if revision is None and schema is not None and _create(database, schema):
        return
    # Imported when needed: it takes as long as everything else that a start imports.
    from customhouse.database.migrations.run import known, upgrade  # noqa: PLC0415

    if revision is not None and revision not in known():
        raise Failure(Code.DATABASE_NEWER, revision=revision)
    if revision is not None and database.is_sqlite:
        _copy(Path(str(database.url.database)), backups, revision)
    with database.writers.connect() as tx, _tables_may_be_replaced(tx, database), tx.begin():
        if not database.is_sqlite:
            tx.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        upgrade(tx)
        if database.is_sqlite and tx.exec_driver_sql("PRAGMA foreign_key_check").first():
            raise AssertionError("a script left rows that refer to none")


def _create(database: Database, schema: sa.MetaData) -> bool:
    """Make every table in an empty database; whether it was empty."""
    with database.writers.begin() as tx:
        if not database.is_sqlite:
            tx.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        if sa.inspect(tx).get_table_names():
            return False
        schema.create_all(tx)
        tx.exec_driver_sql(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL,"
            " CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
        tx.exec_driver_sql(f"INSERT INTO alembic_version VALUES ('{HEAD}')")  # noqa: S608  - ours
    return True


@contextlib.contextmanager
def _tables_may_be_replaced(tx: Transaction, database: Database) -> Iterator[None]:
    """Let SQLite replace a table by its copy while others refer to it.

    Foreign keys can be switched off outside transactions only; to defer them is not enough, since
    a table that is dropped counts as rows that are missed (sqlite.org/lang_altertable.html,
    section 7).
    """
    if not database.is_sqlite:
        yield
        return
    connection: Any = tx.connection.driver_connection
    connection.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        connection.execute("PRAGMA foreign_keys=ON")


def _revision(tx: Transaction) -> str | None:
    if not sa.inspect(tx).has_table("alembic_version"):
        return None
    revision: str | None = tx.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return revision


def _copy(path: Path, backups: Path, revision: str) -> None:
    """Copy an SQLite database, with what is in its write-ahead log, to a file that is whole."""
    backups.mkdir(parents=True, exist_ok=True, mode=0o700)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    source = sqlite3.connect(path)
    target = sqlite3.connect(backups / f"customhouse-{revision}-{stamp}.sqlite")
    try:
        source.backup(target)
    finally:
        target.close()
        source.close()
    for old in sorted(backups.glob("customhouse-*.sqlite"), key=lambda file: file.stat().st_mtime)[
        :-_KEPT_BACKUPS
    ]:
        old.unlink()
