"""Programs that tell what they were made of, whatever language they were written in."""

from __future__ import annotations

from typing import BinaryIO

from customhouse.analysis.ecosystems import elf, golang, rust
from customhouse.analysis.ecosystems.package import Database, Listing


def parse(path: str, file: BinaryIO) -> Listing:
    """Read the modules of Go and the crates of Rust that a program was made of; never raises."""
    del path
    program = elf.read(file)
    go, rusty = golang.modules(file, program), rust.crates(file, program)
    return Listing(go.packages + rusty.packages, go.unreadable + rusty.unreadable)


DATABASE = Database("programs", lambda _: False, parse, is_system=False, begins=elf.MAGIC)
