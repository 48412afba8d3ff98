"""Python's packages, as installers leave them.

Sources: Python Packaging User Guide, "Recording installed projects" and "Core metadata
specifications", "Names and normalization"; setuptools, "The Internal Structure of Python Eggs".
"""

from __future__ import annotations

import re
from email.parser import HeaderParser

from customhouse.analysis.ecosystems.package import (
    Database,
    Listing,
    content_of,
    of_language,
    shown,
)

ECOSYSTEM = "PyPI"

_PATH = re.compile(
    r"(?:.*/)?(?:[^/]+\.dist-info/METADATA|(?:[^/]+\.egg-info|EGG-INFO)/PKG-INFO|[^/]+\.egg-info)"
).fullmatch
# Looked at first, as it is quicker: a layer has many paths and few of these.
_ENDS = ("/METADATA", "/PKG-INFO", ".egg-info")
_NAME = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z._-]{0,198}[0-9A-Za-z])?").fullmatch
_VERSION = re.compile(r"[!-~]{1,250}").fullmatch
_RUNS = re.compile(r"[-_.]+").sub
_MAX_HEAD = 256 * 1024
_LICENCE = "License :: "
_UNKNOWN = "UNKNOWN"  # what setuptools wrote for fields that were not given


def matches(path: str) -> bool:
    """Tell whether a path inside an image is the metadata of an installed package."""
    return path.endswith(_ENDS) and _PATH(path) is not None


def normalized(name: str) -> str:
    """Write a name as advisories have it: in lower case, runs of `-`, `_` and `.` as one `-`."""
    return _RUNS("-", name).lower()


def parse(path: str, metadata: bytes) -> Listing:
    """Read the metadata of a package. Its name is normalized, as advisories have it."""
    del path
    head = re.split(rb"\r?\n\r?\n", metadata[:_MAX_HEAD], maxsplit=1)[0]
    fields = HeaderParser().parsestr(head.decode("utf-8", "replace"), headersonly=True)
    name, version = (str(fields.get(key, "")).strip() for key in ("Name", "Version"))
    if not (_NAME(name) and _VERSION(version)):
        return Listing((), 1)
    licence = str(fields.get("License-Expression") or fields.get("License") or "")
    if licence in {"", _UNKNOWN} or "\n" in licence:
        licence = next(
            (
                str(each).rpartition(" :: ")[2]
                for each in fields.get_all("Classifier", [])
                if str(each).startswith(_LICENCE)
            ),
            "",
        )
    name = normalized(name)
    package = of_language(
        ECOSYSTEM,
        name,
        version,
        licence=shown(licence),
        maintainer=shown(str(fields.get("Author-email") or fields.get("Author") or "")),
    )
    return Listing((package,), 0)


DATABASE = Database("python", matches, content_of(parse), is_system=False)
