"""Fixes of one package: the highest for each architecture, as ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from customhouse.analysis.feeds.advisory import BEGINNING, Affected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from customhouse.analysis.severity import Severity


class Fix(NamedTuple):
    """A version that brings a fix, after its key, so that fixes compare as versions do."""

    key: bytes
    version: str


def ranges(
    ecosystem: str, name: str, fixes: Mapping[str, Fix], rating: tuple[Severity, str]
) -> Iterator[Affected]:
    """Give one range for each version that is the fix for some architectures.

    Args:
        ecosystem: the package's.
        name: the package's.
        fixes: the highest for each architecture. With the empty one, which is all of them, the
            highest of all counts for all.
        rating: how bad it is for this package, and who says so; see `Affected`.
    """
    by_fix: dict[Fix, tuple[str, ...]] = {}
    if "" in fixes:
        by_fix[max(fixes.values())] = ()
    else:
        for arch, fix in sorted(fixes.items()):
            by_fix[fix] = (*by_fix.get(fix, ()), arch)
    for fix, arches in by_fix.items():
        yield Affected(
            ecosystem=ecosystem,
            name=name,
            introduced=BEGINNING,
            fixed=fix.key,
            introduced_version="0",
            fixed_version=fix.version,
            severity=rating[0],
            severity_source=rating[1],
            arches=arches,
        )
