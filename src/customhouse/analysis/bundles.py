"""Imports of bundles: each feed in one is loaded as a whole and kept, as if it had been fetched."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from customhouse.analysis import feed_states, shelf, updates
from customhouse.analysis.advisories import ENCODING
from customhouse.analysis.feeds import bundle, kept
from customhouse.database import now
from customhouse.errors import Code, Failure
from customhouse.events import FeedBundleUploaded
from customhouse.workflows import operations, outbox

if TYPE_CHECKING:
    from pathlib import Path

    from customhouse.analysis.shelf import Shelf
    from customhouse.database import Database, Transaction
    from customhouse.workflows.subscription import Step

KIND: Final = "feeds.importBundle"


def request(
    tx: Transaction, identifier: str, source: str, principal: str, *, allow_shrink: bool = False
) -> dict[str, Any]:
    """Ask for an import; returns the operation.

    Args:
        tx: the transaction.
        identifier: of the operation; the file handed in has its name.
        source: what the caller calls the file.
        principal: who asks.
        allow_shrink: whether feeds may lose any number of their advisories.
    """
    metadata = {"source": source, "allowShrink": allow_shrink, "feed": "", "read": 0, "total": 0}
    operations.create(tx, identifier, KIND, principal, metadata)
    outbox.append(tx, FeedBundleUploaded(identifier))
    return operations.get(tx, identifier)


@dataclass(frozen=True, slots=True)
class BundleImporter:
    """Loads bundles that were handed in.

    Args:
        database: where to.
        shelf: what is kept.
        folder: where the files handed in are, each named by its operation.
    """

    database: Database
    shelf: Shelf
    folder: Path

    def run(self, step: Step, operation: str) -> None:
        """The workflow: unpack, then load and keep one feed after the other.

        A feed that cannot be loaded is told of, and keeps what it had.
        """
        try:
            names = step("unpack", self._unpack, operation)
            told = [
                step(f"load {number}", self._load, operation, name)
                for number, name in enumerate(names)
            ]
            step("succeed", self._succeed, operation, told)
        except Failure as failure:
            step("fail", self._fail, operation, failure.message)
        except Exception as error:
            # The engine logs it; whoever waits for the import is told as well.
            reason = f"loading failed ({type(error).__name__}); see the server's log"
            step("give up", self._fail, operation, reason)
            raise
        finally:
            step("clean up", self._clean_up, operation)

    def give_up(self, operation: str) -> None:
        """Say that an import ended the worker each time and is tried no more."""
        self._fail(operation, "loading ended its process each time")
        self._clean_up(operation)

    def _unpack(self, operation: str) -> list[str]:
        folder = self.shelf.incoming / operation
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        moment = now()
        feeds = bundle.unpack(self.folder / operation, folder)
        for feed in feeds:
            # Nothing is known of what has not come yet.
            current = msgspec.structs.replace(
                feed, encoding=ENCODING, data_at=max(0, min(feed.data_at, moment))
            )
            kept.write_manifest(folder / feed.name, current)
        return [feed.name for feed in feeds]

    def _load(self, operation: str, name: str) -> dict[str, Any]:
        """Load one feed; what came of it, as the operation tells it."""
        folder = self.shelf.incoming / operation / name
        known = kept.read(folder.parent, name) or kept.read(self.shelf.root, name)
        if known is None:
            return {"name": name, "error": "its files are gone"}
        try:
            self.database.write(_claim, operation, known)
            metadata = self.database.read(operations.get, operation)["metadata"]
            tell = shelf.teller(self.database, operation, feed=name)
            allow_shrink = metadata["allowShrink"]
            if folder.is_dir():
                outcome = shelf.load(
                    self.database,
                    self.shelf,
                    folder,
                    tell,
                    allow_shrink=allow_shrink,
                )
                kept.put(self.shelf.root, name, folder)
            else:
                outcome = {}  # it was kept just before a crash
        except Failure as failure:
            self.database.write(updates.release, name, operation)
            return {"name": name, "error": failure.message}
        self.database.write(_note, known)
        return {"name": name} | outcome

    def _succeed(self, operation: str, told: list[dict[str, Any]]) -> None:
        self.database.write(operations.succeed, operation, {"feeds": told})

    def _fail(self, operation: str, message: str) -> None:
        self.database.write(operations.fail, operation, message)

    def _clean_up(self, operation: str) -> None:
        shutil.rmtree(self.shelf.incoming / operation, ignore_errors=True)
        (self.folder / operation).unlink(missing_ok=True)


def _claim(tx: Transaction, operation: str, known: kept.Kept) -> None:
    """Let no update of the feed begin.

    Raises:
        Failure: FEED_BUSY; FEED_NEWER, if what is here is newer.
    """
    updates.claim(tx, known.name, operation)
    if feed_states.get(tx, known.name).data_at > known.data_at:
        raise Failure(Code.FEED_NEWER, feed=known.name)


def _note(tx: Transaction, known: kept.Kept) -> None:
    feed_states.succeed(tx, known.name, data_at=known.data_at)
