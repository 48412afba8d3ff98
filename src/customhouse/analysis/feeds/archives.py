"""The documents of a zip, in the form of osv.dev's `all.zip`: a member is a record.

Nothing is unpacked to a path, and no member is read that its own header says is too large. The
form is PKWARE's APPNOTE.TXT 6.3.10; only stored and deflated members are read.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from customhouse.analysis.feeds.document import (
    MAX_DOCUMENT,
    MAX_DOCUMENTS,
    SUFFIX,
    TOO_LARGE,
    Document,
    Rejected,
    Survey,
    explain,
    shown,
)
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_UNPACKED: Final = 64 << 30
"""The most bytes of all documents together."""

MAX_RATIO: Final = 250
"""How many times as large as packed a document may be, if it is large. The densest real records,
with hundreds of packages that are fixed in the same version, reach 50."""

_LARGE: Final = 1 << 20
_MAX_DIRECTORY: Final = 64 << 20
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED: Final = 1  # of the flags
_SIGNATURES: Final = (b"PK\x03\x04", b"PK\x05\x06")  # a member; the end of an empty zip


def is_zip(path: Path) -> bool:
    """Tell whether a file is a zip, or claims to be one.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as stream:
        return path.suffix.lower() == ".zip" or stream.read(4) in _SIGNATURES


def survey_zip(path: Path) -> Survey:
    """Count the members.

    Raises:
        Failure: FEED_INVALID if it is no zip, or too much is in it.
    """
    with _opened(path) as archive:
        total = len(_members(archive))
        # `ZipInfo.is_dir` fails for a member without a name.
        files = sum(not member.filename.endswith("/") for member in archive.infolist())
    return Survey(total, files - total)


def zip_documents(path: Path) -> Iterator[Document | Rejected]:
    """Read the JSON members one by one, in the order of the zip's directory.

    Yields:
        Each document; or what is wrong with a member that is encrypted, damaged or too large.

    Raises:
        Failure: FEED_INVALID if it is no zip, or too much is in it.
    """
    with _opened(path) as archive:
        for member in _members(archive):
            name = shown(member.filename)
            try:
                yield Document(name, _content(archive, member))
            except _MemberError as error:
                yield Rejected(name, str(error))


class _MemberError(Exception):
    """One member cannot be read; the text says why."""


class _Source(io.BufferedReader):
    """A zip's file. `zipfile` reads the directory at once and makes an object of each entry."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _MAX_DIRECTORY:
            raise Failure(Code.FEED_INVALID, reason="the directory of the zip is too large")
        return super().read(size)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with _Source(io.FileIO(path)) as source, _directory(source) as archive:
            yield archive
    except OSError as error:
        raise Failure(Code.FEED_INVALID, reason=explain(error)) from None


def _directory(source: _Source) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(source)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise Failure(
            Code.FEED_INVALID, reason=f"the zip is damaged: {shown(str(error))}"
        ) from None


def _members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    entries = archive.infolist()
    if len(entries) > MAX_DOCUMENTS:
        raise Failure(Code.FEED_INVALID, reason=f"it has more than {MAX_DOCUMENTS} members")
    members = [entry for entry in entries if entry.filename.lower().endswith(SUFFIX)]
    # `zipfile` gives no more bytes of a member than it announces.
    if sum(min(member.file_size, MAX_DOCUMENT) for member in members) > MAX_UNPACKED:
        raise Failure(Code.FEED_INVALID, reason=f"it unpacks to more than {MAX_UNPACKED >> 30} GiB")
    return members


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.flag_bits & _ENCRYPTED:
        raise _MemberError("it is encrypted")
    if member.compress_type not in _METHODS:
        raise _MemberError(f"its compression method {member.compress_type} is not supported")
    if max(member.file_size, member.compress_size) > MAX_DOCUMENT:
        raise _MemberError(TOO_LARGE)
    if member.file_size > max(_LARGE, MAX_RATIO * member.compress_size):
        raise _MemberError(f"it unpacks to more than {MAX_RATIO} times its size")
    try:
        return archive.read(member)
    except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, ValueError) as error:
        raise _MemberError(f"it is damaged: {shown(str(error))}") from None
    except RuntimeError as error:  # of which NotImplementedError is one
        raise _MemberError(f"it cannot be unpacked: {shown(str(error))}") from None
    except OSError as error:
        raise _MemberError(explain(error)) from None
