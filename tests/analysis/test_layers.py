from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from customhouse.analysis import layers
from customhouse.analysis.archive import Limits
from customhouse.analysis.ecosystems import DATABASES, package
from customhouse.analysis.layers import decode, encode, parents, read_layer
from customhouse.analysis.systems import FILES
from customhouse.errors import Code, Failure
from tests.analysis.tars import (
    END,
    apk,
    dpkg,
    file,
    folder,
    hard_link,
    header,
    pax,
    read,
    symlink,
)

if TYPE_CHECKING:
    from pathlib import Path

STATUS = "var/lib/dpkg/status"
INSTALLED = "lib/apk/db/installed"


def failure(*parts: bytes, limits: Limits | None = None) -> Failure:
    with pytest.raises(Failure) as caught:
        read(*parts, limits=limits)
    return caught.value


def test_an_empty_layer() -> None:
    layer = read()
    assert (layer.databases, layer.system_files, layer.links, layer.hard_links) == ({}, {}, {}, {})
    assert (layer.folders, layer.others, layer.removed, layer.opaque) == ((), (), (), ())
    assert (layer.entries, layer.uncompressed_size, layer.skipped) == (0, 1024, 0)


def test_what_a_layer_contributes() -> None:
    layer = read(
        folder("./"),
        folder("./var/"),
        file("./etc/os-release", b"ID=debian\n"),
        file(f"./{STATUS}", dpkg("bash-5.2", "dash-0.5") + b"Package: ???\n"),
        file(f"./{STATUS}.d/base", dpkg("base-1")),
        file(f"./{STATUS}.d/base.md5sums", b"0 usr/x"),
        file(f"./{INSTALLED}", apk("musl-1.1.24")),
        file("./usr/bin/bash", b"\x7fELF"),
        file("./home/.wh.me"),
        file("./srv/.wh..wh..opq"),
        file("./.wh..wh.plnk"),
        file("./up/../../x"),
    )
    names = {
        path: [(package.name, package.version) for package in database.packages]
        for path, database in layer.databases.items()
    }
    assert names == {
        STATUS: [("bash", "5.2"), ("dash", "0.5")],
        f"{STATUS}.d/base": [("base", "1")],
        f"{STATUS}.d/base.md5sums": [],
        INSTALLED: [("musl", "1.1.24")],
    }
    assert layer.databases[STATUS].reader == "dpkg"
    assert layer.databases[STATUS].unreadable == 1
    assert layer.databases[INSTALLED].reader == "apk"
    assert layer.system_files == {"etc/os-release": b"ID=debian\n"}
    assert layer.folders == ("var",)
    assert layer.removed == ("home/me",)
    assert layer.opaque == ("srv",)
    assert (layer.entries, layer.skipped) == (12, 1)


def test_every_database_lies_in_a_folder_whose_links_are_kept() -> None:
    paths = (
        *(STATUS, "usr/lib/dpkg/status.d/x", INSTALLED, f"usr/{INSTALLED}"),
        *("var/lib/rpm/Packages", "usr/lib/sysimage/rpm/Packages.db", "usr/share/rpm/rpmdb.sqlite"),
    )
    assert {database.name for database in DATABASES if database.is_system} == {
        database.name for database in DATABASES for path in paths if database.matches(path)
    }
    for path in (*paths, *FILES):
        for place in parents(path):
            if place:
                assert read(symlink(place, "x")).links == {place: "x"}


def test_links_lead_to_what_is_wanted() -> None:
    layer = read(
        symlink("etc/os-release", "../usr/lib/os-release"),
        symlink("lib", "usr/lib"),
        symlink("usr/lib/libc.so", "libc.so.6"),
        symlink(STATUS, "elsewhere"),
        symlink("etc/lsb-release", "x" * 99),
        pax(linkpath=b"x" * 257),
        symlink("etc/alpine-release", ""),
    )
    assert layer.links == {
        "etc/lsb-release": "x" * 99,
        "etc/os-release": "../usr/lib/os-release",
        "lib": "usr/lib",
    }
    assert layer.others == ("etc/alpine-release", STATUS)


def test_hard_links_share_content() -> None:
    layer = read(
        file("usr/lib/os-release", b"ID=x"),
        hard_link("etc/os-release", "./usr/lib/os-release"),
        file(STATUS, dpkg("a-1")),
        hard_link("usr/lib/dpkg/status", STATUS),
        hard_link("var/lib/dpkg/status.d/lower", "var/lib/dpkg/status.d/other"),
        hard_link("etc/debian_version", "../../etc/passwd"),
        hard_link("etc/unrelated", "etc/lsb-release"),
    )
    assert layer.system_files == {"etc/os-release": b"ID=x", "usr/lib/os-release": b"ID=x"}
    assert layer.databases["usr/lib/dpkg/status"] == layer.databases[STATUS]
    assert layer.hard_links == {"var/lib/dpkg/status.d/lower": "var/lib/dpkg/status.d/other"}
    assert layer.others == ("etc/debian_version",)


def test_the_last_entry_of_a_path_counts() -> None:
    first, second = file(STATUS, dpkg("a-1")), file(f"./{STATUS}", dpkg("a-2", "b-1"))
    layer = read(first, second)
    assert [package.version for package in layer.databases[STATUS].packages] == ["2", "1"]
    device = header(STATUS.encode(), flag=b"3")
    assert read(first, device).others == (STATUS,)
    assert read(first, device).databases == {}
    assert read(device, first).others == ()
    assert read(first, folder(STATUS)).folders == (STATUS,)
    assert read(symlink("etc/os-release", "x"), file("etc/os-release", b"y")).links == {}
    assert read(folder("lib"), symlink("lib", "usr/lib")).folders == ()


def test_what_becomes_no_folder_loses_what_was_in_it() -> None:
    status = file(STATUS, dpkg("a-1"))
    for replaced in (file("var/lib"), symlink("var", "x"), header(b"var/lib/dpkg", flag=b"6")):
        layer = read(status, replaced)
        assert layer.databases == {}
        assert read(replaced, folder("var/lib"), status).databases.keys() == {STATUS}
        assert read(status, replaced, status).databases.keys() == {STATUS}


@pytest.mark.parametrize(
    ("name", "removed", "opaque", "skipped"),
    [
        (".wh.x", ("x",), (), 0),
        ("/a/.wh.x", ("a/x",), (), 0),
        ("a/.wh.x y", ("a/x y",), (), 0),
        ("a/.wh..x", ("a/.x",), (), 0),
        ("a/.wh.", (), (), 1),
        ("a/.wh..", (), (), 1),
        ("a/.wh...", (), (), 1),
        (".wh..wh..opq", (), ("",), 0),
        ("a/b/.wh..wh..opq", (), ("a/b",), 0),
        ("a/not.a.wh..wh..opq", (), (), 0),
        (".wh..wh.orph/", (), (), 0),
        ("a/.wh.b/c", (), (), 0),
        ("../.wh.x", (), (), 1),
    ],
)
def test_whiteouts(
    name: str, removed: tuple[str, ...], opaque: tuple[str, ...], skipped: int
) -> None:
    for layer in (read(file(name)), read(folder(name)), read(file(name), file(name))):
        assert (layer.removed, layer.opaque) == (removed, opaque)
    assert read(file(name)).skipped == skipped


def test_whiteouts_of_real_layers(shared_data: Path) -> None:
    found = {}
    for path in (shared_data / "layers" / "whiteout").iterdir():
        with path.open("rb") as stream:
            layer = read_layer(stream)
        found[path.name] = (layer.removed, layer.opaque, layer.entries)
    assert found == {
        "whiteout.layer": (("etc/profile",), (), 2),
        "whiteout_advanced.layer": (("a/a_file.txt", "a_root_file.txt", "b"), (), 4),
        "whiteout_opaque.layer": ((), ("a",), 4),
    }


def test_large_and_odd_system_files_are_left_out() -> None:
    size = layers.MAX_SYSTEM_FILE
    layer = read(file("etc/os-release", b"x" * size), file("etc/lsb-release", b"x" * (size + 1)))
    assert list(layer.system_files) == ["etc/os-release"]
    assert (layer.others, layer.skipped) == (("etc/lsb-release",), 1)
    assert read(header(b"etc/os-release", flag=b"S")).others == ("etc/os-release",)


def test_a_database_of_garbage_is_corrupt() -> None:
    assert failure(file(STATUS, b"\xff\0garbage")).code is Code.ARCHIVE_CORRUPT


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    whiteouts = [file(f".wh.{number:04}") for number in range(20)]
    stanzas = [file(f"{STATUS}.d/{number}", dpkg(f"a{number}-1")) for number in range(20)]
    repeated = [folder("var")] * 50
    monkeypatch.setattr(layers, "MAX_KEPT", 20)
    assert len(read(*whiteouts).removed) == 20
    assert len(read(*stanzas).databases) == 20
    assert read(*repeated).folders == ("var",)
    for parts in ((*whiteouts, file(".wh..wh..opq")), (*stanzas, *repeated)):
        assert failure(*parts).code is Code.ARCHIVE_LIMIT
    assert "packages" in failure(file(STATUS, dpkg(*(f"a{n}-1" for n in range(21))))).message
    monkeypatch.setattr(layers, "MAX_KEPT_BYTES", 79)
    assert "characters" in failure(*whiteouts).message
    listed = file("var/lib/dpkg/info/a.list", b"/usr/bin/program\n" * 5)
    assert "characters" in failure(listed).message


def test_a_file_that_is_read_as_a_whole_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    path = "node_modules/a/package.json"
    manifest = file(path, b'{"name": "a", "version": "1"}')
    assert read(manifest).databases[path].unreadable == 0
    monkeypatch.setattr(package, "MAX_CONTENT", 20)
    assert read(manifest).databases[path].unreadable == 1


def test_the_archive_has_its_own_limits() -> None:
    parts = file(STATUS, dpkg("a-1"))
    assert failure(parts, limits=Limits(file_bytes=10)).code is Code.ARCHIVE_LIMIT
    with pytest.raises(Failure) as caught:
        read_layer(io.BytesIO(parts), media_type="application/x+encrypted")
    assert caught.value.code is Code.ANALYSIS_UNSUPPORTED


def test_a_reading_survives_its_storage() -> None:
    layer = read(
        file(STATUS, dpkg("bash-5.2")),
        file("etc/os-release", b"ID=\xff\0"),
        symlink("lib", "usr/lib"),
        hard_link("usr/lib/os-release", "x"),
        folder("var"),
        header(b"usr/lib/dpkg", flag=b"3"),
        header(b".wh.\xff"),
        file("größe/.wh..wh..opq"),
        file("../x"),
    )
    assert all(getattr(layer, field) for field in layer.__struct_fields__)
    assert decode(encode(layer)) == layer
    assert encode(decode(encode(layer))) == encode(layer)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"noise",
        encode(read())[:-1],
        zstandard.compress(b"{"),
        zstandard.compress(b"{}"),
        zstandard.compress(b"\xff"),
        zstandard.compress(encode(read())),
        b"\x28\xb5\x2f\xfd\xe0" + b"\xff" * 8,
    ],
)
def test_what_is_no_reading_is_not_decoded(data: bytes) -> None:
    with pytest.raises(Failure) as caught:
        decode(data)
    assert caught.value.code is Code.ARCHIVE_CORRUPT


names = st.sampled_from(
    ("var", "var/lib", STATUS, f"{STATUS}.d/x", "etc", "etc/os-release", ".wh.x", "a/.wh..wh..opq")
) | st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20)
flags = st.sampled_from([bytes((byte,)) for byte in b"01235"])
contents = st.sampled_from([dpkg("a-1"), b"", b"ID=x"]) | st.binary(max_size=99)


@given(st.lists(st.tuples(names, flags, names, contents)))
def test_any_entries_give_a_reading_or_a_failure(
    drawn: list[tuple[str, bytes, str, bytes]],
) -> None:
    parts = []
    for name, flag, target, content in drawn:
        data = content if flag == b"0" else b""
        path, link = name.encode()[:100], target.encode()[:100]
        parts.append(header(path, size=len(data), flag=flag, target=link))
        parts.append(data + bytes(-len(data) % 512))
    try:
        layer = read_layer(io.BytesIO(b"".join((*parts, END))))
    except Failure:
        return
    assert decode(encode(layer)) == layer
    assert layer.entries == len(drawn)
