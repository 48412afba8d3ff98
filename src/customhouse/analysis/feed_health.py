"""Whether feeds are as they should be: what to show, to measure, and to raise an alarm about."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

import structlog

from customhouse.analysis import feed_states
from customhouse.analysis.feed_states import State
from customhouse.database import now

if TYPE_CHECKING:
    from collections.abc import Mapping

    from customhouse.analysis.feeds.sources import Source
    from customhouse.database import Database, Transaction

_SECOND = 1_000_000
_AGAIN = 24 * 3600 * _SECOND

_log = structlog.get_logger()


class Condition(Enum):
    """How a feed is."""

    OFF = "its source is switched off"
    NEVER_FETCHED = "nobody has asked for it yet"
    UPDATING = "it is being fetched or loaded"
    CURRENT = "it is as its source has it, or was a short time ago"
    IMPORTED = "it was handed in and has no source"
    FAILING = "the last update failed; the data of before is in use"
    TOO_OLD = "its data is older than it should be"


class Health(NamedTuple):
    """How a feed is.

    Attributes:
        condition: in a word.
        is_alarming: whether somebody should see to it.
        is_old: whether its data is older than it should be.
        age: of its data, in seconds; None if it has none.
    """

    condition: Condition
    is_alarming: bool
    is_old: bool
    age: float | None


def health(source: Source | None, state: State | None, moment: int) -> Health:
    """How a feed is.

    Args:
        source: its source, if it has one.
        state: how its updates go, if anything is known of that.
        moment: the time, in microseconds since 1970.
    """
    state = state or State("")
    age = max(0, moment - state.data_at) / _SECOND if state.data_at else None
    if source is None:
        return Health(Condition.IMPORTED, is_alarming=False, is_old=False, age=age)
    if not source.is_on:
        return Health(Condition.OFF, is_alarming=False, is_old=False, age=age)
    is_old = age is not None and age > source.max_age
    is_alarming = is_old or state.failures > 0
    if state.operation:
        condition = Condition.UPDATING
    elif is_old:
        condition = Condition.TOO_OLD
    elif state.failures:
        condition = Condition.FAILING
    else:
        condition = Condition.NEVER_FETCHED if age is None else Condition.CURRENT
    return Health(condition, is_alarming, is_old, age)


def tell_alarms(database: Database, sources: Mapping[str, Source]) -> list[str]:
    """Log the feeds whose data is too old, once a day each; returns their names."""
    moment = now()
    told = []
    for name, state in sorted(database.read(feed_states.states).items()):
        found = health(sources.get(name), state, moment)
        if not found.is_old or moment - state.alarmed_at < _AGAIN:
            continue
        hours = round((found.age or 0.0) / 3600, 1)
        _log.error("a feed is too old", feed=name, hours=hours, reason=state.error)
        database.write(feed_states.note_alarm, name, moment)
        told.append(name)
    return told


def measures(tx: Transaction) -> bytes:
    """The age and the failures of each feed, in Prometheus' text form."""
    moment = now()
    states = sorted(feed_states.states(tx).items())
    lines = [
        "# HELP customhouse_feed_age_seconds Age of the data of a feed.",
        "# TYPE customhouse_feed_age_seconds gauge",
    ]
    lines += [
        f'customhouse_feed_age_seconds{{feed="{name}"}} {max(0, moment - state.data_at) / _SECOND}'
        for name, state in states
        if state.data_at
    ]
    lines += [
        "# HELP customhouse_feed_failures Updates of a feed that failed since the last good one.",
        "# TYPE customhouse_feed_failures gauge",
    ]
    lines += [
        f'customhouse_feed_failures{{feed="{name}"}} {state.failures}' for name, state in states
    ]
    return "".join(f"{line}\n" for line in lines).encode()
