"""A fleet of 100,000 images and 1,500,000 affected ranges: how fast news reaches all findings.

On SQLite, in one process, as the worker does it.
"""

import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from sqlalchemy import func, insert, select

from benchmarks import fleet
from benchmarks.context import Context
from benchmarks.failure import BenchmarkError
from benchmarks.results import Result, judge
from customhouse.analysis import findings, holders, loading, vulnerabilities, wanted
from customhouse.analysis.advisories import UNMATCHED
from customhouse.analysis.loading import Plan
from customhouse.analysis.vulnerabilities import VULNERABILITY
from customhouse.database import Database, Transaction
from customhouse.database.migrations import migrate

_FEED = "fleet"
_RECORDS, _INVENTORIES, _IMAGES = 500_000, 2_000, 100_000
_PAGE = 100


class Measured(NamedTuple):
    """What was measured.

    Attributes:
        records: records loaded in a second of the processor's time.
        changed: seconds from a file with one changed record to all findings, of each round.
        joined: seconds to join all ranges with all packages again.
        asked: seconds to find a page of the images that hold a package which all have, and to
            count them all.
        size: of the database, in bytes.
    """

    records: float
    changed: list[float]
    joined: float
    asked: float
    size: int


def run(context: Context) -> list[Result]:
    """Make the fleet and its feed, load it, change it."""
    share = context.effort.share
    folder = context.folder / "fleet"
    folder.mkdir()
    feed = folder / "all.zip"
    with context.console.status("fleet: making it") as status:
        context.apart(fleet.write_feed, feed, _RECORDS // share)
        context.apart(prepare, folder, _INVENTORIES // share, _IMAGES // share)
        status.update("fleet: loading and joining")
        measured = context.apart(measure, folder, feed, context.effort.rounds)
    return [
        judge("feed loaded", "records/CPU s", measured.records),
        judge("one changed advisory to all findings", "ms", median(measured.changed) * 1000),
        judge("all ranges joined again", "s", measured.joined),
        judge("question about all images", "ms", measured.asked * 1000),
        judge("database of the fleet", "MB", measured.size / 1_000_000),
    ]


def measure(folder: Path, feed: Path, rounds: int) -> Measured:
    """Load the feed into the database of the folder and measure what follows.

    Raises:
        BenchmarkError: something else was found than there is.
    """
    database = _database(folder)
    try:
        started = time.process_time()
        outcome = loading.load(database, feed, Plan(_FEED), _ignore)
        seconds = time.process_time() - started
        if outcome.rejected or outcome.ranges != fleet.RANGES_A_RECORD * outcome.read:
            raise BenchmarkError(f"the feed was not read: {outcome}")
        changed = [_change(database, folder, number) for number in range(2 * rounds)]
        before = database.read(_count)
        started_again = time.monotonic()
        database.write(_forget)
        loading.match(database, _FEED)
        joined = time.monotonic() - started_again
        if database.read(_count) != before:
            raise BenchmarkError("joined again, the findings are others")
        asked = min(database.read(_ask) for _ in range(rounds))
        size = sum(file.stat().st_size for file in folder.glob("fleet.sqlite*"))
        return Measured(outcome.read / seconds, changed, joined, asked, size)
    finally:
        database.close()


def prepare(folder: Path, inventories: int, count: int) -> None:
    """Make a database with images in a folder; see `fleet.store_images`."""
    database = _database(folder)
    migrate(database, folder / "backups")
    fleet.store_images(database, inventories, count)
    database.close()


def _database(folder: Path) -> Database:
    return Database(f"sqlite:///{folder / 'fleet.sqlite'}")


def _change(database: Database, folder: Path, number: int) -> float:
    """Load a record that says something else each time; seconds until all findings say so too.

    It is alternately about packages that lack the fix and about packages that have it.
    """
    name, content = fleet.changed_record(number)
    path = folder / "changed.json"
    path.write_bytes(content)
    started = time.monotonic()
    loading.load(database, path, Plan(_FEED, is_whole=False), _ignore)
    seconds = time.monotonic() - started
    found = database.read(_count, name)
    if bool(found) is not fleet.is_vulnerable(number):
        raise BenchmarkError(f"{name}: {found} findings")
    return seconds


def _count(tx: Transaction, name: str = "") -> int:
    statement = select(func.count()).select_from(findings.FINDING)
    if name:
        number = vulnerabilities.find(tx, name)
        statement = statement.where(findings.FINDING.c.vulnerability_id == (number or 0))
    return int(tx.execute(statement).scalar_one())


def _ask(tx: Transaction) -> float:
    started = time.monotonic()
    sought = wanted.seek(tx, wanted.parse(package=fleet.common_package()))
    page = holders.page(tx, sought, None, ("", 0), _PAGE)
    tally = holders.tally(tx, sought, None)
    seconds = time.monotonic() - started
    if not 0 < len(page) <= tally.images:
        raise BenchmarkError(f"{len(page)} images are found, {tally.images} counted")
    return seconds


def _forget(tx: Transaction) -> None:
    """Let all vulnerabilities wait to be matched."""
    everything = select(VULNERABILITY.c.id)
    tx.execute(insert(UNMATCHED).from_select(["vulnerability_id"], everything))


def _ignore(_read: int, _total: int) -> None:
    pass
