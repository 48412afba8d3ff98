"""Bundles: what goes in comes out, and what is damaged or hostile does not."""

from __future__ import annotations

import hashlib
import io
import tarfile
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from customhouse.analysis.feeds import bundle, kept
from customhouse.analysis.feeds.kept import File, Kept
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from pathlib import Path

CONTENTS = {"a/main.json": b"x" * 1000, "empty.json": b"", "b.json": b"y" * 512}


def keep(root: Path, name: str, contents: dict[str, bytes], **fields: Any) -> Kept:
    """Keep a feed with these files."""
    folder = root / ".new"
    files = []
    for file, content in contents.items():
        kept.place(folder, file).write_bytes(content)
        files.append(kept.describe(folder / "files" / file, file, etag='"secret"', origin="0"))
    values: dict[str, Any] = {
        "form": "osv",
        "ecosystem": "",
        "is_whole": True,
        "source": "https://example.org/",
        "data_at": 1,
        "encoding": 2,
    }
    found = Kept(name=name, files=tuple(files), **values | fields)
    kept.write_manifest(folder, found)
    kept.put(root, name, folder)
    return found


def written(root: Path, *names: str) -> bytes:
    """A bundle of these feeds."""
    return b"".join(bundle.write(root, names))


def unpacked(folder: Path, content: bytes) -> tuple[Kept, ...]:
    """Unpack a bundle."""
    folder.mkdir()
    (folder / "bundle").write_bytes(content)
    (folder / "to").mkdir()
    return bundle.unpack(folder / "bundle", folder / "to")


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    root = tmp_path / "feeds"
    keep(root, "one", CONTENTS)
    keep(root, "two", {"all.zip": b"PK"}, form="", ecosystem="Amazon Linux:2", is_whole=False)
    content = written(root, "one", "two")
    assert bundle.recognises(io.BytesIO(content))
    one, two = unpacked(tmp_path / "x", content)
    assert {
        file.name: (tmp_path / "x" / "to" / "one" / "files" / file.name).read_bytes()
        for file in one.files
    } == CONTENTS
    assert (two.form, two.ecosystem, two.is_whole, two.data_at) == ("", "Amazon Linux:2", False, 1)
    assert {(file.etag, file.origin) for file in one.files} == {("", "")}
    # Others can read it as well.
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert archive.getnames() == [
            "customhouse-feeds.json",
            "one/a/main.json",
            "one/empty.json",
            "one/b.json",
            "two/all.zip",
        ]


def test_what_is_written_is_of_one_moment(tmp_path: Path) -> None:
    root = tmp_path / "feeds"
    keep(root, "one", {"all.zip": b"old"})
    pieces = bundle.write(root, ["one"])
    keep(root, "one", {"all.zip": b"newer"})
    unpacked(tmp_path / "x", b"".join(pieces))
    assert (tmp_path / "x" / "to" / "one" / "files" / "all.zip").read_bytes() == b"old"


@pytest.mark.parametrize("name", ["nothing", "../feeds/one", "", ".incoming"])
def test_what_is_not_kept(tmp_path: Path, name: str) -> None:
    keep(tmp_path, "one", CONTENTS)
    with pytest.raises(Failure) as caught:
        bundle.write(tmp_path, ["one", name])
    assert caught.value.code is Code.FEED_UNKNOWN


def test_every_piece_of_it_is_needed(tmp_path: Path) -> None:
    root = tmp_path / "feeds"
    keep(root, "one", CONTENTS)
    content = written(root, "one")
    for number, size in enumerate(range(0, len(content) - 1024, 256)):
        with pytest.raises(Failure) as caught:
            unpacked(tmp_path / f"{number}", content[:size])
        assert caught.value.code is Code.FEED_BUNDLE_INVALID


def test_a_byte_that_has_changed_is_found(tmp_path: Path) -> None:
    root = tmp_path / "feeds"
    keep(root, "one", {"all.zip": b"x" * 512})
    content = bytearray(written(root, "one"))
    content[-1024 - 100] ^= 1
    with pytest.raises(Failure, match=r"all\.zip has another content"):
        unpacked(tmp_path / "x", bytes(content))


def forged(contents: object, *members: tuple[str, bytes], kind: bytes = b"0") -> bytes:
    """A bundle that somebody else made."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in ((bundle.NAME, msgspec.json.encode(contents)), *members):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            if name != bundle.NAME:
                member.type = kind
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def nested(*names: str) -> bytes:
    """A bundle with empty files of these names."""
    files = [File(name=name, size=0, sha256=hashlib.sha256().hexdigest()) for name in names]
    return forged(contents(entry("one", *files)), *[("a", b"") for _ in names])


def entry(name: str, *files: File) -> dict[str, Any]:
    """A feed in a list of contents."""
    found = Kept(
        name=name,
        form="",
        ecosystem="",
        is_whole=True,
        source="",
        data_at=0,
        encoding=0,
        files=files or (File(name="a", size=0, sha256="0"),),
    )
    document: dict[str, Any] = msgspec.to_builtins(found)
    return document


def contents(*feeds: dict[str, Any], version: int = 1) -> dict[str, Any]:
    """A list of contents."""
    return {"version": version, "feeds": list(feeds)}


FORGED = {
    "no tar": b"This is no bundle." * 100,
    "another version": forged(contents(version=2)),
    "another form": forged({"version": 1, "feeds": [{"name": "x"}]}),
    "not JSON": forged(msgspec.Raw(b"{")),
    "leads elsewhere": forged(
        contents(entry("one", File(name="../../x", size=1, sha256="0"))), ("x", b"x")
    ),
    "absolute": forged(
        contents(entry("one", File(name="/tmp/x", size=1, sha256="0"))), ("x", b"x")
    ),
    "name of a feed": forged(contents(entry("../one")), ("a", b"")),
    "hidden": forged(contents(entry(".incoming")), ("a", b"")),
    "twice": forged(contents(entry("one"), entry("one")), ("a", b""), ("a", b"")),
    "a file twice": forged(
        contents(entry("one", *[File(name="a", size=1, sha256="0")] * 2)), ("a", b"x"), ("a", b"x")
    ),
    "another size": forged(contents(entry("one", File(name="a", size=2, sha256="0"))), ("a", b"x")),
    "a link": forged(contents(entry("one")), ("a", b""), kind=tarfile.SYMTYPE),
    "negative": forged(contents(entry("one", File(name="a", size=-1, sha256="0"))), ("a", b"")),
    "a file in a file": nested("a", "a/a"),
    "a file far in a file": nested("a", "a/b/a"),
    "a file that is a folder": nested("a/a", "a"),
    "a long name": nested("ü" * 200),
    "no files": forged(contents({**entry("one"), "files": []})),
}


@pytest.mark.parametrize("name", FORGED)
def test_what_is_forged_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Failure) as caught:
        unpacked(tmp_path / "x", FORGED[name])
    assert caught.value.code is Code.FEED_BUNDLE_INVALID
    found = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert found <= {"bundle", "a"}


@pytest.mark.parametrize("moment", ["before", "old renamed", "old gone", "done"])
def test_a_swap_can_be_repeated_after_a_crash(tmp_path: Path, moment: str) -> None:
    root = tmp_path / "feeds"
    keep(root, "one", {"all.zip": b"old"})
    new = tmp_path / "new"
    kept.place(new, "all.zip").write_bytes(b"new")
    if moment != "before":
        (root / "one").rename(root / ".old-one")
    if moment in {"old gone", "done"}:
        new.rename(root / "one")
    if moment == "done":
        (root / ".old-one").rename(tmp_path / "gone")
    kept.put(root, "one", new)
    assert (root / "one" / "files" / "all.zip").read_bytes() == b"new"
    assert kept.names(root) == ["one"]
    assert [path.name for path in root.iterdir()] == ["one"]


def test_contents_that_are_no_text(tmp_path: Path) -> None:
    keep(tmp_path / "feeds", "one", CONTENTS)
    content = written(tmp_path / "feeds", "one").replace(b'"one"', b'"on\xff"')
    with pytest.raises(Failure) as caught:
        unpacked(tmp_path / "it", content)
    assert caught.value.code is Code.FEED_BUNDLE_INVALID
