"""`customhouse analysis compare`: what it reads, and what it makes of bad input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from customhouse.analysis.ecosystems import SCHEMES
from tests.cli.program import CommandLine

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_is_read_instead_of_standard_input(tmp_path: Path) -> None:
    file = tmp_path / "versions"
    file.write_bytes(b"1.0~rc1 1.0\n1.0\t1.0-0\r\n  1:0   9  ")
    said = CommandLine(tmp_path)("analysis", "compare", "dpkg", "--input", file, stdin="1 2\n")
    assert said.out.split() == ["<", "=", ">"]
    assert said.err == ""


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    said = CommandLine(tmp_path)(
        "analysis", "compare", "dpkg", "--input", tmp_path / "none", status=1
    )
    assert "No such file" in said.err
    assert said.out == ""


def test_bad_lines_do_not_hide_good_ones(tmp_path: Path) -> None:
    file = tmp_path / "versions"
    bad = [b"1.0 [red]x", b"", b"1.0", b"1 2 3", b"\xff 1", b"1 \x1b[2J", b"1 " + b"9" * 100_000]
    file.write_bytes(b"\n".join([b"1.0 2.0", *bad, b"2.0 1.0"]))
    said = CommandLine(tmp_path)("analysis", "compare", "pep440", "--input", file, status=1)
    assert said.out.split() == ["<", *["?"] * len(bad), ">"]
    assert "[red]x is not a valid pep440 version" in " ".join(said.err.split())
    assert "\x1b[2J" not in said.err
    assert len(said.err) < 2000


def test_an_unknown_scheme_names_all_that_there_are(tmp_path: Path) -> None:
    said = CommandLine(tmp_path)("analysis", "compare", "portage", status=2)
    assert all(known in said.err for known in SCHEMES)


@pytest.mark.parametrize(
    ("scheme", "lines", "expected"),
    [
        ("dpkg", "1.0~rc1 1.0\n1:0 9\n1.0 1.0-0\n", "< > ="),
        ("rpm", "1.0^git1-1 1.0-1\n1_0-1 1.0-1\n", "> ="),
        ("apk", "1.2_p1-r0   1.2-r9\n", ">"),
        ("pep440", "1.0a1 1.0\n1.0 1.0.0\n", "< ="),
        ("semver", "1.0.0-rc.2 1.0.0-rc.10", "<"),
        ("semver", "", ""),
        ("go", "go1.21rc2 1.21.0\nv1.2.3 1.2.3+incompatible\n", "< ="),
        ("maven", "1.0.Final 1\n1-sp 1\n1-alpha 1\n", "= > <"),
        ("nuget", "1.0-A 1.0.0-a\n1.0.0.1 1.0\n", "= >"),
        ("packagist", "1.0-RC1 1.0\n1.0-p1 v1.0\n", "< >"),
        ("rubygems", "1.0.a 1.0\n1.0-1 1.pre.1\n", "< ="),
    ],
)
def test_every_scheme(tmp_path: Path, scheme: str, lines: str, expected: str) -> None:
    said = CommandLine(tmp_path)("analysis", "compare", scheme, stdin=lines)
    assert said.out.split() == expected.split()
