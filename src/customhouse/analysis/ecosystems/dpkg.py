"""Debian's packages: the order of their versions and the database of dpkg.

Sources: deb-version(7), dpkg's `lib/dpkg/version.c` and `lib/dpkg/parsehelp.c`; dpkg-query(1) and
deb-control(5) for the database. Distroless images have one file a package in `status.d` instead.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from customhouse.analysis.ecosystems import ownership
from customhouse.analysis.ecosystems.encoding import MAX_VERSION, invalid
from customhouse.analysis.ecosystems.package import (
    MAX_FILES,
    MAX_PACKAGES,
    MAX_TEXT,
    Database,
    Listing,
    Package,
    content_of,
    listing,
    shown,
    too_many,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

SCHEME = "dpkg"

_PLAIN = re.compile(rf"[!-~]{{1,{MAX_VERSION}}}").fullmatch
_DIGITS = re.compile(r"[0-9]+").sub
_MAX_EPOCH = 2**31 - 1

# Within a run of non-digits: `~`, the end of the run (0x02), letters, everything else.
_ORDER = {
    code: 1 if chr(code) == "~" else code if chr(code).isalpha() else code + 0x80
    for code in range(0x21, 0x7F)
    if not chr(code).isdigit()
}


def key(version: str) -> bytes:
    """Encode a version so that keys compare as bytes exactly as dpkg compares the versions.

    Equal versions get equal keys: `1.0`, `0:1.0`, `1.00` and `1.0-0` are one. A key is the number
    of the epoch, then upstream version and revision, each as pairs of a run of non-digits ended by
    0x02 and a number (its length in one byte, then its digits without leading zeros), and a final
    0x02: after a number only `~` (0x01) or the code of another non-digit (from 0x41) can follow.

    Accepted is what dpkg compares, so also what it warns of (a version that begins with a letter,
    `_` within). Refused is what dpkg refuses (empty parts, an epoch that is no number or above
    2**31 - 1), and beyond that a signed epoch, characters other than printable ASCII, and more
    than `MAX_VERSION` of them.

    Raises:
        Failure: `VERSION_INVALID`.
    """
    text = version.strip(" \t")
    if not _PLAIN(text):
        raise invalid(version, SCHEME)
    epoch, colon, rest = text.partition(":")
    if not colon:
        epoch, rest = "", text
    elif not epoch.isdigit() or int(epoch) > _MAX_EPOCH:
        raise invalid(version, SCHEME)
    else:
        epoch = epoch.lstrip("0")
    upstream, hyphen, revision = rest.rpartition("-")
    if not hyphen:
        upstream, revision = rest, "0"
    if not (upstream and revision):
        raise invalid(version, SCHEME)
    return f"{chr(len(epoch))}{epoch}{_part(upstream)}{_part(revision)}".encode("latin-1")


def _part(text: str) -> str:
    end = "\x02" if text[-1].isdigit() else "\x02\x00\x02"
    return _DIGITS(_number, text.translate(_ORDER)) + end


def _number(match: re.Match[str]) -> str:
    digits = match[0].lstrip("0")
    return f"\x02{chr(len(digits))}{digits}"


_STATUS_FILES = frozenset(("var/lib/dpkg/status", "usr/lib/dpkg/status"))
_STATUS_FOLDERS = frozenset(("var/lib/dpkg/status.d", "usr/lib/dpkg/status.d"))
# Names of packages have dots too (python3.11), so the companions are named one by one.
_COMPANIONS = (
    ".md5sums",
    ".list",
    ".preinst",
    ".postinst",
    ".prerm",
    ".postrm",
    ".conffiles",
    ".config",
    ".templates",
    ".triggers",
    ".shlibs",
    ".symbols",
)

_BLANK = re.compile(r"\n[ \t\n]*\n").split
_FIELDS = re.compile(
    r"^(Package|Status|Version|Source|Architecture|Maintainer)[ \t]*:[ \t]*(.*)$",
    re.IGNORECASE | re.MULTILINE,
).findall
_NAME = re.compile(rf"[0-9A-Za-z][0-9A-Za-z+._-]{{0,{MAX_TEXT - 1}}}").fullmatch
_SOURCE = re.compile(r"([^ \t(]+)(?:[ \t]*\([ \t]*([^ \t)]+)[ \t]*\))?").fullmatch


def matches(path: str) -> bool:
    """Tell whether a path inside an image is a status file, or a stanza of a distroless one."""
    if path in _STATUS_FILES:
        return True
    folder, _, name = path.rpartition("/")
    return folder in _STATUS_FOLDERS and bool(name) and not name.endswith(_COMPANIONS)


def parse(content: bytes) -> Listing:
    """Read a status file, or one stanza of `status.d`.

    Listed are the packages whose state (the third word of `Status`) is `installed`, and those
    without a `Status`, which is how distroless images write them. `Source: name (version)` gives
    name and version of the source package as far as they differ from the binary's.

    Raises:
        Failure: see `Database`.
    """
    text = content.decode("utf-8", "replace")
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    packages: list[Package] = []
    readable = unreadable = 0
    for stanza in _BLANK(text):
        if not stanza or stanza.isspace():
            continue
        fields = {name.lower(): value.rstrip() for name, value in _FIELDS(stanza)}
        name = fields.get("package", "")
        if not _NAME(name):
            unreadable += 1
            continue
        status = fields.get("status")
        if status is not None and status.split()[2:3] != ["installed"]:
            readable += 1
            continue
        version = fields.get("version", "")
        if not _PLAIN(version):
            unreadable += 1
            continue
        readable += 1
        if len(packages) == MAX_PACKAGES:
            raise too_many(SCHEME)
        source, source_version = _source(fields.get("source", ""), name, version)
        packages.append(
            Package(
                name=name,
                version=version,
                arch=shown(fields.get("architecture", "")),
                source=source,
                source_version=source_version,
                maintainer=shown(fields.get("maintainer", "")),
            )
        )
    return listing(SCHEME, packages, readable, unreadable)


def _source(field: str, name: str, version: str) -> tuple[str, str]:
    """Give name and version of the source package; those of the binary where it says nothing."""
    match = _SOURCE(field) if field else None
    if not match or not _NAME(match[1]):
        return name, version
    stated = match[2]
    return match[1], stated if stated and _PLAIN(stated) else version


DATABASE = Database(SCHEME, matches, whole(parse))

_LIST = re.compile(r"var/lib/dpkg/info/([^/:]+)(?::[^/]+)?\.list").fullmatch
_SUMS = re.compile(r"(?:var|usr)/lib/dpkg/status\.d/([^/]+)\.md5sums").fullmatch
_SUM = re.compile(r"[0-9a-f]{32}  ?(.*)").fullmatch


def lists_files(path: str) -> bool:
    """Tell whether a path inside an image is the list of a package's files."""
    return path.endswith((".list", ".md5sums")) and bool(_LIST(path) or _SUMS(path))


def parse_files(path: str, content: bytes) -> Listing:
    """Read which files a package has: dpkg's list, or the checksums of a distroless image."""
    lines: Iterable[str] = content.decode("utf-8", "replace").split("\n")
    named = _LIST(path) or _SUMS(path)
    if _SUMS(path):
        lines = (match[1] for match in map(_SUM, lines) if match)
    name = named[1] if named else ""
    owned = tuple(filter(ownership.may_hold, (line.lstrip("/") for line in lines)))
    return Listing((), 0, {name: owned[:MAX_FILES]} if owned and _NAME(name) else {})


FILES = Database("dpkg-files", lists_files, content_of(parse_files), is_system=False)
