"""Engines and transactions, for threads. `loop` has the form for an event loop."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, OperationalError

from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine.interfaces import DBAPIConnection

Transaction = sa.Connection

P = ParamSpec("P")
R = TypeVar("R")

_BUSY_SECONDS = 30
_CACHE = 2 << 20  # bytes a connection
_WRITER_CACHE = 32 << 20  # each insert goes to some place in each index
_ATTEMPTS = 5
# PostgreSQL: serialization_failure, deadlock_detected.
_RETRIED = {"40001", "40P01"}


class Database:
    """A database: SQLite in WAL mode, or PostgreSQL.

    Args:
        url: `sqlite:////path/file.sqlite` or `postgresql+psycopg://user:password@host/name`.
        pool_size: how many connections PostgreSQL keeps open.
    """

    def __init__(self, url: str, pool_size: int = 4) -> None:
        self.url = sa.make_url(url)
        if self.is_sqlite:
            self.readers = _sqlite_engine(self.url, "BEGIN")
            self.writers = _sqlite_engine(self.url, "BEGIN IMMEDIATE", _WRITER_CACHE)
            self.newest = _sqlite_engine(self.url, None)
        else:
            self.writers = sa.create_engine(
                self.url,
                pool_size=pool_size,
                max_overflow=pool_size,
                pool_pre_ping=True,
                hide_parameters=True,
            )
            # The same connections. By default each statement would see another state.
            self.readers = self.newest = self.writers.execution_options(
                isolation_level="REPEATABLE READ"
            )

    @property
    def is_sqlite(self) -> bool:
        """Whether one machine holds everything."""
        return self.url.get_backend_name() == "sqlite"

    def read(
        self, function: Callable[Concatenate[Transaction, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Call `function(tx, ...)` in a transaction that sees one state and changes nothing."""
        with self.readers.connect() as tx:
            return function(tx, *args, **kwargs)

    def write(
        self, function: Callable[Concatenate[Transaction, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Call `function(tx, ...)` and commit; when this returns the change is on disk.

        The function may be called again when the engine asks for that (a deadlock), so it does
        nothing but read and write rows.

        Raises:
            Failure: STORAGE_FULL, or what the function raises; nothing is changed then.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with self.writers.begin() as tx:
                    return function(tx, *args, **kwargs)
            except DBAPIError as error:
                if is_disk_full(error):
                    raise Failure(Code.STORAGE_FULL) from error
                if attempt == _ATTEMPTS or getattr(error.orig, "sqlstate", "") not in _RETRIED:
                    raise
                time.sleep(0.01 * 2**attempt)
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close every connection."""
        for engine in (self.readers, self.writers, self.newest):
            engine.dispose()


def is_disk_full(error: DBAPIError) -> bool:
    """Whether the engine could not write for want of space."""
    if not isinstance(error, OperationalError):
        return False
    code = getattr(error.orig, "sqlite_errorname", "")
    return code == "SQLITE_FULL" or getattr(error.orig, "sqlstate", "") == "53100"


def _sqlite_engine(url: sa.URL, begin: str | None, cache: int = _CACHE) -> sa.Engine:
    # The driver's own transaction control is off: it begins late and never IMMEDIATE, and a
    # transaction that turns from reading to writing half-way fails instead of waiting.
    engine = sa.create_engine(
        url, hide_parameters=True, connect_args={"isolation_level": None, "timeout": _BUSY_SECONDS}
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA temp_store=MEMORY")
        cursor.execute(f"PRAGMA cache_size=-{cache >> 10}")
        cursor.execute("PRAGMA journal_size_limit=67108864")
        cursor.close()

    @event.listens_for(engine, "begin")
    def start(connection: sa.Connection) -> None:
        # Without a BEGIN each statement is a transaction of its own and sees the newest state.
        if begin is not None:
            connection.exec_driver_sql(begin)

    return engine
