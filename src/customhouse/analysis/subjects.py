"""Under which names advisories know a package, and with which version they compare.

Sources: OSV schema, "Defined Ecosystems", for what a name is in each; rpm's `rpmdsCompare` and the
SOURCERPM tag, which has no epoch, for packages of rpm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from customhouse.analysis.ecosystems import canonical, rpm, scheme_of, version_key
from customhouse.analysis.systems.streams import is_built_later
from customhouse.errors import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from customhouse.analysis.ecosystems import Package

_EVERY_ARCH = frozenset({"noarch", "all", "(none)"})


class Subject(NamedTuple):
    """What an advisory may be about.

    Attributes:
        ecosystem: as in `feeds.Affected`.
        name: as in `feeds.Affected`.
        key: of the version that advisories under this name compare with.
        arch: the architecture; empty if it is a package for every one.
    """

    ecosystem: str
    name: str
    key: bytes
    arch: str


def subjects(package: Package, ecosystems: Sequence[str]) -> Iterator[Subject]:
    """Give the names under which a package is known.

    A package of a system is known by its source package's name and version; one of rpm by its own
    as well. A version that is none gives nothing, so that it matches nothing. What was built for a
    later release than that of a stream of Red Hat's is not known there.

    Args:
        package: the package.
        ecosystems: those of the system, for a package of the system.
    """
    arch = "" if package.arch in _EVERY_ARCH else package.arch
    for ecosystem in (package.ecosystem,) if package.ecosystem else ecosystems:
        scheme = scheme_of(ecosystem)
        if scheme is None or is_built_later(ecosystem, package.version):
            continue
        known: tuple[tuple[str, str], ...] = (
            (canonical(ecosystem, package.source), package.source_version),
        )
        if scheme == rpm.SCHEME:
            module = f"{package.module}::" if package.module else ""
            source = f"{module}{rpm.SOURCE}{package.source}"
            known = (
                (f"{module}{package.name}", package.version),
                (source, rpm.without_epoch(package.source_version)),
            )
        for name, version in known:
            try:
                yield Subject(ecosystem, name, version_key(scheme, version), arch)
            except Failure:
                continue
