"""A project on each engine, a receiver, and the loop that delivers."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from customhouse.database import now
from customhouse.iam import projects
from customhouse.notifications import claims, deliveries, subscriptions
from customhouse.notifications.delivering import Deliverer
from customhouse.notifications.publishing import publish
from customhouse.notifications.subscriptions import SECOND, Subscription
from customhouse.notifications.topics import FINDINGS
from customhouse.settings import NotificationSettings
from tests.contract.engines import ENGINES
from tests.faults.processes import wait_until
from tests.notifications.receiver import Receiver, receiving
from tests.support.databases import with_all_tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from customhouse.database import Database
    from customhouse.notifications.claims import Claimed
    from customhouse.notifications.deliveries import Delivery

PROJECT = "acme"
IMAGE = f"registry.example.com/{PROJECT}/web@sha256:{'a' * 64}"
DATA = {
    "image": IMAGE,
    "tags": ["1.0"],
    "reason": {"kind": "FEED", "feed": "debian"},
    "changes": [
        {
            "change": "NEW",
            "vulnerability": "CVE-2024-1",
            "aliases": ["DSA-1"],
            "package": "openssl",
            "version": "3.0.11-1",
            "severity": "HIGH",
            "fixedVersion": "3.0.12-1",
        }
    ],
}


@pytest.fixture(params=ENGINES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database of each engine in turn, with a project."""
    made = with_all_tables(request, request.param, tmp_path)
    made.write(projects.create, PROJECT, "user:ana")
    yield made
    made.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on loopback."""
    with receiving() as running:
        yield running


@dataclass(frozen=True, slots=True)
class Post:
    """The topic `findings` of a project: subscribe, publish, deliver, look."""

    database: Database
    project: str = PROJECT

    def subscribe(self, url: str, name: str = "sub", **more: Any) -> tuple[Subscription, str]:
        """A subscription that is tried again after a tenth of a second, and its secret."""
        wanted = Subscription(self.project, name, FINDINGS.id, url, min_backoff=SECOND // 10)
        secret = self.database.write(subscriptions.create, replace(wanted, **more))
        return self.get(name), secret

    def get(self, name: str = "sub") -> Subscription:
        """A subscription as it is."""
        return self.database.read(subscriptions.get, self.project, name)

    def publish(self, count: int = 1, /, **attributes: str) -> None:
        """Publish messages, each in a transaction of its own."""
        for _ in range(count):
            self.database.write(
                publish, FINDINGS.id, self.project, FINDINGS.type, IMAGE, DATA, attributes
            )

    def replay(self, after: int = 0, count: int = 10, **wanted: Any) -> tuple[int, int]:
        """Have messages sent again."""
        number = self.get().id
        return self.database.write(lambda tx: deliveries.replay(tx, number, after, count, **wanted))

    def claim(self, seconds: float) -> list[Claimed]:
        """Take what is due for so long."""
        wanted, lease = [(self.get().id, 8)], int(seconds * SECOND)
        return self.database.write(claims.claim, wanted, now(), lease)

    def deliveries(self, name: str = "sub", state: str = "") -> list[Delivery]:
        """What is and was to be delivered."""
        return self.database.read(deliveries.page, self.get(name).id, 0, 1000, state)

    def wait_for(self, state: str, count: int = 1, name: str = "sub") -> list[Delivery]:
        """Wait until so many deliveries are in a state."""
        wait_until(lambda: len(self.deliveries(name, state)) == count, 15, f"{count} times {state}")
        return self.deliveries(name, state)


@pytest.fixture
def post(database: Database) -> Post:
    """The project's topic."""
    return Post(database)


@contextmanager
def delivering(database: Database, **settings: Any) -> Iterator[None]:
    """The loop that delivers, in a thread, as the worker runs it."""
    deliverer = Deliverer(
        database.url.render_as_string(hide_password=False),
        NotificationSettings(timeout_seconds=2.0).model_copy(update=settings),
    )
    loop = asyncio.new_event_loop()
    task = loop.create_task(deliverer.run())

    def run() -> None:
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        if thread.is_alive():
            loop.call_soon_threadsafe(task.cancel)
        thread.join()
