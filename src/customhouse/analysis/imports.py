"""Imports of feeds: what was handed in is loaded in small transactions, while pushes go on."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from customhouse.analysis import feed_states, loading, updates
from customhouse.analysis.feeds import download
from customhouse.analysis.feeds.download import Downloader, Limits, MirrorError
from customhouse.analysis.loading import Plan
from customhouse.database import now
from customhouse.errors import Code, Failure
from customhouse.events import FeedUploaded
from customhouse.workflows import operations, outbox

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from customhouse.database import Database, Transaction
    from customhouse.workflows.subscription import Step

KIND = "feeds.import"

MAX_FEED = 8 * 1024**3
"""The largest feed that is taken, in bytes."""

_LIMITS = Limits(max_bytes=MAX_FEED, seconds=3600.0, pause=30.0, attempts=1, back_off=0.0)


def request(
    tx: Transaction, identifier: str, plan: Plan, source: str, uri: str, principal: str
) -> dict[str, Any]:
    """Ask for an import; returns the operation.

    Args:
        tx: the transaction.
        identifier: of the operation; the file handed in has its name.
        plan: how to load it.
        source: where it comes from, as the caller says.
        uri: where to fetch it from, or empty when it was handed in.
        principal: who asks.
    """
    metadata = {
        **dataclasses.asdict(plan),
        "source": download.shown(source),
        "_uri": uri,  # it may have a password in it
        "total": 0,
        "read": 0,
    }
    operations.create(tx, identifier, KIND, principal, metadata)
    outbox.append(tx, FeedUploaded(identifier))
    return operations.get(tx, identifier)


@dataclass(frozen=True, slots=True)
class Importer:
    """Loads what was handed in.

    Args:
        database: where to.
        folder: where the files handed in are, each named by its operation.
        keep: called with plan, source and file of what was loaded, to keep the file; called again
            with them after a crash.
        is_offline: whether nothing is fetched.
    """

    database: Database
    folder: Path
    keep: Callable[[Plan, str, Path], None] | None = None
    is_offline: bool = False

    def run(self, step: Step, identifier: str) -> None:
        """The workflow: fetch if need be, load, keep, clean up.

        Loading is one step: begun again it finds what it loaded before to be unchanged. From its
        beginning until the operation has ended nothing else loads the feed.
        """
        try:
            step("fetch", self._fetch, identifier)
            response = step("load", self._load, identifier)
            step("keep", self._keep, identifier, response)
        except Failure as failure:
            step("fail", self._fail, identifier, failure.message)
        except Exception as error:
            # The engine logs it; whoever waits for the import is told as well.
            reason = f"loading failed ({type(error).__name__}); see the server's log"
            step("give up", self._fail, identifier, reason)
            raise
        finally:
            step("clean up", self._clean_up, identifier)

    def give_up(self, identifier: str) -> None:
        """Say that an import ended the worker each time and is tried no more."""
        self._fail(identifier, "loading ended its process each time")
        self._clean_up(identifier)

    def _fetch(self, identifier: str) -> None:
        uri = self.database.read(operations.metadata, identifier)["_uri"]
        if not uri:
            return
        if self.is_offline:
            raise Failure(Code.FEEDS_OFFLINE)
        self.folder.mkdir(exist_ok=True)
        with download.client(_LIMITS) as client:
            downloader = Downloader(client, _LIMITS, lambda _came, _total: None)
            try:
                downloader.get(uri, self.folder / identifier, identifier)
            except MirrorError as error:
                reason = f"{download.shown(uri)} cannot be fetched: {error}"
                raise Failure(Code.FEED_INVALID, reason=reason) from None

    def _load(self, identifier: str) -> dict[str, Any]:
        metadata = self.database.read(operations.get, identifier)["metadata"]
        plan = _plan(metadata)
        self.database.write(updates.claim, plan.feed, identifier)

        def progress(read: int, total: int) -> None:
            self.database.write(operations.progress, identifier, read=read, total=total)

        outcome = loading.load(self.database, self.folder / identifier, plan, progress)
        loading.conclude(self.database, plan.feed, metadata["source"], outcome)
        return outcome.to_json()

    def _keep(self, identifier: str, response: dict[str, Any]) -> None:
        metadata = self.database.read(operations.get, identifier)["metadata"]
        plan = _plan(metadata)
        if self.keep is not None:
            self.keep(plan, metadata["source"], self.folder / identifier)
        self.database.write(_succeed, identifier, plan.feed, response)

    def _fail(self, identifier: str, message: str) -> None:
        self.database.write(_end_badly, identifier, message)

    def _clean_up(self, identifier: str) -> None:
        (self.folder / identifier).unlink(missing_ok=True)


def _plan(metadata: dict[str, Any]) -> Plan:
    return Plan(**{each.name: metadata[each.name] for each in dataclasses.fields(Plan)})


def _end_badly(tx: Transaction, identifier: str, message: str) -> None:
    updates.release(tx, operations.metadata(tx, identifier)["feed"], identifier)
    operations.progress(tx, identifier, _uri="")
    operations.fail(tx, identifier, message)


def _succeed(tx: Transaction, identifier: str, feed: str, response: dict[str, Any]) -> None:
    if updates.is_running(tx, feed) == identifier:  # it is not when this is done again
        feed_states.succeed(tx, feed, data_at=now())
    read = response["advisories"]
    operations.progress(tx, identifier, read=read, total=read, _uri="")
    operations.succeed(tx, identifier, response)
