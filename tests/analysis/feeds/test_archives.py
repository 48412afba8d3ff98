from __future__ import annotations

import io
import struct
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customhouse.analysis.feeds import Advisory, Rejected, Survey, archives, load, survey
from customhouse.analysis.feeds.document import MAX_DOCUMENT, TOO_LARGE
from customhouse.errors import Code, Failure
from tests.analysis.feeds.osv.records import encoded

if TYPE_CHECKING:
    from pathlib import Path

ONE = encoded(id="ONE-1")
TWO = encoded(id="TWO-2")

_ANOTHER = "it is damaged: its length or its checksum is another"
_ELSEWHERE = "it is damaged: it is not where the directory says"


def archive(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as out:
        for name, content in members:
            out.writestr(name, content)
    return buffer.getvalue()


def feed(tmp_path: Path, content: bytes, name: str = "all.zip") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def read(path: Path) -> list[str | tuple[str, str]]:
    return [
        each.id if isinstance(each, Advisory) else (each.name, each.reason) for each in load(path)
    ]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("name", ["all.zip", "ALL.ZIP", "feed"])
def test_members_in_their_order(tmp_path: Path, method: int, name: str) -> None:
    content = archive(
        ("TWO-2.json", TWO),
        ("folder/", b""),
        ("folder/ONE-1.JSON", ONE),
        ("folder/ONE-1.yaml", ONE),
        ("inner.zip", archive(("ONE-1.json", ONE))),
        method=method,
    )
    path = feed(tmp_path, content, name)
    assert read(path) == ["TWO-2", "ONE-1"]
    assert survey(path) == Survey(total=2, ignored=2)


def test_what_is_before_and_after_a_zip(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        out.writestr("1.json", ONE)
        out.comment = b"a comment"
    assert read(feed(tmp_path, b"something else" + buffer.getvalue(), "all.zip")) == ["ONE-1"]


def test_large_forms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    content = archive(("1.json", ONE), ("2.json", TWO), ("3.json", ONE))
    assert b"PK\x06\x06" in content
    assert read(feed(tmp_path, b"x" + content, "all.zip")) == ["ONE-1", "TWO-2", "ONE-1"]


def test_a_long_extra_field(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        member = zipfile.ZipInfo("1.json")
        member.extra = struct.pack("<HH", 0x7777, 500) + bytes(500)
        out.writestr(member, ONE)
    assert read(feed(tmp_path, buffer.getvalue())) == ["ONE-1"]


def test_names_are_nothing_but_names(tmp_path: Path) -> None:
    names = ["../../evil.json", "/abs.json", "C:\\x.json", "a\x1bb.json", "x" * 5000 + ".json"]
    found = read(feed(tmp_path, archive(*((name, b"{}") for name in names))))
    assert [each[0] for each in found] == [*names[:3], "a?b.json", "x" * 256]
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "all.zip"]


def test_a_bad_member_does_not_stop_the_feed(tmp_path: Path) -> None:
    # Members are stored here, so that a byte can be changed in each.
    content = bytearray(archive(("1.json", ONE), ("2.json", TWO), ("3.json", ONE), method=0))
    content[content.index(b"TWO-2")] ^= 1
    found = read(feed(tmp_path, bytes(content)))
    assert [each for each in found if isinstance(each, str)] == ["ONE-1", "ONE-1"]
    assert found[1] == ("2.json", _ANOTHER)


@pytest.mark.parametrize(
    ("offset", "value", "reason"),
    [
        # fields of an entry of the directory (APPNOTE.TXT 4.3.12): offset, new 16- or 32-bit value
        (8, struct.pack("<H", 1), "it is encrypted"),
        (10, struct.pack("<H", 14), "its compression method 14 is not supported"),
        (10, struct.pack("<H", 12), "its compression method 12 is not supported"),
        (20, struct.pack("<I", MAX_DOCUMENT + 1), TOO_LARGE),
        (24, struct.pack("<I", MAX_DOCUMENT + 1), TOO_LARGE),
        (24, struct.pack("<I", MAX_DOCUMENT), "it unpacks to more than 250 times its size"),
        (24, struct.pack("<I", 10), _ANOTHER),
        (20, struct.pack("<I", 5), "it is damaged: "),
        (42, struct.pack("<I", 9), _ELSEWHERE),
        (42, struct.pack("<I", 1 << 30), "it is damaged: "),
        (8, struct.pack("<H", 1 << 5), "its compression method 8 is not supported"),
        (8, struct.pack("<H", 1 << 6), "it is encrypted"),
        (46, b"9", _ELSEWHERE),
    ],
)
def test_a_member_that_is_not_what_it_says(
    tmp_path: Path, offset: int, value: bytes, reason: str
) -> None:
    content = bytearray(archive(("1.json", ONE + b" " * 5000), ("2.json", TWO)))
    begin = content.index(b"PK\x01\x02") + offset
    content[begin : begin + len(value)] = value
    bad, good = read(feed(tmp_path, bytes(content)))
    assert good == "TWO-2"
    assert bad[0].endswith(".json")
    assert bad[1].startswith(reason)


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    bomb = archive(("bomb.json", b" " * (MAX_DOCUMENT - 10)), ("1.json", ONE))
    assert len(bomb) < 100_000
    assert read(feed(tmp_path, bomb)) == [
        ("bomb.json", "it unpacks to more than 250 times its size"),
        "ONE-1",
    ]


def test_members_that_share_their_bytes_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_UNPACKED", 1000)
    path = feed(tmp_path, archive(*((f"{n}.json", ONE) for n in range(20))))
    for function in (survey, lambda path: list(load(path))):
        with pytest.raises(Failure, match="it unpacks to more than") as caught:
            function(path)
        assert caught.value.code is Code.FEED_INVALID


def test_the_number_of_members_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_DOCUMENTS", 3)
    with pytest.raises(Failure, match="more than 3 members"):
        list(load(feed(tmp_path, archive(*((f"{n}.json", ONE) for n in range(4))))))


def test_a_directory_too_large_is_not_read(tmp_path: Path) -> None:
    # A directory of 100 MB that is a hole in the file.
    size = 100 << 20
    path = tmp_path / "all.zip"
    with path.open("wb") as out:
        out.seek(size)
        out.write(struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 65535, 65535, size, 0, 0))
    with pytest.raises(Failure, match="the directory of the zip is too large"):
        survey(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK",
        b"PK\x03\x04",
        b"no zip at all" * 1000,
        archive(("1.json", ONE))[:-1],
        archive(("1.json", ONE))[:-30],
        archive(("1.json", ONE))[:50],
        archive(("1.json", ONE)).replace(b"PK\x01\x02", b"PK\x01\x03"),
        archive(("1.json", ONE)).replace(b"PK\x05\x06", b"PK\x05\x07"),
    ],
    ids=range(9),
)
def test_no_zip(tmp_path: Path, content: bytes) -> None:
    path = feed(tmp_path, content)
    for function in (survey, lambda path: list(load(path))):
        with pytest.raises(Failure) as caught:
            function(path)
        assert caught.value.code is Code.FEED_INVALID
        assert str(caught.value.fields["reason"]).startswith("the zip is damaged: ")


def test_an_empty_zip(tmp_path: Path) -> None:
    path = feed(tmp_path, archive(), "feed")
    assert list(load(path)) == []
    with pytest.raises(Failure, match="no JSON files"):
        survey(path)


_WHOLE = archive(("1.json", ONE), ("folder/2.json", TWO), ("3.json", ONE), method=0)


@given(
    at=st.integers(0, len(_WHOLE) - 1),
    noise=st.binary(min_size=1, max_size=4),
    end=st.integers(0, len(_WHOLE)) | st.just(len(_WHOLE)),
)
def test_any_damage(
    tmp_path_factory: pytest.TempPathFactory, at: int, noise: bytes, end: int
) -> None:
    content = (_WHOLE[:at] + noise + _WHOLE[at + len(noise) :])[:end]
    path = tmp_path_factory.getbasetemp() / "damaged.zip"
    path.write_bytes(content)
    code = None
    try:
        assert all(isinstance(each, (Advisory, Rejected)) for each in load(path))
        survey(path)
    except Failure as failure:
        code = failure.code
    assert code in {None, Code.FEED_INVALID}
