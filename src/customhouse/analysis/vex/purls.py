"""Package URLs in what is said of images, and whether one names a package.

Source: https://github.com/package-url/purl-spec, "purl specification" and its types.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from customhouse.analysis import purls
from customhouse.analysis.ecosystems import apk, canonical, dpkg, rpm, scheme_of

if TYPE_CHECKING:
    from customhouse.analysis.purls import Purl

MAX_PURL: Final = 1024
"""Characters of a package URL: each is stored with what is said of it."""

_SOURCES: Final = frozenset({"src", "nosrc", "source"})
_TYPES: Final = MappingProxyType(
    {
        "Go": "golang",
        "Maven": "maven",
        "NuGet": "nuget",
        "Packagist": "composer",
        "PyPI": "pypi",
        "RubyGems": "gem",
        "crates.io": "cargo",
        "npm": "npm",
    }
)
_SYSTEM_TYPES: Final = MappingProxyType({dpkg.SCHEME: "deb", apk.SCHEME: "apk", rpm.SCHEME: "rpm"})
# Between a package's namespace and its name, where names have both.
_SEPARATORS: Final = MappingProxyType({"maven": ":", "golang": "/", "npm": "/", "composer": "/"})


class Installed(NamedTuple):
    """A package of an image.

    Attributes:
        ecosystem: as `Debian:12` or `npm`.
        name: its name.
        version: its version.
        arch: its architecture; may be empty.
        source: the source package, or its name again.
        source_version: the source package's version.
    """

    ecosystem: str
    name: str
    version: str
    arch: str = ""
    source: str = ""
    source_version: str = ""


def parse(text: str) -> Purl | None:
    """Read a package URL; None if it is none, or longer than `MAX_PURL`."""
    return purls.parse(text) if len(text) <= MAX_PURL else None


def names(text: str, package: Installed) -> bool:
    """Whether a package's name, or a package URL, names an installed package.

    A bare name, as people write it, is that of the package or of its source. A package URL must
    fit in all that it says: type, namespace of Debian's and Alpine's kin, name, version,
    architecture, release. One of a source package (`arch=source`) names what is built from it.
    """
    if not text.startswith("pkg:"):
        return text in {package.name, package.source}
    purl = parse(text)
    return purl is not None and _fits(purl, package)


def _fits(purl: Purl, package: Installed) -> bool:
    ecosystem, _, release = package.ecosystem.partition("+")[0].partition(":")
    is_language = ecosystem in _TYPES
    if purl.type != (_TYPES.get(ecosystem) or _SYSTEM_TYPES.get(scheme_of(ecosystem) or "")):
        return False
    arch = purl.qualifiers.get("arch", "")
    is_source = not is_language and arch in _SOURCES
    name, version = (
        (package.source, package.source_version) if is_source else (package.name, package.version)
    )
    if canonical(ecosystem, _name(purl)) != canonical(ecosystem, name):
        return False
    if is_language:
        return _is_version(purl, version)
    if purl.type != "rpm" and purl.namespace and purl.namespace.lower() != ecosystem.lower():
        return False
    if arch and not is_source and package.arch and arch not in {package.arch, "all", "noarch"}:
        return False
    distro = purl.qualifiers.get("distro", "")
    if distro and not purl.version and not _is_release(distro, release):
        return False  # a name of a release that is not known here
    return _is_version(purl, version)


def _name(purl: Purl) -> str:
    separator = _SEPARATORS.get(purl.type)
    if separator and purl.namespace:
        return f"{purl.namespace}{separator}{purl.name}"
    return purl.name


def _is_version(purl: Purl, version: str) -> bool:
    """Whether the version is the one that the URL names, if it names one."""
    wanted, epoch = purl.version, purl.qualifiers.get("epoch", "")
    if epoch.strip("0") and not wanted.startswith(f"{epoch}:"):
        wanted = f"{epoch}:{wanted}"
    if not purl.version:
        return True
    if purl.type == "golang":
        return wanted.removeprefix("v") == version.removeprefix("v")
    return wanted.removeprefix("0:") == version.removeprefix("0:")


def _is_release(distro: str, release: str) -> bool:
    """Whether `debian-12` or `12` is the release, as ecosystems have it (`12`, `v3.20`)."""
    number = distro.rpartition("-")[2]
    known = release.removeprefix("v").split(":")[0]
    return bool(known) and (number == known or number.startswith(f"{known}."))
