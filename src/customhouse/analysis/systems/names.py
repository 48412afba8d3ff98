"""What the releases of a system are called as ecosystems of advisories.

Sources: OSV schema, "Defined Ecosystems", for the names; Debian's distro-info-data; Alpine's
apk-repositories(5). Amazon Linux and the short form of Red Hat, by major version, are not OSV's.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ROLLING: Mapping[str, str] = MappingProxyType(
    {
        "wolfi": "Wolfi",
        "chainguard": "Chainguard",
        "minimos": "MinimOS",
        "echo": "Echo",
        "opensuse-tumbleweed": "openSUSE:Tumbleweed",
        "opensuse-microos": "openSUSE:Tumbleweed",
    }
)
"""Systems with one stream of packages and advisories, whatever their version says."""

_DEBIAN_SERIES: Mapping[str, str] = MappingProxyType(
    {
        "lenny": "5.0",
        "squeeze": "6.0",
        "wheezy": "7",
        "jessie": "8",
        "stretch": "9",
        "buster": "10",
        "bullseye": "11",
        "bookworm": "12",
        "trixie": "13",
        "forky": "14",
        "duke": "15",
        "sid": "sid",
    }
)
_NUMBERED = re.compile(r"([0-9]{1,3})(\.[0-9]{1,3})?(?![0-9])").match
_WORDS = re.compile(r"[a-z]+").findall


def debian_release(text: str) -> str | None:
    """Find a release of Debian as OSV names it: the number of distro-info-data, or `sid`.

    Up to 6.0 the number has two parts, since 7 one. Testing and unstable have no number in their
    files, and the same files (`trixie/sid`), so both go by the codename of the next release;
    only one whose codename is not known here is `sid`.
    """
    numbered = _NUMBERED(text)
    if numbered:
        major, minor = numbered.groups()
        return major if int(major) >= 7 else major + (minor or ".0")
    found = [_DEBIAN_SERIES[word] for word in _WORDS(text.lower()) if word in _DEBIAN_SERIES]
    return found[0] if found else None


_UBUNTU = re.compile(r"([0-9]{1,2})\.([0-9]{2})(?:\.[0-9]+)?").fullmatch


def ubuntu(version: str) -> str | None:
    """Name Ubuntu's ecosystem: every release of an April of an even year has long-term support.

    So it is since 8.04; before that there was 6.06. What Ubuntu Pro adds is an ecosystem of its
    own (`Ubuntu:Pro:22.04:LTS`), which only holds for an image that has it enabled.
    """
    match = _UBUNTU(version)
    if not match:
        return None
    year, month = match.groups()
    supported = (int(year) >= 8 and int(year) % 2 == 0 and month == "04") or version == "6.06"
    return f"Ubuntu:{int(year)}.{month}{':LTS' if supported else ''}"


_ALPINE = re.compile(r"v?([0-9]{1,3}\.[0-9]{1,3})(?![0-9])").match
_REPOSITORY = re.compile(
    r"^[^\s#@][^\s]{0,1000}/(v[0-9]{1,3}\.[0-9]{1,3}|edge)/main/?[ \t]*$", re.MULTILINE
).findall


def alpine(version: str, repositories: str) -> str | None:
    """Name Alpine's branch: `v3.19`, or `edge` for the development branch.

    The branch of the installed version counts, unless the untagged `main` repositories are all of
    other branches (an image that was switched over): then the newest of them.
    """
    installed = None
    numbered = _ALPINE(version)
    if numbered:
        installed = "edge" if "_alpha" in version else f"v{numbered[1]}"
    elif version == "edge":
        installed = "edge"
    branches: set[str] = set(_REPOSITORY(repositories))
    if not branches or installed in branches:
        return installed
    return max(branches, key=_branch_order)


def _branch_order(branch: str) -> tuple[int, ...]:
    return (1 << 16,) if branch == "edge" else tuple(map(int, branch[1:].split(".")))


# Of Red Hat's family, whose advisories are about a major version. CentOS is judged by Red Hat's.
_BY_MAJOR: Mapping[str, str] = MappingProxyType(
    {
        "rhel": "Red Hat",
        "centos": "Red Hat",
        "almalinux": "AlmaLinux",
        "rocky": "Rocky Linux",
        "ol": "Oracle Linux",
        "amzn": "Amazon Linux",
    }
)
_MAJOR = re.compile(r"([0-9]{1,4})(?:\.[0-9]{1,6})*").fullmatch


def by_major(id_: str, version: str) -> str | None:
    """Name the ecosystem of a major version; Amazon Linux 1 counts its releases by months."""
    match = _MAJOR(version)
    family = _BY_MAJOR.get(id_)
    if not (match and family):
        return None
    major = int(match[1])
    if id_ == "amzn" and major in range(2010, 2019):
        major = 1
    return f"{family}:{major}"


_LEAP = re.compile(r"([0-9]{1,3}\.[0-9]{1,2})(?:\.[0-9]{1,3})?").fullmatch
_LEAPS: Mapping[str, str] = MappingProxyType(
    {"openSUSE Leap": "Leap", "openSUSE Leap Micro": "Leap Micro"}
)
_ENTERPRISE = re.compile(r"SUSE (Linux [A-Za-z0-9][A-Za-z0-9 ._-]{0,100})").fullmatch


def suse(id_: str, name: str, version: str, pretty_name: str) -> str | None:
    """Name SUSE's ecosystem: what the system calls itself, without the vendor's word.

    Args:
        id_: as of os-release; that of openSUSE Leap was once `opensuse`.
        name: its `NAME`.
        version: its `VERSION_ID`; a third number is that of a build.
        pretty_name: its `PRETTY_NAME`.
    """
    if id_.startswith("opensuse"):
        leap, numbers = _LEAPS.get(name), _LEAP(version)
        return f"openSUSE:{leap} {numbers[1]}" if leap and numbers else None
    enterprise = _ENTERPRISE(pretty_name) if id_.startswith(("sle", "sl-", "suse-")) else None
    return f"SUSE:{enterprise[1]}" if enterprise else None


_SERVER_15 = re.compile(
    r"SUSE:Linux Enterprise Server(?: for SAP Applications)? (15(?: SP[1-7])?)"
).fullmatch
_MODULES = (
    "Basesystem",
    "Containers",
    "Desktop Applications",
    "Development Tools",
    "Legacy",
    "Public Cloud",
    "Python 3",
    "Server Applications",
    "Web and Scripting",
)


def suse_modules(ecosystem: str) -> tuple[str, ...]:
    """Name the modules of SUSE Linux Enterprise Server 15: these have its packages, not itself."""
    server = _SERVER_15(ecosystem)
    modules = _MODULES if server else ()
    return tuple(f"SUSE:Linux Enterprise Module for {it} {server[1]}" for it in modules if server)
