"""Decompression of a layer as a stream, in constant memory: gzip, zstd, or none.

The container of each format is read here and only the compressed data goes to the libraries.
ISA-L misreads gzip headers with several optional fields that arrive in parts, and python-zstandard
neither tells a frame that ends early nor bounds what one call returns; block by block it does.

Sources: RFC 1952 section 2.3 (gzip members), RFC 8878 section 3.1 (zstd frames and blocks).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, BinaryIO, cast

import zstandard
from isal import igzip_lib

from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECE = 64 * 1024  # compressed bytes that are read at once
_CHUNK = 256 * 1024  # decompressed bytes that are given at once
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_BLOCK = 128 * 1024  # bytes that a block may hold, before and after decompression

# The stubs give the class as if it were one of its instances.
_IsalError = cast("type[Exception]", igzip_lib.IsalError)


def corrupt(reason: str) -> Failure:
    """Make the failure for a layer whose bytes are not what their format says."""
    return Failure(Code.ARCHIVE_CORRUPT, reason=reason)


def exceeded(reason: str) -> Failure:
    """Make the failure for a layer that is larger than the analysis reads."""
    return Failure(Code.ARCHIVE_LIMIT, reason=reason)


class Compressed:
    """The bytes of a layer as they are stored: counted, against the clock, with a look ahead.

    Args:
        stream: gives the bytes; its errors are passed on.
        seconds: wall time until which everything must be read.

    Attributes:
        consumed: number of bytes taken from the stream.
    """

    def __init__(self, stream: BinaryIO, seconds: float) -> None:
        self.consumed = 0
        self._stream = stream
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._buffer = b""
        self._at = 0

    def check_time(self) -> None:
        """Raise `ARCHIVE_LIMIT` if reading has taken too long."""
        if time.monotonic() > self._deadline:
            raise exceeded(f"reading it takes more than {self._seconds:g} seconds")

    def piece(self) -> bytes:
        """Give the bytes at hand or else the next ones; nothing at the end."""
        data = self._buffer[self._at :]
        self._buffer, self._at = b"", 0
        return data or self._read()

    def unread(self, data: bytes) -> None:
        """Put back the rest of the piece that was given last."""
        self._buffer, self._at = data, 0

    def peek(self, size: int) -> bytes:
        """Give the next `size` bytes, fewer at the end, without taking them."""
        while len(self._buffer) - self._at < size and (data := self._read()):
            self._buffer, self._at = self._buffer[self._at :] + data, 0
        return self._buffer[self._at : self._at + size]

    def take(self, size: int) -> bytes:
        """Take the next `size` bytes. Raises `ARCHIVE_CORRUPT` if there are fewer."""
        data = self.peek(size)
        if len(data) < size:
            raise corrupt("its compressed data ends early")
        self._at += size
        return data

    def skip(self, size: int) -> None:
        """Pass over `size` bytes. Raises `ARCHIVE_CORRUPT` if there are fewer."""
        while size:
            size -= len(self.take(min(size, _PIECE)))

    def skip_text(self) -> None:
        """Pass over bytes up to and with the next zero byte."""
        while (end := self._buffer.find(b"\0", self._at)) < 0:
            self._buffer, self._at = self._read(), 0
            if not self._buffer:
                raise corrupt("its compressed data ends early")
        self._at = end + 1

    def skip_zeros(self) -> None:
        """Pass over zero bytes."""
        while data := self.piece():
            if rest := data.lstrip(b"\0"):
                self.unread(rest)
                return

    def _read(self) -> bytes:
        self.check_time()
        data = self._stream.read(_PIECE)
        self.consumed += len(data)
        return data


def decompress(source: Compressed, window: int) -> Iterator[bytes]:
    """Decompress a layer by what its first bytes say it is.

    Several gzip members, and several zstd frames among skippable ones, follow one another (eStargz
    and zstd:chunked layers are made so). Zero bytes after a gzip member are padding, as for
    gzip(1).

    Args:
        source: the layer.
        window: bytes that a zstd frame may ask to keep, which is the memory that it takes.

    Yields:
        Pieces of at most 256 KiB.

    Raises:
        Failure: `ARCHIVE_CORRUPT` for data that is damaged or ends early, `ARCHIVE_LIMIT` for a
            zstd window that is too large or if time runs out.
    """
    magic = source.peek(4)
    if magic.startswith(_GZIP):
        return _gzip(source)
    if magic == _ZSTD or _skippable(magic):
        return _zstd(source, window)
    return iter(source.piece, b"")


def _gzip(source: Compressed) -> Iterator[bytes]:
    while source.peek(1):
        _gzip_header(source)
        # No header, but the trailer's checksum and length are verified.
        member = igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP_NO_HDR_VER)
        while not member.eof:
            data = source.piece() if member.needs_input else b""
            if member.needs_input and not data:
                raise corrupt("its gzip data ends early")
            try:
                chunk = member.decompress(data, _CHUNK)
            except _IsalError as error:
                raise corrupt(f"its gzip data is damaged ({error})") from error
            yield chunk
        source.unread(member.unused_data)
        source.skip_zeros()


def _gzip_header(source: Compressed) -> None:
    head = source.take(10)
    flags = head[3]
    if not head.startswith(_GZIP) or head[2] != 8 or flags & 0xE0:
        raise corrupt("its gzip data has something else where a member should begin")
    if flags & 4:  # FEXTRA
        source.skip(int.from_bytes(source.take(2), "little"))
    if flags & 8:  # FNAME
        source.skip_text()
    if flags & 16:  # FCOMMENT
        source.skip_text()
    if flags & 2:  # FHCRC
        source.skip(2)


def _skippable(magic: bytes) -> bool:
    return magic[1:] == b"\x2a\x4d\x18" and magic[0] & 0xF0 == 0x50


def _zstd(source: Compressed, window: int) -> Iterator[bytes]:
    context = zstandard.ZstdDecompressor(max_window_size=window)
    while source.peek(1):
        magic = source.take(4)
        if _skippable(magic):
            source.skip(int.from_bytes(source.take(4), "little"))
            continue
        if magic != _ZSTD:
            raise corrupt("its zstd data has something else where a frame should begin")
        frame = context.decompressobj()
        try:
            for part in _zstd_frame(source):
                yield frame.decompress(part)
            if not frame.eof:
                raise corrupt("its zstd data has a frame without an end")
        except zstandard.ZstdError as error:
            if "memory" in str(error):
                raise exceeded(f"its zstd window is larger than {window} bytes") from error
            raise corrupt(f"its zstd data is damaged ({error})") from error


def _zstd_frame(source: Compressed) -> Iterator[bytes]:
    """Cut a frame, whose magic number was taken, into its header, blocks and checksum."""
    descriptor = source.take(1)
    single = descriptor[0] >> 5 & 1
    size = (1 - single) + (0, 1, 2, 4)[descriptor[0] & 3] + (single, 2, 4, 8)[descriptor[0] >> 6]
    yield _ZSTD + descriptor + source.take(size)
    last = 0
    while not last:
        head = source.take(3)
        fields = int.from_bytes(head, "little")
        last, kind, size = fields & 1, fields >> 1 & 3, fields >> 3
        if size > _ZSTD_BLOCK:
            raise corrupt("its zstd data has a block that is too large")
        yield head + source.take(1 if kind == 1 else size)  # 1: one byte, repeated
    if descriptor[0] & 4:
        yield source.take(4)
