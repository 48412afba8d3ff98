"""ELF files: where their sections and the parts that are loaded into memory lie.

Source: System V ABI, "Object Files" and "Program Loading" (gABI 4.1), for 32 and 64 bits and both
byte orders. Only what lies inside the file counts; everything else is taken as not there.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAGIC = b"\x7fELF"

MAX_SECTIONS = 4_096
"""Sections of a file that is read for them; programs have around 30, objects can have more."""

MAX_SEGMENTS = 256
"""Program headers of a file that is read for them; programs have around ten."""

_MAX_NAME = 64
_MAX_NAMES = 1024**2
_MAX_OFFSET = 2**62
_IDENTIFICATION = 16
_LOAD = 1
_NO_BITS = 8
_WRITABLE = 2
_EXECUTABLE = 1

# By class (1 has 32 bits, 2 has 64). Of the header: the offsets of program headers and sections,
# size and number of each, the number of the section with the names of sections. Of a section: name,
# type, offset, size. Of a program header: type, offset, address, size, flags; with 64 bits the
# flags come second.
_HEADERS = {1: "12xLL6xHHHHH", 2: "16xQQ6xHHHHH"}
_SECTIONS = {1: "LL8xLL16x", 2: "LL16xQQ24x"}
_SEGMENTS = {1: "LLL4xL4xL4x", 2: "LLQQ8xQ16x"}


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the file that is loaded into memory.

    Attributes:
        offset: in the file, in bytes.
        address: in memory of its first byte.
        size: in the file, in bytes.
        is_data: whether it can be written to and not executed.
    """

    offset: int
    address: int
    size: int
    is_data: bool


@dataclass(frozen=True, slots=True)
class Program:
    """What the headers of an ELF file say.

    Attributes:
        order: of the bytes in its numbers.
        sections: offset and size in bytes by the name of the section; the first of its name, and
            only those that have content in the file.
        segments: those that are loaded, in the order of the file.
    """

    order: Literal["little", "big"]
    sections: Mapping[str, tuple[int, int]]
    segments: tuple[Segment, ...]

    def offset_of(self, address: int) -> int | None:
        """Tell where in the file the content of an address in memory lies, if it does."""
        for segment in self.segments:
            if 0 <= address - segment.address < segment.size:
                return segment.offset + address - segment.address
        return None


def read(file: BinaryIO) -> Program | None:
    """Read the headers of an ELF file; None if it is not one, or its header is damaged.

    A table that lies outside of the file, or has more than `MAX_SECTIONS` or `MAX_SEGMENTS`
    rows, counts as empty. Does not depend on the position in the file and changes it.
    """
    end = file.seek(0, io.SEEK_END)
    head = content(file, 0, min(end, 64))
    if not head.startswith(MAGIC) or len(head) < _IDENTIFICATION:
        return None
    width, order = head[4], head[5]
    if width not in _HEADERS or order not in {1, 2}:
        return None
    sign = "<" if order == 1 else ">"
    header = struct.Struct(sign + _HEADERS[width])
    if len(head) < _IDENTIFICATION + header.size:
        return None
    (segments_at, sections_at, segment_size, segment_count, section_size, section_count, names) = (
        header.unpack_from(head, _IDENTIFICATION)
    )
    sections: list[tuple[int, ...]] = []
    layout = struct.Struct(sign + _SECTIONS[width])
    if section_size == layout.size and section_count <= MAX_SECTIONS:
        sections = list(layout.iter_unpack(content(file, sections_at, section_count * layout.size)))
    segments: list[tuple[int, ...]] = []
    layout = struct.Struct(sign + _SEGMENTS[width])
    if segment_size == layout.size and segment_count <= MAX_SEGMENTS:
        segments = list(layout.iter_unpack(content(file, segments_at, segment_count * layout.size)))
    return Program(
        "little" if order == 1 else "big",
        _named(file, sections, names, end),
        tuple(_loaded(segments, end, is_wide=width == 2)),
    )


def content(file: BinaryIO, offset: int, size: int) -> bytes:
    """Read a part of a file; empty unless all of it is there."""
    # No file has these offsets, and not every file takes them for a question.
    if offset >= _MAX_OFFSET:
        return b""
    file.seek(offset)
    found = file.read(size)
    return found if len(found) == size else b""


def _named(
    file: BinaryIO, sections: list[tuple[int, ...]], number: int, end: int
) -> dict[str, tuple[int, int]]:
    """Give the sections that have content by their names, which are a section's content too."""
    if number >= len(sections) or sections[number][3] > _MAX_NAMES:
        return {}
    names = content(file, *sections[number][2:])
    found: dict[str, tuple[int, int]] = {}
    for at, kind, offset, size in sections:
        if kind not in {0, _NO_BITS} and offset + size <= end:
            name = names[at : at + _MAX_NAME].partition(b"\0")[0].decode("latin-1")
            found.setdefault(name, (offset, size))
    return found


def _loaded(segments: list[tuple[int, ...]], end: int, *, is_wide: bool) -> Iterator[Segment]:
    for kind, *fields in segments:
        if is_wide:
            flags, offset, address, size = fields
        else:
            offset, address, size, flags = fields
        if kind == _LOAD and offset + size <= end:
            is_data = flags & (_WRITABLE | _EXECUTABLE) == _WRITABLE
            yield Segment(offset, address, size, is_data)
