"""The parts of an ELF file, in each of its four forms."""

from __future__ import annotations

import io
import struct
import sys
from pathlib import Path

import pytest

from customhouse.analysis.ecosystems import elf

FORMS = [(width, sign) for width in (1, 2) for sign in "<>"]


def program(
    sections: dict[str, bytes],
    width: int = 2,
    sign: str = "<",
    segments: tuple[tuple[int, int, int, int], ...] = (),
) -> bytes:
    """Make an ELF file of sections, and of segments as offset, address, size and flags."""
    wide = width == 2
    head, row, entry = (64, 64, 56) if wide else (52, 40, 32)
    word = "Q" if wide else "L"
    body = bytearray(4096 - head)
    table = [bytes(row)]
    names = bytearray(b"\0")
    for name, content in {**sections, ".shstrtab": b""}.items():
        body += bytes(-(head + len(body)) % 16)
        at = len(names)
        names += name.encode() + b"\0"
        held = content or bytes(names)  # the names come last
        offset = head + len(body)
        fields = (at, 1, 0, 0, offset, len(held), 0, 0, 0, 0)
        table.append(struct.pack(f"{sign}LL{word * 4}LL{word * 2}", *fields))
        body += held
    programs = b"".join(
        struct.pack(f"{sign}LLQQQQQQ", 1, flags, offset, address, 0, size, 0, 0)
        if wide
        else struct.pack(f"{sign}8L", 1, offset, address, 0, size, 0, flags, 0)
        for offset, address, size, flags in segments
    )
    at = head + len(body)
    ident = b"\x7fELF" + bytes((width, 1 if sign == "<" else 2, 1)).ljust(12, b"\0")
    sizes = (head, entry, len(segments), row, len(table), len(table) - 1)
    header = struct.pack(f"{sign}HHL{word * 3}L6H", 2, 62, 1, 0, at, at + len(programs), 0, *sizes)
    return ident + header + bytes(body) + programs + b"".join(table)


@pytest.mark.parametrize(("width", "sign"), FORMS)
def test_sections_and_segments(width: int, sign: str) -> None:
    content = program(
        {".a": b"alpha", ".b": b"beta"},
        width,
        sign,
        ((4096, 0x10000, 5, 4), (4112, 0x20000, 4, 6), (1 << 30, 0x30000, 1, 6)),
    )
    found = elf.read(io.BytesIO(content))
    assert found is not None
    assert found.order == ("little" if sign == "<" else "big")
    assert {name: content[at : at + size] for name, (at, size) in found.sections.items()} == {
        ".a": b"alpha",
        ".b": b"beta",
        ".shstrtab": b"\0.a\0.b\0.shstrtab\0",
    }
    assert [(each.offset, each.address, each.is_data) for each in found.segments] == [
        (4096, 0x10000, False),
        (4112, 0x20000, True),
    ]
    assert found.offset_of(0x20003) == 4115
    assert found.offset_of(0x20004) is None
    assert found.offset_of(0) is None


def test_a_real_program() -> None:
    path = Path(sys.executable).resolve()
    with path.open("rb") as file:
        found = elf.read(file)
        if found is None:
            pytest.skip("this interpreter is not an ELF file")
        assert {".text", ".dynamic", ".shstrtab"} <= set(found.sections)
        assert b"\0.shstrtab\0" in elf.content(file, *found.sections[".shstrtab"])
        assert len([each for each in found.segments if each.is_data]) >= 1


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"\x7fELF" + bytes(60), b"MZ".ljust(64)])
def test_what_is_no_program(content: bytes) -> None:
    assert elf.read(io.BytesIO(content)) is None


def test_tables_that_lie() -> None:
    whole = program({".a": b"alpha"})
    for at, value in (
        (40, 1 << 63),
        (40, len(whole) - 1),
        (32, 1 << 63),
        (62, 0xFFFF),
        (60, 0xFFFF),
    ):
        content = bytearray(whole)
        size = 8 if at < 60 else 2
        content[at : at + size] = value.to_bytes(size, "little")
        found = elf.read(io.BytesIO(content))
        assert found is not None
        assert at == 32 or not found.sections
        assert found.segments == ()
