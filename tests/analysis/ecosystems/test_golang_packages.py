"""Modules in programs that Go has built, before and since it writes them in place."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from pathlib import Path
from typing import Literal

import pytest

from customhouse.analysis.ecosystems import Listing, binaries
from tests.analysis.ecosystems.test_elf_packages import program

MARK = bytes(range(16))
LINES = (
    "path\texample.com/x\nmod\texample.com/x\tv0.3.0\th1:a=\ndep\texample.com/a\tv1.2.3\th1:x=\n"
)


def inline(toolchain: str, lines: str = LINES) -> bytes:
    """Make the section as Go 1.18 and later write it."""
    content = b"\xff Go buildinf:" + bytes((8, 2)) + bytes(16)
    for text in (toolchain.encode(), MARK + lines.encode() + MARK):
        length = len(text)
        assert length < 1 << 14
        content += bytes((length & 0x7F | 0x80, length >> 7)) + text
    return content


def read(content: bytes) -> tuple[set[tuple[str, str]], int]:
    listing = binaries.parse("bin/x", io.BytesIO(content))
    return {(each.name, each.version) for each in listing.packages}, listing.unreadable


EXPECTED = {("stdlib", "1.16.5"), ("example.com/x", "0.3.0"), ("example.com/a", "1.2.3")}


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("sign", ["<", ">"])
@pytest.mark.parametrize("named", [True, False])
def test_texts_that_are_pointed_to(width: int, sign: str, named: bool) -> None:
    """As before Go 1.18; in a section of their own, or in the program's data."""
    order: Literal["big", "little"] = "little" if sign == "<" else "big"
    size, base = (8, 0x400000) if width == 2 else (4, 0x8000)
    texts = [b"go1.16.5", MARK + LINES.encode() + MARK]
    strings = 32  # first the two pointers, then the two strings, then the texts
    at = strings + 4 * size
    content = b"\xff Go buildinf:" + bytes((size, sign == ">"))
    pointers = [base + strings, base + strings + 2 * size]
    content += b"".join(each.to_bytes(size, order) for each in pointers).ljust(16, b"\0")
    for text in texts:
        content += (base + at).to_bytes(size, order) + len(text).to_bytes(size, order)
        at += len(text)
    content += b"".join(texts)
    name = ".go.buildinfo" if named else ".data"
    whole = program({name: content}, width, sign, ((4096, base, len(content), 6),))
    assert read(whole) == (EXPECTED, 0)
    moved = program({name: content}, width, sign, ((4096, base + 999, len(content), 6),))
    assert read(moved) == (set(), int(named))


def test_texts_in_place() -> None:
    content = inline("go1.16.5 X:regabi")
    assert read(program({".go.buildinfo": content})) == (EXPECTED, 0)
    data = bytes(8) + content[:14] + bytes(10) + content  # the first is not at a multiple of 16
    segment = (4096, 0x400000, len(data), 6)
    assert read(program({".data": data}, segments=(segment,))) == (EXPECTED, 0)
    assert read(program({".rodata": content}, segments=((4096, 0, len(content), 4),))) == (set(), 0)
    for damaged in (content[:20], content[:14] + bytes(18), content[:32] + b"\xff" * 9, b"x"):
        assert read(program({".go.buildinfo": damaged}))[0] == set()


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("mod\ta.b/c\t(devel)\t\n", set()),
        ("mod\ta.b/c\tv0.0.0-20240101000000-abcdefabcdef+dirty\t\n", {"a.b/c"}),
        ("dep\ta.b/c\tv1.0.0\n=>\tf.g/c\tv1.0.1\th1:=\n", {"f.g/c"}),
        ("dep\ta.b/c\tv1.0.0\n=>\t./c\t(devel)\t\n", {"a.b/c"}),
        ("dep\ta.b/c\tv1.0.0\n=>\t../c\t\t\n", {"a.b/c"}),
        ("dep\ta.b/c\t(devel)\n=>\tf.g/c\tv1.0.1\t\n", {"f.g/c"}),
        ("=>\tf.g/c\tv1.0.1\t\n", set()),
        ("dep\ta.b/c\ndep\t\tv1\ndep\ta b\tv1\t\nbuild\tv\tx\n", set()),
        ("dep\ta.b/c/v2\tv2.0.0+incompatible\th1:=\n", {"a.b/c/v2"}),
    ],
)
def test_lines_about_modules(lines: str, expected: set[str]) -> None:
    found, unreadable = read(program({".go.buildinfo": inline("devel go1.23-abc", lines)}))
    assert {name for name, _ in found} == expected
    assert not any(version.startswith("v") for _, version in found)
    assert unreadable == 0


def test_a_toolchain_without_end() -> None:
    found, _ = read(program({".go.buildinfo": inline("go1." + "1" * 9_000, "")}))
    assert max(len(version) for _, version in found) <= 100


# Of modules that come from a folder and never had a version of their own.
NO_VERSIONS = ("0.0.0", "0.0.0-00010101000000-000000000000")


def go() -> str:
    path = shutil.which("go")
    if path is None:
        pytest.skip("there is no toolchain of Go here")
    return path


def test_programs_that_the_toolchain_reads() -> None:
    """Whatever programs of Go are here, against `go version -m`."""
    names = ("go", "gofmt", "skopeo", "docker", "terraform", "gosu", "runc", "crane", "esbuild")
    paths = [path for path in map(shutil.which, names) if path]
    for path in paths:
        done = subprocess.run(
            [go(), "version", "-m", path], check=False, capture_output=True, text=True
        )
        if done.returncode:
            continue
        first, *lines = done.stdout.splitlines()
        last = ("", "")
        expected = {("stdlib", first.split(": go")[1].split()[0])}
        for line in lines:
            kind, *fields = line.strip("\t").split("\t")
            if kind not in {"mod", "dep", "=>"} or fields[1] == "(devel)":
                continue  # also a folder that replaces a module
            if kind == "=>":
                expected.discard(last)
            last = fields[0], fields[1].removeprefix("v")
            expected.add(last)
        expected = {each for each in expected if each[1] not in NO_VERSIONS}
        assert read(Path(path).read_bytes()) == (expected, 0), path
    if not paths:
        pytest.skip("no program of Go is here")


def test_a_program_that_is_built_now(tmp_path: Path) -> None:
    """One module by its own name, one replaced by a folder."""
    toolchain = go()
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "go.mod").write_text("module example.com/lib\ngo 1.18\n")
    (tmp_path / "lib" / "lib.go").write_text("package lib\nfunc F() {}\n")
    (tmp_path / "go.mod").write_text(
        "module example.com/main\ngo 1.18\nrequire example.com/lib v1.4.0\n"
        "replace example.com/lib => ./lib\n"
    )
    (tmp_path / "main.go").write_text(
        'package main\nimport "example.com/lib"\nfunc main() { lib.F() }\n'
    )
    kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    local = {"GOTOOLCHAIN": "local", "GOPROXY": "off", "GOFLAGS": "-mod=mod", "GOOS": "linux"}
    for arch in ("amd64", "386"):
        done = subprocess.run(
            [toolchain, "build", "-buildvcs=false", "-ldflags=-s -w", "-o", arch, "."],
            cwd=tmp_path,
            env={**kept, **local, "GOARCH": arch, "CGO_ENABLED": "0"},
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            pytest.skip(f"the toolchain does not build here: {done.stderr[:200]}")
        found, unreadable = read((tmp_path / arch).read_bytes())
        assert {name for name, _ in found} == {"stdlib", "example.com/lib"}
        assert ("example.com/lib", "1.4.0") in found
        assert unreadable == 0


def test_no_program() -> None:
    for content in (b"", b"\xff Go buildinf:", bytes(100), b"#!/bin/sh\n"):
        assert binaries.parse("x", io.BytesIO(content)) == Listing((), 0)
