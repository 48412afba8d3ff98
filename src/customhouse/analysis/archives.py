"""The files in a tar archive or a folder, by name: what saved images are made of."""

from __future__ import annotations

import contextlib
import io
import posixpath
import tarfile
import tempfile
from typing import TYPE_CHECKING, BinaryIO, cast

from customhouse.analysis.archive import Limits
from customhouse.analysis.compression import Compressed, decompress
from customhouse.analysis.tarheader import BLOCK, normalize
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_ENTRIES = 20_000
"""Entries that an archive may have; each layer of an image is one to three."""

MAX_HEADER = 16 * 1024
"""Bytes of one pax header or long name; a path has at most 4,096."""

MAX_HEADERS = 1024**2
"""Bytes of all of these that do not fit into a block."""

_MAX_HOPS = 4
_SECONDS = 3600.0
_COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")


class Section(io.RawIOBase):
    """A part of a file, read from its beginning to its end."""

    def __init__(self, file: BinaryIO, offset: int, size: int) -> None:
        super().__init__()
        self._file, self._at, self._end = file, offset, offset + size

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: object) -> int:
        """Read what comes next."""
        view = memoryview(cast("bytearray", buffer)).cast("B")[: self._end - self._at]
        self._file.seek(self._at)
        data = self._file.read(len(view))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)


class _Headers:
    """A file as `tarfile` looks at it, which reads headers of whatever size they state.

    Its expressions also take the square of their time in Python before 3.11.10 (CVE-2024-6232).
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = MAX_HEADERS
        self.tell = file.tell

    def seek(self, position: int) -> int:
        """Go to where a header says that the next one is."""
        if position < 0:
            raise _corrupt("an entry in it is smaller than nothing")
        return self._file.seek(position)

    def read(self, size: int) -> bytes:
        """Read a header, of which tarfile asks for one at a time."""
        if size > BLOCK:
            self._left -= size
            if size > MAX_HEADER or self._left < 0:
                raise _corrupt("its headers are too large")
        return self._file.read(size)


class Folder:
    """The files of a folder; links that lead out of it are passed over."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def open(self, name: str) -> BinaryIO | None:
        """A file at its beginning, or None if there is none of that name."""
        path = (self._root / name).resolve()
        if not path.is_relative_to(self._root) or not path.is_file():
            return None
        return path.open("rb")


class Archive:
    """The files of an uncompressed tar archive. One of them is read at a time.

    Raises:
        Failure: SAVED_IMAGE_CORRUPT if it is none, or has too many entries.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._files: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}
        try:
            self._index()
        except (tarfile.TarError, ValueError, OverflowError, EOFError) as error:
            raise _corrupt(f"it is no tar archive ({error})") from error

    def _index(self) -> None:
        headers = cast("BinaryIO", _Headers(self._file))
        with tarfile.open(fileobj=headers, mode="r:") as archive:
            for count, member in enumerate(archive):
                if count > MAX_ENTRIES:
                    raise _corrupt(f"it has more than {MAX_ENTRIES} entries")
                if member.size < 0:
                    raise _corrupt("an entry in it is smaller than nothing")
                name = normalize(member.name)
                if not name:
                    continue
                if member.isreg() and not member.issparse():
                    self._files[name] = member.offset_data, member.size
                elif member.issym():
                    self._links[name] = posixpath.join(posixpath.dirname(name), member.linkname)
                elif member.islnk():
                    self._links[name] = member.linkname

    def open(self, name: str) -> BinaryIO | None:
        """A file at its beginning, links followed, or None if there is none of that name."""
        for _ in range(_MAX_HOPS):
            if name in self._files:
                # Raw, as its position is its own and buffering would read ahead of it.
                return cast("BinaryIO", io.BufferedReader(Section(self._file, *self._files[name])))
            name = normalize(posixpath.normpath(self._links.get(name, ""))) or ""
        return None


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Folder | Archive]:
    """Open a folder or an archive, which may be compressed with gzip or zstd.

    A compressed archive is decompressed into a nameless temporary file.

    Raises:
        Failure: SAVED_IMAGE_CORRUPT, ARCHIVE_CORRUPT, ARCHIVE_LIMIT.
    """
    if path.is_dir():
        yield Folder(path)
        return
    with path.open("rb") as file, contextlib.ExitStack() as stack:
        plain: BinaryIO = file
        if file.read(4).startswith(_COMPRESSED):
            plain = cast("BinaryIO", stack.enter_context(tempfile.TemporaryFile()))
            file.seek(0)
            _decompress(file, plain)
        plain.seek(0)
        yield Archive(plain)


def _decompress(file: BinaryIO, target: BinaryIO) -> None:
    limits = Limits()
    size = 0
    for chunk in decompress(Compressed(file, _SECONDS), limits.window_bytes):
        size += len(chunk)
        if size > limits.uncompressed_bytes:
            raise _corrupt(f"it has more than {limits.uncompressed_bytes} bytes uncompressed")
        target.write(chunk)


def _corrupt(reason: str) -> Failure:
    return Failure(Code.SAVED_IMAGE_CORRUPT, reason=reason)
