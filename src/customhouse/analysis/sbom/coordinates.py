"""Packages as package URLs, and package URLs as packages.

Sources: https://github.com/package-url/purl-spec, "PURL types"; for `distro` and `upstream`, which
have no definition there, what Syft and Trivy write.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from customhouse.analysis.ecosystems import (
    DATABASES,
    MAX_VERSION,
    Package,
    apk,
    canonical,
    dpkg,
    rpm,
    scheme_of,
)
from customhouse.analysis.ecosystems.package import MAX_TEXT, of_language
from customhouse.analysis.purls import Purl
from customhouse.analysis.systems import names

if TYPE_CHECKING:
    from collections.abc import Mapping

LANGUAGES: Mapping[str, str] = MappingProxyType(
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
_ECOSYSTEMS: Mapping[str, str] = MappingProxyType({kind: name for name, kind in LANGUAGES.items()})
_SYSTEMS: Mapping[str, str] = MappingProxyType(
    {dpkg.SCHEME: "deb", apk.SCHEME: "apk", rpm.SCHEME: "rpm"}
)
_LOWER = frozenset({"composer", "npm", "pypi"})

# Of ecosystems of systems: the namespace, and the identifier of os-release(5) in `distro`.
_DISTRIBUTIONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "AlmaLinux": ("almalinux", "almalinux"),
        "Alpine": ("alpine", "alpine"),
        "Amazon Linux": ("amazon", "amzn"),
        "Chainguard": ("chainguard", "chainguard"),
        "Debian": ("debian", "debian"),
        "Echo": ("echo", "echo"),
        "MinimOS": ("minimos", "minimos"),
        "Oracle Linux": ("oracle", "ol"),
        "Red Hat": ("redhat", "rhel"),
        "Rocky Linux": ("rocky", "rocky"),
        "SUSE": ("suse", "sles"),
        "Ubuntu": ("ubuntu", "ubuntu"),
        "Wolfi": ("wolfi", "wolfi"),
        "openSUSE": ("opensuse", "opensuse-leap"),
    }
)
# Other words for an identifier, as namespaces and `distro` of other tools have them.
_ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "alma": "almalinux",
        "amazon": "amzn",
        "amazonlinux": "amzn",
        "opensuse": "opensuse-leap",
        "oracle": "ol",
        "oraclelinux": "ol",
        "redhat": "rhel",
        "rockylinux": "rocky",
        "suse": "sles",
    }
)
# Systems without advisories whose identifier is not the first word of their name.
_NAMES: Mapping[str, str] = MappingProxyType({"cbl": "mariner", "microsoft": "azurelinux"})

_ENTERPRISE = re.compile(r"Linux Enterprise (Server|Micro) ([0-9]+)(?: SP([0-9]+)|\.([0-9]+))?")
_NUMBERED = re.compile(r"([A-Za-z]+).*?([0-9]+(?:\.[0-9]+)*)").match
_SOURCE_FILE = re.compile(r"(.+)-([^-]+-[^-]+)\.(?:no)?src\.rpm").fullmatch
_RELEASE = re.compile(r"(?:(.+)-)?v?([0-9][^-]*|edge|sid)").fullmatch


class Distribution(NamedTuple):
    """Whose packages those of a system are.

    Attributes:
        namespace: of their package URLs, as `debian`.
        release: the qualifier `distro`, as `debian-12`; empty if the release has no name.
    """

    namespace: str
    release: str


def distribution(ecosystem: str, system: str) -> Distribution:
    """Tell whose packages those of a system are.

    Args:
        ecosystem: of its advisories, such as `Debian:12`; empty if there are none.
        system: how it calls itself, such as `Fedora Linux 39`.
    """
    family, _, release = ecosystem.partition(":")
    if family not in _DISTRIBUTIONS:
        match = _NUMBERED(system)
        word = match[1].lower() if match else ""
        word = _NAMES.get(word, word)
        return Distribution(word, f"{word}-{match[2]}" if match else "")
    namespace, identifier = _DISTRIBUTIONS[family]
    if family == "Red Hat" and system.startswith("CentOS"):
        namespace = identifier = "centos"
    elif family == "SUSE":
        product = _ENTERPRISE.fullmatch(release)
        if product is None:
            return Distribution(namespace, "")
        identifier = "sle-micro" if product[1] == "Micro" else identifier
        release = ".".join(filter(None, product.groups()[1:]))
    elif release == "Tumbleweed":
        return Distribution(namespace, "opensuse-tumbleweed")
    elif family == "openSUSE":
        identifier = "opensuse-leap-micro" if "Micro" in release else identifier
        release = release.rpartition(" ")[2]
    release = release.removesuffix(":LTS").removeprefix("v")
    return Distribution(namespace, f"{identifier}-{release}" if release else identifier)


def release_of(distro: str, namespace: str) -> str:
    """Name the ecosystem of the release that a qualifier `distro` names; empty for none.

    Args:
        distro: as `debian-12`, `12.4` or `bookworm`.
        namespace: of the package URL, which tells the system where `distro` does not.
    """
    match = _RELEASE(distro.lower())
    identifier, version = (match[1] or namespace, match[2]) if match else (distro.lower(), "")
    if not version and identifier not in names.ROLLING:
        identifier, version = namespace, identifier
    if identifier in names.ROLLING:
        return names.ROLLING[identifier]
    identifier = _ALIASES.get(identifier, identifier)
    if identifier == "debian":
        found = names.debian_release(version)
        return f"Debian:{found}" if found else ""
    if identifier == "ubuntu":
        return names.ubuntu(version) or ""
    if identifier == "alpine":
        found = names.alpine(version, "")
        return f"Alpine:{found}" if found else ""
    if identifier.startswith("opensuse"):
        name = "openSUSE Leap Micro" if identifier.endswith("micro") else "openSUSE Leap"
        return names.suse(identifier, name, version, "") or ""
    if identifier in {"sles", "sle-micro"}:
        major, _, pack = version.partition(".")
        title = f"Server {major} SP{pack}" if pack else f"Server {major}"
        title = title if identifier == "sles" else f"Micro {version}"
        return names.suse(identifier, "", version, f"SUSE Linux Enterprise {title}") or ""
    return names.by_major(identifier, version) or ""


def kind_of(ecosystem: str, path: str) -> str:
    """Tell the type of a system's package: `deb`, `apk` or `rpm`; `generic` if nothing tells.

    Args:
        ecosystem: of the advisories about it or its system; may be empty.
        path: of the database that lists it.
    """
    scheme = scheme_of(ecosystem)
    if scheme not in _SYSTEMS:
        listed = (each.name for each in DATABASES if each.is_system and each.matches(path))
        scheme = next(listed, "")
    return _SYSTEMS.get(scheme or "", "generic")


def of_package(package: Package, kind: str, home: Distribution | None) -> Purl:
    """Name a package by a package URL.

    Args:
        package: the package.
        kind: of a package of a system, its type; see `kind_of`.
        home: whose it is; None for one of a third party, and one of a language.
    """
    if package.ecosystem:
        return _of_language(package)
    version, epoch = package.version, ""
    upstream = package.source
    if kind == "rpm":
        epoch, _, version = version.rpartition(":")
        upstream = f"{package.source}-{package.source_version}.src.rpm"
    elif package.source_version != package.version:
        upstream = f"{package.source}@{package.source_version}"
    if (package.source, package.source_version) == (package.name, package.version):
        upstream = ""
    qualifiers = {
        "arch": package.arch,
        "distro": home.release if home else "",
        "epoch": epoch,
        "rpmmod": package.module,
        "upstream": upstream,
    }
    return Purl(kind, home.namespace if home else "", package.name, version, qualifiers)


def _of_language(package: Package) -> Purl:
    kind = LANGUAGES.get(package.ecosystem, "generic")
    name, version = package.name, package.version
    if kind in _LOWER:
        name = name.lower()
    if kind == "pypi":
        name = name.replace("_", "-")
    if kind == "golang" and "/" in name:
        version = f"v{version}"  # as Go writes them; releases of Go itself have none
    namespace, _, name = name.rpartition(":" if kind == "maven" else "/")
    return Purl(kind, namespace, name, version)


def to_package(purl: Purl, *, title: str, licence: str, own: str) -> Package | None:
    """Make a package of a package URL.

    Args:
        purl: the package URL.
        title: what the document calls the package: it keeps the case of its name.
        licence: of the package.
        own: the ecosystem of the image's own system, for package URLs without a `distro`.

    Returns:
        The package; its ecosystem, for one of a system too, is that of the advisories about it.
        None if it has no version, or one that is too long, or is of no type that is known here.
    """
    long = len(purl.name) + len(purl.namespace) > MAX_TEXT or len(purl.version) > MAX_VERSION
    if not purl.version or long:
        return None
    ecosystem = _ECOSYSTEMS.get(purl.type)
    if ecosystem:
        return _to_language(purl, ecosystem, title, licence)
    if purl.type not in _SYSTEMS.values():
        return None
    version, qualifiers = purl.version, purl.qualifiers
    epoch = qualifiers.get("epoch", "")
    if purl.type == "rpm" and epoch.strip("0"):
        version = f"{epoch}:{version}"
    source, source_version = _source(purl, version)
    ecosystem = release_of(qualifiers["distro"], purl.namespace) if "distro" in qualifiers else ""
    if not ecosystem and "distro" not in qualifiers and own:
        home = distribution(own, "")
        is_own = _ALIASES.get(purl.namespace, purl.namespace) in {
            home.namespace,
            _ALIASES.get(home.namespace, home.namespace),
        }
        ecosystem = own if is_own else ""
    if _SYSTEMS.get(scheme_of(ecosystem) or "") != purl.type:
        ecosystem = ""
    texts = (epoch, source, source_version, qualifiers.get("arch", ""))
    module = ":".join(qualifiers.get("rpmmod", "").split(":", 2)[:2])
    if any(len(text) > MAX_TEXT for text in (*texts, module)):
        return None
    return Package(
        purl.name,
        version,
        qualifiers.get("arch", ""),
        source,
        source_version,
        licence,
        module=module,
        ecosystem=ecosystem,
    )


def _source(purl: Purl, version: str) -> tuple[str, str]:
    upstream = purl.qualifiers.get("upstream", "")
    if purl.type == "rpm":
        match = _SOURCE_FILE(upstream)
        return (match[1], match[2]) if match else (purl.name, version)
    source, _, source_version = upstream.partition("@")
    return source or purl.name, source_version or version


def _to_language(purl: Purl, ecosystem: str, title: str, licence: str) -> Package:
    parts = filter(None, (purl.namespace, purl.name))
    name = (":" if purl.type == "maven" else "/").join(parts)
    if canonical(ecosystem, title).casefold() == canonical(ecosystem, name).casefold():
        name = title
    version = purl.version.removeprefix("v") if purl.type == "golang" else purl.version
    return of_language(ecosystem, name, version, licence=licence)
