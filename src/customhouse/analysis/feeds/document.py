"""The documents that a feed consists of, before anything in them is read, and their bounds."""

from __future__ import annotations

from typing import Final, NamedTuple

MAX_DOCUMENT: Final = 16 << 20
"""The largest document, in bytes."""

MAX_DOCUMENTS: Final = 2_000_000
"""The most files of a folder or members of a zip."""

SUFFIX: Final = ".json"
"""What the name of a document ends with in a folder or a zip; anything else is ignored."""

TOO_LARGE: Final = f"it is larger than {MAX_DOCUMENT >> 20} MiB"

_MAX_NAME: Final = 256


class Document(NamedTuple):
    """One document: a record, as long as nothing is known to the contrary.

    Attributes:
        name: a file's or member's name; with a line or an index if a file holds several.
        content: the bytes, at most `MAX_DOCUMENT`.
    """

    name: str
    content: bytes


class Rejected(NamedTuple):
    """A document that is left out.

    Attributes:
        name: as of a `Document`.
        reason: why, as a part of a sentence.
    """

    name: str
    reason: str


class Survey(NamedTuple):
    """How much there is to read.

    Attributes:
        total: the number of documents. It is an estimate if one file holds several.
        ignored: the number of files or members that are no JSON files.
    """

    total: int
    ignored: int


def shown(name: str) -> str:
    """A name from a folder or a zip as it can be stored and shown: bounded and printable."""
    name = name[:_MAX_NAME]
    if not name.isprintable():
        name = "".join(each if each.isprintable() else "?" for each in name)
    return name


def explain(error: OSError) -> str:
    """What the system says is wrong with a file, in lower case."""
    return (error.strerror or type(error).__name__).lower()
