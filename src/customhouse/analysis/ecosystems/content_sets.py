"""The content sets of Red Hat's images: the repositories that a layer's packages are from.

Source: the image content manifests that Red Hat's build systems (OSBS, Konflux) put into layers, in
the form of claircore's and Trivy's readers: an object whose `content_sets` is a list of names.
"""

from __future__ import annotations

import re
from typing import BinaryIO

import msgspec

from customhouse.analysis.ecosystems.package import MAX_TEXT, Database, Listing

MAX_BYTES = 16 * 1024**2
"""Bytes of a file that is read; beside the sets it may list what the image was built from."""

MAX_SETS = 1000
"""Content sets of a file; real ones have some dozens."""

FOLDERS = ("root/buildinfo/content_manifests", "usr/share/buildinfo")
"""Where the files are: of images, and of those that start as a system (bootc, CoreOS)."""

_NAME = re.compile(rf"[\w.+:/-]{{1,{MAX_TEXT}}}", re.ASCII).fullmatch


class _Manifest(msgspec.Struct):
    content_sets: list[str] | None = None


def matches(path: str) -> bool:
    """Tell whether a path inside an image may tell content sets."""
    return path.endswith(".json") and path.rpartition("/")[0] in FOLDERS


def parse(_: str, file: BinaryIO) -> Listing:
    """Read the content sets of a layer; never raises.

    What is no such file, or has more than the bounds above, is unreadable as a whole; so is each
    set that has no name of a repository. A file that has none, such as labels, is fine.
    """
    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        return Listing((), 1)
    try:
        told = msgspec.json.decode(content, type=_Manifest).content_sets or []
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return Listing((), 1)
    if len(told) > MAX_SETS:
        return Listing((), 1)
    sets = tuple(sorted({name for name in told if _NAME(name)}))
    unreadable = sum(1 for name in told if not _NAME(name))
    return Listing((), unreadable, content_sets=sets)


DATABASE = Database("content-sets", matches, parse, is_system=False)
