"""What `customhouse.blobstore.contract` says, held against every store of `STORES`."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from customhouse.blobstore import BlobStore, FileBlobStore
from customhouse.errors import Code, Failure
from customhouse.oci import ALGORITHMS, digest_of

Factory = Callable[[Path], BlobStore]

STORES: tuple[Factory, ...] = (FileBlobStore,)

CONTENT = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(100_000))
DIGEST = digest_of(CONTENT)
OTHER = digest_of(b"other")
LOST = f"sha256:{'0' * 64}"


@pytest.fixture(params=STORES, ids=lambda factory: str(factory.__name__))
def factory(request: pytest.FixtureRequest) -> Factory:
    """What makes a store in a folder; a second one of the same folder is another process."""
    made: Factory = request.param
    return made


@pytest.fixture
def store(factory: Factory, tmp_path: Path) -> BlobStore:
    """An empty store."""
    return factory(tmp_path / "store")


@pytest.fixture
def second(factory: Factory, tmp_path: Path, store: BlobStore) -> BlobStore:
    """The same store as another process sees it."""
    del store
    return factory(tmp_path / "store")


def put(store: BlobStore, content: bytes, digest: str = "") -> str:
    """Store content in one go; returns its digest."""
    digest = digest or digest_of(content)
    upload = store.create_upload("p/a", digest.partition(":")[0])
    with store.open_upload("p/a", upload) as held:
        held.write([content])
        assert held.finish(digest) == len(content)
    return digest


def read(store: BlobStore, digest: str) -> bytes:
    """The content of a blob."""
    with store.open(digest) as file:
        return file.read()


def fails(code: Code, function: Callable[..., object], *arguments: object) -> Failure:
    """Check that a call fails with an entry of the table."""
    with pytest.raises(Failure) as caught:
        function(*arguments)
    assert caught.value.code is code
    return caught.value


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("content", [b"", b"x", CONTENT], ids=["empty", "byte", "large"])
def test_content_comes_back(store: BlobStore, content: bytes, algorithm: str) -> None:
    digest = put(store, content, digest_of(content, algorithm))
    assert read(store, digest) == content
    path = store.local_path(digest)
    if path is not None:
        assert Path(path).read_bytes() == content


def test_content_is_read_from_any_place(store: BlobStore) -> None:
    with store.open(put(store, CONTENT)) as file:
        file.seek(1000)
        assert file.read(10) == CONTENT[1000:1010]


def test_content_that_is_not_there(store: BlobStore) -> None:
    fails(Code.BLOB_LOST, store.open, LOST)
    path = store.local_path(LOST)
    assert path is None or not Path(path).exists()
    assert store.delete(LOST) is False


def test_identifiers_cannot_be_guessed(store: BlobStore) -> None:
    names = {store.create_upload("p/a", "sha256") for _ in range(100)}
    assert len(names) == 100
    assert all(re.fullmatch("[0-9a-f]{32,}", name) for name in names)
    assert len({name[:8] for name in names}) == 100


def test_many_chunks(store: BlobStore) -> None:
    upload = store.create_upload("p/a", "sha256")
    chunks = [CONTENT[n : n + 999] for n in range(0, len(CONTENT), 999)]
    with store.open_upload("p/a", upload) as held:
        assert held.offset == 0
        held.write([])
        held.write([b""])
        held.write(chunks[:1500])
        assert held.offset == 1500 * 999
        held.write(chunks[1500:])
        assert held.offset == len(CONTENT)
        assert held.finish(DIGEST) == len(CONTENT)
    assert read(store, DIGEST) == CONTENT


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("announced", ALGORITHMS)
def test_any_process_goes_on(
    store: BlobStore, second: BlobStore, announced: str, algorithm: str
) -> None:
    digest = digest_of(CONTENT, algorithm)
    upload = store.create_upload("p/a", announced)
    for number, begin in enumerate(range(0, len(CONTENT), 700_000)):
        one = (store, second, second)[number % 3]
        assert one.upload_size("p/a", upload) == begin
        with one.open_upload("p/a", upload) as held:
            assert held.offset == begin
            held.write([CONTENT[begin : begin + 700_000]])
            held.save()
    with store.open_upload("p/a", upload) as held:
        fails(Code.DIGEST_MISMATCH, held.finish, digest_of(b"other", algorithm))
        held.finish(digest)
    assert read(second, digest) == CONTENT


def test_what_was_written_stays_when_it_was_not_saved(store: BlobStore, second: BlobStore) -> None:
    upload = store.create_upload("p/a", "sha256")
    with store.open_upload("p/a", upload) as held:
        held.write([CONTENT[:500]])
    with second.open_upload("p/a", upload) as held:
        assert held.offset == 500
        held.write([CONTENT[500:]])
        held.finish(DIGEST)
    assert read(store, DIGEST) == CONTENT


def test_an_exception_in_the_middle_loses_nothing(store: BlobStore, second: BlobStore) -> None:
    upload = store.create_upload("p/a", "sha256")

    def break_off() -> None:
        with store.open_upload("p/a", upload) as held:
            held.write([CONTENT[:500]])
            raise KeyError

    with pytest.raises(KeyError):
        break_off()
    for one in (second, store):
        with one.open_upload("p/a", upload) as held:
            assert held.offset == 500


def test_a_wrong_digest_changes_nothing(store: BlobStore, second: BlobStore) -> None:
    upload = store.create_upload("p/a", "sha256")
    with store.open_upload("p/a", upload) as held:
        held.write([CONTENT[:500]])
        failure = fails(Code.DIGEST_MISMATCH, held.finish, OTHER)
        assert failure.fields["actual"] == digest_of(CONTENT[:500])
    fails(Code.BLOB_LOST, store.open, OTHER)
    with second.open_upload("p/a", upload) as held:
        assert held.offset == 500
        fails(Code.DIGEST_MISMATCH, held.finish, OTHER)
        held.write([CONTENT[500:]])
        held.finish(DIGEST)
    assert read(store, DIGEST) == CONTENT


def test_a_request_that_is_taken_back(store: BlobStore, second: BlobStore) -> None:
    """Bytes were appended, were refused and forgotten; others came in their place."""
    upload = store.create_upload("p/a", "sha256")
    with store.open_upload("p/a", upload) as held:
        held.write([CONTENT[:500]])
        held.save()
    for one, other in ((second, store), (store, second), (store, store)):
        with one.open_upload("p/a", upload) as held:
            held.write([b"wrong bytes"])
            held.save()
            fails(Code.DIGEST_MISMATCH, held.finish, DIGEST)
            held.truncate(500)
            assert held.offset == 500
        assert other.upload_size("p/a", upload) == 500
        with other.open_upload("p/a", upload) as held:
            held.write([b"other bytes"])
            fails(Code.DIGEST_MISMATCH, held.finish, digest_of(CONTENT[:500] + b"wrong bytes"))
            held.truncate(500)
            held.save()
    with second.open_upload("p/a", upload) as held:
        held.write([CONTENT[500:]])
        held.finish(DIGEST)
    assert read(store, DIGEST) == CONTENT


@pytest.mark.parametrize("keep", [0, 100, 499])
def test_forget_and_write_as_many_other_bytes(store: BlobStore, keep: int) -> None:
    right = CONTENT[:keep] + b"r" * (500 - keep)
    upload = store.create_upload("p/a", "sha256")
    with store.open_upload("p/a", upload) as held:
        held.write([CONTENT[:500]])
        held.save()
    with store.open_upload("p/a", upload) as held:
        held.truncate(keep)
        held.write([right[keep:]])
    with store.open_upload("p/a", upload) as held:
        fails(Code.DIGEST_MISMATCH, held.finish, digest_of(CONTENT[:500]))
        held.finish(digest_of(right))
    assert read(store, digest_of(right)) == right


def test_one_writer_at_a_time(store: BlobStore, second: BlobStore) -> None:
    upload = store.create_upload("p/a", "sha256")
    with store.open_upload("p/a", upload) as held:
        held.write([CONTENT])
        for one in (store, second):
            fails(Code.UPLOAD_BUSY, one.open_upload, "p/a", upload)
            fails(Code.UPLOAD_BUSY, one.cancel_upload, "p/a", upload)
            assert one.upload_size("p/a", upload) == len(CONTENT)
        held.finish(DIGEST)
    fails(Code.UPLOAD_UNKNOWN, second.open_upload, "p/a", upload)


@pytest.mark.parametrize("how", ["cancel", "finish", "expire"])
def test_an_upload_that_has_ended(store: BlobStore, second: BlobStore, how: str) -> None:
    upload = store.create_upload("p/a", "sha256")
    if how == "cancel":
        second.cancel_upload("p/a", upload)
    elif how == "expire":
        assert second.expire_uploads(time.time() + 60) == 1
    else:
        with second.open_upload("p/a", upload) as held:
            held.write([CONTENT])
            held.save()
            held.finish(DIGEST)
    for one in (store, second):
        fails(Code.UPLOAD_UNKNOWN, one.open_upload, "p/a", upload)
        fails(Code.UPLOAD_UNKNOWN, one.upload_size, "p/a", upload)
        fails(Code.UPLOAD_UNKNOWN, one.cancel_upload, "p/a", upload)
    assert store.expire_uploads(time.time() + 60) == 0


def test_an_upload_belongs_to_its_repository(store: BlobStore) -> None:
    upload = store.create_upload("p/a", "sha256")
    for function in (store.open_upload, store.upload_size, store.cancel_upload):
        fails(Code.UPLOAD_UNKNOWN, function, "p/b", upload)
    assert store.upload_size("p/a", upload) == 0


@pytest.mark.parametrize(
    "upload",
    ["", "x", "0" * 32, "A" * 32, "../../x", "..", "/", "\0", "é", "a" * 5000, "0" * 31 + "\n"],
)
def test_identifiers_that_are_none(store: BlobStore, upload: str) -> None:
    for function in (store.open_upload, store.upload_size, store.cancel_upload):
        fails(Code.UPLOAD_UNKNOWN, function, "p/a", upload)


def test_old_uploads_expire(store: BlobStore) -> None:
    old = store.create_upload("p/a", "sha512")
    with store.open_upload("p/a", old) as held:
        held.write([b"x"])
        held.save()
    time.sleep(0.05)
    between = time.time()
    time.sleep(0.05)
    new = store.create_upload("p/a", "sha256")
    assert store.expire_uploads(between) == 1
    fails(Code.UPLOAD_UNKNOWN, store.upload_size, "p/a", old)
    assert store.upload_size("p/a", new) == 0


def test_an_upload_that_is_held_does_not_expire(store: BlobStore, second: BlobStore) -> None:
    upload = store.create_upload("p/a", "sha256")
    with store.open_upload("p/a", upload) as held:
        held.write([CONTENT])
        assert second.expire_uploads(time.time() + 60) == 0
        held.finish(DIGEST)
    assert read(store, DIGEST) == CONTENT


def test_the_same_content_twice(store: BlobStore, second: BlobStore) -> None:
    for one in (store, second, store):
        assert put(one, CONTENT) == DIGEST
    assert read(second, DIGEST) == CONTENT
    assert store.delete(DIGEST) is True
    fails(Code.BLOB_LOST, second.open, DIGEST)
    assert second.delete(DIGEST) is False
    put(second, CONTENT)
    assert read(store, DIGEST) == CONTENT


def test_the_same_content_from_many_at_once(store: BlobStore, second: BlobStore) -> None:
    start = threading.Barrier(8)

    def push(number: int) -> bytes:
        one = (store, second)[number % 2]
        upload = one.create_upload("p/a", "sha256")
        with one.open_upload("p/a", upload) as held:
            held.write([CONTENT])
            start.wait(10)
            held.finish(DIGEST)
        return read(one, DIGEST)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(push, range(8))) == {CONTENT}


def test_more_uploads_than_are_remembered(store: BlobStore) -> None:
    uploads = [store.create_upload("p/a", "sha256") for _ in range(1_200)]

    def write(upload: str) -> None:
        with store.open_upload("p/a", upload) as held:
            held.write([b"half"])

    def finish(upload: str) -> int:
        with store.open_upload("p/a", upload) as held:
            held.write([upload.encode()])
            return held.finish(digest_of(b"half" + upload.encode()))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, uploads))
        assert set(pool.map(finish, uploads)) == {36}


def test_readers_that_have_begun_finish(store: BlobStore, second: BlobStore) -> None:
    put(store, CONTENT)
    with store.open(DIGEST) as file:
        begin = file.read(1000)
        assert second.delete(DIGEST) is True
        assert begin + file.read() == CONTENT


@pytest.fixture
def full_folder(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small file system can be mounted by root alone")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_no_space_left(factory: Factory, full_folder: Path) -> None:
    store = factory(full_folder)
    upload = store.create_upload("p/a", "sha256")
    with store.open_upload("p/a", upload) as held:
        held.write([CONTENT[:500]])
        held.save()
        fails(Code.STORAGE_FULL, held.write, [CONTENT])
        reached = held.offset
        assert 500 <= reached < len(CONTENT)
        held.truncate(500)
        held.write([b"it goes on"])
        assert held.finish(digest_of(CONTENT[:500] + b"it goes on")) == 510
    assert read(store, digest_of(CONTENT[:500] + b"it goes on")) == CONTENT[:500] + b"it goes on"
