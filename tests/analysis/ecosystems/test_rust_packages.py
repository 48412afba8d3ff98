"""Crates in programs that `cargo auditable` has built, and programs of several languages."""

from __future__ import annotations

import io
import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customhouse.analysis.ecosystems import Listing, binaries, rust
from tests.analysis.ecosystems.test_elf_packages import FORMS, program
from tests.analysis.ecosystems.test_golang_packages import inline


def crate(name: str, version: str, source: str = "crates.io", **others: Any) -> dict[str, Any]:
    return {"name": name, "version": version, "source": source, **others}


def audited(crates: list[tuple[str, str]]) -> bytes:
    return compressed({"packages": [crate(*each) for each in crates]})


def compressed(value: Any) -> bytes:
    return zlib.compress(json.dumps(value).encode())


def read(section: bytes, width: int = 2, sign: str = "<") -> Listing:
    return binaries.parse("bin/x", io.BytesIO(program({".dep-v0": section}, width, sign)))


CRATES = [
    crate("serde", "1.0.203", kind="runtime"),
    crate("libc", "0.2.155", dependencies=[0], features=["std"]),
    crate("time", "0.3.0+meta", "registry"),
    crate("cc", "1.0.0", kind="build"),
    crate("mine", "0.1.0", "local", root=True),
    crate("patched", "0.2.0", "git"),
]


@pytest.mark.parametrize(("width", "sign"), [(1, "<"), (1, ">"), (2, "<"), (2, ">")])
def test_crates_of_a_registry_at_runtime(width: int, sign: str) -> None:
    found = read(compressed({"packages": CRATES, "format": 1}), width, sign)
    assert [(each.name, each.version) for each in found.packages] == [
        ("serde", "1.0.203"),
        ("libc", "0.2.155"),
        ("time", "0.3.0+meta"),
    ]
    assert {(each.ecosystem, each.source == each.name) for each in found.packages} == {
        ("crates.io", True)
    }
    assert found.unreadable == 0


def test_a_program_installed_from_the_registry() -> None:
    (package,) = read(compressed({"packages": [crate("ripgrep", "14.1.0", root=True)]})).packages
    assert (package.name, package.version) == ("ripgrep", "14.1.0")


@pytest.mark.parametrize(
    ("section", "unreadable"),
    [
        (b"garbage", 1),
        (audited([("serde", "1.0.1")])[:-5], 1),
        (zlib.compress(b"[" * 100_000), 1),
        (zlib.compress(b"\xff\xfe"), 1),
        (compressed([]), 1),
        (compressed({"packages": {}}), 1),
        (zlib.compress(bytes(rust.MAX_BYTES + 1)), 1),
        (compressed({"packages": []}), 0),
        (compressed({"packages": [1, {"name": "a"}, crate("../a", "1"), crate("a", "x y")]}), 4),
    ],
)
def test_lists_that_cannot_be_read(section: bytes, unreadable: int) -> None:
    assert read(section) == Listing((), unreadable)


def test_records_around_a_bad_one() -> None:
    found = read(compressed({"packages": [crate("a", "1.0.0"), None, crate("b", "2.0.0")]}))
    assert [each.name for each in found.packages] == ["a", "b"]
    assert found.unreadable == 1


def test_both_languages_of_a_program() -> None:
    sections = {".go.buildinfo": inline("go1.22.1"), ".dep-v0": audited([("serde", "1.0.1")])}
    found = binaries.parse("bin/x", io.BytesIO(program(sections)))
    assert {(each.ecosystem, each.name, each.version) for each in found.packages} >= {
        ("Go", "stdlib", "1.22.1"),
        ("crates.io", "serde", "1.0.1"),
    }
    assert found.unreadable == 0
    assert b"\x7fELF\x02".startswith(binaries.DATABASE.begins)
    assert not b"#!/b".startswith(binaries.DATABASE.begins)


@given(data=st.data(), form=st.sampled_from(FORMS))
def test_damaged_programs(data: st.DataObject, form: tuple[int, str]) -> None:
    """Any bytes of the headers and tables may be anything."""
    sections = {".go.buildinfo": inline("go1.22.1"), ".dep-v0": audited([("serde", "1.0.1")])}
    content = bytearray(program(sections, *form, ((4096, 0x10000, 64, 6),)))
    places = st.integers(0, 63) | st.integers(4096, len(content) - 1)
    for at in data.draw(st.lists(places, min_size=1, max_size=8)):
        content[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    assert isinstance(binaries.parse("x", io.BytesIO(content)), Listing)
    assert isinstance(binaries.parse("x", io.BytesIO(content[:cut])), Listing)


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"\x7fELF" + bytes(60), b"MZ".ljust(64)])
def test_what_is_no_program(content: bytes) -> None:
    assert binaries.parse("x", io.BytesIO(content)) == Listing((), 0)
