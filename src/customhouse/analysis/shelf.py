"""What is kept of feeds: loading it, and knowing where it came from."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from customhouse.analysis import loading
from customhouse.analysis.advisories import ENCODING
from customhouse.analysis.feeds import kept
from customhouse.analysis.feeds.forms import Form
from customhouse.analysis.feeds.kept import Kept
from customhouse.analysis.feeds.sources import Source, configured, file_name
from customhouse.analysis.loading import Plan
from customhouse.database import now
from customhouse.errors import Code, Failure
from customhouse.workflows import operations

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from customhouse.database import Database, Transaction
    from customhouse.settings import FeedSettings

_TOLD_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where feeds come from and where their files are kept.

    Args:
        settings: of feeds.
        root: the folder of what is kept, one below the data folder.

    Raises:
        Failure: SETTINGS_INVALID.
    """

    settings: FeedSettings
    root: Path
    sources: dict[str, Source] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", configured(self.settings))

    @property
    def incoming(self) -> Path:
        """The folder of what is being fetched, one below it for each operation."""
        return self.root / ".incoming"

    def source(self, name: str) -> Source:
        """A source that may be fetched.

        Raises:
            Failure: FEED_UNKNOWN, FEED_OFF, FEEDS_OFFLINE.
        """
        source = self.sources.get(name)
        if source is None:
            raise Failure(Code.FEED_UNKNOWN, feed=name[:100])
        if not source.is_on:
            raise Failure(Code.FEED_OFF, feed=name)
        if self.settings.offline:
            raise Failure(Code.FEEDS_OFFLINE)
        return source


def load(
    database: Database,
    shelf: Shelf,
    folder: Path,
    progress: Callable[[int, int], None],
    *,
    allow_shrink: bool,
) -> dict[str, Any]:
    """Load what a folder has of a feed, and tell of it.

    Args:
        database: where to.
        shelf: for the settings.
        folder: files and manifest.
        progress: told how many records were read of how many.
        allow_shrink: whether the feed may lose any number of its advisories.

    Returns:
        What came of it, as operations tell it.

    Raises:
        Failure: FEED_INVALID, FEED_SHRUNK.
    """
    known = kept.read(folder.parent, folder.name)
    if known is None:
        raise Failure(Code.FEED_INVALID, reason="its files are gone")
    if known.form and known.form not in {form.value for form in Form}:
        raise Failure(Code.FEED_INVALID, reason="it is written in what this server does not know")
    plan = Plan(
        known.name,
        form=known.form,
        is_whole=known.is_whole,
        max_shrink=1.0 if allow_shrink else shelf.settings.max_shrink,
        ecosystem=known.ecosystem,
    )
    outcome = loading.load(database, kept.content(folder), plan, progress)
    loading.conclude(database, known.name, known.source, outcome)
    return outcome.to_json()


def adopt(shelf: Shelf, plan: Plan, source: str, path: Path) -> None:
    """Keep a file that was handed in and loaded, so that it can be exported.

    It is harmless to do it again after a crash at any moment.

    Args:
        shelf: where to keep it.
        plan: by which it was loaded.
        source: where it came from, as the caller said.
        path: of the file, named by its operation; it is gone afterwards.
    """
    folder = shelf.incoming / path.name
    if path.exists():
        path.rename(kept.place(folder, file_name(source)))
    if folder.is_dir():
        target = kept.content(folder)
        new = Kept(
            name=plan.feed,
            form=plan.form,
            ecosystem=plan.ecosystem,
            is_whole=plan.is_whole,
            source=source,
            data_at=now(),
            encoding=ENCODING,
            files=(kept.describe(target, target.name),),
        )
        kept.write_manifest(folder, new)
    kept.put(shelf.root, plan.feed, folder)


def sweep(database: Database, shelf: Shelf, before: float) -> int:
    """Remove files of operations that have ended, which crashes may have left; returns of how many.

    Args:
        database: where the operations are.
        shelf: where the files are.
        before: seconds since 1970; what was made later is left alone.
    """
    count = 0
    for folder in shelf.incoming.iterdir() if shelf.incoming.is_dir() else ():
        if folder.stat().st_mtime < before and database.read(_has_ended, folder.name):
            shutil.rmtree(folder, ignore_errors=True)
            count += 1
    return count


def _has_ended(tx: Transaction, operation: str) -> bool:
    try:
        return bool(operations.get(tx, operation)["done"])
    except Failure:  # operations may be removed
        return True


def teller(database: Database, operation: str, **more: object) -> Callable[[int, int], None]:
    """A function that notes how far an operation is, not more often than anybody looks."""
    told = 0.0

    def tell(read: int, total: int) -> None:
        nonlocal told
        moment = time.monotonic()
        if moment - told > _TOLD_SECONDS:
            told = moment
            database.write(operations.progress, operation, read=read, total=total, **more)

    return tell
