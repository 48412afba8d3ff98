"""Node's packages, as package managers install them.

Source: npm's documentation, "package.json" and "folders": a package lies in `node_modules/NAME` or
`node_modules/@SCOPE/NAME`; what is below that and not in a further `node_modules` is its content.
"""

from __future__ import annotations

import re

import msgspec

from customhouse.analysis.ecosystems.package import (
    Database,
    Listing,
    content_of,
    of_language,
    shown,
)

ECOSYSTEM = "npm"

_PATH = re.compile(r"(?:.*/)?node_modules/(?:@[^/]+/)?[^/@.][^/]*/package\.json").fullmatch
_NAME = re.compile(r"(?:@[0-9A-Za-z~._-]{1,100}/)?[0-9A-Za-z~_-][0-9A-Za-z~._-]{0,213}").fullmatch
_VERSION = re.compile(r"[!-~]{1,250}").fullmatch
_MAX_BYTES = 4 * 1024**2


class _Manifest(msgspec.Struct, gc=False):
    """The part of a `package.json` that is used; anything may stand anywhere."""

    name: object = None
    version: object = None
    license: object = None
    licenses: object = None


_DECODER = msgspec.json.Decoder(_Manifest)


def matches(path: str) -> bool:
    """Tell whether a path inside an image is the manifest of an installed package."""
    return path.endswith("/package.json") and _PATH(path) is not None


def parse(path: str, manifest: bytes) -> Listing:
    """Read the manifest of a package. One without name and version is no package: a folder."""
    del path
    try:
        found = _DECODER.decode(manifest.removeprefix(b"\xef\xbb\xbf")[:_MAX_BYTES])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Listing((), 1)
    name, version = found.name, found.version
    if name is None or version is None:
        return Listing((), 0)
    if not (isinstance(name, str) and isinstance(version, str)):
        return Listing((), 1)
    version = version.strip().removeprefix("v").removeprefix("=")
    if not (_NAME(name) and _VERSION(version)):
        return Listing((), 1)
    package = of_language(
        ECOSYSTEM,
        name,
        version,
        licence=_licence(found.license) or _licence(found.licenses),
    )
    return Listing((package,), 0)


def _licence(value: object) -> str:
    """A licence's name: a text, an object with a `type`, or the first of an array of those."""
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, dict):
        value = value.get("type")
    return shown(value) if isinstance(value, str) else ""


DATABASE = Database("node", matches, content_of(parse), is_system=False)
