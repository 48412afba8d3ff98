"""The engine that runs workflows: DBOS on the database that is there anyway.

A workflow is a plain function. What it does to the world it does in steps, each of which is
recorded when it ends; after a crash the workflow is run again and the recorded steps are not. A
step that was running is repeated, so it must be harmless to repeat.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import structlog
from dbos import DBOS, SetWorkflowID

from customhouse.workflows import outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dbos import DBOSConfig, Queue

    from customhouse.database import Database
    from customhouse.workflows.subscription import Subscription, Workflow

P = ParamSpec("P")
R = TypeVar("R")

_log = structlog.get_logger()

# How soon an event starts its workflows, and a queue is looked at again, in seconds.
_POLL = 0.1
_EVENTS_AT_ONCE = 100


class Engine:
    """Starts workflows for events and runs them, in this process.

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
        self._stop = threading.Event()
        self._functions: dict[str, Callable[..., None]] = {}
        self._queues: dict[str, Queue] = {}

    def run(self) -> None:
        """Work until `stop` is called from another thread or a signal handler.

        Workflows that are running then are not waited for: they go on at the next start.
        """
        config: DBOSConfig = {
            "name": "customhouse",
            "system_database_url": self._url,
            # Runs of before an upgrade go on after it: steps keep their names and meaning.
            "application_version": "1",
            "executor_id": "worker",
            "log_level": "ERROR",
            "use_listen_notify": False,
            "notification_listener_polling_interval_sec": 1.0,
            "max_executor_threads": 8,
            "sys_db_pool_size": 4,
        }
        DBOS(config=config)
        workflows = {item.workflow.name: item.workflow for item in self._subscriptions}
        for name, workflow in workflows.items():
            self._functions[name] = _register(workflow)
        DBOS.launch()
        for name, workflow in workflows.items():
            self._queues[name] = DBOS.register_queue(
                name,
                worker_concurrency=workflow.concurrency,
                polling_interval_sec=_POLL,
                on_conflict="always_update",
            )
        while not self._stop.wait(_POLL):
            self._dispatch()

    def stop(self) -> None:
        """Let `run` return."""
        self._stop.set()

    def _dispatch(self) -> None:
        """Start the workflows of the events that wait.

        The event's number is part of the workflow's identifier, so one whose removal did not come
        to pass starts nothing twice.
        """
        waiting = self._database.read(outbox.waiting, _EVENTS_AT_ONCE)
        for number, event in waiting:
            for item in self._subscriptions:
                if isinstance(event, item.event):
                    name = item.workflow.name
                    with SetWorkflowID(f"{name}-{number}"):
                        self._queues[name].enqueue(self._functions[name], *item.arguments(event))
        if waiting:
            self._database.write(outbox.remove, [number for number, _ in waiting])


def _register(workflow: Workflow) -> Callable[..., None]:
    def step(name: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return DBOS.run_step({"name": name}, function, *args, **kwargs)

    def run(*arguments: object) -> None:
        try:
            workflow.function(step, *arguments)
        except Exception:
            _log.exception("a workflow failed", workflow=workflow.name, arguments=arguments)
            raise

    return DBOS.workflow(name=workflow.name, max_recovery_attempts=10)(run)
