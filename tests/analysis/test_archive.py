from __future__ import annotations

import gzip
import io
import tarfile
import time
import tracemalloc
from typing import TYPE_CHECKING

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from customhouse.analysis.archive import Entry, Kind, Limits, entries
from customhouse.errors import Code, Failure
from tests.analysis import tars

if TYPE_CHECKING:
    from collections.abc import Callable

FORMATS = {
    "ustar": tarfile.USTAR_FORMAT,
    "gnu": tarfile.GNU_FORMAT,
    "pax": tarfile.PAX_FORMAT,
}
WRITERS: dict[str, Callable[[bytes], bytes]] = {
    "tar": bytes,
    "gzip": gzip.compress,
    "zstd": zstandard.compress,
}


def opened(data: bytes, limits: Limits | None = None) -> list[Entry]:
    return list(entries(io.BytesIO(data), None, limits or Limits()))


def paths(*parts: bytes) -> list[str]:
    return [entry.path for entry in opened(b"".join(parts) + tars.END)]


def contents(data: bytes) -> dict[str, bytes]:
    archive = entries(io.BytesIO(data), None, Limits())
    return {entry.path: entry.read() for entry in archive if entry.kind is Kind.FILE}


def failure(data: bytes, limits: Limits | None = None) -> Failure:
    with pytest.raises(Failure) as caught:
        opened(data, limits)
    return caught.value


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("form", FORMATS)
def test_what_tarfile_writes_is_read(form: str, writer: str) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=FORMATS[form]) as archive:
        for name, kind, target, size in (
            ("./folder", tarfile.DIRTYPE, "", 0),
            ("/folder/empty", tarfile.REGTYPE, "", 0),
            ("folder/" + "n" * 99, tarfile.REGTYPE, "", 513),
            ("long/" * 18 + "n" * 90, tarfile.AREGTYPE, "", 300_000),
            ("folder/größe", tarfile.CONTTYPE, "", 512),
            ("link", tarfile.SYMTYPE, "../t" * 20, 0),
            ("hard", tarfile.LNKTYPE, "folder/empty", 0),
            ("null", tarfile.CHRTYPE, "", 0),
            ("disk", tarfile.BLKTYPE, "", 0),
            ("pipe", tarfile.FIFOTYPE, "", 0),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, target, size
            archive.addfile(info, io.BytesIO(b"x" * size))
    assert [
        (e.path, e.kind, e.size, e.target) for e in opened(WRITERS[writer](stream.getvalue()))
    ] == [
        ("folder", Kind.DIRECTORY, 0, ""),
        ("folder/empty", Kind.FILE, 0, ""),
        ("folder/" + "n" * 99, Kind.FILE, 513, ""),
        ("long/" * 18 + "n" * 90, Kind.FILE, 300_000, ""),
        ("folder/größe", Kind.FILE, 512, ""),
        ("link", Kind.SYMLINK, 0, "../t" * 20),
        ("hard", Kind.HARD_LINK, 0, "folder/empty"),
        ("null", Kind.OTHER, 0, ""),
        ("disk", Kind.OTHER, 0, ""),
        ("pipe", Kind.OTHER, 0, ""),
    ]


@pytest.mark.parametrize("form", ["gnu", "pax"])
def test_paths_and_targets_of_any_length(form: str) -> None:
    name, target = "long/" * 100 + "name", "target/" * 100 + "name"
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=FORMATS[form]) as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.uid = tarfile.SYMTYPE, target, 2**40
        archive.addfile(info)
    assert [(e.path, e.target) for e in opened(stream.getvalue())] == [(name, target)]


@pytest.mark.parametrize("writer", WRITERS)
def test_content_is_read_or_passed_over(writer: str) -> None:
    files = {f"folder/{n}": bytes((n,)) * (n * 4_999) for n in range(120)}
    data = WRITERS[writer](tars.written(files))
    assert contents(data) == files
    archive = entries(io.BytesIO(data), None, Limits())
    some = {entry.path: entry.read() for number, entry in enumerate(archive) if number % 7 == 3}
    assert some == {path: files[path] for path in list(files)[3::7]}
    assert archive.count == 120
    assert archive.uncompressed == len(tars.written(files))


def test_content_can_be_read_once_and_only_while_its_entry_is_current() -> None:
    data = tars.file("a", b"one") + tars.file("b", b"two") + tars.folder("c") + tars.END
    archive = entries(io.BytesIO(data), None, Limits())
    first = next(archive)
    assert first.read() == b"one"
    with pytest.raises(ValueError, match="current"):
        first.read()
    second = next(archive)
    with pytest.raises(ValueError, match="current"):
        first.read()
    assert second.read() == b"two"
    with pytest.raises(ValueError, match="current"):
        next(archive).read()
    assert list(archive) == []
    assert list(archive) == []


def test_headers_that_describe_the_next_entry() -> None:
    long = tars.header(b"././@LongLink", size=5, flag=b"L", magic=tars.GNU) + tars.padded(b"long\0")
    far = tars.header(b"././@LongLink", size=4, flag=b"K", magic=tars.GNU) + tars.padded(b"far\0")
    link = tars.symlink("short", "near")
    a, b = tars.pax(path=b"a"), tars.pax(path=b"b", linkpath=b"c")
    world = tars.header(b"pax_global_header", size=9, flag=b"g") + tars.padded(b"9 path=g\n")
    described = [(e.path, e.target) for e in opened(long + link + far + link + far + long + link)]
    assert described == [("long", "near"), ("short", "far"), ("long", "far")]
    assert [(e.path, e.target) for e in opened(a + b + link + link)] == [
        ("b", "c"),
        ("short", "near"),
    ]
    assert [(e.path, e.target) for e in opened(b + long + link)] == [("long", "c")]
    assert paths(world, tars.file("x"), world) == ["x"]
    assert opened(long + far + a) == []


def test_sizes_of_pax_and_of_base_256_headers_count() -> None:
    large = tars.pax(size=b"1000") + tars.header(b"a", size=1) + bytes(1024) + tars.file("b", b"x")
    assert [(e.path, e.size) for e in opened(large)] == [("a", 1000), ("b", 1)]
    field = b"\x80" + (1000).to_bytes(11, "big")
    large = tars.header(b"a", size=field) + bytes(1024) + tars.file("b", b"x")
    assert [(e.path, e.size) for e in opened(large)] == [("a", 1000), ("b", 1)]


def test_sparse_files_are_passed_over() -> None:
    old = bytearray(tars.header(b"old", size=700, flag=b"S", magic=tars.GNU))
    old[482] = 1
    old[148:156] = b" " * 8
    old[148:156] = b"%06o\0 " % sum(old)
    more = bytes(504) + b"\1" + bytes(7)
    new = tars.pax(GNU_sparse_name=b"new", GNU_sparse_major=b"1") + tars.file("made/up", b"1\n0\n")
    data = bytes(old) + more + bytes(512) + bytes(1024) + new + tars.file("next")
    assert [(e.path, e.kind, e.size) for e in opened(data)] == [
        ("old", Kind.OTHER, 0),
        ("new", Kind.OTHER, 0),
        ("next", Kind.FILE, 0),
    ]


def test_paths_are_normalized_and_never_lead_out() -> None:
    names = ("/etc/passwd", "./a//b/", "../up", "a/../../up", "..", "a/..", "...", ".", "/../x")
    archive = entries(io.BytesIO(b"".join(map(tars.file, names))), None, Limits())
    assert [entry.path for entry in archive] == ["etc/passwd", "a/b", "...", ""]
    assert (archive.count, archive.skipped) == (9, 5)


def test_a_skipped_entry_takes_its_data_along() -> None:
    assert paths(tars.file("../x", bytes(2000)), tars.file("y", b"1")) == ["y"]


def test_names_that_are_not_utf_8() -> None:
    assert paths(tars.header(b"gr\xf6\xdfe"), tars.file("größe")) == ["gr\\xf6\\xdfe", "größe"]


def test_ends_of_archives() -> None:
    a, b = tars.file("a", b"1"), tars.file("b", b"2")
    block = bytes(512)
    for end in (b"", block, block * 2, block * 20, block * 2 + b"garbage" * 999, block * 2 + a):
        assert [entry.path for entry in opened(a + b + end)] == ["a", "b"]
    unpadded = a + tars.header(b"b", size=1) + b"2"
    assert [entry.path for entry in opened(unpadded)] == ["a", "b"]
    assert opened(b"") == []
    assert "block of zeros" in failure(a + block + b).message


def test_what_follows_the_end_is_still_verified() -> None:
    data = bytearray(gzip.compress(tars.file("a") + tars.END + b"garbage"))
    data[-6] ^= 1
    assert failure(bytes(data)).code is Code.ARCHIVE_CORRUPT
    limits = Limits(uncompressed_bytes=10_000)
    assert failure(tars.file("a") + tars.END + bytes(10_000), limits).code is Code.ARCHIVE_LIMIT


CORRUPT = {
    "noise": b"not an archive" * 100,
    "few bytes": b"abc",
    "a cut header": tars.file("a")[:300],
    "cut content": tars.file("a", b"x" * 600)[:-512],
    "a cut pax header": tars.pax(path=b"x" * 600)[:-512],
    "xz": b"\xfd7zXZ\0" + bytes(1000),
    "a wrong checksum": tars.file("a") + tars.file("b")[:-10] + b"x" * 10,
    "a negative size": tars.header(b"a", size=b"\xff" * 12),
    "a negative octal size": tars.header(b"a", size=b"-0000000001\0"),
    "a negative pax size": tars.pax(size=b"-1") + tars.file("a"),
    "a size that is no number": tars.header(b"a", size=b"hundred\0\0\0\0\0"),
    "a sparse map without end": tars.header(b"a", flag=b"S")[:482] + b"\1" + bytes(29),
}


@pytest.mark.parametrize("what", CORRUPT)
def test_corrupt(what: str) -> None:
    for write in WRITERS.values():
        assert failure(write(CORRUPT[what])).code is Code.ARCHIVE_CORRUPT


LIMITED = {
    "uncompressed_bytes": (1000, tars.file("a", bytes(1000))),
    "entries": (2, tars.file("a") * 3),
    "path_bytes": (100, tars.pax(path=b"x" * 101) + tars.file("a")),
    "header_bytes": (400, tars.pax(path=b"x" * 400) + tars.file("a")),
    "headers_bytes": (800, (tars.pax(path=b"x" * 400) + tars.file("a")) * 2),
    "seconds": (-1, tars.file("a")),
}


@pytest.mark.parametrize("limit", LIMITED)
def test_limits(limit: str) -> None:
    number, data = LIMITED[limit]
    assert opened(data)
    for write in WRITERS.values():
        error = failure(write(data), Limits(**{limit: number}))
        assert error.code is Code.ARCHIVE_LIMIT
        assert str(number) in error.message


@pytest.mark.parametrize("size", [20 * 1024**3 + 1, 8**11 - 1, 2**63, 2**80])
def test_huge_sizes(size: int) -> None:
    field = b"\x80" + size.to_bytes(12, "big")[1:] if size >= 8**11 else size
    error = failure(tars.header(b"a", size=field) + bytes(512), Limits(uncompressed_bytes=8**10))
    assert error.code is Code.ARCHIVE_LIMIT
    error = failure(tars.pax(size=b"%d" % size) + tars.file("a"), Limits(uncompressed_bytes=8**10))
    assert error.code in {Code.ARCHIVE_LIMIT, Code.ARCHIVE_CORRUPT}
    error = failure(tars.header(b"a", size=field, flag=b"x"))
    assert error.code is Code.ARCHIVE_LIMIT


def test_a_link_with_a_huge_size_has_no_data() -> None:
    link = tars.header(b"a", size=8**11 - 1, flag=b"2", target=b"b")
    assert paths(link, tars.file("next")) == ["a", "next"]


def test_limits_of_what_is_read() -> None:
    data = tars.file("a", bytes(600)) + tars.file("b", bytes(600)) + tars.END
    opened(data, Limits(file_bytes=1, files_bytes=1))
    for limits, readable in ((Limits(file_bytes=599), 0), (Limits(files_bytes=1199), 1)):
        archive = entries(io.BytesIO(data), None, limits)
        for _ in range(readable):
            next(archive).read()
        with pytest.raises(Failure) as caught:
            next(archive).read()
        assert caught.value.code is Code.ARCHIVE_LIMIT


def test_encrypted_layers_are_unsupported() -> None:
    media_type = "application/vnd.oci.image.layer.v1.tar+gzip+encrypted"
    with pytest.raises(Failure) as caught:
        entries(io.BytesIO(b"noise"), media_type, Limits())
    assert caught.value.code is Code.ANALYSIS_UNSUPPORTED


@pytest.mark.parametrize("media_type", [None, "application/vnd.oci.image.layer.v1.tar+gzip", "x"])
@pytest.mark.parametrize("writer", WRITERS)
def test_the_content_tells_the_compression(writer: str, media_type: str | None) -> None:
    data = WRITERS[writer](tars.file("a"))
    assert [entry.path for entry in entries(io.BytesIO(data), media_type, Limits())] == ["a"]


SAMPLE = b"".join(
    (
        tars.file("a", b"x" * 1000),
        tars.pax(path=b"b" * 600),
        tars.file("b", b"y"),
        tars.header(b"././@LongLink", size=300, flag=b"L", magic=tars.GNU)
        + tars.padded(b"c" * 300),
        tars.file("c", b"z" * 100),
        tars.END,
    )
)


def attempt(data: bytes) -> dict[str, bytes] | None:
    """Read all of an archive; None if that failed as it may."""
    try:
        return contents(data)
    except Failure:
        return None


@pytest.mark.parametrize("writer", WRITERS)
def test_every_cut(writer: str) -> None:
    data = WRITERS[writer](SAMPLE)
    whole = list(contents(data).items())
    assert [len(content) for _, content in whole] == [1000, 1, 100]
    for cut in range(4, len(data)):
        found = attempt(data[:cut])
        if found is not None:
            # A plain archive that was cut between entries, or in the zeros after one, is one.
            assert writer == "tar"
            assert list(found.items()) == whole[: len(found)]


@given(
    st.sampled_from(list(WRITERS)),
    st.lists(st.tuples(st.integers(0), st.integers(0, 255)), min_size=1),
)
def test_flipped_bytes(writer: str, changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(WRITERS[writer](SAMPLE))
    for at, byte in changes:
        damaged[at % len(damaged)] = byte
    attempt(bytes(damaged))


@given(
    st.lists(
        st.builds(
            tars.header,
            st.binary(max_size=100),
            size=st.one_of(st.integers(0, 2000), st.binary(min_size=12, max_size=12)),
            flag=st.sampled_from([bytes((byte,)) for byte in b"\x00012567xXgLKSDA"]),
            target=st.binary(max_size=100),
            magic=st.sampled_from([tars.USTAR, tars.GNU, bytes(8)]),
            prefix=st.binary(max_size=167),
        )
        | st.binary(max_size=1024).map(tars.padded)
        | st.builds(tars.pax, path=st.binary(max_size=20), size=st.binary(max_size=5))
    )
)
def test_archives_of_nonsense(parts: list[bytes]) -> None:
    attempt(b"".join(parts))


def zeros(gigabytes: int, write: str) -> bytes:
    """A compressed archive with one file of so many zeros."""
    piece = bytes(2**26)
    compressed = gzip.compress(piece, 6) if write == "gzip" else zstandard.compress(piece)
    head = tars.header(b"zeros", size=gigabytes * 2**30)
    return WRITERS[write](head) + compressed * (gigabytes * 16)


@pytest.mark.parametrize("writer", ["gzip", "zstd"])
def test_a_bomb_fails_soon_in_little_memory(writer: str) -> None:
    bomb = zeros(10, writer)
    assert len(bomb) < 11_000_000
    stream = io.BytesIO(bomb)
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(Failure) as caught:
        list(entries(stream, None, Limits()))
    seconds = time.process_time() - began
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.code is Code.ARCHIVE_LIMIT
    assert "200 times" in caught.value.message
    assert seconds < 5
    assert peak < 4 * 2**20


def test_a_large_empty_file_in_a_small_layer_is_no_bomb() -> None:
    piece = bytes(2**26)
    data = gzip.compress(tars.header(b"swap", size=8 * 2**26)) + gzip.compress(piece) * 8
    assert [(entry.path, entry.size) for entry in opened(data)] == [("swap", 2**29)]


def test_ten_thousand_files() -> None:
    files = {f"usr/share/{n % 97}/file-{n}": b"%d" % n * (n % 50) for n in range(10_000)}
    data = gzip.compress(tars.written(files, tarfile.GNU_FORMAT), 1)
    began = time.process_time()
    found = contents(data)
    assert time.process_time() - began < 2
    assert found == files
