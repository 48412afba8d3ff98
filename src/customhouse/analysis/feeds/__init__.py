"""Feeds of advisories: what is known to be vulnerable, as others publish it.

`load` reads a feed from a path: a JSON file (one record, an array of records, or a record a line),
a folder of such files, or a zip of records as osv.dev publishes them. A record that cannot be read
never stops a feed; it comes out as a `Rejected`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from customhouse.analysis.feeds import archives, csaf, files, osv
from customhouse.analysis.feeds.advisory import (
    BEGINNING,
    UNFIXED,
    Advisory,
    Affected,
    Omission,
    Reference,
)
from customhouse.analysis.feeds.document import Document, Rejected, Survey, explain
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = [
    "BEGINNING",
    "UNFIXED",
    "Advisory",
    "Affected",
    "Document",
    "Omission",
    "Reference",
    "Rejected",
    "Survey",
    "documents",
    "load",
    "parse",
    "survey",
]


def load(path: Path) -> Iterator[Advisory | Rejected]:
    """Read a feed, one document at a time.

    Yields:
        For each document the advisory in it, or what is wrong with it.

    Raises:
        Failure: FEED_INVALID, when iteration begins, if there is no feed at the path; later only
            if a folder changes or turns out to have too many files.
    """
    for document in documents(path):
        if isinstance(document, Rejected):
            yield document
            continue
        try:
            yield parse(document.content)
        except Failure as failure:
            yield Rejected(document.name, str(failure.fields["reason"]))


def parse(content: bytes) -> Advisory:
    """Read one document: a VEX document of Red Hat's, or a record in OSV format.

    Raises:
        Failure: ADVISORY_INVALID if it is malformed or exceeds a limit.
    """
    return csaf.parse(content) if csaf.recognises(content) else osv.parse(content)


def documents(path: Path) -> Iterator[Document | Rejected]:
    """Read the documents of a feed, one at a time.

    Raises:
        Failure: as of `load`.
    """
    try:
        if path.is_dir():
            yield from files.folder_documents(path)
        elif archives.is_zip(_regular(path)):
            yield from archives.zip_documents(path)
        else:
            yield from files.file_documents(path, path.name)
    except OSError as error:
        raise Failure(Code.FEED_INVALID, reason=explain(error)) from None


def survey(path: Path) -> Survey:
    """Count the documents of a feed without reading them, for a progress bar.

    Raises:
        Failure: FEED_INVALID if there is no feed at the path, or no document in it.
    """
    try:
        if path.is_dir():
            found = files.survey_folder(path)
        elif archives.is_zip(_regular(path)):
            found = archives.survey_zip(path)
        else:
            found = files.survey_file(path)
    except OSError as error:
        raise Failure(Code.FEED_INVALID, reason=explain(error)) from None
    if not found.total:
        reason = f"it has no JSON files ({found.ignored} others are ignored)"
        raise Failure(Code.FEED_INVALID, reason=reason)
    return found


def _regular(path: Path) -> Path:
    if not path.is_file():
        raise Failure(Code.FEED_INVALID, reason="there is no file or folder at this path")
    return path
