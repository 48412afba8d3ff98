"""From the events of an OSV range to intervals of version keys.

The rules are those of the OSV schema 1.7, sections "affected[].ranges[].events fields" and
"Evaluation": https://ossf.github.io/osv-schema/.
"""

from __future__ import annotations

from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from customhouse.analysis.ecosystems import MAX_VERSION, version_key
from customhouse.analysis.feeds.advisory import BEGINNING, UNFIXED
from customhouse.analysis.feeds.document import shown
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_CACHED_KEYS: Final = 65_536
_FROM_THE_FIRST: Final = {"introduced": "0"}
_AFTER: Final = b"\x00"  # key + this is the smallest byte string above key


class Interval(NamedTuple):
    """Half-open: `introduced <= key < fixed`. The texts are as in `Affected`."""

    introduced: bytes
    fixed: bytes
    introduced_version: str
    fixed_version: str | None


def intervals(scheme: str, events: Sequence[Mapping[str, str]]) -> list[Interval]:
    """The intervals of versions that a range's events describe.

    Args:
        scheme: how versions are ordered, for `version_key`.
        events: each has one entry: `introduced`, `fixed`, `last_affected` or `limit`, and the
            version at which it happens. They may come in any order. Version "0" is below all
            others in `introduced`, and in `fixed`, where distributions write it for a package
            that never had the flaw.

    Returns:
        Intervals that are not empty, disjoint and in order; none if nothing is affected.

    Raises:
        Failure: VERSION_INVALID for a version that is not one; ADVISORY_INVALID for an event of
            another form, or no `introduced` among them.
    """
    if (usual := _usual(scheme, events)) is not None:
        return [usual]
    changes: list[tuple[bytes, str, str]] = []
    limits: list[bytes] = []
    for event in events:
        if len(event) != 1:
            raise Failure(Code.ADVISORY_INVALID, reason=f"an event has {len(event)} entries, not 1")
        ((kind, version),) = event.items()
        match kind:
            case "introduced" | "fixed":
                changes.append(
                    (BEGINNING if version == "0" else key(scheme, version), kind, version)
                )
            case "last_affected":
                changes.append((key(scheme, version) + _AFTER, kind, version))
            case "limit":
                limits.append(UNFIXED if "*" in version else key(scheme, version))
            case _:
                raise Failure(Code.ADVISORY_INVALID, reason="an event of an unknown kind")
    if all(kind != "introduced" for _, kind, _ in changes):
        raise Failure(Code.ADVISORY_INVALID, reason="a range without an introduced event")
    # The sort is stable: among events of one version the feed's own order decides, so that
    # "fixed 2, introduced 2" joins two intervals and "introduced 2, fixed 2" is an empty one.
    changes.sort(key=itemgetter(0))
    return _within(_sweep(changes), max(limits, default=UNFIXED))


def _usual(scheme: str, events: Sequence[Mapping[str, str]]) -> Interval | None:
    """The interval from the first version to a fix or without one: what nearly all ranges are."""
    if not 0 < len(events) <= 2 or events[0] != _FROM_THE_FIRST:
        return None
    if len(events) == 1:
        return Interval(BEGINNING, UNFIXED, "0", None)
    version = events[1].get("fixed", "0")
    if version == "0" or len(events[1]) > 1:
        return None
    return Interval(BEGINNING, key(scheme, version), "0", version)


def exactly(scheme: str, version: str) -> Interval:
    """The interval that holds one version and the versions equal to it.

    Args:
        scheme: how versions are ordered, for `version_key`.
        version: the version.

    Raises:
        Failure: VERSION_INVALID.
    """
    at = key(scheme, version)
    return Interval(at, at + _AFTER, version, None)


def key(scheme: str, version: str) -> bytes:
    """`version_key`, remembered: a feed names the same versions again and again.

    Raises:
        Failure: VERSION_INVALID.
    """
    found = _key(scheme, version) if len(version) <= MAX_VERSION else None
    if found is None:
        raise Failure(Code.VERSION_INVALID, version=f"'{shown(version[:64])}'", scheme=scheme)
    return found


@lru_cache(maxsize=_CACHED_KEYS)
def _key(scheme: str, version: str) -> bytes | None:
    """None when not valid: a cache keeps values but no exceptions."""
    # Databases cannot store every character, and no scheme has these in a version.
    if not version.isprintable():
        return None
    try:
        return version_key(scheme, version)
    except Failure:
        return None


def _sweep(changes: Iterable[tuple[bytes, str, str]]) -> Iterable[Interval]:
    begin: tuple[bytes, str] | None = None
    for at, kind, version in changes:
        if kind == "introduced":
            begin = begin or (at, version)
        elif begin:
            yield Interval(begin[0], at, begin[1], version if kind == "fixed" else None)
            begin = None
    if begin:
        yield Interval(begin[0], UNFIXED, begin[1], None)


def _within(found: Iterable[Interval], limit: bytes) -> list[Interval]:
    """Cut at the limit (which is no fix) and drop what is empty."""
    cut = (
        each if each.fixed <= limit else each._replace(fixed=limit, fixed_version=None)
        for each in found
    )
    return [each for each in cut if each.introduced < each.fixed]
