r"""Ecosystems: the package databases that are read and the version schemes that are ordered.

The two tables below are all there is: a new kind of database is a module and a line in
`DATABASES`; a new order of versions is a function and a line in `SCHEMES`, and its ecosystems go
into the table of `scheme_of`.

A version's key is a byte string: `a < b` in the scheme exactly when `key(a) < key(b)` as bytes, and
equal versions have equal keys. No key is empty, begins with the byte 0xff, or is the beginning of
another one. So whether a version lies in a range is `lo <= k AND k < hi` on any database, with
`lo = b""` for "from the first", `hi = b"\xff"` for "not fixed", `hi = key(fixed)` for a fix, and
`hi = key(last) + b"\x00"` for "up to and with". The functions are pure; keys that are stored have
to be computed anew when an encoding changes.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from customhouse.analysis.ecosystems import (
    apk,
    binaries,
    content_sets,
    dotnet,
    dpkg,
    dpkg_licences,
    goversion,
    java,
    maven,
    node,
    nuget,
    packagist,
    pep440,
    php,
    python,
    rpm,
    ruby,
    rubygems,
    semver,
)
from customhouse.analysis.ecosystems.encoding import MAX_VERSION, invalid
from customhouse.analysis.ecosystems.package import Database, Listing, Package

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "DATABASES",
    "MAX_VERSION",
    "SCHEMES",
    "Database",
    "Listing",
    "Package",
    "canonical",
    "scheme_of",
    "version_key",
]

DATABASES: tuple[Database, ...] = (
    dpkg.DATABASE,
    apk.DATABASE,
    rpm.DATABASE,
    dpkg.FILES,
    dpkg_licences.DATABASE,
    content_sets.DATABASE,
    python.DATABASE,
    node.DATABASE,
    java.DATABASE,
    ruby.DATABASE,
    php.DATABASE,
    dotnet.DATABASE,
    binaries.DATABASE,
)

SCHEMES: Mapping[str, Callable[[str], bytes]] = MappingProxyType(
    {
        dpkg.SCHEME: dpkg.key,
        apk.SCHEME: apk.key,
        rpm.SCHEME: rpm.key,
        semver.SCHEME: semver.key,
        pep440.SCHEME: pep440.key,
        goversion.SCHEME: goversion.key,
        maven.SCHEME: maven.key,
        nuget.SCHEME: nuget.key,
        packagist.SCHEME: packagist.key,
        rubygems.SCHEME: rubygems.key,
    }
)

# By the name before the first colon. Source: OSV schema, "Defined Ecosystems"; osv.dev orders
# the last group, and Go, by SemVer.
_SCHEME_OF: Mapping[str, str] = MappingProxyType(
    {
        "Debian": dpkg.SCHEME,
        "Ubuntu": dpkg.SCHEME,
        "Echo": dpkg.SCHEME,
        "Alpine": apk.SCHEME,
        "Alpaquita": apk.SCHEME,
        "BellSoft Hardened Containers": apk.SCHEME,
        "Chainguard": apk.SCHEME,
        "MinimOS": apk.SCHEME,
        "Wolfi": apk.SCHEME,
        "AlmaLinux": rpm.SCHEME,
        "Amazon Linux": rpm.SCHEME,
        "Azure Linux": rpm.SCHEME,
        "Mageia": rpm.SCHEME,
        "Oracle Linux": rpm.SCHEME,
        "Red Hat": rpm.SCHEME,
        "Rocky Linux": rpm.SCHEME,
        "SUSE": rpm.SCHEME,
        "openEuler": rpm.SCHEME,
        "openSUSE": rpm.SCHEME,
        "Go": goversion.SCHEME,
        "Maven": maven.SCHEME,
        "NuGet": nuget.SCHEME,
        "Packagist": packagist.SCHEME,
        "PyPI": pep440.SCHEME,
        "RubyGems": rubygems.SCHEME,
        "Bitnami": semver.SCHEME,
        "Hex": semver.SCHEME,
        "SwiftURL": semver.SCHEME,
        "crates.io": semver.SCHEME,
        "npm": semver.SCHEME,
    }
)


def scheme_of(ecosystem: str) -> str | None:
    """Name the version scheme of an OSV ecosystem such as `Debian:12`, `Ubuntu:Pro:18.04:LTS`.

    Returns:
        A name of `SCHEMES`, or None for an ecosystem whose versions are not ordered here.
    """
    return _SCHEME_OF.get(ecosystem.partition(":")[0])


def canonical(ecosystem: str, name: str) -> str:
    """Write a package's name so that names that an ecosystem takes for one are one.

    Python's names by the Packaging User Guide's "Names and normalization"; NuGet's and Composer's
    in lower case. Elsewhere names are as they are.
    """
    if ecosystem == "PyPI":
        return python.normalized(name)
    return name.lower() if ecosystem in {"NuGet", "Packagist"} else name


def version_key(scheme: str, version: str) -> bytes:
    """Encode a version of a scheme into its key; see the module for what holds for keys.

    Raises:
        Failure: `VERSION_INVALID` if it is not a version of the scheme, or there is no such scheme.
    """
    encode = SCHEMES.get(scheme)
    if encode is None:
        raise invalid(version, scheme)
    return encode(version)
