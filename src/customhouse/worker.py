"""The background worker: runs the workflows that events start."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from customhouse.application import subscriptions
from customhouse.database import Database
from customhouse.workflows.engine import Engine

if TYPE_CHECKING:
    from customhouse.settings import Settings


def work(settings: Settings) -> None:
    """Work until SIGTERM."""
    database = Database(settings.database)
    engine = Engine(database, settings.workflow_database, subscriptions(settings, database))
    signal.signal(signal.SIGTERM, lambda *_: engine.stop())
    engine.run()
    database.close()
