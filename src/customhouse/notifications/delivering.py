"""The loop that sends what is due: many at once, few to each endpoint, one to one that fails.

No project has more under way than there is room left for others: n projects whose endpoints are
all slow have each one of n + 1 equal parts, and what is due to a further one begins at once.

Any number of these loops, in one process or in several, may work on one database.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import structlog
from sqlalchemy.exc import DBAPIError

from customhouse import __version__
from customhouse.database import Database, LoopDatabase, now
from customhouse.errors import Failure
from customhouse.notifications import claims, deliveries, envelopes, signing, subscriptions, topics
from customhouse.notifications.sending import Answer, Sender
from customhouse.notifications.subscriptions import SECOND

if TYPE_CHECKING:
    from customhouse.database import Transaction
    from customhouse.notifications.claims import Claimed
    from customhouse.notifications.subscriptions import Subscription
    from customhouse.settings import NotificationSettings

T = TypeVar("T")

_log = structlog.get_logger()

# How soon a message is seen that another process published, in seconds. To look costs some
# microseconds; see `claims.any_due`.
_POLL = 0.25
_AT_ONCE = 128
_TO_ONE_ENDPOINT = 8
# Each wait is so many times as long as the one before: 10 attempts from 10 s on take 22 hours.
_FACTOR = 4
_JITTER = 0.2
_RETRY_SECONDS = 1.0
_SHORTEST_WAIT = SECOND // 10

_GONE = 410
_BUSY = frozenset({429, 503})


class Deliverer:
    """Sends what is due.

    Args:
        url: the database's.
        settings: how long a request may take, and where to.
    """

    def __init__(self, url: str, settings: NotificationSettings) -> None:
        self._url = url
        self._settings = settings
        # An answer can be noted for as long again as a request may take.
        self._lease = int(2 * settings.timeout_seconds * SECOND)
        self._running: set[asyncio.Task[None]] = set()
        self._busy: Counter[int] = Counter()
        self._of_project: Counter[str] = Counter()
        self._failing: set[int] = set()
        self._freed = asyncio.Event()

    async def run(self) -> None:
        """Send until the task is cancelled, or the process ends, at any moment."""
        database = LoopDatabase(Database(self._url))
        sender = Sender(
            allow_private=self._settings.allow_private, seconds=self._settings.timeout_seconds
        )
        try:
            while True:
                self._freed.clear()
                pause = _POLL
                try:
                    await self._start_due(database, sender)
                except (DBAPIError, Failure):
                    _log.exception("what is to be delivered cannot be read")
                    pause = _RETRY_SECONDS
                with suppress(TimeoutError):
                    # `wait_for` of Python 3.11 loses a cancellation that comes with what it awaits.
                    async with asyncio.timeout(pause):
                        await self._freed.wait()
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
            database.close()

    async def _start_due(self, database: LoopDatabase, sender: Sender) -> None:
        moment = now()
        if not await database.read(claims.any_due, moment):
            return
        wanted = self._room(await database.read(claims.due, moment))
        if not wanted:
            return
        claimed = await database.write(claims.claim, wanted, moment, self._lease)
        for one in claimed:
            self._busy[one.subscription.id] += 1
            self._of_project[one.subscription.project] += 1
            task = asyncio.create_task(self._deliver(database, sender, one))
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # A mistake of this program: the delivery is claimed again, the others go on.
            _log.error("a delivery failed", exc_info=error)

    def _room(self, due: list[tuple[int, str]]) -> list[tuple[int, int]]:
        """How many deliveries of each subscription may begin."""
        wanted: list[tuple[int, int]] = []
        free = _AT_ONCE - len(self._running)
        running = self._of_project.copy()
        for number, project in due:
            most = 1 if number in self._failing else _TO_ONE_ENDPOINT
            # So many that the project has not more than are left, or one more.
            share = (free - running[project] + 1) // 2
            count = min(most - self._busy[number], share)
            if count > 0:
                wanted.append((number, count))
                running[project] += count
                free -= count
        return wanted

    async def _deliver(self, database: LoopDatabase, sender: Sender, claimed: Claimed) -> None:
        number = claimed.subscription.id
        try:
            answer = await self._send(sender, claimed)
            if _is_taken(answer):
                self._failing.discard(number)
            else:
                self._failing.add(number)
            await database.write(_note, claimed, answer)
        except (DBAPIError, Failure):
            # It is sent again when the claim ends.
            name = claimed.subscription.full_name
            _log.exception("a delivery cannot be noted", subscription=name)
        finally:
            _count_down(self._busy, number)
            _count_down(self._of_project, claimed.subscription.project)
            self._freed.set()

    async def _send(self, sender: Sender, claimed: Claimed) -> Answer:
        message, subscription = claimed.delivery.message, claimed.subscription
        headers, body = envelopes.envelope(message, subscription)
        timestamp = int(time.time())
        headers += signing.sign(claimed.keys, message.identifier, timestamp, body)
        headers.append(("user-agent", f"customhouse/{__version__}"))
        return await sender.post(subscription.endpoint, headers, body)


def backoff(subscription: Subscription, attempts: int) -> int:
    """Microseconds to wait after a number of attempts, without jitter."""
    wait = max(subscription.min_backoff, _SHORTEST_WAIT)
    for _ in range(attempts - 1):
        wait *= _FACTOR
        if wait >= subscription.max_backoff:
            break
    return max(min(wait, subscription.max_backoff), _SHORTEST_WAIT)


def _count_down(counter: Counter[T], key: T) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]


def _is_taken(answer: Answer) -> bool:
    return 200 <= answer.status < 300


def _note(tx: Transaction, claimed: Claimed, answer: Answer) -> None:
    """Note what was answered, and decide what follows from it."""
    delivery, subscription = claimed.delivery, claimed.subscription
    status, text = answer.status, answer.text
    is_ping = delivery.message.type == topics.PING
    most = 1 if is_ping else subscription.max_attempts
    if _is_taken(answer):
        claims.note(tx, delivery, deliveries.DELIVERED, None, status, text)
        return
    if status == _GONE and not is_ping:
        if claims.note(tx, delivery, deliveries.PENDING, now(), status, text):
            subscriptions.pause(tx, subscription.id, "the endpoint answered 410 Gone")
            _log.warning("a subscription is paused", subscription=subscription.full_name)
        return
    if delivery.attempts >= most:
        if claims.note(tx, delivery, deliveries.DEAD, None, status, text) and not is_ping:
            _log.warning(
                "a message is a dead letter",
                subscription=subscription.full_name,
                message=delivery.message.identifier,
                status=status,
            )
        return
    wait = int(backoff(subscription, delivery.attempts) * random.uniform(1, 1 + _JITTER))  # noqa: S311  - no secret
    if status in _BUSY:
        wait = max(wait, answer.wait * SECOND)
    claims.note(tx, delivery, deliveries.PENDING, now() + wait, status, text)
