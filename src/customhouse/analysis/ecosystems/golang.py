"""Go's modules, as the compiler writes them into every program.

Source: Go's `debug/buildinfo` and `runtime/debug.BuildInfo`: a magic at a multiple of 16 bytes, a
byte of flags, and since Go 1.18 two texts, each after its length as a varint: the version of the
toolchain, and lines about modules between two marks of 16 bytes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO

from customhouse.analysis.ecosystems.package import (
    MAX_PACKAGES,
    Database,
    Listing,
    Package,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ECOSYSTEM = "Go"

_ELF = b"\x7fELF"
_MAGIC = b"\xff Go buildinf:"
_ALIGNMENT = 16
_HEADER = 32
_INLINE = 2
_CHUNK = 4 * 1024**2
_MAX_TEXT = 4 * 1024**2
_MARK = 16
_TOOLCHAIN = re.compile(r"go([0-9]+(?:\.[0-9]+)*(?:(?:rc|beta)[0-9]+)?)").match
_PLAIN = re.compile(r"[!-~]{1,250}").fullmatch
_RELEASE = re.compile(r"([0-9.]+)(rc|beta)([0-9]+)").fullmatch


def parse(path: str, file: BinaryIO) -> Listing:
    """Read the modules of a program; none if it is not Go's, or was built by one before 1.18.

    The toolchain's library is listed as `stdlib`. A module that was replaced is listed as what
    replaced it, unless that is a folder. The main module is listed if it has a version.
    """
    del path
    found = _texts(file)
    if found is None:
        return Listing((), 0)
    toolchain, lines = found
    modules = dict.fromkeys(_modules(lines))
    if match := _TOOLCHAIN(toolchain):
        modules["stdlib", _semantic(match[1])] = None
    packages = tuple(
        Package(name, version, "", name, version, ecosystem=ECOSYSTEM)
        for name, version in list(modules)[:MAX_PACKAGES]
    )
    return Listing(packages, 0)


def _semantic(release: str) -> str:
    """Write a release of Go as advisories do: `1.21rc2` is `1.21.0-rc.2`."""
    match = _RELEASE(release)
    numbers = (match[1] if match else release).split(".")
    version = ".".join((*numbers, "0", "0")[: max(3, len(numbers))])
    return f"{version}-{match[2]}.{match[3]}" if match else version


def _texts(file: BinaryIO) -> tuple[str, str] | None:
    """Find the toolchain and the lines about modules."""
    offset = _find(file)
    if offset is None:
        return None
    file.seek(offset)
    head = file.read(_HEADER)
    if len(head) < _HEADER or not head[15] & _INLINE:
        return None
    toolchain = _text(file)
    lines = _text(file)
    if toolchain is None or lines is None:
        return None
    if len(lines) >= 2 * _MARK + 1 and lines[-_MARK - 1] == 0x0A:
        lines = lines[_MARK:-_MARK]
    return toolchain.decode("utf-8", "replace"), lines.decode("utf-8", "replace")


def _find(file: BinaryIO) -> int | None:
    """Find the magic; the text occurs elsewhere in programs that read build information."""
    start = 0
    rest = b""
    while chunk := file.read(_CHUNK):
        data = rest + chunk
        at = data.find(_MAGIC)
        while at >= 0:
            if (start + at) % _ALIGNMENT == 0:
                return start + at
            at = data.find(_MAGIC, at + 1)
        kept = min(len(data), len(_MAGIC) - 1)
        start += len(data) - kept
        rest = data[len(data) - kept :]
    return None


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
    if length > _MAX_TEXT:
        return None
    text = file.read(length)
    return text if len(text) == length else None


def _modules(lines: str) -> Iterator[tuple[str, str]]:
    last: tuple[str, str] | None = None
    for line in lines.split("\n"):
        kind, _, rest = line.partition("\t")
        fields = rest.split("\t")
        if kind not in {"mod", "dep", "=>"} or len(fields) < 2:
            continue
        module = fields[0], fields[1].removeprefix("v")
        if kind == "=>" and last and not module[1]:
            continue  # by a folder
        if kind != "=>" and last:
            yield last
        last = module if _is_module(module) else None
    if last:
        yield last


def _is_module(module: tuple[str, str]) -> bool:
    name, version = module
    return bool(_PLAIN(name) and _PLAIN(version)) and version != "(devel)"


DATABASE = Database("go", lambda _: False, parse, is_system=False, programs=True, begins=_ELF)
