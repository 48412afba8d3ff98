"""Updates of feeds: fetched from their sources, loaded, kept; when they are due; how they go."""

from __future__ import annotations

import random
import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from customhouse.analysis import feed_states
from customhouse.analysis.advisories import ENCODING
from customhouse.analysis.feeds import download, kept
from customhouse.analysis.feeds.download import Limits
from customhouse.analysis.feeds.fetch import fetch
from customhouse.analysis.feeds.kept import Kept
from customhouse.analysis.shelf import Shelf, load, teller
from customhouse.database import lock, now
from customhouse.errors import Code, Failure
from customhouse.events import FeedUpdateAsked
from customhouse.workflows import operations, outbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from customhouse.database import Database, Transaction
    from customhouse.settings import FeedSettings
    from customhouse.workflows.subscription import Step

KIND: Final = "feeds.update"

_SECOND: Final = 1_000_000
_RETRY: Final = 3600.0
_SERIOUS: Final = 3

_log = structlog.get_logger()


def request(
    tx: Transaction, feed: str, principal: str, *, allow_shrink: bool = False
) -> dict[str, Any]:
    """Ask for an update; the feed is then followed.

    Args:
        tx: the transaction.
        feed: the name of a source.
        principal: who asks.
        allow_shrink: whether it may lose any number of its advisories this time.

    Returns:
        The operation: the one that updates the feed already, if one does, or imports it.
    """
    lock(tx, f"feed {feed}")
    running = is_running(tx, feed)
    if running:
        feed_states.begin(tx, feed, running, is_followed=True, moment=now())
        return operations.get(tx, running)
    identifier = operations.new_identifier()
    metadata = {"feed": feed, "allowShrink": allow_shrink, "phase": "WAITING", "read": 0}
    operations.create(tx, identifier, KIND, principal, metadata | {"total": 0})
    feed_states.begin(tx, feed, identifier, is_followed=True, moment=now())
    outbox.append(tx, FeedUpdateAsked(identifier))
    return operations.get(tx, identifier)


def is_running(tx: Transaction, feed: str) -> str:
    """The operation that updates or imports a feed at this moment; empty if there is none."""
    operation = feed_states.get(tx, feed).operation
    with suppress(Failure):  # operations may be removed
        if operation and not operations.get(tx, operation)["done"]:
            return operation
    return ""


def claim(tx: Transaction, feed: str, operation: str) -> None:
    """Let no other operation load a feed before this one has ended, well or badly.

    Raises:
        Failure: FEED_BUSY, if another one does.
    """
    lock(tx, f"feed {feed}")
    if is_running(tx, feed) not in {"", operation}:
        raise Failure(Code.FEED_BUSY, feed=feed)
    feed_states.begin(tx, feed, operation, is_followed=False, moment=now())


def release(tx: Transaction, feed: str, operation: str) -> None:
    """Note that an operation loads a feed no longer, and nothing came of it."""
    if is_running(tx, feed) == operation:
        feed_states.end(tx, feed)


def due(tx: Transaction, shelf: Shelf) -> list[str]:
    """The feeds that are to be updated now."""
    if shelf.settings.offline:
        return []
    known = feed_states.states(tx)
    moment = now()
    found = []
    for source in shelf.sources.values():
        state = known.get(source.name, feed_states.State(source.name))
        is_wanted = state.is_followed or shelf.settings.automatic
        if source.is_on and is_wanted and state.next_at <= moment:
            found.append(source.name)
    return [name for name in found if not is_running(tx, name)]


@dataclass(frozen=True, slots=True)
class Updater:
    """Updates feeds.

    Args:
        database: where to.
        shelf: the sources and what is kept.
    """

    database: Database
    shelf: Shelf

    def run(self, step: Step, operation: str) -> None:
        """The workflow: fetch, load if anything has changed, keep.

        What was loaded and kept before stays until the new files are loaded.
        """
        try:
            if step("fetch", self._fetch, operation):
                response = step("load", self._load, operation)
                step("keep", self._keep, operation, response)
            else:
                step("confirm", self._confirm, operation)
        except Failure as failure:
            # What a mirror has that cannot be loaded will not be better soon.
            is_soon = failure.code is Code.FEED_UNREACHABLE
            step("fail", self._fail, operation, failure.message, is_soon=is_soon)
        except Exception as error:
            # The engine logs it; whoever waits for the update is told as well.
            reason = f"updating failed ({type(error).__name__}); see the server's log"
            step("give up", self._fail, operation, reason)
            raise
        finally:
            step("clean up", self._clean_up, operation)

    def give_up(self, operation: str) -> None:
        """Say that an update ended the worker each time and is tried no more."""
        self._fail(operation, "updating ended its process each time")
        self._clean_up(operation)

    def _fetch(self, operation: str) -> bool:
        """Fetch into a folder of the operation's; whether anything has changed."""
        source = self.shelf.source(self._feed(operation))
        folder = self.shelf.incoming / operation
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        known = kept.read(self.shelf.root, source.name)
        state = self.database.read(feed_states.get, source.name)
        plan = (source.form, source.ecosystem, source.is_whole, ENCODING)
        is_current = (
            known is not None
            and state.data_at > 0
            and plan
            == (
                known.form,
                known.ecosystem,
                known.is_whole,
                known.encoding,
            )
        )
        files = fetch(
            source,
            folder,
            (self.shelf.root / source.name, known) if known and is_current else None,
            limits(self.shelf.settings),
            self._teller(operation, "FETCHING"),
        )
        if files is None:
            return False
        new = Kept(
            name=source.name,
            form=source.form,
            ecosystem=source.ecosystem,
            is_whole=source.is_whole,
            source=download.shown(source.mirrors[0]),
            data_at=now(),
            encoding=ENCODING,
            files=files,
        )
        kept.write_manifest(folder, new)
        return True

    def _load(self, operation: str) -> dict[str, Any]:
        metadata = self.database.read(operations.get, operation)["metadata"]
        return load(
            self.database,
            self.shelf,
            self.shelf.incoming / operation,
            self._teller(operation, "LOADING"),
            allow_shrink=metadata["allowShrink"],
        )

    def _keep(self, operation: str, response: dict[str, Any]) -> None:
        feed = self._feed(operation)
        kept.put(self.shelf.root, feed, self.shelf.incoming / operation)
        self._succeed(operation, feed, response)

    def _confirm(self, operation: str) -> None:
        """Note that what is kept is what the source has at this moment."""
        feed = self._feed(operation)
        known = kept.read(self.shelf.root, feed)
        if known is not None:
            current = msgspec.structs.replace(known, data_at=now())
            kept.write_manifest(self.shelf.root / feed, current)
        self._succeed(operation, feed, {"notModified": True})

    def _succeed(self, operation: str, feed: str, response: dict[str, Any]) -> None:
        known = kept.read(self.shelf.root, feed)
        source = self.shelf.sources.get(feed)
        moment = now()
        next_at = moment + _spread(source.interval if source else _RETRY)
        self.database.write(
            _succeed, operation, feed, known.data_at if known else moment, next_at, response
        )

    def _fail(self, operation: str, message: str, *, is_soon: bool = False) -> None:
        """Note that it failed; it is tried again when it is due, or sooner if that may help."""
        feed = self._feed(operation)
        source = self.shelf.sources.get(feed)
        interval = source.interval if source else _RETRY
        next_at = now() + _spread(min(interval, _RETRY) if is_soon else interval)
        failures = self.database.write(_end_badly, operation, feed, message, next_at)
        tell = _log.error if failures >= _SERIOUS else _log.warning
        tell("a feed could not be updated", feed=feed, failures=failures, reason=message)

    def _clean_up(self, operation: str) -> None:
        shutil.rmtree(self.shelf.incoming / operation, ignore_errors=True)

    def _feed(self, operation: str) -> str:
        return str(self.database.read(operations.get, operation)["metadata"]["feed"])

    def _teller(self, operation: str, phase: str) -> Callable[[int, int], None]:
        return teller(self.database, operation, phase=phase)


def limits(settings: FeedSettings) -> Limits:
    """How much is fetched, and how patiently."""
    return Limits(
        max_bytes=settings.max_bytes,
        seconds=settings.max_seconds,
        pause=settings.pause_seconds,
        attempts=settings.attempts,
        back_off=settings.back_off_seconds,
    )


def _spread(seconds: float) -> int:
    """About so many seconds from now: sources are not to be asked by everybody at once."""
    return int(seconds * random.uniform(0.9, 1.1) * _SECOND)  # noqa: S311  - no secret


def _succeed(
    tx: Transaction,
    operation: str,
    feed: str,
    data_at: int,
    next_at: int,
    response: dict[str, Any],
) -> None:
    if is_running(tx, feed) == operation:  # it is not when this is done again after a crash
        feed_states.succeed(tx, feed, data_at=data_at, next_at=next_at)
    operations.succeed(tx, operation, response)


def _end_badly(tx: Transaction, operation: str, feed: str, message: str, next_at: int) -> int:
    has_it = is_running(tx, feed) == operation
    operations.fail(tx, operation, message)
    if not has_it:
        return feed_states.get(tx, feed).failures
    return feed_states.fail(tx, feed, message, next_at=next_at)
