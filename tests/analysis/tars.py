"""Layers made by hand, byte by byte, for what no tool writes."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

from customhouse.analysis.layers import LayerReading, read_layer

if TYPE_CHECKING:
    from customhouse.analysis.archive import Limits

USTAR = b"ustar\x0000"
GNU = b"ustar  \x00"
END = bytes(1024)


def header(
    name: bytes,
    *,
    size: int | bytes = 0,
    flag: bytes = b"0",
    target: bytes = b"",
    magic: bytes = USTAR,
    prefix: bytes = b"",
    signed: bool = False,
) -> bytes:
    """One header block; `size` may be the raw 12 bytes of the field."""
    block = bytearray(512)
    field = b"%011o\0" % size if isinstance(size, int) else size
    for at, text in (
        (0, name),
        (100, b"0000644\0"),
        (124, field),
        (148, b" " * 8),
        (156, flag),
        (157, target),
        (257, magic),
        (345, prefix),
    ):
        block[at : at + len(text)] = text
    total = sum(byte - 256 if signed and byte > 127 else byte for byte in block)
    block[148:156] = b"%06o\0 " % total
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def file(name: str, content: bytes = b"") -> bytes:
    return header(name.encode(), size=len(content)) + padded(content)


def folder(name: str) -> bytes:
    return header(name.encode(), flag=b"5")


def symlink(name: str, target: str) -> bytes:
    return header(name.encode(), flag=b"2", target=target.encode())


def hard_link(name: str, target: str) -> bytes:
    return header(name.encode(), flag=b"1", target=target.encode())


def pax(**records: bytes) -> bytes:
    """A pax header with these records."""
    data = b""
    for key, value in records.items():
        rest = b" " + key.replace("_", ".").encode() + b"=" + value + b"\n"
        length = len(rest) + 1
        while len(b"%d" % length) + len(rest) != length:
            length += 1
        data += b"%d" % length + rest
    return header(b"PaxHeaders/x", size=len(data), flag=b"x") + padded(data)


def read(*parts: bytes, limits: Limits | None = None) -> LayerReading:
    """Read the layer of these entries."""
    return read_layer(io.BytesIO(b"".join(parts) + END), limits)


def written(files: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    """An archive of files that Python's `tarfile` writes."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def apk(*packages: str) -> bytes:
    """An apk database of packages `NAME-VERSION`."""
    pairs = (package.split("-") for package in packages)
    return b"".join(b"P:%s\nV:%s\nA:x\n\n" % (n.encode(), v.encode()) for n, v in pairs)


def dpkg(*packages: str) -> bytes:
    """A dpkg status of packages `NAME-VERSION`."""
    pairs = (package.split("-") for package in packages)
    form = b"Package: %s\nStatus: install ok installed\nArchitecture: x\nVersion: %s\n\n"
    return b"".join(form % (n.encode(), v.encode()) for n, v in pairs)
