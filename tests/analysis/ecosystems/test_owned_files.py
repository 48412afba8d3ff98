"""Which files of dpkg's and apk's packages could be, or hold, packages of a language."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customhouse.analysis.ecosystems import apk, dpkg
from customhouse.analysis.ecosystems.ownership import may_hold
from customhouse.analysis.ecosystems.package import MAX_FILES, MAX_PATH
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from pathlib import Path

INFO = "var/lib/dpkg/info/"
STATUS_D = "var/lib/dpkg/status.d/"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"{INFO}python3-six.list", True),
        (f"{INFO}libc6:amd64.list", True),
        (f"{INFO}python3.11.list", True),
        (f"{STATUS_D}libssl3.md5sums", True),
        ("usr/lib/dpkg/status.d/libssl3.md5sums", True),
        (f"{INFO}libc6:amd64.md5sums", False),
        (f"{INFO}libc6:amd64.conffiles", False),
        (f"{INFO}.list", False),
        (f"{INFO}a/b.list", False),
        (f"{STATUS_D}libssl3", False),
        (f"{STATUS_D}libssl3.list", False),
        ("home/var/lib/dpkg/info/a.list", False),
        ("var/lib/dpkg/status", False),
    ],
)
def test_which_files_list_files(path: str, expected: bool) -> None:
    assert dpkg.lists_files(path) is expected
    assert dpkg.FILES.matches(path) is expected


@pytest.mark.parametrize(
    ("path", "content", "owned"),
    [
        (
            f"{INFO}python3-six.list",
            b"/.\n/usr\n/usr/lib/python3/dist-packages/six-1.16.0.egg-info\n/usr/share/doc/a/b\n",
            {"python3-six": ("usr", "usr/lib/python3/dist-packages/six-1.16.0.egg-info")},
        ),
        (f"{INFO}gh:arm64.list", b"/usr/bin/gh\n", {"gh": ("usr/bin/gh",)}),
        (f"{INFO}libc6.list", b"/lib/x86_64-linux-gnu/libc.so.6\n", {}),
        (f"{INFO}a.list", b"", {}),
        (
            f"{STATUS_D}gh.md5sums",
            (
                b"00112233445566778899aabbccddeeff  usr/bin/gh\n"
                b"00112233445566778899aabbccddeeff  usr/lib/a b/package.json\n"
                b"not a line of it usr/bin/x\n"
            ),
            {"gh": ("usr/bin/gh", "usr/lib/a b/package.json")},
        ),
        (f"{INFO}-bad.list", b"/usr/bin/gh\n", {}),
        (f"{INFO}a.list", b"/usr/bin/\xff\n", {"a": ("usr/bin/\ufffd",)}),
    ],
)
def test_the_files_of_a_dpkg_package(
    path: str, content: bytes, owned: dict[str, tuple[str, ...]]
) -> None:
    listing = dpkg.parse_files(path, content)
    assert (listing.packages, listing.unreadable, listing.owned) == ((), 0, owned)
    assert dpkg.FILES.parse(path, io.BytesIO(content)) == listing


def test_at_most_so_many_files() -> None:
    content = b"".join(b"/usr/bin/p%d\n" % number for number in range(MAX_FILES + 9))
    assert len(dpkg.parse_files(f"{INFO}a.list", content).owned["a"]) == MAX_FILES


@given(st.binary(max_size=300))
def test_any_content_is_survived(content: bytes) -> None:
    for path in (f"{INFO}a.list", f"{STATUS_D}a.md5sums"):
        assert all(map(may_hold, dpkg.parse_files(path, content).owned.get("a", ())))


def test_the_files_of_an_apk_package() -> None:
    content = (
        b"P:py3-six\nV:1.16.0-r0\nA:x86_64\no:six\nR:top\n"
        b"F:usr/lib/python3.11/site-packages/six.egg-info\nR:PKG-INFO\nZ:Q1x=\nR:top_level.txt\n"
        b"F:usr/lib\nF:usr/bin\nM:0:0:0755\nR:six\na:0:0:755\n\n"
        b"P:musl\nV:1.2.4-r0\nF:lib\nR:ld-musl-x86_64.so.1\n\n"
    )
    assert apk.parse(content).owned == {
        "py3-six": (
            "top",
            "usr/lib/python3.11/site-packages/six.egg-info/PKG-INFO",
            "usr/bin/six",
        )
    }


def test_a_real_distroless_package(shared_data: Path) -> None:
    folder = shared_data / "dpkg" / "scalibr" / "dpkg" / "status.d"
    listing = dpkg.parse_files(f"{STATUS_D}foo.md5sums", (folder / "foo.md5sums").read_bytes())
    assert listing.packages == ()
    assert all(map(may_hold, listing.owned.get("foo", ())))


def test_a_real_alpine_image(shared_data: Path) -> None:
    """Every file of the list that could hold packages is in the image that the list is of."""
    content = (shared_data / "apk" / "installed" / "alpine-3.11.5-image").read_bytes()
    owned = apk.parse(content).owned
    archive = shared_data / "layers" / "images" / "alpine-311.docker-save.tar.gz"
    with tarfile.open(archive) as image:
        layers = [it for it in image.getmembers() if it.name.endswith("layer.tar")]
        (layer,) = map(image.extractfile, layers)
        assert layer
        with tarfile.open(fileobj=layer) as files:
            names = {it.name.removeprefix("./") for it in files.getmembers()}
    assert set(owned) >= {"busybox", "apk-tools", "scanelf", "musl-utils"}
    assert "bin/busybox" in owned["busybox"]
    assert {path for paths in owned.values() for path in paths} <= names


def test_paths_of_apk_are_bounded() -> None:
    """A folder of 500 KB with 200,000 files in it would be a hundred gigabytes of paths."""
    stanza = "P:{name}\nV:1-r0\nF:{folder}\n{files}\n"
    files = "R:program\n" * 200_000
    found = apk.parse(stanza.format(name="a", folder="d" * 500_000, files=files).encode())
    assert [each.name for each in found.packages] == ["a"]
    assert found.owned == {}
    with pytest.raises(Failure) as caught:
        apk.parse(stanza.format(name="a", folder="d" * (MAX_PATH - 8), files=files).encode())
    assert caught.value.code is Code.ARCHIVE_LIMIT
