"""Imports by hand: alone with their feed, and harmless to begin again."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from customhouse.analysis import advisories, feed_states, imports, updates
from customhouse.analysis.feeds import kept
from customhouse.analysis.imports import Importer
from customhouse.analysis.loading import Plan
from customhouse.analysis.shelf import Shelf, adopt, sweep
from customhouse.analysis.updates import Updater
from customhouse.settings import FeedSettings
from customhouse.workflows import operations
from tests.analysis.stored import advisory, affects

if TYPE_CHECKING:
    from pathlib import Path

    from customhouse.database import Database

FEED = "osv-debian"


@dataclass
class Place:
    """An importer with one file handed in, called `one`."""

    database: Database
    folder: Path
    shelf: Shelf

    def ask(self, name: str = "one") -> None:
        """Hand in a record and ask for its import."""
        self.folder.mkdir(exist_ok=True)
        self.folder.joinpath(name).write_bytes(
            advisory("DSA-1", affects("sed", {"introduced": "0"}))
        )
        self.database.write(imports.request, name, Plan(FEED), "a.json", "", "user:ana")

    def run(self, keep: Any = None) -> dict[str, Any]:
        """Import it; what the operation tells then."""
        importer = Importer(self.database, self.folder, keep or partial(adopt, self.shelf))
        importer.run(at_once, "one")
        return self.operation()

    def operation(self, name: str = "one") -> dict[str, Any]:
        """What the operation tells."""
        return self.database.read(operations.get, name)

    def running(self) -> str:
        """The operation that has the feed."""
        return self.database.read(updates.is_running, FEED)

    def records(self) -> int:
        """How many records of the feed are loaded."""
        return len(self.database.read(advisories.known, FEED))


def at_once(_name: str, function: Any, /, *args: Any, **kwargs: Any) -> Any:
    """A step that is taken and not kept."""
    return function(*args, **kwargs)


@pytest.fixture
def place(database: Database, tmp_path: Path) -> Place:
    """An importer of which nothing was asked."""
    shelf = Shelf(FeedSettings(), tmp_path / "feeds")
    return Place(database, tmp_path / "incoming", shelf)


def test_what_an_update_has_is_not_imported(place: Place) -> None:
    update = place.database.write(updates.request, FEED, "user:ana")
    name = update["name"].removeprefix("operations/")
    place.ask()

    assert place.run()["error"]["message"] == f"feed {FEED} is being updated"
    assert place.records() == 0
    assert place.running() == name

    place.database.write(operations.fail, name, "the mirror is away")
    place.ask("two")
    Importer(place.database, place.folder).run(at_once, "two")
    assert place.operation("two")["response"]["advisories"] == 1


def test_what_an_import_has_is_updated_later(place: Place) -> None:
    place.ask()
    seen = []

    def keep(plan: Plan, source: str, path: Path) -> None:
        assert place.records() == 1
        seen.append(place.running())
        seen.append(place.database.write(updates.request, FEED, "user:ana")["name"])
        assert place.database.read(updates.due, place.shelf) == []
        adopt(place.shelf, plan, source, path)

    assert place.run(keep)["response"]["changed"] == 1
    assert seen == ["one", "operations/one"]
    assert place.running() == ""
    assert place.database.read(updates.due, place.shelf) == [FEED]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_it_is_begun_again_after_a_crash(place: Place, moment: str) -> None:
    place.ask()
    importer = Importer(place.database, place.folder)
    response = importer._load("one")
    assert place.running() == "one"
    if moment == "after":
        adopt(place.shelf, Plan(FEED), "a.json", place.folder / "one")
    keep = partial(adopt, place.shelf)
    again = Importer(place.database, place.folder, keep)
    again._keep("one", response)
    assert place.operation()["response"]["advisories"] == 1
    assert place.running() == ""

    # What is repeated once more takes the feed from nobody.
    place.database.write(updates.request, FEED, "user:ana")
    update = place.running()
    again._keep("one", response)
    assert place.running() == update != ""
    known = kept.read(place.shelf.root, FEED)
    assert known is not None
    assert [file.name for file in known.files] == ["a.json"]
    assert list(place.shelf.incoming.iterdir()) == []


def test_an_update_that_is_noted_again_takes_the_feed_from_nobody(place: Place) -> None:
    place.database.write(updates.request, FEED, "user:ana")
    update = place.running()
    updater = Updater(place.database, place.shelf)
    updater._succeed(update, FEED, {})
    place.ask()
    place.database.write(updates.claim, FEED, "one")
    updater._succeed(update, FEED, {})
    assert place.running() == "one"
    updater._fail(update, "again")
    assert place.running() == "one"
    assert place.database.read(feed_states.get, FEED).failures == 0


def test_what_a_crash_has_left_is_swept_up(place: Place) -> None:
    for name in ("one", "two", "three", "unknown"):
        if name != "unknown":
            place.ask(name)
        place.shelf.incoming.joinpath(name).mkdir(parents=True)
        place.shelf.incoming.joinpath(name, "file").touch()
        os.utime(place.shelf.incoming / name, (1000, 1000 if name != "three" else 3000))
    for name in ("one", "three"):
        place.database.write(operations.fail, name, "it ended")
    assert sweep(place.database, place.shelf, 2000) == 2
    assert {path.name for path in place.shelf.incoming.iterdir()} == {"two", "three"}
    assert sweep(place.database, Shelf(FeedSettings(), place.folder / "none"), 2000) == 0


def test_what_is_given_up_has_the_feed_no_longer(place: Place) -> None:
    place.ask()
    place.database.write(updates.claim, FEED, "one")
    Importer(place.database, place.folder).give_up("one")
    assert place.running() == ""
    assert place.database.read(feed_states.get, FEED).operation == ""
    assert "ended its process" in place.operation()["error"]["message"]
