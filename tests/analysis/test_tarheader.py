from __future__ import annotations

import pytest

from customhouse.analysis import tarheader
from customhouse.errors import Code, Failure
from tests.analysis.tars import GNU, header, pax


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (b"00000000017\0", 15),
        (b"   17 \0\0\0\0\0\0", 15),
        (b"17\0garbage..", 15),
        (bytes(12), 0),
        (b" " * 12, 0),
        (b"777777777777", 8**12 - 1),
        (b"\x80" + bytes(10) + b"\x07", 7),
        (b"\x80\0\0\0" + b"\xff" * 8, 2**64 - 1),
        (b"\xbf" + b"\xff" * 11, 2**94 - 1),
    ],
)
def test_number(field: bytes, value: int) -> None:
    assert tarheader.number(field) == value


@pytest.mark.parametrize(
    "field", [b"0000000001 8", b"-1", b"+1", b"0x1", b"1_0", b"8", b"abc", b"\xff" * 12, b"\xc0"]
)
def test_not_a_number(field: bytes) -> None:
    with pytest.raises(Failure) as caught:
        tarheader.number(field)
    assert caught.value.code is Code.ARCHIVE_CORRUPT


def test_checksum_of_unsigned_and_of_signed_bytes() -> None:
    tarheader.verify(header(b"plain"), "it")
    tarheader.verify(header("größe".encode()), "it")
    tarheader.verify(header("größe".encode(), signed=True), "it")


@pytest.mark.parametrize("at", [0, 99, 124, 149, 156, 300, 511])
def test_a_wrong_checksum_is_noticed(at: int) -> None:
    block = bytearray(header("größe".encode()))
    block[at] ^= 1
    with pytest.raises(Failure, match="the second is no tar header"):
        tarheader.verify(bytes(block), "the second")


@pytest.mark.parametrize(
    ("block", "name"),
    [
        (header(b"a/b"), b"a/b"),
        (header(b"b", prefix=b"a"), b"a/b"),
        (header(b"b" * 100, prefix=b"a" * 155), b"a" * 155 + b"/" + b"b" * 100),
        (header(b"b", prefix=b"00000000001\0", magic=GNU), b"b"),
        (header(b"b", prefix=b"old", magic=bytes(8)), b"b"),
        # star: a shorter prefix, then times, then its mark
        (header(b"b", prefix=b"a" * 131 + b"1" * 24 + b"\0" * 8 + b"tar\0"), b"a" * 131 + b"/b"),
    ],
)
def test_name_and_prefix(block: bytes, name: bytes) -> None:
    assert tarheader.header(block, {}).name == name


@pytest.mark.parametrize(
    ("flag", "name", "kind", "size"),
    [
        (b"0", b"a", b"0", 9),
        (b"0", b"a/", b"0", 9),
        (b"\0", b"a", b"0", 9),
        (b"\0", b"a/", b"5", 0),
        (b"7", b"a", b"7", 9),
        (b"1", b"a", b"1", 0),
        (b"2", b"a", b"2", 0),
        (b"3", b"a", b"3", 0),
        (b"5", b"a", b"5", 0),
        (b"6", b"a", b"6", 0),
        (b"D", b"a", b"D", 9),
    ],
)
def test_only_some_kinds_have_data(flag: bytes, name: bytes, kind: bytes, size: int) -> None:
    read = tarheader.header(header(name, flag=flag, size=9), {})
    assert (read.flag, read.size) == (kind, size)


def test_records_win_over_the_header() -> None:
    records = {b"path": b"long", b"linkpath": b"far", b"size": b"12345678901"}
    read = tarheader.header(header(b"short", target=b"near", size=1), records)
    assert (read.name, read.target, read.size, read.sparse) == (b"long", b"far", 12345678901, False)
    sparse = tarheader.header(header(b"x"), {b"GNU.sparse.name": b"real", b"path": b"made up"})
    assert (sparse.name, sparse.sparse) == (b"real", True)
    assert tarheader.header(header(b"x", flag=b"S"), {}).sparse


@pytest.mark.parametrize("size", [b"-1", b"1.5", b"x", b" 1", b"9" * 21])
def test_a_size_that_is_none(size: bytes) -> None:
    with pytest.raises(Failure) as caught:
        tarheader.header(header(b"x"), {b"size": size})
    assert caught.value.code is Code.ARCHIVE_CORRUPT


@pytest.mark.parametrize(
    ("data", "records"),
    [
        (b"", {}),
        (b"9 path=a\n", {b"path": b"a"}),
        (b"9 path=a\n9 path=b\n", {b"path": b"b"}),
        (b"9 path=a\n8 path=\n", {}),
        (b"12 path=a\nb\n", {b"path": b"a\nb"}),
        (b"0012 path=a\n", {b"path": b"a"}),
        (b"11 mtime=1\n", {}),
        (b"12 path=a=b\n", {b"path": b"a=b"}),
        (b"16 other=\x00\x01\xff\n\n\n\n", {}),
        (pax(path=b"a" * 100)[512:].rstrip(b"\0"), {b"path": b"a" * 100}),
    ],
)
def test_pax_records(data: bytes, records: dict[bytes, bytes]) -> None:
    assert tarheader.pax(data) == records


@pytest.mark.parametrize(
    "data",
    [
        b"path=a\n",
        b"11 path=a\n",
        b"8 path=a\n",
        b"9 path=a ",
        b"0 path=a\n",
        b"2 \n",
        b"1 ",
        b"6 pat\n",
        b"-9 path=a\n",
        b"99999999999999999999999 path=a\n",
        b"9" * 5000,
        b"9 path=\0\n",
        b"9 path=a\n\0\0",
    ],
)
def test_bad_pax_records(data: bytes) -> None:
    with pytest.raises(Failure) as caught:
        tarheader.pax(data)
    assert caught.value.code is Code.ARCHIVE_CORRUPT


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        ("a/b", "a/b"),
        ("./a", "a"),
        ("/a//b/", "a/b"),
        ("a/./b/.", "a/b"),
        ("", ""),
        ("./", ""),
        ("/", ""),
        ("..", None),
        ("a/../b", None),
        ("/../etc/passwd", None),
        ("a/..b", "a/..b"),
        (".wh..wh..opq", ".wh..wh..opq"),
    ],
)
def test_normalize(path: str, normal: str | None) -> None:
    assert tarheader.normalize(path) == normal
