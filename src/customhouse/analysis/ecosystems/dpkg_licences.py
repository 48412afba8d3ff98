"""The licences of Debian's packages, which dpkg's database does not have.

Sources: Debian Policy 12.5, "Copyright information": `/usr/share/doc/PACKAGE/copyright`, which may
refer to the texts in `/usr/share/common-licenses`; and "Machine-readable debian/copyright file 1.0"
(DEP-5), whose paragraphs name licences in `License` fields.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO

from customhouse.analysis.ecosystems.package import MAX_TEXT, Database, Listing

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_BYTES = 64 * 1024
"""Bytes of a file that are read."""

_FOLDER, _NAME = "usr/share/doc/", "/copyright"
_PACKAGE = re.compile(r"[0-9a-z][0-9a-z+.-]{1,255}").fullmatch
_FORMAT = re.compile(rb"\s*Format(?:-Specification)?:").match
_FIELD = re.compile(rb"^License:[ \t]*([!-~][ -~\t]{0,199})$", re.MULTILINE | re.IGNORECASE).findall
_COMMON = re.compile(rb"/usr/share/common-licenses/([0-9A-Za-z][0-9A-Za-z.+-]{0,49})").findall


def matches(path: str) -> bool:
    """Tell whether a path inside an image states the licences of a package."""
    return path.startswith(_FOLDER) and path.endswith(_NAME) and path.count("/") == 4


def parse(path: str, file: BinaryIO) -> Listing:
    """Read the licences of a package; never raises.

    They are in Debian's words and in the order of the file, with a semicolon in between, as many as
    make up `MAX_TEXT` characters: those of a machine-readable file, else the common licences that
    it refers to.
    """
    package = path[len(_FOLDER) : -len(_NAME)]
    content = file.read(MAX_BYTES)
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n")
    found = _FIELD(content) if _FORMAT(content) else []
    licences = _joined(found or (name.rstrip(b".-") for name in _COMMON(content)))
    return Listing((), 0, licences={package: licences} if licences and _PACKAGE(package) else {})


def _joined(found: Iterable[bytes]) -> str:
    """Write each licence once, as far as there is room."""
    text = ""
    for licence in dict.fromkeys(each.rstrip().decode("ascii") for each in found):
        longer = f"{text}; {licence}" if text else licence
        if len(longer) > MAX_TEXT:
            break
        text = longer.replace("\t", " ")
    return text


DATABASE = Database("dpkg-licences", matches, parse, is_system=False)
