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
    from collections.abc import Mapping

MAGIC = b"\x7fELF"

MAX_SECTIONS = 4_096
"""Sections of a file that is read for them; programs have around 30, objects can have more."""

MAX_SEGMENTS = 256
"""Program headers of a file that is read for them; programs have around ten."""

_MAX_NAME = 64
_MAX_NAMES = 1024**2
_IDENTIFICATION = 16
_LOAD = 1
_NO_BITS = 8
_WRITABLE = 2
_EXECUTABLE = 1

# By class (32 or 64 bits). Header: offsets of program and section headers, size and number of
# both, number of the section of names. Section: name, type, offset, size. Segment as in `_order`.
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
    segments_at, sections_at, segment_size, segments, section_size, sections, names = (
        header.unpack_from(head, _IDENTIFICATION)
    )
    row = struct.Struct(sign + _SECTIONS[width])
    table = _table(file, sections_at, sections, section_size, row, MAX_SECTIONS)
    found = _sections(file, [row.unpack_from(table, at) for at in range(0, len(table), row.size)])
    del names
    row = struct.Struct(sign + _SEGMENTS[width])
    table = _table(file, segments_at, segments, segment_size, row, MAX_SEGMENTS)
    return Program("little" if order == 1 else "big", found, ())
