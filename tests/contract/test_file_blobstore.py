"""What is particular to the store on local files: its notes beside uploads, its modes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from customhouse.blobstore import FileBlobStore
from customhouse.errors import Failure
from customhouse.oci import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTENT = b"the content of an upload" * 100
DIGEST = digest_of(CONTENT)
HEX = DIGEST.removeprefix("sha256:")
WRONG = b"x" * len(CONTENT)
SIZE = len(CONTENT)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the store is."""
    return tmp_path / "store"


@pytest.fixture
def upload(folder: Path) -> str:
    """An upload with all of its content, written and saved by a process that is gone."""
    store = FileBlobStore(folder)
    name = store.create_upload("p/a", "sha256")
    with store.open_upload("p/a", name) as held:
        held.write([CONTENT])
        held.save()
    return name


def files(folder: Path) -> Iterator[Path]:
    """Every file of the store."""
    return (path for path in folder.rglob("*") if path.is_file())


def note_of(folder: Path) -> Path:
    """The note beside the one upload."""
    return next(path for path in files(folder) if path.suffix == ".state")


STALE_NOTES = {
    "none": None,
    "empty": b"",
    "binary": bytes(range(256)),
    "huge": b"9" * 1_000_000,
    "words": b"this is no note at all",
    "cut": f"{SIZE} {HEX[:-1]}".encode(),
    "longer": f"{SIZE} {HEX}0".encode(),
    "of fewer bytes": f"{SIZE - 1} {hashlib.sha256(CONTENT[:-1]).hexdigest()}".encode(),
    "of more bytes": f"{SIZE + 1} {hashlib.sha256(CONTENT + b'x').hexdigest()}".encode(),
    "of another algorithm": f"{SIZE} {hashlib.sha512(WRONG).hexdigest()}".encode(),
}


@pytest.mark.parametrize("note", STALE_NOTES)
@pytest.mark.parametrize("more", [b"", b" and more"])
def test_a_note_that_does_not_fit_is_disbelieved(
    folder: Path, upload: str, note: str, more: bytes
) -> None:
    content = STALE_NOTES[note]
    if content is None:
        note_of(folder).unlink()
    else:
        note_of(folder).write_bytes(content)
    store = FileBlobStore(folder)
    with store.open_upload("p/a", upload) as held:
        if more:
            held.write([more])
        for wrong in (WRONG, WRONG + more, CONTENT + b"x", CONTENT[:-1]):
            with pytest.raises(Failure, match="has digest"):
                held.finish(digest_of(wrong))
        assert held.finish(digest_of(CONTENT + more)) == SIZE + len(more)


def test_a_write_that_was_not_saved_outdates_the_note(folder: Path, upload: str) -> None:
    with FileBlobStore(folder).open_upload("p/a", upload) as held:
        held.write([b" and more"])
    with FileBlobStore(folder).open_upload("p/a", upload) as held:
        with pytest.raises(Failure, match="has digest"):
            held.finish(DIGEST)
        held.finish(digest_of(CONTENT + b" and more"))


def test_a_truncation_outdates_the_note(folder: Path, upload: str) -> None:
    with FileBlobStore(folder).open_upload("p/a", upload) as held:
        held.truncate(10)
        held.write([WRONG[10:]])
    with FileBlobStore(folder).open_upload("p/a", upload) as held:
        with pytest.raises(Failure, match="has digest"):
            held.finish(DIGEST)
        held.finish(digest_of(CONTENT[:10] + WRONG[10:]))


@pytest.mark.parametrize("end", ["finish", "cancel", "expire"])
def test_nothing_is_left_of_an_upload(folder: Path, upload: str, end: str) -> None:
    store = FileBlobStore(folder)
    if end == "cancel":
        store.cancel_upload("p/a", upload)
    elif end == "expire":
        store.expire_uploads(4e9)
    else:
        with store.open_upload("p/a", upload) as held:
            held.finish(DIGEST)
    assert [path.name for path in files(folder)] == ([HEX] if end == "finish" else [])


def test_nobody_else_may_read(folder: Path, upload: str) -> None:
    content = [path for path in files(folder) if path.suffix != ".state"]
    assert [path.stat().st_mode & 0o777 for path in content] == [0o600]
    with FileBlobStore(folder).open_upload("p/a", upload) as held:
        held.finish(DIGEST)
    path = FileBlobStore(folder).blob_path(DIGEST)
    assert path is not None
    assert path.stat().st_mode & 0o777 == 0o400


def test_content_is_named_by_its_digest(folder: Path, upload: str) -> None:
    with FileBlobStore(folder).open_upload("p/a", upload) as held:
        held.finish(DIGEST)
    assert folder.joinpath("blobs", "sha256", HEX[:2], HEX).read_bytes() == CONTENT


def test_a_store_is_found_again(folder: Path, upload: str) -> None:
    assert FileBlobStore(folder).upload_size("p/a", upload) == SIZE
