"""Alpine's packages, and Wolfi's and Chainguard's: the order of their versions, and apk's database.

Sources: apk-tools 2.14 and 3 (`src/version.c`, apk-package(5)); the Alpine wiki's "Apk spec" for
the fields of the database, which are those of the repository's index followed by the files.
"""

from __future__ import annotations

import re

from customhouse.analysis.ecosystems import ownership
from customhouse.analysis.ecosystems.encoding import MAX_VERSION, invalid
from customhouse.analysis.ecosystems.package import (
    MAX_FILES,
    MAX_PACKAGES,
    MAX_PATH,
    MAX_PATHS,
    MAX_TEXT,
    Database,
    Listing,
    Package,
    listing,
    shown,
    too_long,
    too_many,
    whole,
)

SCHEME = "apk"

_PLAIN = re.compile(rf"[!-~]{{1,{MAX_VERSION}}}").fullmatch
_SUFFIXES = r"alpha|beta|pre|rc|cvs|svn|git|hg|p"
# The longest beginning that is valid: digit{.digit}...{letter}{_suffix{n}}...{~hash}{-rN}
_VALID = re.compile(
    r"([0-9]+)((?:\.[0-9]+)*)([a-z]?)"
    rf"((?:_(?:{_SUFFIXES})(?![a-z])[0-9]*)*)"
    r"(?:~([0-9a-fA-F]+))?(?:-r([0-9]+))?"
).match
_SUFFIX = re.compile(rf"_({_SUFFIXES})([0-9]*)").findall
_RUNS = re.compile(r"([0-9]+)").split

# One tag a token, in the order in which tokens of different kinds compare at one position.
_INVALID, _END, _REVISION, _HASH, _SUFFIX_NUMBER, _LETTER, _NUMBER = (
    "\x05",
    "\x06",
    "\x07",
    "\x08",
    "\x09",
    "\x0f",
    "\x10",
)
_SUFFIX_TAGS = {
    "alpha": "\x01",
    "beta": "\x02",
    "pre": "\x03",
    "rc": "\x04",
    "cvs": "\x0a",
    "svn": "\x0b",
    "git": "\x0c",
    "hg": "\x0d",
    "p": "\x0e",
}


def key(version: str) -> bytes:
    """Encode a version so that keys compare as bytes exactly as apk compares valid versions.

    The first number compares as a number, further ones too unless one of the two begins with a
    zero: then as texts, which puts all of those before the others. A key is a tag for each token
    (from lowest: `_alpha` .. `_rc`, the invalid rest, the end, `-r`, `~hash`, the number of a
    suffix, `_cvs` .. `_p`, letter, number) followed by its value. apk takes all versions that
    are invalid from the same place on for equal; here the rest is compared further, its runs of
    digits as numbers, so that `5.9.2p1-r0` is below `5.9.2p1-r1`.

    Refused are characters other than printable ASCII and more than `MAX_VERSION` of them. Numbers
    of more than 64 bits, which wrap in apk, compare by their value.

    Raises:
        Failure: `VERSION_INVALID`.
    """
    if not _PLAIN(version):
        raise invalid(version, SCHEME)
    match = _VALID(version)
    if not match:
        return f"{_INVALID}{_natural(version)}".encode("latin-1")
    first, numbers, letter, suffixes, commit, revision = match.groups()
    parts = [_NUMBER, _number(first)]
    for digits in numbers.split(".")[1:]:
        if digits[0] == "0":
            parts += (_NUMBER, "\x01", digits, "\x00")
        else:
            parts += (_NUMBER, "\x02", chr(len(digits)), digits)
    if letter:
        parts += (_LETTER, letter)
    for suffix, digits in _SUFFIX(suffixes):
        number = f"{_SUFFIX_NUMBER}{_number(digits)}" if digits else ""
        parts += (_SUFFIX_TAGS[suffix], number)
    if commit:
        parts += (_HASH, commit, "\x00")
    if revision:
        parts += (_REVISION, _number(revision))
    end = match.end()
    if end == len(version):
        parts.append(_END)
    else:
        parts += (_INVALID, _natural(version[end:]))
    return "".join(parts).encode("latin-1")


def _number(digits: str) -> str:
    digits = digits.lstrip("0")
    return chr(len(digits)) + digits


def _natural(text: str) -> str:
    """Encode a text so that it sorts with its runs of digits as numbers."""
    runs = iter([*_RUNS(text), ""])
    pairs = zip(runs, runs, strict=True)
    return "".join(f"{other}\x00{_number(digits)}" for other, digits in pairs) + "\x00"


_FILES = frozenset(("lib/apk/db/installed", "usr/lib/apk/db/installed"))

_BLANK = re.compile(r"\n[ \t\n]*\n").split
_FILES_OF = re.compile(r"^([FR]):(.*)$", re.MULTILINE).findall
_FIELDS = re.compile(r"^([PVAoLm]):(.*)$", re.MULTILINE).findall
# A virtual package (apk add --virtual .build) begins with a dot.
_NAME = re.compile(rf"[0-9A-Za-z._][0-9A-Za-z+._-]{{0,{MAX_TEXT - 1}}}").fullmatch


def matches(path: str) -> bool:
    """Tell whether a path inside an image is apk's list of installed packages."""
    return path in _FILES


def parse(content: bytes) -> Listing:
    """Read apk's list of installed packages.

    The origin (`o`) is the source package; its version is the package's own. A package without an
    origin is its own.

    Raises:
        Failure: see `Database`.
    """
    text = content.decode("utf-8", "replace")
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    packages: list[Package] = []
    owned: dict[str, tuple[str, ...]] = {}
    unreadable = 0
    room = MAX_PATHS
    for stanza in _BLANK(text):
        if not stanza or stanza.isspace():
            continue
        fields: dict[str, str] = dict(_FIELDS(stanza))
        name = fields.get("P", "").strip()
        version = fields.get("V", "").strip()
        if not (_NAME(name) and _PLAIN(version)):
            unreadable += 1
            continue
        if len(packages) == MAX_PACKAGES:
            raise too_many(SCHEME)
        origin = fields.get("o", "").strip()
        packages.append(
            Package(
                name=name,
                version=version,
                arch=shown(fields.get("A", "")),
                source=origin if _NAME(origin) else name,
                source_version=version,
                licence=shown(fields.get("L", "")),
                maintainer=shown(fields.get("m", "")),
            )
        )
        files, room = _held(stanza, room)
        if files:
            owned[name] = files
    found = listing(SCHEME, packages, len(packages), unreadable)
    return Listing(found.packages, found.unreadable, owned)


def _held(stanza: str, room: int) -> tuple[tuple[str, ...], int]:
    """Give the files of a package that may hold others, and the room that is left.

    A file's line has its name, after the line of the folder that it is in.

    Args:
        stanza: of the package.
        room: characters that the paths of all its files may have.

    Raises:
        Failure: `ARCHIVE_LIMIT`.
    """
    held: list[str] = []
    folder = ""
    for kind, name in _FILES_OF(stanza):
        if kind == "F":
            folder = name
            continue
        size = len(folder) + 1 + len(name)
        if size > MAX_PATH:
            continue
        room -= size
        if room < 0:
            raise too_long(SCHEME)
        path = f"{folder}/{name}".lstrip("/")
        if len(held) < MAX_FILES and ownership.may_hold(path):
            held.append(path)
    return tuple(held), room


DATABASE = Database(SCHEME, matches, whole(parse))
