"""rpm's packages: the order of their versions, and its database of installed packages.

Sources: rpm's `rpmio/rpmvercmp.cc` and `lib/rpmds.c` for the order, rpm-version(7), and
`include/rpm/rpmtag.h` for the tags; `rpmdb` for the forms of the database.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from customhouse.analysis.ecosystems import ownership, rpmdb
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
from customhouse.analysis.ecosystems.rpmdb.header import Header
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEME = "rpm"

SOURCE = "src:"
"""What the name of a source package begins with, where advisories are about one."""

_PLAIN = re.compile(rf"[!-~]{{1,{MAX_VERSION}}}").fullmatch
_VERSION = re.compile(r"(?:([0-9]{1,10}):)?([^:-]+)(?:-([^:-]+))?").fullmatch
_TOKENS = re.compile(r"([0-9]+)|([A-Za-z]+)|(~)|(\^)").findall
_TILDE, _END, _CARET, _LETTERS, _DIGITS = "\x01", "\x02", "\x03", "\x04", "\x05"


def key(version: str) -> bytes:
    """Encode `[epoch:]version[-release]` so that keys compare as bytes as rpm compares versions.

    A missing epoch is 0. A missing release is below every other; in rpm's dependencies it would
    stand for any, so advisories name one. What is neither letter, digit, `~` nor `^` only
    separates, in rpm as here: `1.0`, `1_0` and `1..0` are one version.

    A key is the number of the epoch, the tokens of the version, and 0x00 without a release, else
    0x01 and the tokens of that. Tokens, in the order in which they compare at one position: `~`
    0x01, the end 0x02, `^` 0x03, letters 0x04 with their text and 0x00, digits 0x05 with their
    number (its length in one byte, then the digits without leading zeros).

    Raises:
        Failure: `VERSION_INVALID`, also for characters other than printable ASCII and more than
            `MAX_VERSION` of them.
    """
    match = _VERSION(version) if _PLAIN(version) else None
    if not match:
        raise invalid(version, SCHEME)
    epoch, upstream, release = match.groups()
    parts = [_number(epoch or ""), *_tokens(upstream)]
    if release is None:
        parts.append("\x00")
    else:
        parts += ("\x01", *_tokens(release))
    return "".join(parts).encode("latin-1")


def _tokens(text: str) -> Iterator[str]:
    for digits, letters, tilde, _ in _TOKENS(text):
        if digits:
            yield f"{_DIGITS}{_number(digits)}"
        elif letters:
            yield f"{_LETTERS}{letters}\x00"
        else:
            yield _TILDE if tilde else _CARET
    yield _END


def _number(digits: str) -> str:
    digits = digits.lstrip("0")
    return chr(len(digits)) + digits


def without_epoch(version: str) -> str:
    """Leave out the epoch of a version. The database tells none of source packages."""
    return version.rpartition(":")[2]


_FOLDERS = frozenset(("var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm"))
_FILES = frozenset(("Packages", "Packages.db", "rpmdb.sqlite"))
_NAME = re.compile(rf"[0-9A-Za-z_][0-9A-Za-z+._~^-]{{0,{MAX_TEXT - 1}}}").fullmatch
_SOURCE_FILE = re.compile(r"([^/]+)-([^-/]+)-([^-/]+)\.(?:no)?src\.rpm").fullmatch
_KEYS = "gpg-pubkey"  # keys that are trusted are listed as packages of this name

_NAME_TAG, _VERSION_TAG, _RELEASE_TAG, _EPOCH_TAG = 1000, 1001, 1002, 1003
_VENDOR_TAG, _LICENCE_TAG, _PACKAGER_TAG, _ARCH_TAG = 1011, 1014, 1015, 1022
_OLD_NAMES_TAG, _SOURCE_TAG, _MODULE_TAG = 1027, 1044, 5096
_FOLDER_OF_TAG, _BASE_NAMES_TAG, _FOLDERS_TAG = 1116, 1117, 1118


def matches(path: str) -> bool:
    """Tell whether a path inside an image is a database of rpm, of whichever form."""
    folder, _, name = path.rpartition("/")
    return name in _FILES and folder in _FOLDERS


def parse(content: bytes) -> Listing:
    """Read a database of rpm.

    The source package is told by SOURCERPM, which has no epoch. The epoch 0 is left out.

    Raises:
        Failure: see `Database`; `ARCHIVE_CORRUPT` also if the database itself is damaged,
            `ARCHIVE_LIMIT` also if its files have more than `MAX_PATHS` characters.
    """
    if not content:
        return Listing((), 0)
    packages: list[Package] = []
    owned: dict[str, list[str]] = {}
    readable = unreadable = 0
    room = MAX_PATHS
    for blob in rpmdb.headers(content):
        if readable + unreadable == MAX_PACKAGES:
            raise too_many(SCHEME)
        try:
            header = Header(blob)
            package = _package(header)
            files, room = _held(header, room)
        except Failure as failure:
            if failure.code is Code.ARCHIVE_LIMIT:
                raise
            unreadable += 1
            continue
        readable += 1
        if package is None:
            continue
        packages.append(package)
        if files:
            known = owned.setdefault(package.name, [])
            known += files[: MAX_FILES - len(known)]
    found = listing(SCHEME, packages, readable, unreadable)
    files_of = {name: tuple(files) for name, files in owned.items()}
    return Listing(found.packages, found.unreadable, files_of)


def _package(header: Header) -> Package | None:
    """Describe a package; None for a key.

    Raises:
        Failure: `ARCHIVE_CORRUPT`, `VERSION_INVALID`.
    """
    name = header.text(_NAME_TAG)
    if name == _KEYS:
        return None
    version = f"{header.text(_VERSION_TAG)}-{header.text(_RELEASE_TAG)}"
    if epoch := header.number(_EPOCH_TAG):
        version = f"{epoch}:{version}"
    if not (_NAME(name) and _PLAIN(version)):
        raise invalid(version, SCHEME)
    source = _SOURCE_FILE(header.text(_SOURCE_TAG))
    is_source = source and _NAME(source[1]) and _PLAIN(f"{source[2]}-{source[3]}")
    return Package(
        name=name,
        version=version,
        arch=shown(header.text(_ARCH_TAG)),
        source=source[1] if source and is_source else name,
        source_version=f"{source[2]}-{source[3]}" if source and is_source else version,
        licence=shown(header.text(_LICENCE_TAG)),
        maintainer=shown(header.text(_PACKAGER_TAG)),
        vendor=shown(header.text(_VENDOR_TAG)),
        module=shown(":".join(header.text(_MODULE_TAG).split(":", 2)[:2])),
    )


def _held(header: Header, room: int) -> tuple[list[str], int]:
    """Give those of a package's files that may hold others, and the room that is left.

    Args:
        header: of the package.
        room: characters that the paths of all its files may have.

    Raises:
        Failure: `ARCHIVE_CORRUPT`, `ARCHIVE_LIMIT`.
    """
    held: list[str] = []
    for path in _files(header):
        room -= len(path)
        if room < 0:
            raise too_long(SCHEME)
        if len(held) < MAX_FILES and ownership.may_hold(path):
            held.append(path)
    return held, room


def _files(header: Header) -> Iterator[str]:
    """Give the paths of a package's files, without leading slash.

    Raises:
        Failure: `ARCHIVE_CORRUPT`.
    """
    folders = header.texts(_FOLDERS_TAG)
    names = header.texts(_BASE_NAMES_TAG)
    for name, folder in zip(names, header.numbers(_FOLDER_OF_TAG), strict=False):
        if folder < len(folders) and len(folders[folder]) + len(name) <= MAX_PATH:
            yield f"{folders[folder]}{name}".lstrip("/")
    for path in header.texts(_OLD_NAMES_TAG):
        if len(path) <= MAX_PATH:
            yield path.lstrip("/")


DATABASE = Database(SCHEME, matches, whole(parse))
