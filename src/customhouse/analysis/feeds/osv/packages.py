"""From the `affected` entries of an OSV record to ranges of version keys.

Source: the OSV schema 1.7, section "affected fields": https://ossf.github.io/osv-schema/.
"""

from __future__ import annotations

import re
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from customhouse.analysis.ecosystems import canonical, rpm, scheme_of
from customhouse.analysis.feeds.advisory import Affected, Omission
from customhouse.analysis.feeds.decoding import malformed
from customhouse.analysis.feeds.document import shown
from customhouse.analysis.feeds.osv import ratings, rpm_names
from customhouse.analysis.feeds.osv.ranges import Interval, exactly, intervals
from customhouse.analysis.feeds.osv.schema import versions
from customhouse.analysis.feeds.texts import Tally
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from customhouse.analysis.feeds.osv.schema import Entry

MAX_RANGES: Final = 100_000
"""The most ranges and listed versions of a record."""

_MAX_NAME: Final = 512
_MAX_ECOSYSTEM: Final = 128
_CACHED_ECOSYSTEMS: Final = 1024
_REASONS: Final = MappingProxyType(
    {
        Code.VERSION_INVALID: "not a version",
        Code.ADVISORY_INVALID: "not a range of versions",
    }
)
_ORDERED: Final = frozenset({"ECOSYSTEM", "SEMVER"})
_RELEASED: Final = frozenset(
    {"AlmaLinux", "Alpine", "Debian", "Red Hat", "Rocky Linux", "Ubuntu"}
)  # each release has its own versions
_LONG_TERM: Final = re.compile(
    r"Ubuntu:(?:.+:)?(?:6\.06|(?:8|[1-9][02468])\.04)", re.DOTALL
).fullmatch


class Packages(NamedTuple):
    """What the entries of a record say; the fields are as in `Advisory`."""

    affected: tuple[Affected, ...] = ()
    skipped: tuple[Omission, ...] = ()
    rejected: tuple[Omission, ...] = ()


def read_packages(entries: Iterable[Entry], summary: str = "") -> Packages:
    """Turn the entries into ranges.

    The summary of a record tells which module of rpm's its fixes were built for.

    An entry with ranges that are ordered here is read by these ranges alone, because its list of
    versions is the same thing one by one. Ranges of Git commits are ignored.

    Raises:
        Failure: ADVISORY_INVALID for more than `MAX_RANGES`, or a list of versions that is none.
    """
    rows: list[Affected] = []
    skipped = Tally()
    rejected = Tally()
    for entry in entries:
        if entry.package is None or not entry.package.ecosystem:
            skipped.add("", "no package is named")
            continue
        name = entry.package.name
        home = _home(entry.package.ecosystem[: _MAX_ECOSYSTEM + 1])
        ecosystem = home.ecosystem
        if home.scheme is None:
            skipped.add(ecosystem, home.reason)
            continue
        if not (0 < len(name) <= _MAX_NAME and name.isprintable()):
            rejected.add(ecosystem, "not the name of a package", shown(name))
            continue
        name = canonical(ecosystem, name)
        found = _intervals(entry, home, rejected)
        if found is None:
            skipped.add(ecosystem, "no versions are named")
            continue
        if len(rows) + len(found) > MAX_RANGES:
            raise malformed(f"it has more than {MAX_RANGES} ranges")
        worst, source = ratings.of_package(entry, ecosystem)
        status = ratings.status(entry)
        for each in found:
            known: str | None = name
            if home.scheme == rpm.SCHEME:
                known = rpm_names.named(
                    name, is_source=home.is_source, fixed=each.fixed_version, summary=summary
                )
            if known is None:
                skipped.add(ecosystem, "built for a module that is not named", shown(name))
                continue
            rows.append(
                Affected(
                    ecosystem=ecosystem,
                    name=known,
                    introduced=each.introduced,
                    fixed=each.fixed,
                    introduced_version=each.introduced_version,
                    fixed_version=each.fixed_version,
                    severity=worst,
                    severity_source=source,
                    status="" if each.fixed_version else status,
                )
            )
    # Comparing whole rows costs more than making them, and few records name a package twice.
    if len({(row.ecosystem, row.name) for row in rows}) < len(rows):
        rows = list(dict.fromkeys(rows))
    return Packages(tuple(rows), skipped.omissions(), rejected.omissions())


class _Home(NamedTuple):
    """An ecosystem as it is written here, its scheme, and if that is None why."""

    ecosystem: str
    scheme: str | None
    reason: str
    is_source: bool


@lru_cache(maxsize=_CACHED_ECOSYSTEMS)
def _home(ecosystem: str) -> _Home:
    """What is known of an ecosystem.

    Ubuntu's releases of an April of an even year, which have long-term support, are written with
    `:LTS` as the schema wants it, whether the feed does so or not.
    """
    if len(ecosystem) > _MAX_ECOSYSTEM or not ecosystem.isprintable():
        return _Home(shown(ecosystem), None, "not the name of an ecosystem", is_source=False)
    if ecosystem in _RELEASED:
        return _Home(ecosystem, None, "no release is named", is_source=False)
    scheme = scheme_of(ecosystem)
    if scheme is None:
        return _Home(ecosystem, None, "the ecosystem is not supported", is_source=False)
    if _LONG_TERM(ecosystem):
        ecosystem = f"{ecosystem}:LTS"
    ecosystem = rpm_names.ecosystem_of(ecosystem)
    return _Home(ecosystem, scheme, "", rpm_names.is_source(ecosystem))


def _intervals(entry: Entry, home: _Home, rejected: Tally) -> list[Interval] | None:
    """None if the entry has neither ranges that are ordered nor versions."""
    scheme = home.scheme or ""
    found: list[Interval] = []
    has_ranges = is_read = False
    for each in entry.ranges or ():
        if each.type in _ORDERED:
            has_ranges = True
            events = each.events or []
            if home.is_source:
                events = rpm_names.without_epochs(events)
            try:
                found += intervals(scheme, events)
                is_read = True
            except Failure as failure:
                rejected.add(home.ecosystem, _REASONS[failure.code], failure.message)
    if is_read:
        return found
    listed = versions(entry)
    if len(listed) > MAX_RANGES:
        raise malformed(f"it lists more than {MAX_RANGES} versions of a package")
    for version in listed:
        try:
            found.append(exactly(scheme, version))
        except Failure as failure:
            rejected.add(home.ecosystem, _REASONS[failure.code], failure.message)
    return found if listed or has_ranges else None
