"""The streams of Red Hat Enterprise Linux: minor releases that go on to have fixes of their own.

An image tells its content sets, the repositories that its packages are from, and one of a stream
has it in its name: `rhel-8-for-x86_64-baseos-eus-rpms__8_DOT_4` is of the Extended Update Support
(EUS) of 8.4. Sources: Red Hat's `repository-to-cpe.json`, which a test holds these rules against,
and "Identifying Red Hat components using CPEs" for the names of streams since 10.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

# Sets of the system and of those add-ons that have its streams. Beside EUS there are the update
# services for SAP (E4S), and advanced (AUS) and telecommunications (TUS) update support.
_SET: Final = re.compile(
    r"""(?:codeready-builder-for-rhel|rhel-(?:ha|lb|rs|sfs)-for-rhel|rhel-hpc-node|rhel)
    -(?P<major>[0-9]{1,2})(?!-server-openstack)(?:-[a-z0-9_-]+?)??-(?P<stream>eus|e4s|aus|tus)
    -(?:optional-|sfs-)?(?:debug-|source-)?(?:rpms|debuginfo)
    (?:__(?P<release>[0-9]{1,2}_DOT_[0-9]{1,2}))?(?:__[a-z0-9_]{1,10})?""",
    re.VERBOSE | re.ASCII,
).fullmatch
_RELEASE: Final = re.compile(r"([0-9]{1,2})(?:\.([0-9]{1,2})(?:\..*)?)?").fullmatch
_STREAM: Final = re.compile(r"Red Hat:[a-z][a-z0-9_]*:([0-9]{1,2})\.([0-9]{1,2})").fullmatch
# `el8_4` of a package, or `el8.4.0` after the plus sign of one of a module.
_BUILT_FOR: Final = re.compile(r"(?:\.el([0-9]{1,2})_|\+el([0-9]{1,2})\.)([0-9]{1,2})").search


def streams(content_sets: Iterable[str], version: str) -> tuple[str, ...]:
    """Name the ecosystems of the streams that content sets are of, such as `Red Hat:rhel_eus:8.4`.

    Only those of the installed release count: sets of a base image that has been updated since are
    still told. A set without a release is of the installed one, and of its EUS: that comes before
    the longer streams.

    Args:
        content_sets: names of sets; any texts are fine.
        version: of the system. If it has no minor release, it is the one that all sets are of.
    """
    release = _RELEASE(version)
    if release is None:
        return ()
    major = release[1]
    found = [match for each in content_sets if (match := _SET(each)) and match["major"] == major]
    told = {match["release"].replace("_DOT_", ".") for match in found if match["release"]}
    if release[2]:
        installed = f"{major}.{release[2]}"
    elif len(told) == 1:
        installed = told.pop()
    else:
        return ()
    kinds = {
        kind
        for match in found
        for kind in ((match["stream"],) if match["release"] else (match["stream"], "eus"))
        if (match["release"] or installed).replace("_DOT_", ".") == installed
    }
    products = {name for kind in kinds for name in _products(int(major), kind)}
    return tuple(f"Red Hat:{product}:{installed}" for product in sorted(products))


def _products(major: int, stream: str) -> tuple[str, ...]:
    """Name the products of a stream, as CPEs do."""
    if major < 10:
        return (f"rhel_{stream}",)
    return f"enterprise_linux_{stream}", "enterprise_linux_e2s"


def is_built_later(ecosystem: str, version: str) -> bool:
    """Tell whether a package was built for a later minor release than that of a stream.

    Such a package is from the main releases, whatever sets an image has.

    Args:
        ecosystem: any; only one of a stream has such packages.
        version: of the package, with its release.
    """
    stream = _STREAM(ecosystem)
    built = _BUILT_FOR(version) if stream else None
    if not (stream and built):
        return False
    return (int(built[1] or built[2]), int(built[3])) > (int(stream[1]), int(stream[2]))
