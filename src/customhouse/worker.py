"""The background worker: runs the workflows that events start, and keeps house."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

import structlog

from customhouse.application import incoming, subscriptions
from customhouse.blobstore import FileBlobStore
from customhouse.database import Database
from customhouse.workflows.engine import Engine

if TYPE_CHECKING:
    from customhouse.settings import Settings

_log = structlog.get_logger()

_HOUR = 3600
# Files of imports that were never asked for, because the server was killed in between.
_KEPT_FEEDS_HOURS = 7 * 24


def work(settings: Settings) -> None:
    """Work until SIGTERM, then end the process."""
    database = Database(settings.database)
    engine = Engine(database, settings.workflow_database, subscriptions(settings, database))
    stopping = threading.Event()

    def stop(*_: object) -> None:
        stopping.set()
        engine.stop()

    signal.signal(signal.SIGTERM, stop)
    house = threading.Thread(target=_keep_house, args=(settings, stopping), daemon=True)
    house.start()
    engine.run()
    # Not through the interpreter's end: that would wait for the engine's threads, which sleep for
    # seconds, and for workflows, which go on at the next start.
    sys.stderr.flush()
    os._exit(0)


def _keep_house(settings: Settings, stopping: threading.Event) -> None:
    """Drop, once an hour, what nobody goes on with."""
    store = FileBlobStore(settings.data)
    while not stopping.is_set():
        try:
            _drop_what_is_old(settings, store)
        except OSError:
            _log.exception("old files cannot be dropped")
        stopping.wait(_HOUR)


def _drop_what_is_old(settings: Settings, store: FileBlobStore) -> None:
    now = time.time()
    dropped = store.expire_uploads(now - settings.registry.upload_hours * _HOUR)
    if dropped:
        _log.info("unfinished uploads were dropped", count=dropped)
    folder = incoming(settings)
    if folder.is_dir():
        for path in folder.iterdir():
            if path.stat().st_mtime < now - _KEPT_FEEDS_HOURS * _HOUR:
                path.unlink()
