"""Rust's crates, as `cargo auditable` writes them into programs.

Source: cargo-auditable, "PARSING.md" and its JSON schema. The section `.dep-v0` holds JSON that is
compressed with zlib: an object with `packages`, each with `name`, `version`, `source`, `kind`
(runtime if not stated) and `root`.
"""

from __future__ import annotations

import re
import zlib
from typing import BinaryIO

import msgspec

from customhouse.analysis.ecosystems import elf
from customhouse.analysis.ecosystems.encoding import MAX_VERSION
from customhouse.analysis.ecosystems.package import MAX_PACKAGES, Listing, Package, of_language

ECOSYSTEM = "crates.io"

MAX_BYTES = 8 * 1024**2
"""Bytes of the list of crates, compressed or not, that is read; cargo-auditable's own bound."""

_SECTION = ".dep-v0"
_SOURCES = frozenset(("crates.io", "registry"))
_NAME = re.compile(r"[0-9A-Za-z_-]{1,64}").fullmatch
_VERSION = re.compile(rf"[0-9][0-9A-Za-z.+-]{{0,{MAX_VERSION - 1}}}").fullmatch


class _Crate(msgspec.Struct, gc=False):
    name: str
    version: str
    source: str
    kind: str = "runtime"


class _Crates(msgspec.Struct, gc=False):
    packages: list[msgspec.Raw]


_CRATES = msgspec.json.Decoder(_Crates)
_CRATE = msgspec.json.Decoder(_Crate)


def crates(file: BinaryIO, program: elf.Program | None) -> Listing:
    """Read the crates of a program; none if it does not tell.

    Listed are those that are part of the program, not only of its build, and come from a registry.
    Crates from a folder or from git, mostly the program itself, have versions that no advisory
    speaks of.
    """
    section = program.sections.get(_SECTION) if program else None
    if section is None:
        return Listing((), 0)
    offset, size = section
    text = _inflated(elf.content(file, offset, size)) if size <= MAX_BYTES else None
    try:
        found = _CRATES.decode(text) if text is not None else None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        found = None
    if found is None or len(found.packages) > MAX_PACKAGES:
        return Listing((), 1)
    packages: dict[Package, None] = {}
    unreadable = 0
    for raw in found.packages:
        try:
            crate = _CRATE.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            unreadable += 1
            continue
        name, version = crate.name, crate.version
        if crate.kind != "runtime" or crate.source not in _SOURCES:
            continue
        if not (_NAME(name) and _VERSION(version)):
            unreadable += 1
            continue
        packages[of_language(ECOSYSTEM, name, version)] = None
    return Listing(tuple(packages), unreadable)


def _inflated(compressed: bytes) -> bytes | None:
    """Decompress; None for what is damaged, ends early or has more than `MAX_BYTES`."""
    inflate = zlib.decompressobj()
    try:
        text = inflate.decompress(compressed, MAX_BYTES)
    except zlib.error:
        return None
    return text if inflate.eof else None
