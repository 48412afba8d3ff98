from __future__ import annotations

import gzip
import io
import random
import tracemalloc
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from customhouse.analysis.compression import Compressed, decompress
from customhouse.errors import Code, Failure

WINDOW = 2**25
CONTENT = b"".join(b"line %d of a text\n" % (number * number) for number in range(2000))


class Dribble(io.BytesIO):
    """A stream that gives a few bytes at a time, as a pipe does."""

    def __init__(self, data: bytes, step: int) -> None:
        super().__init__(data)
        self.step = step

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self.step)


def chunks(
    data: bytes, step: int = 10**6, window: int = WINDOW, seconds: float = 60
) -> list[bytes]:
    return list(decompress(Compressed(Dribble(data, step), seconds), window))


def unpack(data: bytes, step: int = 10**6) -> bytes:
    return b"".join(chunks(data, step))


def failure(data: bytes) -> Failure:
    with pytest.raises(Failure) as caught:
        unpack(data)
    return caught.value


def outcome(data: bytes) -> bytes | Code:
    """The content, or the code of the failure."""
    try:
        return unpack(data)
    except Failure as error:
        return error.code


def zstd(data: bytes, **parameters: int) -> bytes:
    options = zstandard.ZstdCompressionParameters.from_level(3, **parameters)
    return zstandard.ZstdCompressor(compression_params=options).compress(data)


def member(flags: int, fields: bytes) -> bytes:
    """A gzip member with optional header fields."""
    head = b"\x1f\x8b\x08" + bytes((flags, 0, 0, 0, 0, 0, 0)) + fields
    if flags & 2:
        head += (zlib.crc32(head) & 0xFFFF).to_bytes(2, "little")
    return head + gzip.compress(CONTENT)[10:]


MEMBERS = {
    "plain": gzip.compress(CONTENT),
    "stored": gzip.compress(CONTENT, 0),
    "extra": member(4, b"\x05\0abcde"),
    "all fields": member(0x1F, b"\x05\0abcdename\0comment\0"),
    "checksum of header": member(2, b""),
}
FRAMES = {
    "plain": zstd(CONTENT),
    "checksum": zstd(CONTENT, write_checksum=1),
    "no size": zstd(CONTENT, write_content_size=0),
    "level 19": zstandard.compress(CONTENT, 19),
}


@pytest.mark.parametrize("step", [1, 3, 10, 20, 1000, 10**6])
@pytest.mark.parametrize("name", MEMBERS)
def test_gzip_member_in_pieces_of_any_size(name: str, step: int) -> None:
    assert unpack(MEMBERS[name], step) == CONTENT


@pytest.mark.parametrize("step", [1, 3, 10, 20, 1000, 10**6])
@pytest.mark.parametrize("name", FRAMES)
def test_zstd_frame_in_pieces_of_any_size(name: str, step: int) -> None:
    assert unpack(FRAMES[name], step) == CONTENT


@pytest.mark.parametrize("step", [1, 7, 1000, 10**6])
def test_members_and_frames_follow_one_another(step: int) -> None:
    empty = gzip.compress(b"")
    members = [*MEMBERS.values(), empty]
    assert unpack(b"".join(members), step) == CONTENT * len(MEMBERS)
    skippable = b"\x50\x2a\x4d\x18\x03\0\0\0abc"
    frames = [skippable, *FRAMES.values(), zstd(b""), skippable]
    assert unpack(b"".join(frames), step) == CONTENT * len(FRAMES)


def test_zeros_after_a_gzip_member_are_padding() -> None:
    data = MEMBERS["plain"]
    assert unpack(data + bytes(100_000) + data + bytes(3)) == CONTENT * 2


def test_what_is_neither_passes_as_it_is() -> None:
    assert unpack(CONTENT, 777) == CONTENT
    assert unpack(b"") == b""
    assert unpack(b"\x1f") == b"\x1f"


@pytest.mark.parametrize(
    "data",
    [
        MEMBERS["plain"] + b"garbage",
        MEMBERS["plain"] + b"\x1f",
        b"\x1f\x8b\x07" + MEMBERS["plain"][3:],
        b"\x1f\x8b\x08\xe0" + MEMBERS["plain"][4:],
        b"\x1f\x8b\x08\x08" + bytes(6) + b"name without an end" * 10_000,
        b"\x1f\x8b\x08\x04" + bytes(6) + b"\xff\xffabc",
        FRAMES["plain"] + b"garbage",
        FRAMES["plain"] + b"\x28\xb5",
        b"\x50\x2a\x4d\x18\xff\xff\xff\xffabc",
        b"\x28\xb5\x2f\xfd\x00\x58\xff\xff\xff",
    ],
)
def test_garbage_is_corrupt(data: bytes) -> None:
    assert failure(data).code is Code.ARCHIVE_CORRUPT


@pytest.mark.parametrize("name", ["gzip", "all fields", *FRAMES])
def test_every_cut_is_noticed(name: str) -> None:
    data = FRAMES.get(name) or MEMBERS.get(name) or MEMBERS["plain"]
    short = 4  # with fewer bytes of zstd's magic number, it is no zstd
    for cut in [
        *range(short, 60),
        *range(60, len(data) - 60, 97),
        *range(len(data) - 60, len(data)),
    ]:
        assert failure(data[:cut]).code is Code.ARCHIVE_CORRUPT, cut


@given(st.sampled_from([*MEMBERS.values(), FRAMES["checksum"]]), st.integers(0), st.integers(0, 7))
def test_a_flipped_bit_is_noticed_unless_it_does_not_matter(data: bytes, at: int, bit: int) -> None:
    damaged = bytearray(data)
    at = 4 + at % (len(data) - 4)
    damaged[at] ^= 1 << bit
    assert outcome(bytes(damaged)) in {CONTENT, Code.ARCHIVE_CORRUPT, Code.ARCHIVE_LIMIT}


@given(st.sampled_from([b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18"]), st.binary())
def test_nothing_but_a_failure_comes_out_of_noise(magic: bytes, noise: bytes) -> None:
    outcome(magic + noise)


def test_memory_and_chunks_stay_small() -> None:
    zeros = bytes(2**22)
    bombs = (gzip.compress(zeros) * 16, zstd(zeros) * 16, zstd(zeros, window_log=20) * 16)
    for bomb in bombs:
        source = Compressed(io.BytesIO(bomb), 60)
        tracemalloc.start()
        total = 0
        for chunk in decompress(source, WINDOW):
            assert len(chunk) <= 256 * 1024
            total += len(chunk)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert total == len(zeros) * 16
        assert source.consumed == len(bomb)
        assert peak < 2 * 2**20


def test_a_zstd_window_that_is_too_large_is_refused() -> None:
    noise = random.Random(1).randbytes(2**12)
    options = zstandard.ZstdCompressionParameters(window_log=21)
    stream = zstandard.ZstdCompressor(compression_params=options).compressobj()
    large = stream.compress(noise) + stream.flush()  # of a size that is not known beforehand
    assert b"".join(chunks(large, window=2**21)) == noise
    with pytest.raises(Failure) as caught:
        chunks(large, window=2**20)
    assert caught.value.code is Code.ARCHIVE_LIMIT


@pytest.mark.parametrize("data", [b"plain", gzip.compress(b"", mtime=0)])
def test_time_runs_out(data: bytes) -> None:
    with pytest.raises(Failure) as caught:
        chunks(data, seconds=-1)
    assert caught.value.code is Code.ARCHIVE_LIMIT
    assert "seconds" in caught.value.message
