"""Reading the tar archive of a layer as a stream, in constant memory and within hard limits.

Nothing is created or followed: an entry is a path, a kind, a size, and for a file its content if
asked for. Large contents that have to be read back and forth wait in a nameless temporary file.

All forms are read in which layers occur: v7, ustar, star, pax, GNU with long names, base-256
numbers and sparse files. Where the formats leave room, this does what container runtimes do, for
what they extract is what runs:

- An archive ends with two blocks of zeros, or one, or none between two entries. What follows the
  zeros is ignored, but decompressed, so that its checksums and the limits count.
- Global pax headers are passed over, with headers before them that describe the next entry.
- GNU's long names win over those of pax. Links, folders and devices have no data, whatever size
  they state.
"""

from __future__ import annotations

import io
import tempfile
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, BinaryIO, Self, cast

import msgspec

from customhouse.analysis import tarheader
from customhouse.analysis.compression import Compressed, corrupt, decompress, exceeded
from customhouse.analysis.ecosystems.package import shown
from customhouse.analysis.tarheader import BLOCK
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Iterator


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a layer is read. What exceeds one of these fails with `ARCHIVE_LIMIT`.

    Layers of real images grow 2 to 5 times when decompressed, logs and tables up to 50; gzip can
    reach 1,032 times and zstd far more. The ratio bounds what a small bomb costs: 10 MB that hold
    10 GB of zeros fail after 1 GiB, in under a second of CPU. Below its floor it does not count, so
    that a large empty file in a small layer does no harm.

    Attributes:
        uncompressed_bytes: of the whole archive.
        ratio: uncompressed bytes per compressed byte read so far, above `ratio_floor_bytes`.
        ratio_floor_bytes: uncompressed bytes that may come out of however few.
        window_bytes: that a zstd frame may ask to keep in memory. BuildKit asks for 32 MiB at its
            highest level; only `zstd --ultra` asks for more.
        entries: of the archive.
        path_bytes: of a path or a link's target; Linux takes no more than 4,096.
        header_bytes: of one pax header or long name.
        headers_bytes: of all pax headers and long names.
        file_bytes: of one file whose content is read.
        files_bytes: of all files whose content is read.
        opened_file_bytes: of one file that is opened.
        opened_bytes: of all files that are opened.
        seconds: wall time for the whole layer.
    """

    uncompressed_bytes: int = 20 * 1024**3
    ratio: int = 200
    ratio_floor_bytes: int = 1024**3
    window_bytes: int = 32 * 1024**2
    entries: int = 1_000_000
    path_bytes: int = 4096
    header_bytes: int = 1024**2
    headers_bytes: int = 128 * 1024**2
    file_bytes: int = 64 * 1024**2
    files_bytes: int = 256 * 1024**2
    opened_file_bytes: int = 1024**3
    opened_bytes: int = 8 * 1024**3
    seconds: float = 300.0


class Kind(Enum):
    """What an entry is; `OTHER` are devices, fifos, sparse files and unknown kinds."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    HARD_LINK = "hard link"
    OTHER = "other"


_KINDS = {
    b"0": Kind.FILE,
    b"7": Kind.FILE,
    b"1": Kind.HARD_LINK,
    b"2": Kind.SYMLINK,
    b"5": Kind.DIRECTORY,
}
_ZEROS = bytes(BLOCK)
_IN_MEMORY = 8 * 1024**2
_COPIED = 1024**2


@dataclass(slots=True, eq=False)
class Entry:
    r"""One entry of an archive; of use until the next one is asked for.

    Attributes:
        path: normalized: no leading slash, no empty or `.` parts; empty for the root. Bytes that
            are not UTF-8 are written `\xNN`.
        kind: what it is.
        size: bytes of the content of a file, otherwise 0.
        target: of a link, as written; otherwise empty. That of a hard link is a path in the image.
        executable: whether it is a file that anybody may run.
    """

    path: str
    kind: Kind
    size: int
    target: str
    executable: bool
    _entries: Entries

    def read(self) -> bytes:
        """Read the content of a file, once.

        Raises:
            Failure: `ARCHIVE_LIMIT` if it has more than `Limits.file_bytes`, or all that were read
                more than `Limits.files_bytes`; and as iterating does.
        """
        return self._entries.content(self)

    def open(self, begins: bytes = b"") -> BinaryIO | None:
        """Open the content of a file to be read back and forth, once; the caller closes it.

        Args:
            begins: with what the content has to begin.

        Returns:
            The file at its beginning, or None if it begins otherwise, or it has more than
            `Limits.opened_file_bytes` or all that were opened more than `Limits.opened_bytes`.

        Raises:
            Failure: as iterating does.
        """
        return self._entries.opened(self, begins)


def entries(stream: BinaryIO, media_type: str | None, limits: Limits) -> Entries:
    """Read a layer entry by entry.

    Args:
        stream: the layer as stored, at its beginning. Compression is recognised by content: gzip,
            zstd or none.
        media_type: of the layer, if known. It says only whether the layer is encrypted.
        limits: how much to read.

    Raises:
        Failure: `ANALYSIS_UNSUPPORTED` if the layer is encrypted. While iterating,
            `ARCHIVE_CORRUPT` for what is no archive, damaged or ends early, `ARCHIVE_LIMIT` for
            what exceeds a limit.
    """
    # Source: ocicrypt, "application/vnd.oci.image.layer.v1.tar+gzip+encrypted" and the like.
    if media_type and media_type.endswith("+encrypted"):
        raise Failure(Code.ANALYSIS_UNSUPPORTED, reason="a layer is encrypted")
    return Entries(stream, limits)


class Entries:
    """The entries of a layer, an iterator; see `entries`.

    Attributes:
        count: entries so far, the skipped ones included.
        skipped: entries so far that have `..` in their path. They are not given.
        uncompressed: bytes of the archive so far.
    """

    def __init__(self, stream: BinaryIO, limits: Limits) -> None:
        self.count = 0
        self.skipped = 0
        self.uncompressed = 0
        self._limits = limits
        self._source = Compressed(stream, limits.seconds)
        self._chunks: Iterator[bytes] | None = None
        self._chunk = b""
        self._at = 0
        self._current: Entry | None = None
        self._rest = 0  # bytes of the last entry's data that were not read
        self._padding = 0  # bytes after it
        self._headers_bytes = 0
        self._files_bytes = 0
        self._opened_bytes = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Entry:
        self._current = None
        while True:
            self._skip(self._rest)
            self._take(self._padding)  # the last one is sometimes missing
            self._rest = self._padding = 0
            self._current = self._entry()
            if self._current is not None:
                return self._current

    def content(self, entry: Entry) -> bytes:
        """Read the content of the current entry; see `Entry.read`."""
        self._check_unread(entry)
        limits = self._limits
        self._files_bytes += entry.size
        if entry.size > limits.file_bytes:
            raise exceeded(f"{shown(entry.path)} has more than {limits.file_bytes} bytes")
        if self._files_bytes > limits.files_bytes:
            raise exceeded(f"the files to read have more than {limits.files_bytes} bytes")
        self._rest = 0
        return self._exactly(entry.size)

    def opened(self, entry: Entry, begins: bytes) -> BinaryIO | None:
        """Open the content of the current entry; see `Entry.open`."""
        self._check_unread(entry)
        limits = self._limits
        if entry.size < len(begins):
            return None
        head = self._exactly(len(begins))
        self._rest -= len(head)
        if head != begins or entry.size > limits.opened_file_bytes:
            return None
        self._opened_bytes += entry.size
        if self._opened_bytes > limits.opened_bytes:
            return None
        file = _scratch(entry.size)
        try:
            file.write(head)
            while self._rest:
                chunk = self._exactly(min(self._rest, _COPIED))
                self._rest -= len(chunk)
                file.write(chunk)
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return file

    def _check_unread(self, entry: Entry) -> None:
        if entry is not self._current or entry.kind is not Kind.FILE or self._rest != entry.size:
            raise ValueError("only the current entry can be read, if it is a file, and once")

    def _entry(self) -> Entry | None:
        """Read the headers of the next entry; None if it is one to skip."""
        records: dict[bytes, bytes] = {}
        long: dict[bytes, bytes] = {}
        while True:
            block = self._header()
            flag = block[156:157]
            if flag in {b"x", b"X"}:
                records = tarheader.pax(self._extension(block))
            elif flag == b"L":
                long[b"path"] = tarheader.text(self._extension(block))
            elif flag == b"K":
                long[b"linkpath"] = tarheader.text(self._extension(block))
            elif flag == b"g":
                self._extension(block)
                records, long = {}, {}
            else:
                break
        header = tarheader.header(block, records | {key: it for key, it in long.items() if it})
        self._enter(header, block)
        path = tarheader.normalize(header.name.decode("utf-8", "backslashreplace"))
        if path is None:
            self.skipped += 1
            return None
        kind = Kind.OTHER if header.sparse else _KINDS.get(header.flag, Kind.OTHER)
        link = kind in {Kind.SYMLINK, Kind.HARD_LINK}
        return Entry(
            path=path,
            kind=kind,
            size=header.size if kind is Kind.FILE else 0,
            target=header.target.decode("utf-8", "backslashreplace") if link else "",
            executable=kind is Kind.FILE and header.executable,
            _entries=self,
        )

    def _enter(self, header: tarheader.Header, block: bytes) -> None:
        """Count an entry, check it against the limits and move to its data."""
        limits = self._limits
        self.count += 1
        if self.count > limits.entries:
            raise exceeded(f"it has more than {limits.entries} entries")
        if header.size > limits.uncompressed_bytes:
            raise exceeded(f"an entry has {header.size} bytes")
        if max(len(header.name), len(header.target)) > limits.path_bytes:
            raise exceeded(f"a path has more than {limits.path_bytes} bytes")
        more = header.flag == b"S" and block[482]
        while more:  # blocks that continue the map of a GNU sparse file
            more = self._exactly(BLOCK)[504]
        self._rest = header.size
        self._padding = -header.size % BLOCK

    def _header(self) -> bytes:
        """Read a header.

        Raises:
            StopIteration: at the end of the archive, after reading the stream to its end.
        """
        block = self._take(BLOCK)
        if block == _ZEROS:
            block = self._take(BLOCK)
            if block not in {b"", _ZEROS}:
                raise corrupt("it has a block of zeros between entries")
            while self._pull():
                pass
            raise StopIteration
        if not block:
            raise StopIteration
        if len(block) < BLOCK:
            raise corrupt("it ends within a header")
        place = f"what follows entry {self.count}" if self.count else "its beginning"
        tarheader.verify(block, place)
        return block

    def _extension(self, block: bytes) -> bytes:
        """Read the data of a header that describes the next one."""
        limits = self._limits
        size = tarheader.number(block[tarheader.SIZE])
        self._headers_bytes += size
        if size > limits.header_bytes:
            raise exceeded(f"a pax header or long name has more than {limits.header_bytes} bytes")
        if self._headers_bytes > limits.headers_bytes:
            raise exceeded(f"its pax headers have more than {limits.headers_bytes} bytes")
        data = self._exactly(size)
        self._take(-size % BLOCK)
        return data

    def _exactly(self, size: int) -> bytes:
        data = self._take(size)
        if len(data) < size:
            raise corrupt("it ends within an entry")
        return data

    def _take(self, size: int) -> bytes:
        """Take `size` bytes of the archive, fewer at its end."""
        end = self._at + size
        if end <= len(self._chunk):
            data = self._chunk[self._at : end]
            self._at = end
            return data
        parts = [self._chunk[self._at :]]
        size -= len(parts[0])
        while size and self._pull():
            parts.append(self._chunk[:size])
            self._at = len(parts[-1])
            size -= self._at
        return b"".join(parts)

    def _skip(self, size: int) -> None:
        """Pass over `size` bytes of the archive without a copy."""
        while size > (left := len(self._chunk) - self._at):
            size -= left
            if not self._pull():
                raise corrupt("it ends within an entry")
        self._at += size

    def _pull(self) -> bool:
        """Go to the next chunk of the archive, which is empty at the end; False there."""
        if self._chunks is None:
            self._chunks = filter(None, decompress(self._source, self._limits.window_bytes))
        self._chunk = next(self._chunks, b"")
        self._at = 0
        self.uncompressed += len(self._chunk)
        limits = self._limits
        if self.uncompressed > limits.uncompressed_bytes:
            raise exceeded(f"it has more than {limits.uncompressed_bytes} bytes")
        allowed = max(limits.ratio_floor_bytes, limits.ratio * self._source.consumed)
        if self.uncompressed > allowed:
            raise exceeded(f"it grows more than {limits.ratio} times when decompressed")
        self._source.check_time()
        return bool(self._chunk)


def _scratch(size: int) -> BinaryIO:
    """Make a file for so many bytes that nobody else sees: in memory, or on disk if it is large."""
    if size <= _IN_MEMORY:
        return io.BytesIO()
    return cast("BinaryIO", tempfile.TemporaryFile())
