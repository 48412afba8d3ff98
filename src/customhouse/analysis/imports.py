"""Imports of feeds: what was handed in is loaded in small transactions, while pushes go on."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import httpx2

from customhouse.analysis import advisories, findings
from customhouse.analysis.feeds import Advisory, Rejected, documents, parse, survey
from customhouse.errors import Code, Failure
from customhouse.events import AdvisoriesChanged, FeedUploaded
from customhouse.workflows import operations, outbox

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from customhouse.database import Database, Transaction
    from customhouse.workflows.subscription import Step

KIND = "feeds.import"

# A transaction holds up pushes on SQLite for as long as it takes: some tens of milliseconds.
_BATCH_RECORDS = 500
_BATCH_BYTES = 32 * 1024 * 1024
_PROGRESS_RECORDS = 2000

MAX_FEED = 8 * 1024**3
"""The largest feed that is taken, in bytes."""

_PAUSE_SECONDS = 30.0
_DOWNLOAD_SECONDS = 3600.0
_SHOWN_REJECTS = 20


def request(
    tx: Transaction, identifier: str, feed: str, source: str, uri: str, principal: str
) -> dict[str, Any]:
    """Ask for an import; returns the operation.

    Args:
        tx: the transaction.
        identifier: of the operation; the file handed in has its name.
        feed: the name under which the feed is listed.
        source: where it comes from, as the caller says.
        uri: where to fetch it from, or empty when it was handed in.
        principal: who asks.
    """
    metadata = {
        "feed": feed,
        "source": without_secrets(source),
        "uri": uri,
        "total": 0,
        "read": 0,
    }
    operations.create(tx, identifier, KIND, principal, metadata)
    outbox.append(tx, FeedUploaded(identifier))
    return operations.get(tx, identifier)


def without_secrets(uri: str) -> str:
    """An address without what is often secret in it: user, password, query and fragment."""
    parts = urlsplit(uri)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


@dataclass(slots=True)
class _Tally:
    """What came of the records of an import."""

    read: int = 0
    changed: int = 0
    affected: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    rejected: int = 0
    examples: list[dict[str, str]] = field(default_factory=list)

    def reject(self, name: str, reason: str, count: int = 1) -> None:
        self.rejected += count
        if len(self.examples) < _SHOWN_REJECTS:
            self.examples.append({"name": name, "reason": reason})

    def take(self, advisory: Advisory) -> None:
        self.read += 1
        self.affected += len(advisory.affected)
        for omission in advisory.skipped:
            known = self.skipped.get(omission.ecosystem, 0)
            self.skipped[omission.ecosystem] = known + omission.count
        for omission in advisory.rejected:
            reason = f"{omission.reason} ({omission.example})"
            self.reject(f"{advisory.id}, {omission.ecosystem}", reason, omission.count)

    def response(self) -> dict[str, Any]:
        return {
            "advisories": self.read,
            "changed": self.changed,
            "ranges": self.affected,
            "skippedByEcosystem": self.skipped,
            "rejected": self.rejected,
            "rejects": self.examples,
        }


@dataclass(frozen=True, slots=True)
class Importer:
    """Loads what was handed in.

    Args:
        database: where to.
        folder: where the files handed in are, each named by its operation.
        keep: called with feed, source and file of what was loaded, to keep the file.
        is_offline: whether nothing is fetched.
    """

    database: Database
    folder: Path
    keep: Callable[[str, str, Path], None] | None = None
    is_offline: bool = False

    def run(self, step: Step, identifier: str) -> None:
        """The workflow: fetch if need be, load, clean up.

        Loading is one step: begun again it finds what it loaded before to be unchanged.
        """
        try:
            step("fetch", self._fetch, identifier)
            step("load", self._load, identifier)
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
        uri = self.database.read(operations.get, identifier)["metadata"]["uri"]
        if not uri:
            return
        if self.is_offline:
            raise Failure(Code.FEEDS_OFFLINE)
        self.folder.mkdir(exist_ok=True)
        shown = without_secrets(uri)
        try:
            with (
                httpx2.stream(
                    "GET",
                    uri,
                    follow_redirects=True,
                    timeout=_PAUSE_SECONDS,
                    headers={"accept-encoding": "identity"},
                ) as response,
                (self.folder / identifier).open("wb") as file,
            ):
                if not response.is_success:
                    reason = f"{shown} answers {response.status_code}"
                    raise Failure(Code.FEED_INVALID, reason=reason)
                deadline = time.monotonic() + _DOWNLOAD_SECONDS
                for chunk in response.iter_raw():
                    file.write(chunk)
                    if file.tell() > MAX_FEED:
                        reason = f"{shown} is larger than {MAX_FEED >> 30} GiB"
                        raise Failure(Code.FEED_INVALID, reason=reason)
                    if time.monotonic() > deadline:
                        reason = f"{shown} takes longer than {_DOWNLOAD_SECONDS / 60:.0f} minutes"
                        raise Failure(Code.FEED_INVALID, reason=reason)
                file.flush()
                os.fsync(file.fileno())
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            # Their texts may have the address with what is secret in it.
            reason = f"{shown} cannot be fetched ({type(error).__name__})"
            raise Failure(Code.FEED_INVALID, reason=reason) from error

    def _load(self, identifier: str) -> None:
        path = self.folder / identifier
        metadata = self.database.read(operations.get, identifier)["metadata"]
        total = survey(path).total
        self.database.write(operations.progress, identifier, total=total)
        tally = _Tally()
        batch: list[tuple[Advisory, bytes]] = []
        size = told = 0
        for document in documents(path):
            if isinstance(document, Rejected):
                tally.reject(document.name, document.reason)
                continue
            try:
                advisory = parse(document.content)
            except Failure as failure:
                tally.reject(document.name, str(failure.fields["reason"]))
                continue
            tally.take(advisory)
            batch.append((advisory, advisories.fingerprint(document.content)))
            size += len(document.content)
            if len(batch) >= _BATCH_RECORDS or size > _BATCH_BYTES:
                tally.changed += self.database.write(_store, metadata["feed"], batch)
                batch, size = [], 0
            if tally.read - told >= _PROGRESS_RECORDS:
                told = tally.read
                self.database.write(
                    operations.progress, identifier, read=told, total=max(total, told)
                )
        tally.changed += self.database.write(_store, metadata["feed"], batch)
        if not tally.read:
            example = tally.examples[0] if tally.examples else {"reason": "it is empty"}
            raise Failure(Code.FEED_INVALID, reason=f"no record can be read: {example['reason']}")
        self.database.write(_succeed, identifier, metadata, tally)

    def _fail(self, identifier: str, message: str) -> None:
        self.database.write(_end_badly, identifier, message)

    def _clean_up(self, identifier: str) -> None:
        path = self.folder / identifier
        operation = self.database.read(operations.get, identifier)
        if self.keep is not None and "response" in operation and path.exists():
            self.keep(operation["metadata"]["feed"], operation["metadata"]["source"], path)
        path.unlink(missing_ok=True)


def _store(tx: Transaction, feed: str, batch: list[tuple[Advisory, bytes]]) -> int:
    """Store a batch and match what changed in it; returns how many records did."""
    changed = advisories.put(tx, feed, batch)
    findings.match_advisories(tx, changed)
    return len(changed)


def _end_badly(tx: Transaction, identifier: str, message: str) -> None:
    operations.progress(tx, identifier, uri="")
    operations.fail(tx, identifier, message)


def _succeed(tx: Transaction, identifier: str, metadata: dict[str, Any], tally: _Tally) -> None:
    feed, source = metadata["feed"], metadata["source"]
    advisories.note_import(
        tx, feed, source, rejected=tally.rejected, skipped=sum(tally.skipped.values())
    )
    operations.progress(tx, identifier, read=tally.read, total=tally.read, uri="")
    operations.succeed(tx, identifier, tally.response())
    if tally.changed:
        outbox.append(tx, AdvisoriesChanged(feed, tally.changed))
