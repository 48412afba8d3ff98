"""Recognise the operating system of an image from a few of its files.

Sources: os-release(5); lsb_release's `etc/lsb-release`; Debian's `etc/debian_version` (base-files)
and distro-info-data; Alpine's `etc/alpine-release` and apk-repositories(5); OSV schema, "Defined
Ecosystems", for the names of ecosystems.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from customhouse.analysis.ecosystems.package import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

FILES: tuple[str, ...] = (
    "etc/os-release",
    "usr/lib/os-release",
    "etc/lsb-release",
    "etc/debian_version",
    "etc/alpine-release",
    "etc/apk/repositories",
    "etc/oracle-release",
    "etc/centos-release",
    "etc/redhat-release",
    "etc/system-release",
    "var/lib/ubuntu-advantage/status.json",
)
"""Paths inside an image (no leading slash, links resolved) whose contents `recognise` wants."""

MAX_BYTES = 1 << 20
"""Bytes of a file that are looked at; real ones have less than two thousand."""

_MAX_LINE = 4096


@dataclass(frozen=True, slots=True)
class System:
    """The operating system of an image.

    Attributes:
        id: identifier in the form of os-release(5), such as `debian`; `linux` if not stated.
        version: such as `12`, `22.04`, `3.19.1`, or the codename where there is no number; may be
            empty.
        name: for people, such as `Debian GNU/Linux 12 (bookworm)`.
        ecosystem: OSV ecosystem of its packages, such as `Debian:12`; None if there are no
            advisories in that form for it, or its release is not known.
        also: further ecosystems whose advisories count, such as `Ubuntu:Pro:22.04:LTS`.
    """

    id: str
    version: str
    name: str
    ecosystem: str | None
    also: tuple[str, ...] = ()


def recognise(files: Mapping[str, bytes]) -> System | None:
    """Tell which system an image has; None if nothing says so.

    `etc/os-release` decides, else `usr/lib/os-release`, if it has an `ID`; else the older files of
    the distributions; else an os-release without an `ID`.

    Args:
        files: contents of those of `FILES` that exist. Any bytes are fine.
    """
    texts = {path: _text(files[path]) for path in FILES if path in files}
    releases = [_variables(texts.get(path, "")) for path in FILES[:2]]
    stated = next((release for release in releases if release.get("ID")), None)
    if stated:
        return _system(stated, texts)
    older = _older(texts)
    if older:
        return _system(older, texts)
    unnamed = next((release for release in releases if "NAME" in release), None)
    return _system({**unnamed, "ID": "linux"}, texts) if unnamed else None


def _text(content: bytes) -> str:
    """Decode a file; lines that are too long to be part of such a file are left out."""
    text = content[:MAX_BYTES].decode("utf-8-sig", "replace")
    return "\n".join(line for line in text.splitlines() if 0 < len(line) <= _MAX_LINE)


_ASSIGNMENT = re.compile(
    r"""^[ \t]*([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*
    (?: "((?:[^"\\\n]|\\.)*)"? | '([^'\n]*)'? | ([^\s]*) )""",
    re.MULTILINE | re.VERBOSE,
).findall
_ESCAPED = re.compile(r'\\(["$`\\])').sub


def _variables(text: str) -> dict[str, str]:
    """Read shell-like assignments; the last of a name counts. Values are bounded and printable."""
    variables = {}
    for name, double, single, plain in _ASSIGNMENT(text):
        value = _ESCAPED(r"\1", double) or single or plain
        variables[name] = shown(value)
    return variables


def _older(texts: Mapping[str, str]) -> dict[str, str] | None:
    """Describe the system in os-release's terms from the files that are older than os-release."""
    lsb = _variables(texts.get("etc/lsb-release", ""))
    if lsb.get("DISTRIB_ID"):
        return {
            "ID": lsb["DISTRIB_ID"],
            "NAME": lsb["DISTRIB_ID"],
            "VERSION_ID": lsb.get("DISTRIB_RELEASE", ""),
            "VERSION_CODENAME": lsb.get("DISTRIB_CODENAME", ""),
            "PRETTY_NAME": lsb.get("DISTRIB_DESCRIPTION", ""),
        }
    alpine = shown(texts.get("etc/alpine-release", ""))
    if alpine[:1].isdigit():
        return {"ID": "alpine", "NAME": "Alpine Linux", "VERSION_ID": alpine}
    for path in _RED_HAT_FILES:
        sentence = _RELEASE(texts.get(path, ""))
        if sentence:
            return {
                "ID": next(id_ for start, id_ in _RED_HATS if sentence[1].startswith(start)),
                "NAME": shown(sentence[1]),
                "VERSION_ID": sentence[2],
                "PRETTY_NAME": shown(sentence[0]),
            }
    if _debian_release(shown(texts.get("etc/debian_version", ""))):
        return {"ID": "debian", "NAME": "Debian GNU/Linux"}
    return None


_RED_HAT_FILES = (
    "etc/oracle-release",
    "etc/centos-release",
    "etc/redhat-release",
    "etc/system-release",
)
_RELEASE = re.compile(r"\s*([A-Z][\w. -]{0,100}?) release ([0-9]{1,4}(?:\.[0-9]{1,6})*).*").match
_RED_HATS = (
    ("CentOS", "centos"),
    ("Oracle", "ol"),
    ("Scientific", "scientific"),
    ("Fedora", "fedora"),
    ("AlmaLinux", "almalinux"),
    ("Rocky", "rocky"),
    ("Red Hat", "rhel"),
    ("Amazon", "amzn"),
    ("", "linux"),
)
_NOT_IN_ID = re.compile(r"[^a-z0-9._-]+").sub


def _system(release: Mapping[str, str], texts: Mapping[str, str]) -> System:
    id_ = _NOT_IN_ID("-", release["ID"].lower()).strip("-") or "linux"
    version = release.get("VERSION_ID", "")
    ecosystem: str | None = None
    also: tuple[str, ...] = ()
    if id_ == "debian":
        older = shown(texts.get("etc/debian_version", ""))
        codename = release.get("VERSION_CODENAME", "")
        stated = (version, older, codename, release.get("PRETTY_NAME", ""))
        found = next(filter(None, map(_debian_release, stated)), None)
        ecosystem = found and f"Debian:{found}"
        version = version or older or codename
    elif id_ == "ubuntu":
        ecosystem = _ubuntu(version)
        if ecosystem and _has_pro(texts.get(_PRO, "")):
            also = (ecosystem.replace("Ubuntu:", "Ubuntu:Pro:", 1),)
    elif id_ == "alpine":
        version = version or shown(texts.get("etc/alpine-release", ""))
        branch = _alpine_branch(version, texts.get("etc/apk/repositories", ""))
        ecosystem = branch and f"Alpine:{branch}"
    elif id_ in _BY_MAJOR:
        ecosystem = _by_major(id_, version)
    else:
        ecosystem = _ROLLING.get(id_) or _suse(id_, release)
    name = release.get("PRETTY_NAME") or " ".join(
        filter(None, (release.get("NAME") or id_, version))
    )
    return System(id=id_, version=version, name=name, ecosystem=ecosystem, also=also)


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


def _by_major(id_: str, version: str) -> str | None:
    """Name the ecosystem of a major version; Amazon Linux 1 counts its releases by months."""
    match = _MAJOR(version)
    if not match:
        return None
    major = match[1]
    if id_ == "amzn" and int(major) in range(2011, 2019):
        major = "1"
    return f"{_BY_MAJOR[id_]}:{int(major)}"


def _suse(id_: str, release: Mapping[str, str]) -> str | None:
    """Name SUSE's ecosystem: what the system calls itself, without the vendor's word."""
    name = release.get("PRETTY_NAME", "")
    if id_ == "opensuse-tumbleweed":
        return "openSUSE:Tumbleweed"
    if id_ == "opensuse-leap":
        return f"openSUSE:Leap {release.get('VERSION_ID', '')}"
    if id_.startswith("sle") and name.startswith("SUSE "):
        return f"SUSE:{name.removeprefix('SUSE ')}"
    return None


_PRO = "var/lib/ubuntu-advantage/status.json"
_PRO_ENABLED = re.compile(
    r'\{[^{}]*"name"\s*:\s*"esm-(?:infra|apps)"[^{}]*"status"\s*:\s*"enabled"[^{}]*\}'
).search


def _has_pro(status: str) -> bool:
    """Tell whether Ubuntu Pro's security updates are switched on."""
    return bool(_PRO_ENABLED(status))


# Systems with one stream of packages and advisories, whatever their version says.
_ROLLING: Mapping[str, str] = MappingProxyType(
    {"wolfi": "Wolfi", "chainguard": "Chainguard", "minimos": "MinimOS", "echo": "Echo"}
)

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


def _debian_release(text: str) -> str | None:
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


def _ubuntu(version: str) -> str | None:
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


def _alpine_branch(version: str, repositories: str) -> str | None:
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
