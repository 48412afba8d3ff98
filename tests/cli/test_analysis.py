"""`customhouse analysis compare`: versions as the package managers order them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.program import CommandLine

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("scheme", "lines", "expected"),
    [
        ("dpkg", "1.0~rc1 1.0\n1:0 9\n1.0 1.0-0\n", "< > ="),
        ("rpm", "1.0^git1-1 1.0-1\n1_0-1 1.0-1\n", "> ="),
        ("apk", "1.2_p1-r0   1.2-r9\n", ">"),
        ("pep440", "1.0a1 1.0\n1.0 1.0.0\n", "< ="),
        ("semver", "1.0.0-rc.2 1.0.0-rc.10", "<"),
        ("semver", "", ""),
    ],
)
def test_comparisons(tmp_path: Path, scheme: str, lines: str, expected: str) -> None:
    said = CommandLine(tmp_path)("analysis", "compare", scheme, stdin=lines)
    assert said.out.split() == expected.split()
    assert said.err == ""


def test_lines_that_are_not_understood(tmp_path: Path) -> None:
    lines = "1-1-1 2\n1\n1.0-1 2.0-1\n"
    said = CommandLine(tmp_path)("analysis", "compare", "rpm", stdin=lines, status=1)
    assert said.out.split() == ["?", "?", "<"]
    assert "1-1-1 is not a valid rpm version" in " ".join(said.err.split())


def test_an_unknown_scheme_names_the_known_ones(tmp_path: Path) -> None:
    said = CommandLine(tmp_path)("analysis", "compare", "portage", status=2)
    for known in ("apk", "dpkg", "pep440", "rpm", "semver"):
        assert known in said.err
    assert said.out == ""
