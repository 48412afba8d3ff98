"""What Debian's copyright files say of licences, and that the packages in an image have it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customhouse.analysis.ecosystems import dpkg_licences
from customhouse.analysis.ecosystems.dpkg_licences import MAX_BYTES
from customhouse.analysis.ecosystems.package import MAX_TEXT
from customhouse.analysis.inventory import merge
from tests.analysis.tars import apk, dpkg, file, header, read, symlink

if TYPE_CHECKING:
    from customhouse.analysis.layers import LayerReading

DEP5 = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: 2000 A
License: GPL-2+
 On Debian systems the text is in /usr/share/common-licenses/GPL-2.

Files: debian/*
License: Expat or Artistic, and X11
 License: not a field

License: GPL-2+
License:
License: Apache-2.0\r
"""
NAMED = "GPL-2+; Expat or Artistic, and X11; Apache-2.0"
OLDER = """\
This is the Debian package of A. It is under the GPL and the LGPL; see
/usr/share/common-licenses/GPL-2, /usr/share/common-licenses/LGPL-2.1.
Again: /usr/share/common-licenses/GPL-2.
"""


def licence(content: bytes | str, package: str = "a1") -> dict[str, str]:
    content = content.encode() if isinstance(content, str) else content
    path = f"usr/share/doc/{package}/copyright"
    return dict(dpkg_licences.parse(path, io.BytesIO(content)).licences)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("usr/share/doc/libc6/copyright", True),
        ("usr/share/doc/libc6/copyright.gz", False),
        ("usr/share/doc/libc6/examples/copyright", False),
        ("usr/share/doc/copyright", False),
        ("opt/usr/share/doc/libc6/copyright", False),
    ],
)
def test_paths(path: str, expected: bool) -> None:
    assert dpkg_licences.matches(path) is expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (DEP5, NAMED),
        (
            DEP5.replace("Format:", "Format-Specification:"),
            "GPL-2+; Expat or Artistic, and X11; Apache-2.0",
        ),
        ("Format: x\n\nSee /usr/share/common-licenses/BSD.\n", "BSD"),
        (OLDER, "GPL-2; LGPL-2.1"),
        ("License: not machine-readable\n", ""),
        ("", ""),
        (b"Format: x\nLicense: \xff\xfe\nLicense: MIT\0\nLicense: ISC\n", "ISC"),
        ("Format: x\nLicense: " + "x" * 300 + "\n", ""),
    ],
    ids=range(8),
)
def test_licences(content: bytes | str, expected: str) -> None:
    assert licence(content) == ({"a1": expected} if expected else {})


def test_as_many_as_there_is_room_for_and_none_in_part() -> None:
    (text,) = licence("Format: x\n" + "".join(f"License: L-{n}\n" for n in range(9999))).values()
    assert MAX_TEXT - 8 < len(text) <= MAX_TEXT
    assert text.split("; ") == [f"L-{n}" for n in range(text.count(";") + 1)]


def test_what_is_beyond_the_bound_is_not_read() -> None:
    assert licence("Format: x\nLicense: MIT\n" + " x\n" * MAX_BYTES + "License: ISC\n") == {
        "a1": "MIT"
    }


def test_a_folder_that_is_no_package() -> None:
    assert licence(DEP5, "A b") == {}


@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    for text in licence(b"Format: x\n" + content).values():
        assert 0 < len(text) <= MAX_TEXT
        assert text.isprintable()


def test_packages_of_an_image() -> None:
    doc = "usr/share/doc"
    lower = read(
        file("var/lib/dpkg/status", dpkg("a1-1", "b1-1", "c1-1", "d1-1")),
        file("lib/apk/db/installed", apk("a1-1")),
        file(f"{doc}/a1/copyright", DEP5.encode()),
        symlink(f"{doc}/b1", "a1"),
        header(f"{doc}/c1/copyright".encode(), flag=b"2", target=b"../a1/copyright"),
        file(f"{doc}/d1/copyright", OLDER.encode()),
        file(f"{doc}/other/copyright", OLDER.encode()),
    )
    upper = read(header(f"{doc}/.wh.d1".encode()))

    def licences(*layers: tuple[str, LayerReading]) -> dict[tuple[str, str], str]:
        found = merge(layers)
        return {(each.database, each.package.name): each.package.licence for each in found.packages}

    expected = {("apk", "a1"): "", ("dpkg", "b1"): "", ("dpkg", "c1"): ""}
    expected[("dpkg", "a1")] = NAMED
    assert licences(("x", lower)) == {**expected, ("dpkg", "d1"): "GPL-2; LGPL-2.1"}
    assert licences(("x", lower), ("y", upper)) == {**expected, ("dpkg", "d1"): ""}
