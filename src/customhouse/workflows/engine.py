"""The engine that runs workflows: DBOS on the database that is there anyway.

A workflow is a plain function. What it does to the world it does in steps, each of which is
recorded when it ends; after a crash the workflow is run again and the recorded steps are not. A
step that was running is repeated, so it must be harmless to repeat.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NoReturn, ParamSpec, TypeVar

import structlog
from dbos import DBOS, SetWorkflowID

from customhouse.workflows import outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dbos import DBOSConfig

    from customhouse.database import Database
    from customhouse.workflows.subscription import Subscription, Workflow

P = ParamSpec("P")
R = TypeVar("R")

_log = structlog.get_logger()

# How soon an event starts its workflows, in seconds.
_POLL = 0.1
# How many events are looked at to find one whose workflow may start.
_WINDOW = 1000
_THREADS = 8
_GIVE_UP_SECONDS = 30.0
_ENDED = frozenset({"SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"})
_ABANDONED = "MAX_RECOVERY_ATTEMPTS_EXCEEDED"


class Engine:
    """Starts workflows for events and runs them, in this process.

    Events wait where they were written until their workflows may start: that is the queue. (The
    engine's own queues are polled, each for itself, and cost some percent of a core at rest.)

    Args:
        database: where the events are.
        workflow_url: the database that runs are recorded in.
        subscriptions: what starts what.
    """

    def __init__(
        self, database: Database, workflow_url: str, subscriptions: Sequence[Subscription]
    ) -> None:
        self._database = database
        self._url = workflow_url
        self._subscriptions = subscriptions
        self._wake = threading.Event()
        self._functions: dict[str, Callable[..., None]] = {}
        self._running: dict[str, set[str]] = {}
        self._workflows = {item.workflow.name: item.workflow for item in subscriptions}

    def run(self) -> NoReturn:
        """Work until the process ends. Workflows that are running then go on at the next start."""
        config: DBOSConfig = {
            "name": "customhouse",
            "system_database_url": self._url,
            # Runs of before an upgrade go on after it: steps keep their names and meaning.
            "application_version": "1",
            "executor_id": "worker",
            "log_level": "ERROR",
            "use_listen_notify": False,
            "notification_listener_polling_interval_sec": 60.0,
            "max_executor_threads": _THREADS,
            "sys_db_pool_size": 4,
        }
        DBOS(config=config)
        for name, workflow in self._workflows.items():
            self._functions[name] = self._register(workflow)
            self._running[name] = set()
        DBOS.launch()
        looked = 0.0
        while True:
            self._wake.clear()
            self._dispatch()
            if time.monotonic() - looked > _GIVE_UP_SECONDS:
                looked = time.monotonic()
                self._give_up()
            self._wake.wait(_POLL)

    def _dispatch(self) -> None:
        """Start the workflows of the events that wait, as many as may run at once.

        The event's number is part of the workflow's identifier, so one whose removal did not come
        to pass starts nothing twice.
        """
        started: list[int] = []
        for stored in self._database.read(outbox.waiting, _WINDOW):
            event = stored.event
            items = [item for item in self._subscriptions if isinstance(event, item.event)]
            if event is None:
                _log.error("an event cannot be read and is left out", number=stored.number)
            if all(self._has_room(item.workflow) for item in items):
                for item in items:
                    if item.is_about is None or item.is_about(event):
                        self._start(item, stored)
                started.append(stored.number)
        if started:
            self._database.write(outbox.remove, started)

    def _has_room(self, workflow: Workflow) -> bool:
        return len(self._running[workflow.name]) < workflow.concurrency

    def _start(self, item: Subscription, stored: outbox.Stored) -> None:
        name = item.workflow.name
        # The time belongs to it: after a restored backup of the rows numbers come again.
        identifier = f"{name}-{stored.number}-{stored.created_at}"
        self._running[name].add(identifier)
        with SetWorkflowID(identifier):
            handle = DBOS.start_workflow(self._functions[name], *item.arguments(stored.event))
        if handle.get_status().status in _ENDED:
            # It had been started and had ended before a crash; nothing runs that would say so.
            self._running[name].discard(identifier)

    def _give_up(self) -> None:
        """Tell of the workflows that ended the worker again and again and are run no more."""
        for status in DBOS.list_workflows(status=_ABANDONED):
            workflow = self._workflows.get(status.name)
            arguments = status.input["args"] if status.input else ()
            _log.error("a workflow is given up", workflow=status.name, arguments=arguments)
            if workflow is not None and workflow.abandoned is not None:
                workflow.abandoned(*arguments)
            DBOS.cancel_workflow(status.workflow_id)

    def _register(self, workflow: Workflow) -> Callable[..., None]:
        def step(name: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
            return DBOS.run_step({"name": name}, function, *args, **kwargs)

        def run(*arguments: object) -> None:
            identifier = str(DBOS.workflow_id)
            self._running[workflow.name].add(identifier)
            try:
                workflow.function(step, *arguments)
            except Exception:
                _log.exception("a workflow failed", workflow=workflow.name, arguments=arguments)
                raise
            finally:
                self._running[workflow.name].discard(identifier)
                self._wake.set()

        return DBOS.workflow(name=workflow.name, max_recovery_attempts=10)(run)
