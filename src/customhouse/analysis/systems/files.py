"""The files that tell which system an image has, in the terms of os-release.

Sources: os-release(5); lsb_release's `etc/lsb-release`; the sentences of the release files of Red
Hat's family and of SUSE up to 11; Common Platform Enumeration (CPE) 2.2 and 2.3 for
`etc/system-release-cpe`; Alpine's `etc/alpine-release`; Debian's `etc/debian_version` (base-files).
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from customhouse.analysis.ecosystems.package import shown
from customhouse.analysis.systems.names import debian_release

if TYPE_CHECKING:
    from collections.abc import Mapping

RELEASES: tuple[str, ...] = ("etc/os-release", "usr/lib/os-release")
"""The files of os-release(5), the one that decides first."""

PRO = "var/lib/ubuntu-advantage/status.json"
"""Which services of Ubuntu Pro an image has, as `pro status --format json` has it."""

_SENTENCES = (
    "etc/oracle-release",
    "etc/centos-release",
    "etc/almalinux-release",
    "etc/rocky-release",
    "etc/fedora-release",
    "etc/redhat-release",
    "etc/system-release",
)

FILES: tuple[str, ...] = (
    *RELEASES,
    "etc/lsb-release",
    "etc/debian_version",
    "etc/alpine-release",
    "etc/apk/repositories",
    *_SENTENCES,
    "etc/system-release-cpe",
    "etc/SuSE-release",
    PRO,
)
"""Paths inside an image (no leading slash, links resolved) whose contents `recognise` wants."""

MAX_BYTES = 1 << 20
"""Bytes of a file that are looked at; real ones have less than two thousand, `PRO` ten thousand."""

_MAX_LINE = 4096


def text(content: bytes) -> str:
    """Decode a file; lines that are too long to be part of such a file are left out."""
    decoded = content[:MAX_BYTES].decode("utf-8-sig", "replace")
    return "\n".join(line for line in decoded.splitlines() if 0 < len(line) <= _MAX_LINE)


_ASSIGNMENT = re.compile(
    r"""^[ \t]*([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*
    (?: "((?:[^"\\\n]|\\.)*)"? | '([^'\n]*)'? | ([^\s]*) )""",
    re.MULTILINE | re.VERBOSE,
).findall
_ESCAPED = re.compile(r'\\(["$`\\])').sub


def variables(content: str) -> dict[str, str]:
    """Read shell-like assignments; the last of a name counts. Values are bounded and printable."""
    found = {}
    for name, double, single, plain in _ASSIGNMENT(content):
        value = _ESCAPED(r"\1", double) or single or plain
        found[name] = shown(value)
    return found


def older(texts: Mapping[str, str]) -> dict[str, str] | None:
    """Describe the system in os-release's terms from the files that are older than os-release.

    Args:
        texts: what `text` gives for those of `FILES` that exist.

    Returns:
        The variables of an os-release, among them `ID`; None if there is nothing to go by.
    """
    lsb = variables(texts.get("etc/lsb-release", ""))
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
    for path in _SENTENCES:
        sentence = _RELEASE(texts.get(path, ""))
        if sentence:
            return {
                "ID": next(id_ for start, id_ in _FAMILY if sentence[1].startswith(start)),
                "NAME": shown(sentence[1]),
                "VERSION_ID": sentence[2],
                "PRETTY_NAME": shown(sentence[0]),
            }
    cpe = _CPE(texts.get("etc/system-release-cpe", "").lower())
    if cpe and cpe[1] in _CPES:
        id_, name = _CPES[cpe[1]]
        return {"ID": id_, "NAME": name, "VERSION_ID": cpe[2]}
    suse = _SUSE(texts.get("etc/SuSE-release", ""))
    if suse:
        return _suse(suse[1], suse[2], texts["etc/SuSE-release"])
    if debian_release(shown(texts.get("etc/debian_version", ""))):
        return {"ID": "debian", "NAME": "Debian GNU/Linux"}
    return None


_RELEASE = re.compile(r"\s*([A-Z][\w. -]{0,100}?) release ([0-9]{1,4}(?:\.[0-9]{1,6})*).*").match
# Red Hat Linux, up to 9 in 2003, is not Red Hat Enterprise Linux of the same number.
_FAMILY = (
    ("CentOS", "centos"),
    ("Oracle", "ol"),
    ("Scientific", "scientific"),
    ("Fedora", "fedora"),
    ("AlmaLinux", "almalinux"),
    ("Rocky", "rocky"),
    ("Red Hat Enterprise Linux", "rhel"),
    ("Amazon", "amzn"),
    ("", "linux"),
)

_CPE = re.compile(
    r"\s*cpe:(?:/|2\.3:)o:([a-z]{1,30}:[a-z_]{1,30}):([0-9]{1,4}(?:\.[0-9]{1,6})*)"
).match
_CPES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "amazon:amazon_linux": ("amzn", "Amazon Linux"),
        "amazon:linux": ("amzn", "Amazon Linux"),
        "almalinux:almalinux": ("almalinux", "AlmaLinux"),
        "centos:centos": ("centos", "CentOS"),
        "centos:linux": ("centos", "CentOS"),
        "centos:stream": ("centos", "CentOS Stream"),
        "fedoraproject:fedora": ("fedora", "Fedora"),
        "oracle:linux": ("ol", "Oracle Linux"),
        "redhat:enterprise_linux": ("rhel", "Red Hat Enterprise Linux"),
        "rocky:rocky": ("rocky", "Rocky Linux"),
    }
)

_SUSE = re.compile(
    r"\s*((?:SUSE Linux Enterprise|openSUSE)[\w. -]{0,60}?) ([0-9]{1,3}(?:\.[0-9])?)\b"
).match


def _suse(name: str, version: str, content: str) -> dict[str, str]:
    """Describe SUSE up to 11 and openSUSE up to 13.2, which were no Leap, as later ones do."""
    patch_level = variables(content).get("PATCHLEVEL", "")
    pack = patch_level if patch_level.isdecimal() and int(patch_level) else ""
    return {
        "ID": "opensuse" if name.startswith("openSUSE") else "sles",
        "NAME": shown(name),
        "VERSION_ID": f"{version}.{pack}" if pack else version,
        "PRETTY_NAME": shown(f"{name} {version}{f' SP{pack}' if pack else ''}"),
    }
