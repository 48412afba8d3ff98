"""PHP's packages, as Composer installs them.

Source: Composer's "The composer.json schema" and its upgrade guide to 2.0 ("For integrators and
plugin authors"): `vendor/composer/installed.json` is a list of packages, or since Composer 2 an
object that has it as `packages`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from customhouse.analysis.ecosystems.encoding import MAX_VERSION
from customhouse.analysis.ecosystems.package import (
    MAX_PACKAGES,
    Database,
    Listing,
    Package,
    content_of,
    of_language,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

ECOSYSTEM = "Packagist"

MAX_BYTES = 4 * 1024**2
"""Bytes of a file that is read. Hostile JSON takes 40 times its size in memory."""

_PATH = re.compile(r"(?:.*/)?composer/installed\.json", re.DOTALL).fullmatch
_NAME = re.compile(r"[0-9a-z][0-9a-z._-]{0,127}/[0-9a-z][0-9a-z._-]{0,127}").fullmatch
_VERSION = re.compile(rf"[!-~]{{1,{MAX_VERSION}}}").fullmatch
_LEADING_V = re.compile(r"[vV](?=[0-9])").match


class _Package(msgspec.Struct, gc=False):
    """The part of a package that is used; anything may stand anywhere."""

    name: object = None
    version: object = None
    license: object = None
    authors: object = None


class _Installed(msgspec.Struct, gc=False):
    """The file since Composer 2."""

    packages: list[msgspec.Raw]


_DECODER = msgspec.json.Decoder(_Installed | list[msgspec.Raw])
_PACKAGE = msgspec.json.Decoder(_Package)


def matches(path: str) -> bool:
    """Tell whether a path inside an image is Composer's list of installed packages."""
    return path.endswith("/installed.json") and _PATH(path) is not None


def parse(path: str, content: bytes) -> Listing:
    """Read Composer's list of installed packages; never raises.

    Names are in lower case. Versions lose a leading `v`; those of branches (`dev-main`) stay as
    they are. Of several licences and authors the first is kept. Packages beyond `MAX_PACKAGES`
    count as unreadable, and so does each that names no package.
    """
    del path
    if len(content) > MAX_BYTES:
        return Listing((), 1)
    try:
        found = _DECODER.decode(content.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Listing((), 1)
    entries: Sequence[msgspec.Raw] = found.packages if isinstance(found, _Installed) else found
    packages = tuple(
        package for entry in entries[:MAX_PACKAGES] if (package := _package(entry)) is not None
    )
    return Listing(packages, len(entries) - len(packages))


def _package(entry: msgspec.Raw) -> Package | None:
    """Read one package; None if it is none."""
    try:
        found = _PACKAGE.decode(entry)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if not (isinstance(found.name, str) and isinstance(found.version, str)):
        return None
    name, version = found.name.lower(), found.version.strip()
    if _LEADING_V(version):
        version = version[1:]
    if not (_NAME(name) and _VERSION(version)):
        return None
    return of_language(
        ECOSYSTEM,
        name,
        version,
        licence=_first(found.license),
        maintainer=_first(found.authors),
    )


def _first(value: object) -> str:
    """A text, the first of several, or the name of the first of several objects; else empty."""
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, dict):
        value = value.get("name")
    return shown(value) if isinstance(value, str) else ""


DATABASE = Database("php", matches, content_of(parse), is_system=False)
