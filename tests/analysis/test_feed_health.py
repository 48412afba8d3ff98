"""When feeds are due, and when somebody is told that they are not as they should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from customhouse.analysis import feed_health, feed_states, updates
from customhouse.analysis.feed_health import Condition, health
from customhouse.analysis.feed_states import State
from customhouse.analysis.feeds.sources import configured
from customhouse.analysis.shelf import Shelf
from customhouse.database import now
from customhouse.errors import Code, Failure
from customhouse.settings import FeedSettings, FeedSourceSettings
from customhouse.workflows import operations, outbox

if TYPE_CHECKING:
    from pathlib import Path

    from customhouse.database import Database

HOUR = 3600 * 1_000_000
OWN = FeedSourceSettings(urls=("https://example.org/all.zip",))
ALL_OFF = tuple(configured(FeedSettings()))


def shelf(root: Path, **fields: object) -> Shelf:
    """A shelf with two sources of one's own, asked every 6 hours."""
    settings = FeedSettings.model_validate(
        {"sources": {"one": OWN, "two": OWN}, "off": ALL_OFF} | fields
    )
    return Shelf(settings, root)


def test_nothing_is_due_before_somebody_asks(database: Database, tmp_path: Path) -> None:
    place = shelf(tmp_path)
    assert database.read(updates.due, place) == []
    asked = database.write(updates.request, "one", "user:ana")
    assert database.write(updates.request, "one", "user:ben") == asked
    (event,) = database.read(outbox.waiting, 10)
    assert database.read(updates.due, place) == [], "it is being updated"

    identifier = asked["name"].removeprefix("operations/")
    database.write(operations.succeed, identifier, {})
    database.write(feed_states.succeed, "one", data_at=now(), next_at=now() + HOUR)
    assert database.read(updates.due, place) == []
    database.write(feed_states.succeed, "one", data_at=now(), next_at=now() - HOUR)
    assert database.read(updates.due, place) == ["one"]
    again = database.write(updates.request, "one", "customhouse")
    assert again["name"] != asked["name"]
    assert database.read(operations.get, identifier)["done"]
    assert event.event is not None


@pytest.mark.parametrize(
    ("fields", "due"),
    [
        ({"automatic": True}, ["one", "two"]),
        ({"automatic": True, "off": (*ALL_OFF, "two")}, ["one"]),
        ({"automatic": True, "offline": True}, []),
        ({}, []),
    ],
    ids=["automatic", "one is off", "offline", "by default"],
)
def test_what_settings_say_is_due(
    database: Database, tmp_path: Path, fields: dict[str, object], due: list[str]
) -> None:
    assert database.read(updates.due, shelf(tmp_path, **fields)) == due


@pytest.mark.parametrize(
    ("name", "fields", "code"),
    [
        ("three", {}, Code.FEED_UNKNOWN),
        ("kev", {}, Code.FEED_OFF),
        ("one", {"offline": True}, Code.FEEDS_OFFLINE),
    ],
    ids=["unknown", "off", "offline"],
)
def test_what_is_not_fetched(
    tmp_path: Path, name: str, fields: dict[str, object], code: Code
) -> None:
    with pytest.raises(Failure) as caught:
        shelf(tmp_path, **fields).source(name)
    assert caught.value.code is code


def test_how_a_feed_is(tmp_path: Path) -> None:
    sources = shelf(tmp_path).sources
    one, off = sources["one"], sources["kev"]
    moment = now()
    fresh, old = moment - HOUR, moment - 100 * HOUR
    cases = [
        (one, None, Condition.NEVER_FETCHED, False),
        (one, State("one", data_at=fresh), Condition.CURRENT, False),
        (one, State("one", data_at=moment + HOUR), Condition.CURRENT, False),
        (one, State("one", data_at=old), Condition.TOO_OLD, True),
        (one, State("one", data_at=fresh, failures=1), Condition.FAILING, True),
        (one, State("one", failures=1), Condition.FAILING, True),
        (one, State("one", data_at=old, failures=1, operation="x"), Condition.UPDATING, True),
        (off, State("kev", data_at=old), Condition.OFF, False),
        (None, State("x", data_at=old), Condition.IMPORTED, False),
    ]
    for source, state, condition, is_alarming in cases:
        found = health(source, state, moment)
        assert (found.condition, found.is_alarming) == (condition, is_alarming), state
    assert health(one, State("one", data_at=fresh), moment).age == 3600
    assert health(one, State("one", data_at=moment + HOUR), moment).age == 0


def test_who_is_too_old_is_told_once_a_day(database: Database, tmp_path: Path) -> None:
    sources = shelf(tmp_path).sources
    database.write(feed_states.succeed, "one", data_at=now() - 100 * HOUR)
    database.write(feed_states.succeed, "two", data_at=now())
    database.write(feed_states.succeed, "by-hand", data_at=1)
    with capture_logs() as logs:
        assert feed_health.tell_alarms(database, sources) == ["one"]
        assert feed_health.tell_alarms(database, sources) == []
    assert [(line["event"], line["feed"], line["log_level"]) for line in logs] == [
        ("a feed is too old", "one", "error")
    ]
    database.write(feed_states.note_alarm, "one", now() - 25 * HOUR)
    assert feed_health.tell_alarms(database, sources) == ["one"]
    database.write(feed_states.succeed, "one", data_at=now())
    assert feed_health.tell_alarms(database, sources) == []


def test_failures_are_counted(database: Database) -> None:
    database.write(feed_states.succeed, "one", data_at=5)
    assert database.write(feed_states.fail, "one", "no", next_at=7) == 1
    assert database.write(feed_states.fail, "one", "x" * 5000, next_at=8) == 2
    state = database.read(feed_states.get, "one")
    assert (state.data_at, state.next_at, len(state.error)) == (5, 8, 2000)
    lines = database.read(feed_health.measures).decode().splitlines()
    assert 'customhouse_feed_failures{feed="one"} 2' in lines
    database.write(feed_states.succeed, "one", data_at=9)
    assert database.read(feed_states.get, "one") == State("one", data_at=9)
