"""Which form a feed has, and its records whatever the form.

Most feeds are documents with a record in each. Some tell of many vulnerabilities at once (Alpine's
secdb, Debian's tracker, Amazon's updateinfo): their records are made of all files together.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from customhouse.analysis.feeds import archives, debian_tracker, epss, files, kev, secdb, updateinfo
from customhouse.analysis.feeds.document import Document, Rejected, explain, shown
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from customhouse.analysis.feeds.advisory import Advisory

_SAMPLE: Final = 64 << 10
_MAX_FILE: Final = 512 << 20
_MAX_FILES: Final = 1000


class Form(Enum):
    """What a feed is written in."""

    DOCUMENTS = "documents"
    """A record a document: OSV, Red Hat's VEX."""
    SECDB = "secdb"
    TRACKER = "debian-tracker"
    UPDATEINFO = "updateinfo"
    EPSS = "epss"
    KEV = "kev"


_RECOGNISED: Final[tuple[tuple[Form, Callable[[bytes], bool]], ...]] = (
    (Form.SECDB, secdb.recognises),
    (Form.TRACKER, debian_tracker.recognises),
    (Form.UPDATEINFO, updateinfo.recognises),
    (Form.EPSS, epss.recognises),
    (Form.KEV, kev.recognises),
)


def form_of(path: Path) -> Form:
    """Tell the form of a feed by how its first file, or that of a zip, begins.

    Raises:
        Failure: FEED_INVALID if there is no feed at the path or it cannot be read.
    """
    try:
        for document in _samples(path):
            return next(
                (form for form, recognises in _RECOGNISED if recognises(document)), Form.DOCUMENTS
            )
    except OSError as error:
        raise Failure(Code.FEED_INVALID, reason=explain(error)) from None
    return Form.DOCUMENTS


def whole_files(path: Path) -> Iterator[Document | Rejected]:
    """The files of a feed, whole: the file itself, or those below a folder or in a zip.

    Raises:
        Failure: FEED_INVALID if it cannot be read or there are too many.
    """
    try:
        if path.is_file() and not archives.is_zip(path):
            yield _whole(path, path.name)
        elif path.is_dir():
            for count, (name, file) in enumerate(files.walk(path)):
                if count >= _MAX_FILES:
                    reason = f"it has more than {_MAX_FILES} files"
                    raise Failure(Code.FEED_INVALID, reason=reason)
                yield _whole(file, shown(name))
        else:
            yield from archives.zip_documents(path)
    except OSError as error:
        raise Failure(Code.FEED_INVALID, reason=explain(error)) from None


def collected(path: Path, form: Form, ecosystem: str) -> Iterator[Advisory | Rejected]:
    """The records of a feed that are made of all its files together.

    Args:
        path: the feed.
        form: SECDB, TRACKER or UPDATEINFO.
        ecosystem: what UPDATEINFO is about, as `Amazon Linux:2023`.

    Raises:
        Failure: FEED_INVALID.
    """
    taken: list[Document] = []
    for document in whole_files(path):
        if isinstance(document, Rejected):
            yield document
        else:
            taken.append(document)
    if form is Form.SECDB:
        yield from secdb.read(taken)
    elif form is Form.TRACKER:
        yield from debian_tracker.read(taken)
    elif not ecosystem:
        reason = "updateinfo.xml does not tell what it is about; name its ecosystem"
        raise Failure(Code.FEED_INVALID, reason=reason)
    else:
        yield from updateinfo.read(taken, ecosystem)


def _samples(path: Path) -> Iterator[bytes]:
    if path.is_dir():
        for _, file in files.walk(path):
            with file.open("rb") as stream:
                yield stream.read(_SAMPLE)
    elif path.is_file() and archives.is_zip(path):
        for document in archives.zip_documents(path):
            if isinstance(document, Document):
                yield document.content[:_SAMPLE]
    elif path.is_file():
        with path.open("rb") as stream:
            yield stream.read(_SAMPLE)
    else:
        reason = "there is no file or folder at this path"
        raise Failure(Code.FEED_INVALID, reason=reason)


def _whole(path: Path, name: str) -> Document | Rejected:
    if path.stat().st_size > _MAX_FILE:
        return Rejected(name, f"it is larger than {_MAX_FILE >> 20} MiB")
    return Document(name, path.read_bytes())
