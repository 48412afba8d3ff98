"""Packages of Python, Node and Go as installers and compilers leave them."""

from __future__ import annotations

import io
import json
import re
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customhouse.analysis.ecosystems import Listing, binaries, node, python


def test_every_package_of_this_interpreter() -> None:
    """What is installed here, read from its files and by the standard library."""
    found: set[tuple[str, str]] = set()
    expected: set[tuple[str, str]] = set()
    for distribution in metadata.distributions():
        assert isinstance(distribution, metadata.PathDistribution)
        folder = Path(str(distribution._path))
        file = folder / "METADATA" if folder.suffix == ".dist-info" else folder / "PKG-INFO"
        assert python.matches(str(file).lstrip("/"))
        listing = python.parse(str(file), file.read_bytes())
        assert listing.unreadable == 0
        found.update((each.name, each.version) for each in listing.packages)
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()
        expected.add((name, distribution.version))
    assert found == expected
    assert len(found) > 20


def of_python(text: str) -> Listing:
    return python.parse("x.dist-info/METADATA", text.encode())


def test_python_metadata() -> None:
    (package,) = of_python(
        "Metadata-Version: 2.1\nName: Zope.Interface_x\nVersion: 5.0\nLicense: ZPL 2.1\n"
        "Author-email: a@example.com\n\nName: other\nVersion: 9\n"
    ).packages
    assert (package.name, package.version, package.ecosystem) == ("zope-interface-x", "5.0", "PyPI")
    assert (package.licence, package.maintainer) == ("ZPL 2.1", "a@example.com")
    (package,) = of_python(
        "Name: a\nVersion: 1\nClassifier: License :: OSI Approved :: MIT License\n"
    ).packages
    assert package.licence == "MIT License"


@pytest.mark.parametrize("text", ["", "Name: a\n", "Version: 1\n", "Name: -\nVersion: 1\n", "\0"])
def test_python_metadata_that_is_none(text: str) -> None:
    assert of_python(text) == Listing((), 1)


def of_node(value: Any) -> Listing:
    return node.parse("node_modules/a/package.json", json.dumps(value).encode())


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        ({"name": "a", "version": "1.2.3", "license": "MIT"}, ("a", "1.2.3", "MIT")),
        ({"name": "@s/a", "version": "v1", "license": {"type": "ISC"}}, ("@s/a", "1", "ISC")),
        ({"name": "a", "version": "1", "licenses": [{"type": "X"}, "Y"]}, ("a", "1", "X")),
        ({"name": "a", "version": "1", "license": 7}, ("a", "1", "")),
        ({"name": "a"}, None),
        ({"name": "a", "version": 1}, 1),
        ({"name": "../a", "version": "1"}, 1),
        ({"name": "a", "version": "1 2"}, 1),
        ([], 1),
    ],
)
def test_node_manifests(manifest: Any, expected: tuple[str, str, str] | int | None) -> None:
    found = of_node(manifest)
    if isinstance(expected, tuple):
        (package,) = found.packages
        assert (package.name, package.version, package.licence) == expected
        assert package.ecosystem == "npm"
    else:
        assert found == Listing((), expected or 0)


@given(st.binary(max_size=400))
def test_any_bytes_give_a_listing(content: bytes) -> None:
    assert isinstance(node.parse("x", content), Listing)
    assert isinstance(python.parse("x", content), Listing)
    assert isinstance(binaries.parse("x", io.BytesIO(content)), Listing)
    assert isinstance(binaries.parse("x", io.BytesIO(program(content))), Listing)


def program(texts: bytes, flags: int = 2, before: bytes = b"\x7fELF".ljust(64)) -> bytes:
    return before + b"\xff Go buildinf:" + bytes((8, flags)) + bytes(16) + texts


def varint(text: bytes) -> bytes:
    length, head = len(text), b""
    while length >= 0x80:
        head += bytes((length & 0x7F | 0x80,))
        length >>= 7
    return head + bytes((length,)) + text


LINES = (
    "path\texample.com/cmd\n"
    "mod\texample.com/main\t(devel)\t\n"
    "dep\texample.com/a\tv1.2.3\th1:x=\n"
    "dep\texample.com/b\tv1.0.0\n=>\texample.com/fork/b\tv1.0.1\th1:y=\n"
    "dep\texample.com/c\tv0.1.0\n=>\t./c\t\n"
    "dep\texample.com/d\tv0.0.0-20200101000000-abcdefabcdef\n"
    "dep\tk8s.io/api\tv0.0.0\n=>\t./staging/api\t(devel)\t\n"
    "build\t-compiler=gc\n"
)


def built(toolchain: str, lines: str = LINES) -> bytes:
    mark = bytes(range(16))
    return program(varint(toolchain.encode()) + varint(mark + lines.encode() + mark))


def test_a_program_of_go() -> None:
    found = binaries.parse("bin/x", io.BytesIO(built("go1.21.3 X:boring")))
    assert {(each.name, each.version) for each in found.packages} == {
        ("stdlib", "1.21.3"),
        ("example.com/a", "1.2.3"),
        ("example.com/fork/b", "1.0.1"),
        ("example.com/c", "0.1.0"),
        ("example.com/d", "0.0.0-20200101000000-abcdefabcdef"),
    }
    assert {each.ecosystem for each in found.packages} == {"Go"}


@pytest.mark.parametrize(
    ("toolchain", "version"),
    [("go1.21rc2", "1.21.0-rc.2"), ("go1.21", "1.21.0"), ("go1.22.1-custom", "1.22.1")],
)
def test_the_library_of_the_toolchain(toolchain: str, version: str) -> None:
    (package,) = binaries.parse("bin/x", io.BytesIO(built(toolchain, "path\tx\n"))).packages
    assert (package.name, package.version) == ("stdlib", version)


def test_programs_of_go_that_tell_nothing() -> None:
    for content in (
        b"\x7fELF",
        built("devel +abc", ""),
        program(b"", flags=0),
        program(b"\xff" * 9),
    ):
        assert binaries.parse("bin/x", io.BytesIO(content)) == Listing((), 0)


def test_the_magic_is_found_where_it_is_aligned() -> None:
    before = b"\x7fELF".ljust(70) + b"\xff Go buildinf:"
    content = built("go1.20")
    moved = before.ljust(4 * 1024**2 - 8) + content[64 - 8 :]
    found = binaries.parse("bin/x", io.BytesIO(moved.ljust(5 * 1024**2)))
    assert moved.find(b"\xff Go buildinf:", 200) == 4 * 1024**2
    assert ("stdlib", "1.20.0") in {(each.name, each.version) for each in found.packages}


def test_a_real_program() -> None:
    """Debian builds skopeo without modules, so it tells of the toolchain alone."""
    path = shutil.which("skopeo")
    if path is None:
        pytest.skip("skopeo is not installed")
    with Path(path).open("rb") as file:
        found = binaries.parse(path, file)
    assert "stdlib" in {each.name for each in found.packages}
    assert all(re.fullmatch(r"[0-9]+\.[0-9]+.*", each.version) for each in found.packages)
    assert found.unreadable == 0
