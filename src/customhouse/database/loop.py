"""The database for an event loop: reads at once, writes together."""

from __future__ import annotations

import asyncio
import queue
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy.exc import DBAPIError

from customhouse.database.engine import Transaction, is_disk_full
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from customhouse.database.engine import Database

P = ParamSpec("P")
R = TypeVar("R")

# How many writes share one commit at most: the bound of how long the first one waits.
_BATCH = 64


class LoopDatabase:
    """Runs reads and writes for one event loop.

    On SQLite a read is a few microseconds and runs on the loop's own thread, each statement
    seeing the newest state. Writes go to one thread that commits those waiting together, so that
    a hundred pushes at once wait for the disk once, not a hundred times. On PostgreSQL both go to
    threads, one transaction each.
    """

    def __init__(self, database: Database, threads: int = 8) -> None:
        self.database = database
        self._reader: Transaction | None = None
        self._writer: _Writer | None = None
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="database")
        if database.is_sqlite:
            self._reader = database.newest.connect()
            self._writer = _Writer(database)

    async def read(
        self, function: Callable[Concatenate[Transaction, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Call `function(tx, ...)`, which runs short, indexed statements and writes nothing."""
        if self._reader is not None:
            return function(self._reader, *args, **kwargs)
        return await self.query(function, *args, **kwargs)

    async def query(
        self, function: Callable[Concatenate[Transaction, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Call `function(tx, ...)` where it may take long, in a transaction that sees one state."""
        call = partial(self.database.read, function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def write(
        self, function: Callable[Concatenate[Transaction, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Call `function(tx, ...)` and commit; when this returns the change is on disk.

        Raises:
            Failure: STORAGE_FULL, or what the function raises; nothing is changed then.
        """
        if self._writer is not None:
            return await asyncio.wrap_future(
                self._writer.submit(lambda tx: function(tx, *args, **kwargs))
            )
        call = partial(self.database.write, function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def close(self) -> None:
        """Finish the writes that wait, then close."""
        if self._writer is not None:
            self._writer.close()
        if self._reader is not None:
            self._reader.close()
        self._threads.shutdown()
        self.database.close()


class _Writer:
    """The one thread that writes, with a savepoint for each write and a commit for many."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queue: queue.SimpleQueue[tuple[Callable[[Transaction], Any], Future[Any]] | None] = (
            queue.SimpleQueue()
        )
        self._thread = threading.Thread(target=self._run, name="database-writer", daemon=True)
        self._thread.start()

    def submit(self, function: Callable[[Transaction], R]) -> Future[R]:
        future: Future[R] = Future()
        self._queue.put((function, future))
        return future

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            item = self._queue.get()
            if item is None:
                return
            batch = [item]
            ends = False
            while len(batch) < _BATCH and not self._queue.empty():
                item = self._queue.get_nowait()
                if item is None:
                    ends = True
                    break
                batch.append(item)
            self._commit(batch)
            if ends:
                return

    def _commit(self, batch: list[tuple[Callable[[Transaction], Any], Future[Any]]]) -> None:
        # What nobody waits for any more is not begun; the rest can no longer be cancelled.
        batch = [item for item in batch if item[1].set_running_or_notify_cancel()]
        done: list[Callable[[], None]] = []
        try:
            with self._database.writers.begin() as tx:
                for function, future in batch:
                    done.append(_attempt(tx, function, future))
        except Exception as error:  # noqa: BLE001  - whatever it is, those who wait are told
            failure: Exception = error
            if isinstance(error, DBAPIError) and is_disk_full(error):
                failure = Failure(Code.STORAGE_FULL)
                failure.__cause__ = error
            for _, future in batch:
                future.set_exception(failure)
            return
        for report in done:
            report()


def _attempt(
    tx: Transaction, function: Callable[[Transaction], R], future: Future[R]
) -> Callable[[], None]:
    """Run one write; what it returned or raised is told after the commit."""
    savepoint = tx.begin_nested()
    try:
        result = function(tx)
    except DBAPIError as error:
        if is_disk_full(error):
            raise
        savepoint.rollback()
        return partial(future.set_exception, error)
    except Exception as error:  # noqa: BLE001  - it belongs to the one who asked for this write
        savepoint.rollback()
        return partial(future.set_exception, error)
    savepoint.commit()
    return partial(future.set_result, result)
