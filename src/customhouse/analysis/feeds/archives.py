"""The documents of a zip, in the form of osv.dev's `all.zip`: a member is a record.

Nothing is unpacked to a path, and no member is read that its own header says is too large. The
form is PKWARE's APPNOTE.TXT 6.3.10; only stored and deflated members are read. A feed has members
by the hundred thousand, each a record of a kilobyte: `zipfile`, which makes several objects of
each and keeps them all, takes longer to hand them out than it takes to read what is in them.
"""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

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
    from typing import BinaryIO

MAX_UNPACKED: Final = 64 << 30
"""The most bytes of all documents together."""

MAX_RATIO: Final = 250
"""How many times as large as packed a document may be, if it is large. The densest real records,
with hundreds of packages that are fixed in the same version, reach 50."""

_LARGE: Final = 1 << 20
_MAX_DIRECTORY: Final = 64 << 20
_STORED: Final = zipfile.ZIP_STORED
_DEFLATED: Final = zipfile.ZIP_DEFLATED
_ENCRYPTED: Final = 1 << 0 | 1 << 6  # of the flags
_PATCHED: Final = 1 << 5
_UTF8: Final = 1 << 11
_SIGNATURES: Final = (b"PK\x03\x04", b"PK\x05\x06")  # a member; the end of an empty zip

# The records of section 4.3, each with its signature.
_LOCAL: Final = struct.Struct("<4s22xHH")  # lengths of name and extra field
_ENTRY: Final = struct.Struct("<4s4xHH4x3L3H8xL")
_END: Final = struct.Struct("<4s6xH2LH")
_END64: Final = struct.Struct("<4s28x3Q")
_LOCATOR: Final = struct.Struct("<4s4xQ4x")
_EXTRA: Final = struct.Struct("<HH")
_LONG: Final = struct.Struct("<Q")
_SIZES64: Final = 1  # kind of an extra field
_IN_EXTRA: Final = 0xFFFFFFFF
_MAX_COMMENT: Final = 0xFFFF
_SLACK: Final = 64  # bytes that an extra field of a member mostly has at most


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
    total = ignored = 0
    with _opened(path) as archive:
        for member in archive.members():
            if member.is_document:
                total += 1
            elif not member.name.endswith("/"):
                ignored += 1
    return Survey(total, ignored)


def zip_documents(path: Path) -> Iterator[Document | Rejected]:
    """Read the JSON members one by one, in the order of the zip's directory.

    Yields:
        Each document; or what is wrong with a member that is encrypted, damaged or too large.

    Raises:
        Failure: FEED_INVALID if it is no zip, or too much is in it.
    """
    with _opened(path) as archive:
        for member in archive.members():
            if not member.is_document:
                continue
            name = shown(member.name)
            try:
                yield Document(name, archive.content(member))
            except _MemberError as error:
                yield Rejected(name, str(error))


class _MemberError(Exception):
    """One member cannot be read; the text says why."""


class _Member(NamedTuple):
    """An entry of the directory."""

    name: str
    raw_name: bytes
    flags: int
    method: int
    checksum: int
    packed: int
    size: int
    at: int
    is_document: bool


class _Archive:
    """A zip whose directory is in memory as it is in the file."""

    def __init__(self, stream: BinaryIO) -> None:
        """Find the directory and read it."""
        self._descriptor = stream.fileno()
        # Positions count from where the zip begins, which need not be where the file does.
        self._directory, self._begin = _directory(stream)

    def members(self) -> Iterator[_Member]:
        """The entries, in their order.

        Raises:
            Failure: FEED_INVALID if one is damaged, or their number or size exceeds a bound.
        """
        directory = self._directory
        at = count = unpacked = 0
        while at < len(directory):
            try:
                (
                    signature,
                    flags,
                    method,
                    checksum,
                    packed,
                    size,
                    of_name,
                    of_extra,
                    of_comment,
                    place,
                ) = _ENTRY.unpack_from(directory, at)
            except struct.error:
                raise _damaged("its directory ends within an entry") from None
            if signature != b"PK\x01\x02":
                raise _damaged("its directory has something else in it")
            at += _ENTRY.size
            raw_name = directory[at : at + of_name]
            if _IN_EXTRA in (packed, size, place):
                extra = directory[at + of_name : at + of_name + of_extra]
                size, packed, place = _long(extra, size, packed, place)
            at += of_name + of_extra + of_comment
            name = raw_name.decode("utf-8" if flags & _UTF8 else "cp437", "replace")
            is_document = name.lower().endswith(SUFFIX)
            if is_document:
                count += 1
                unpacked += min(size, MAX_DOCUMENT)
            if count > MAX_DOCUMENTS:
                raise _invalid(f"it has more than {MAX_DOCUMENTS} members")
            if unpacked > MAX_UNPACKED:
                raise _invalid(f"it unpacks to more than {MAX_UNPACKED >> 30} GiB")
            yield _Member(name, raw_name, flags, method, checksum, packed, size, place, is_document)

    def content(self, member: _Member) -> bytes:
        """Unpack a member.

        Raises:
            _MemberError: it cannot be, or is not what the directory says.
        """
        if member.flags & _ENCRYPTED:
            raise _MemberError("it is encrypted")
        if member.flags & _PATCHED or member.method not in {_STORED, _DEFLATED}:
            raise _MemberError(f"its compression method {member.method} is not supported")
        if max(member.size, member.packed) > MAX_DOCUMENT:
            raise _MemberError(TOO_LARGE)
        if member.size > max(_LARGE, MAX_RATIO * member.packed):
            raise _MemberError(f"it unpacks to more than {MAX_RATIO} times its size")
        try:
            content = self._packed(member)
            if member.method == _DEFLATED:
                unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
                content = unpacker.decompress(content, member.size + 1)
        except OSError as error:
            raise _MemberError(explain(error)) from None
        except zlib.error as error:
            raise _MemberError(f"it is damaged: {shown(str(error))}") from None
        if len(content) != member.size or zlib.crc32(content) != member.checksum:
            raise _MemberError("it is damaged: its length or its checksum is another")
        return content

    def _packed(self, member: _Member) -> bytes:
        at = self._begin + member.at
        length = _LOCAL.size + len(member.raw_name) + member.packed
        found = self._read(length + _SLACK, at)
        if len(found) < _LOCAL.size:
            raise _MemberError("it is damaged: it ends too early")
        signature, of_name, of_extra = _LOCAL.unpack_from(found)
        begin = _LOCAL.size + of_name
        if signature != b"PK\x03\x04" or found[_LOCAL.size : begin] != member.raw_name:
            raise _MemberError("it is damaged: it is not where the directory says")
        begin += of_extra
        if of_extra > _SLACK:
            return self._read(member.packed, at + begin)
        return found[begin : begin + member.packed]

    def _read(self, length: int, at: int) -> bytes:
        try:
            return os.pread(self._descriptor, length, at)
        except (OverflowError, ValueError):  # a place beyond all files
            return b""


@contextmanager
def _opened(path: Path) -> Iterator[_Archive]:
    try:
        with path.open("rb", buffering=0) as stream:
            yield _Archive(stream)
    except OSError as error:
        raise Failure(Code.FEED_INVALID, reason=explain(error)) from None


def _directory(stream: BinaryIO) -> tuple[bytes, int]:
    """The bytes of the directory, and where in the file the zip begins.

    Raises:
        Failure: FEED_INVALID.
    """
    descriptor = stream.fileno()
    length = os.fstat(descriptor).st_size
    start = max(0, length - _END.size - _MAX_COMMENT)
    tail = os.pread(descriptor, length - start, start)
    at = tail.rfind(b"PK\x05\x06", 0, max(0, len(tail) - _END.size) + 4)
    if at < 0:
        raise _damaged("it has no end")
    _, _, size, place, _ = _END.unpack_from(tail, at)
    end = start + at
    before = os.pread(descriptor, _LOCATOR.size, max(0, end - _LOCATOR.size))
    if before[:4] == b"PK\x06\x07":
        # What this locates is expected right before it, so that bytes before the zip do no harm.
        end -= _LOCATOR.size + _END64.size
        found = os.pread(descriptor, _END64.size, max(0, end))
        if found[:4] != b"PK\x06\x06" or len(found) < _END64.size:
            raise _damaged("the end of its directory is not where it should be")
        _, _, size, place = _END64.unpack(found)
    if size > _MAX_DIRECTORY:
        raise _invalid("the directory of the zip is too large")
    begin = end - size - place
    if begin < 0:
        raise _damaged("its directory is not in it")
    directory = os.pread(descriptor, size, end - size)
    if len(directory) != size:
        raise _damaged("its directory is not in it")
    return directory, begin


def _long(extra: bytes, *values: int) -> list[int]:
    """Values of an entry, of which those that are too long are in its extra field (4.5.3)."""
    found = list(values)
    at = 0
    while at + _EXTRA.size <= len(extra):
        kind, length = _EXTRA.unpack_from(extra, at)
        at += _EXTRA.size
        if kind == _SIZES64:
            for index, value in enumerate(values):
                if value == _IN_EXTRA:
                    if at + _LONG.size > len(extra):
                        raise _damaged("an entry of its directory is too short")
                    (found[index],) = _LONG.unpack_from(extra, at)
                    at += _LONG.size
            break
        at += length
    return found


def _invalid(reason: str) -> Failure:
    return Failure(Code.FEED_INVALID, reason=reason)


def _damaged(reason: str) -> Failure:
    return _invalid(f"the zip is damaged: {reason}")
