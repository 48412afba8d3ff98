"""The background worker: runs the workflows that events start, and keeps house."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from typing import TYPE_CHECKING, NoReturn

import structlog
from sqlalchemy.exc import DBAPIError

from customhouse.analysis import feed_health, images, updates
from customhouse.analysis.exceptions import table as exceptions
from customhouse.analysis.shelf import sweep
from customhouse.blobstore import FileBlobStore
from customhouse.database import Database, now
from customhouse.errors import Failure
from customhouse.iam import (
    audit,
    failures,
    federation,
    policies,
    projects,
    service_accounts,
    tokens,
)
from customhouse.notifications import deliveries
from customhouse.notifications.delivering import Deliverer
from customhouse.registry import purge
from customhouse.subscriptions import incoming, shelf, subscriptions
from customhouse.workflows.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from customhouse.database import Transaction
    from customhouse.settings import Settings

_log = structlog.get_logger()

_HOUR = 3600
_DAY = 24 * _HOUR * 1_000_000
_STEP = 1000
_FEEDS_SECONDS = 10
# Who asks for the updates that are due.
_SCHEDULER = "customhouse"
# Files of imports that were never asked for, because the server was killed in between.
_KEPT_FEEDS_HOURS = 7 * 24


def work(settings: Settings) -> NoReturn:
    """Work until the process is killed, at any moment: workflows go on at the next start."""
    database = Database(settings.database)
    engine = Engine(database, settings.workflow_database, subscriptions(settings, database))
    threading.Thread(target=_renew_analyses, args=(settings,), daemon=True).start()
    threading.Thread(target=_keep_house, args=(settings,), daemon=True).start()
    threading.Thread(target=_keep_feeds_fresh, args=(settings,), daemon=True).start()
    threading.Thread(target=_deliver, args=(settings,), daemon=True).start()
    engine.run()


def _deliver(settings: Settings) -> None:
    """Send messages to their endpoints. Should that ever end, the whole process starts anew."""
    try:
        asyncio.run(Deliverer(settings.database, settings.notifications).run())
    except Exception:  # noqa: BLE001  - whatever it is, it is logged and begun again
        _log.exception("nothing is delivered any more")
    os._exit(1)


def _renew_analyses(settings: Settings) -> None:
    """Have images read again by the present reader, if an older one read them."""
    database = Database(settings.database)
    digest = database.write(images.renew, "", _STEP)
    while digest:
        digest = database.write(images.renew, digest, _STEP)


def _keep_house(settings: Settings) -> NoReturn:
    """Drop and renew, once an hour, what has had its time."""
    store = FileBlobStore(settings.data)
    database = Database(settings.database)
    tasks: tuple[Callable[[], None], ...] = (
        lambda: _drop_what_is_old(settings, store),
        lambda: _sweep_feeds(settings, database),
        lambda: _forget_what_is_old(settings, database),
        lambda: _renew_signing_key(settings, database),
    )
    while True:
        for task in tasks:
            try:
                task()
            except (OSError, DBAPIError, Failure):
                _log.exception("keeping house failed; it is tried again in an hour")
        time.sleep(_HOUR)


def _keep_feeds_fresh(settings: Settings) -> NoReturn:
    """Ask for the updates of feeds that are due, and tell of those that are too old."""
    database = Database(settings.database)
    place = shelf(settings)
    while True:
        try:
            for feed in database.read(updates.due, place):
                database.write(updates.request, feed, _SCHEDULER)
            feed_health.tell_alarms(database, place.sources)
        except (OSError, DBAPIError, Failure):
            _log.exception("feeds could not be looked after; it is tried again soon")
        time.sleep(_FEEDS_SECONDS)


def _drop_what_is_old(settings: Settings, store: FileBlobStore) -> None:
    today = time.time()
    dropped = store.expire_uploads(today - settings.registry.upload_hours * _HOUR)
    if dropped:
        _log.info("unfinished uploads were dropped", count=dropped)
    folder = incoming(settings)
    if folder.is_dir():
        for path in folder.iterdir():
            if path.stat().st_mtime < today - _KEPT_FEEDS_HOURS * _HOUR:
                path.unlink()


def _sweep_feeds(settings: Settings, database: Database) -> None:
    count = sweep(database, shelf(settings), time.time() - _HOUR)
    if count:
        _log.info("files of feeds that nobody loads were dropped", count=count)


def _forget_what_is_old(settings: Settings, database: Database) -> None:
    moment = now()
    oldest = moment - settings.audit.days * _DAY
    while database.write(audit.prune, oldest, _STEP) == _STEP:
        pass
    while database.write(failures.prune, moment, _STEP) == _STEP:
        pass
    while database.write(federation.purge, _STEP) == _STEP:
        pass
    oldest = moment - settings.notifications.days * _DAY
    while database.write(deliveries.prune, oldest, _STEP) == _STEP:
        pass
    for email in database.write(_purge_accounts):
        _log.info("a service account can no longer be had back", account=email)
    for project in database.read(projects.expired, _STEP):
        database.write(exceptions.forget_project, project)
        while database.write(purge.step, project):
            pass
        _log.info("a deleted project is gone", project=project)


def _purge_accounts(tx: Transaction) -> list[str]:
    gone = service_accounts.purge(tx, _STEP)
    for email in gone:
        policies.forget_member(tx, f"serviceAccount:{email}")
    return gone


def _renew_signing_key(settings: Settings, database: Database) -> None:
    if database.read(tokens.newest_key_at) < now() - settings.iam.signing_key_days * _DAY:
        database.write(tokens.rotate, settings.tokens.refresh_days * 24 * _HOUR)
        _log.info("a new key signs tokens")
