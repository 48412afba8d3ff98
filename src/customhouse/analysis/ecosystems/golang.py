"""Go's modules, as the linker writes them into every program.

Source: Go's `debug/buildinfo`, `cmd/link` and `runtime/debug.BuildInfo`. In a section of their own,
else in the program's data, stands a magic at a multiple of 16 bytes, the size of a pointer and a
byte of flags. Since Go 1.18 two texts follow 32 bytes from there, each after its length as a
varint; before, two pointers to such texts. They are the version of the toolchain, and lines about
modules between two marks of 16 bytes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO, Literal

from customhouse.analysis.ecosystems import elf, goversion
from customhouse.analysis.ecosystems.encoding import MAX_VERSION
from customhouse.analysis.ecosystems.package import MAX_PACKAGES, MAX_TEXT, Listing, of_language

if TYPE_CHECKING:
    from collections.abc import Iterator

ECOSYSTEM = "Go"

MAX_SEARCHED = 256 * 1024**2
"""Bytes that are searched for the magic in programs that have no section for it."""

_SECTION = ".go.buildinfo"
_MAGIC = b"\xff Go buildinf:"
_ALIGNMENT = 16
_HEADER = 32
_BIG_ENDIAN = 1
_INLINE = 2
_CHUNK = 4 * 1024**2
_MAX_MISSES = 10_000  # of magics that are not at a multiple of 16 bytes
_MAX_LINES = 4 * 1024**2
_MAX_TOOLCHAIN = 100
_MARK = 16
# What stands where a module is the program itself, or comes from a folder and never had a version.
_NO_VERSIONS = frozenset(("(devel)", "0.0.0", "0.0.0-00010101000000-000000000000"))
_TOOLCHAIN = re.compile(r"go([0-9]+(?:\.[0-9]+)*(?:(?:rc|beta)[0-9]+)?)").match
_NAME = re.compile(rf"[!-~]{{1,{MAX_TEXT}}}").fullmatch
_VERSION = re.compile(rf"[!-~]{{1,{MAX_VERSION}}}").fullmatch


def modules(file: BinaryIO, program: elf.Program | None) -> Listing:
    """Read the modules of a program; none if it is not Go's.

    The toolchain's library is listed as `stdlib`. A module that was replaced is listed as what
    replaced it, unless that is a folder. The main module is listed if it has a version. Versions
    are as in advisories: without the leading `v`.

    Args:
        file: the program.
        program: its headers; without them all of it is searched.
    """
    offset = _offset(file, program)
    texts = _texts(file, program, offset) if offset is not None else None
    if texts is None:
        # A section of that name has to have them; a magic elsewhere may be anything.
        return Listing((), int(program is not None and _SECTION in program.sections))
    toolchain, lines = (text.decode("utf-8", "replace") for text in texts)
    found = dict.fromkeys(_modules(lines))
    if match := _TOOLCHAIN(toolchain[:_MAX_TOOLCHAIN]):
        found["stdlib", goversion.semantic(match[0])] = None
    packages = tuple(
        of_language(ECOSYSTEM, name, version) for name, version in list(found)[:MAX_PACKAGES]
    )
    return Listing(packages, 0)


def _offset(file: BinaryIO, program: elf.Program | None) -> int | None:
    """Find the magic: in its section, in the program's data, or anywhere if there are no headers.

    The text occurs elsewhere in programs that read build information.
    """
    if program is None:
        return _find(file, 0, MAX_SEARCHED)
    if section := program.sections.get(_SECTION):
        return _find(file, *section)
    data = next((segment for segment in program.segments if segment.is_data), None)
    return _find(file, data.offset, data.size) if data else None


def _find(file: BinaryIO, start: int, size: int) -> int | None:
    file.seek(start)
    size = min(size, MAX_SEARCHED)
    rest = b""
    misses = 0
    while chunk := file.read(min(_CHUNK, size)):
        size -= len(chunk)
        data = rest + chunk
        at = data.find(_MAGIC)
        while at >= 0:
            if (start + at) % _ALIGNMENT == 0:
                return start + at
            misses += 1
            if misses > _MAX_MISSES:
                return None
            at = data.find(_MAGIC, at + 1)
        kept = min(len(data), len(_MAGIC) - 1)
        start += len(data) - kept
        rest = data[len(data) - kept :]
    return None


def _texts(file: BinaryIO, program: elf.Program | None, offset: int) -> tuple[bytes, bytes] | None:
    """Read the version of the toolchain and the lines about modules."""
    head = elf.content(file, offset, _HEADER)
    if not head:
        return None
    width, flags = head[14], head[15]
    if flags & _INLINE:
        toolchain, lines = _text(file), _text(file)
    elif program is not None and width in {4, 8}:
        order: Literal["big", "little"] = "big" if flags & _BIG_ENDIAN else "little"
        at = int.from_bytes(head[16 : 16 + width], order)
        toolchain = _pointed(file, program, at, width, order)
        at = int.from_bytes(head[16 + width : 16 + 2 * width], order)
        lines = _pointed(file, program, at, width, order)
    else:
        return None
    if toolchain is None or lines is None:
        return None
    if len(lines) >= 2 * _MARK + 1 and lines[-_MARK - 1] == 0x0A:
        lines = lines[_MARK:-_MARK]
    return toolchain, lines


def _text(file: BinaryIO) -> bytes | None:
    """Read a text after its length; None if there is none of a sensible length."""
    length = shift = 0
    while shift < 35:
        byte = file.read(1)
        if not byte:
            return None
        length |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            break
        shift += 7
    if length > _MAX_LINES:
        return None
    text = file.read(length)
    return text if len(text) == length else None


def _pointed(
    file: BinaryIO,
    program: elf.Program,
    address: int,
    width: int,
    order: Literal["big", "little"],
) -> bytes | None:
    """Read the text that a string in memory holds: a pointer to its bytes, and their number."""
    offset = program.offset_of(address)
    string = elf.content(file, offset, 2 * width) if offset is not None else b""
    if not string:
        return None
    length = int.from_bytes(string[width:], order)
    if length == 0:
        return b""
    offset = program.offset_of(int.from_bytes(string[:width], order))
    if offset is None or length > _MAX_LINES:
        return None
    return elf.content(file, offset, length) or None


def _modules(lines: str) -> Iterator[tuple[str, str]]:
    last: tuple[str, str] | None = None
    for line in lines.split("\n"):
        kind, _, rest = line.partition("\t")
        fields = rest.split("\t")
        if kind not in {"mod", "dep", "=>"} or len(fields) < 2:
            continue
        module = fields[0], fields[1].removeprefix("v")
        if kind != "=>":
            if last and _is_module(last):
                yield last
            last = module
        elif last and _is_module(module):  # a folder has no version
            last = module
    if last and _is_module(last):
        yield last


def _is_module(module: tuple[str, str]) -> bool:
    name, version = module
    return bool(_NAME(name) and _VERSION(version)) and version not in _NO_VERSIONS
