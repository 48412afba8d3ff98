"""What is not known of an image although it was analysed: said with it, never passed over."""

from __future__ import annotations

import datetime
from collections import Counter
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from customhouse.analysis import advisories, feed_states, lifetimes
from customhouse.analysis.advisories import FEED
from customhouse.analysis.images import Status
from customhouse.analysis.packages import INVENTORY_PACKAGE, PACKAGE
from customhouse.database import now

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from customhouse.analysis.images import ImageAnalysis
    from customhouse.analysis.inventory import Inventory
    from customhouse.analysis.systems import System
    from customhouse.database import Transaction

# The ecosystems of `ecosystems.Package.ecosystem`: those of languages.
LANGUAGES = ("Go", "Maven", "NuGet", "Packagist", "PyPI", "RubyGems", "crates.io", "npm")

_NO_DATABASE = (
    "no package database of dpkg, apk or rpm was found: only packages of languages are looked at"
)
_LOAD = "customhouse feeds import loads some"
_DAY = 24 * 3600 * 1_000_000


def of(tx: Transaction, analyses: Collection[ImageAnalysis], max_feed_age: int) -> list[str]:
    """Give a sentence for each limit of what is known, without a full stop.

    Args:
        tx: the transaction.
        analyses: of the images that are looked at together.
        max_feed_age: from which age on a feed is said to be old, in microseconds; 0 for never.
    """
    inventories = {each.inventory_id for each in analyses if each.inventory_id}
    systems = {each.system for each in analyses if each.system}
    said: list[str] = []
    for system in sorted(systems, key=lambda each: each.name):
        said += _of_system(tx, system)
    if any(each.status is Status.FINISHED_SUCCESS and not each.has_database for each in analyses):
        said.append(_NO_DATABASE)
    if inventories:
        said += _of_languages(tx, _counts(tx, inventories))
        said += _old_feeds(tx, max_feed_age)
    return list(dict.fromkeys(said))


def of_inventory(tx: Transaction, inventory: Inventory, max_feed_age: int) -> list[str]:
    """Give the same for an inventory that is not stored; see `of`."""
    said = list(_of_system(tx, inventory.system)) if inventory.system else []
    if inventory.packages and not inventory.databases:
        said.append(_NO_DATABASE)
    counts = Counter(item.package.ecosystem for item in inventory.packages)
    said += _of_languages(tx, {name: counts[name] for name in LANGUAGES})
    return [*said, *_old_feeds(tx, max_feed_age)]


def _of_system(tx: Transaction, system: System) -> Iterator[str]:
    """Give the limits that a system brings, as of today."""
    last = lifetimes.of_system(system)
    if last is not None and last < datetime.datetime.now(datetime.UTC).date():
        yield f"{system.name} is past its end of life: it had security support until {last}"
    if system.caveat:
        yield system.caveat.rstrip(".")
    if system.ecosystem and not advisories.has_ecosystem(tx, system.ecosystem):
        yield f"no advisories for {system.ecosystem} are loaded; {_LOAD}"


def _of_languages(tx: Transaction, counts: dict[str, int]) -> Iterator[str]:
    """Give the limits for so many packages of each language's ecosystem."""
    for ecosystem, count in sorted(counts.items()):
        if count and not advisories.has_ecosystem(tx, ecosystem):
            packages = "1 package is" if count == 1 else f"{count:,} packages are"
            yield f"no advisories for {ecosystem} are loaded: {packages} not judged; {_LOAD}"


def _counts(tx: Transaction, inventories: Collection[int]) -> dict[str, int]:
    """How many packages of each language's ecosystem there are."""
    rows = tx.execute(
        select(PACKAGE.c.ecosystem, func.count(PACKAGE.c.id.distinct()))
        .select_from(INVENTORY_PACKAGE.join(PACKAGE))
        .where(
            INVENTORY_PACKAGE.c.inventory_id.in_(inventories), PACKAGE.c.ecosystem.in_(LANGUAGES)
        )
        .group_by(PACKAGE.c.ecosystem)
    )
    return {str(ecosystem): int(count) for ecosystem, count in rows}


def _old_feeds(tx: Transaction, max_age: int) -> Iterator[str]:
    if not max_age:
        return
    moment = now()
    states = feed_states.states(tx)
    for name, updated_at in tx.execute(
        select(FEED.c.name, FEED.c.updated_at).order_by(FEED.c.name)
    ):
        # A source may have said since then that nothing has changed; a bundle may have been old.
        state = states.get(name)
        data_at = state.data_at if state and state.data_at else updated_at
        if data_at < moment - max_age:
            days = (moment - data_at) // _DAY
            yield f"feed {name} was last loaded {days:,} days ago: newer advisories are missing"
