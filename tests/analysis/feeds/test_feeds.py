from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customhouse.analysis.feeds import Advisory, Rejected, Survey, documents, load, survey
from customhouse.analysis.feeds.document import MAX_DOCUMENT
from customhouse.errors import Code, Failure
from tests.analysis.feeds.osv.records import encoded, entry, fixed

ONE = encoded(id="ONE-1")
TWO = encoded(
    id="TWO-2",
    summary='brackets ]}"\\ and {[ in a text: \\"]',
    affected=[entry("Debian:12", "a", *fixed("1"))],
)
BAD = b'{"id": 7}'
LARGE = encoded(id="LARGE-1", details="x" * MAX_DOCUMENT)


def read(path: Path) -> list[str]:
    """What comes out of a feed: identifiers, and names of rejected documents in parentheses."""
    return [each.id if isinstance(each, Advisory) else f"({each.name})" for each in load(path)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        # one record
        (ONE, ["ONE-1"]),
        (b"\xef\xbb\xbf \n" + ONE + b"\n\n", ["ONE-1"]),
        (
            b'{\n  "id": "X-1",\n  "modified": "2024-01-01T00:00:00Z",\n  "affected": []\n}\n',
            ["X-1"],
        ),
        (BAD, ["(feed.json)"]),
        (ONE[:-1], ["(feed.json)"]),
        (LARGE, ["(feed.json)"]),
        # an array
        (b"[]", []),
        (b"[" + ONE + b"]", ["ONE-1"]),
        (b" [\n" + ONE + b" ,\n" + TWO + b"\n]\n", ["ONE-1", "TWO-2"]),
        (b"[" + ONE + b"," + BAD + b"," + TWO + b"]", ["ONE-1", "(feed.json[1])", "TWO-2"]),
        (b"[" + ONE + b"," + LARGE + b"," + TWO + b"]", ["ONE-1", "(feed.json[1])", "TWO-2"]),
        (b"[" + ONE + b",[" + ONE + b"]," + TWO + b"]", ["ONE-1", "(feed.json[1])", "TWO-2"]),
        (b"[" + ONE + b"," + TWO, ["ONE-1", "TWO-2", "(feed.json[2])"]),
        (b"[" + ONE + b"," + TWO[:-2], ["ONE-1", "(feed.json[1])"]),
        (b"[" + b",".join([TWO] * 5000) + b"]", ["TWO-2"] * 5000),
        # a record a line
        (ONE + b"\n" + TWO, ["ONE-1", "TWO-2"]),
        (ONE + b"\r\n\r\n" + TWO + b"\r\n", ["ONE-1", "TWO-2"]),
        (
            ONE + b"\n" + BAD + b"\n[]\nx\n" + TWO,
            ["ONE-1", *(f"(feed.json:{n})" for n in (2, 3, 4)), "TWO-2"],
        ),
        (ONE[:-9] + b"\n" + TWO + b"\n" + ONE, ["(feed.json:1)", "TWO-2", "ONE-1"]),
        (ONE + b"\n" + LARGE + b"\n" + TWO, ["ONE-1", "(feed.json:2)", "TWO-2"]),
        (ONE + b"\n" + LARGE * 3, ["ONE-1", "(feed.json:2)"]),
    ],
    ids=range(21),
)
def test_a_file(tmp_path: Path, content: bytes, expected: list[str]) -> None:
    path = tmp_path / "feed.json"
    path.write_bytes(content)
    assert read(path) == expected
    assert survey(path).total >= 1


def test_a_bad_record_says_why(tmp_path: Path) -> None:
    path = tmp_path / "feed.json"
    path.write_bytes(BAD)
    (rejected,) = load(path)
    assert rejected == Rejected("feed.json", "Expected `str`, got `int` - at `$.id`")


def test_documents_are_the_bytes_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "feed.json"
    path.write_bytes(b"[ " + ONE + b" , " + TWO + b" ]")
    assert list(documents(path)) == [("feed.json[0]", ONE), ("feed.json[1]", TWO)]


@pytest.mark.parametrize("end", range(1, 20))
def test_an_array_may_be_cut_into_chunks_anywhere(tmp_path: Path, end: int) -> None:
    path = tmp_path / "feed.json"
    record = encoded(id="X-1", summary="\\" * 30)
    path.write_bytes(b"[" + b" " * ((64 << 10) - len(record) + end) + record + b"," + ONE + b"]")
    assert read(path) == ["X-1", "ONE-1"]


def test_the_number_of_records_in_a_file_is_estimated(tmp_path: Path) -> None:
    path = tmp_path / "feed.json"
    for between, content in ((b"\n", b"%b"), (b",\n", b"[%b]")):
        path.write_bytes(content % between.join([TWO] * 20_000))
        assert 19_000 < survey(path).total < 21_000


def test_a_folder(tmp_path: Path) -> None:
    for name, content in {
        "b/2.json": TWO,
        "b/1.json": ONE,
        "b/c/x.JSON": ONE,
        "a.json": b"[" + ONE + b"," + BAD + b"]",
        "d.json": b"# no JSON",
        "e.json": b"",
        "readme.md": ONE,
        "b/feed.zip": b"PK\x03\x04",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert read(tmp_path) == [
        *("ONE-1", "(a.json[1])", "ONE-1", "TWO-2", "ONE-1"),
        *("(d.json)", "(e.json)"),
    ]
    assert survey(tmp_path) == Survey(total=6, ignored=2)


def test_links_and_special_files_in_a_folder_are_left_alone(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    feed = tmp_path / "feed"
    outside.mkdir()
    feed.mkdir()
    (outside / "two.json").write_bytes(TWO)
    (feed / "one.json").write_bytes(ONE)
    (feed / "link.json").symlink_to(outside / "two.json")
    (feed / "folder").symlink_to(outside)
    (feed / "loop").symlink_to(feed)
    (feed / "nowhere.json").symlink_to(feed / "missing")
    os.mkfifo(feed / "pipe.json")
    assert read(feed) == ["ONE-1"]
    assert survey(feed) == Survey(1, 0)


def test_a_deep_folder(tmp_path: Path) -> None:
    folders = [tmp_path]
    for _ in range(1500):  # more than calls may be nested
        folders.append(folders[-1] / "d")
        folders[-1].mkdir()
    leaf = folders[-1] / "x.json"
    leaf.write_bytes(BAD)
    (rejected,) = load(tmp_path)
    leaf.unlink()
    for folder in reversed(folders[1:]):  # as pytest could not
        folder.rmdir()
    assert isinstance(rejected, Rejected)
    assert rejected.name == "d/" * 128


def test_a_name_that_cannot_be_shown(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff\x1b[31m.json")).write_bytes(BAD)
    assert read(tmp_path) == ["(??[31m.json)"]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "there is no file or folder at this path"),
        (os.mkfifo, "there is no file or folder at this path"),
        (lambda path: path.write_bytes(b""), "it is neither JSON nor a zip"),
        (lambda path: path.write_bytes(b"id: A-1\n"), "it is neither JSON nor a zip"),
        (lambda path: path.write_bytes(b"\x1f\x8b\x08\x00"), "it is neither JSON nor a zip"),
        (lambda path: path.write_bytes(b"\xff" * 100_000), "it is neither JSON nor a zip"),
    ],
)
def test_no_feed(tmp_path: Path, make: object, reason: str) -> None:
    path = tmp_path / "feed"
    assert callable(make)
    make(path)
    for function in (survey, lambda path: list(load(path)), lambda path: list(documents(path))):
        with pytest.raises(Failure) as caught:
            function(path)
        assert caught.value.code is Code.FEED_INVALID
        assert caught.value.fields == {"reason": reason}


@pytest.mark.parametrize("path", ["\0", "x" * 5000, "/dev/null", "/proc/self/mem/x"])
def test_no_path(path: str) -> None:
    for function in (survey, lambda path: list(load(path))):
        with pytest.raises(Failure) as caught:
            function(Path(path))
        assert caught.value.code is Code.FEED_INVALID


def test_a_folder_without_documents(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"id: A-1")
    with pytest.raises(Failure, match=r"no JSON files \(1 others are ignored\)"):
        survey(tmp_path)
    assert list(load(tmp_path)) == []


@given(
    content=st.binary(max_size=300)
    | st.text(alphabet='[]{}",\\: \n1a', max_size=60).map(str.encode)
)
def test_any_file(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_bytes(content)
    code = None
    try:
        assert all(isinstance(each, Rejected) and each.reason for each in load(path))
    except Failure as failure:
        code = failure.code
    assert code in {None, Code.FEED_INVALID}
