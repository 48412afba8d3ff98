"""The store on local files.

    blobs/sha256/9c/9c1f...          content, named by its digest
    uploads/3f/3fa9...-57ab....sha256        an upload: identifier, repository's hash, algorithm
    uploads/3f/3fa9...-57ab....sha256.state  how much of it was hashed, and the hash so far

An upload's file is its state: its length is the offset. The `.state` beside it only saves
reading everything again when the next request comes through another process; it is written after
the bytes are on disk, and disbelieved when it does not match the file's length.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import secrets
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, BinaryIO, Self

from customhouse.errors import Code, Failure
from customhouse.oci import ALGORITHMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_UPLOAD = re.compile(r"[0-9a-f]{32}")
_READ_BYTES = 1024 * 1024
_LOCK_SECONDS = 0.5
# Hashers of uploads that stand between two requests, kept by the process that wrote last.
_KEPT_HASHERS = 1000


class FileBlobStore:
    """A store in a folder of a local file system.

    Args:
        folder: where; made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self._blobs = folder / "blobs"
        self._blobs_text = str(self._blobs)
        self._uploads = folder / "uploads"
        self._hashers: OrderedDict[Path, tuple[int, hashlib._Hash]] = OrderedDict()
        for parent in (self._blobs, self._uploads):
            parent.mkdir(parents=True, exist_ok=True)

    def create_upload(self, repository: str, algorithm: str) -> str:
        """See the contract."""
        upload = secrets.token_hex(16)
        path = self._upload_path(repository, upload, algorithm)
        with _disk_full_told():
            path.parent.mkdir(exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        return upload

    def open_upload(self, repository: str, upload: str) -> FileUpload:
        """See the contract."""
        path = self._find_upload(repository, upload)
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError as error:
            raise Failure(Code.UPLOAD_UNKNOWN, upload=upload) from error
        if not _locked(descriptor):
            os.close(descriptor)
            raise Failure(Code.UPLOAD_BUSY, upload=upload)
        # Between the open and the lock another request may have finished or cancelled it.
        if os.fstat(descriptor).st_nlink == 0 or not path.exists():
            os.close(descriptor)
            raise Failure(Code.UPLOAD_UNKNOWN, upload=upload)
        return FileUpload(self, path, descriptor)

    def upload_size(self, repository: str, upload: str) -> int:
        """See the contract."""
        try:
            return self._find_upload(repository, upload).stat().st_size
        except FileNotFoundError as error:
            raise Failure(Code.UPLOAD_UNKNOWN, upload=upload) from error

    def cancel_upload(self, repository: str, upload: str) -> None:
        """See the contract."""
        with self.open_upload(repository, upload) as held:
            held.drop()

    def expire_uploads(self, before: float) -> int:
        """See the contract."""
        return sum(self._expire(path, before) for path in self._uploads.glob("*/*"))

    def _expire(self, path: Path, before: float) -> bool:
        """Drop an upload unless somebody holds it or has written to it since."""
        try:
            if path.stat().st_mtime >= before:
                return False
            if path.suffix == ".state":
                if not path.with_suffix("").exists():
                    path.unlink()
                return False
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(file.fileno()).st_mtime >= before:
                    return False
                path.unlink()
                _state_path(path).unlink(missing_ok=True)
                return True
        except (FileNotFoundError, BlockingIOError):
            return False

    def open(self, digest: str) -> BinaryIO:
        """See the contract."""
        try:
            return self.blob_path(digest).open("rb", buffering=0)
        except FileNotFoundError as error:
            raise Failure(Code.BLOB_LOST, digest=digest) from error

    def local_path(self, digest: str) -> str | None:
        """See the contract."""
        # By hand: a pull asks for it each time, and joining paths costs as much as its SQL.
        algorithm, _, name = digest.partition(":")
        return f"{self._blobs_text}/{algorithm}/{name[:2]}/{name}"

    def delete(self, digest: str) -> bool:
        """See the contract."""
        path = self.blob_path(digest)
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        _sync_folder(path.parent)
        return True

    def blob_path(self, digest: str) -> Path:
        """Where the content of a checked digest is or will be."""
        algorithm, _, name = digest.partition(":")
        return self._blobs / algorithm / name[:2] / name

    def take_hasher(self, path: Path, size: int) -> hashlib._Hash | None:
        """The hasher that this process kept for the first `size` bytes of an upload."""
        kept = self._hashers.pop(path, None)
        return kept[1] if kept is not None and kept[0] == size else None

    def keep_hasher(self, path: Path, size: int, hasher: hashlib._Hash) -> None:
        """Keep a hasher for the request that goes on with the upload."""
        self._hashers[path] = (size, hasher)
        while len(self._hashers) > _KEPT_HASHERS:
            self._hashers.popitem(last=False)

    def _upload_path(self, repository: str, upload: str, algorithm: str) -> Path:
        owner = hashlib.sha256(repository.encode()).hexdigest()[:16]
        return self._uploads / upload[:2] / f"{upload}-{owner}.{algorithm}"

    def _find_upload(self, repository: str, upload: str) -> Path:
        if _UPLOAD.fullmatch(upload):
            for algorithm in ALGORITHMS:
                path = self._upload_path(repository, upload, algorithm)
                if path.exists():
                    return path
        raise Failure(Code.UPLOAD_UNKNOWN, upload=upload[:64])


class FileUpload:
    """An upload whose file is open and locked; see the contract."""

    def __init__(self, store: FileBlobStore, path: Path, descriptor: int) -> None:
        self._store = store
        self._path = path
        self._descriptor = descriptor
        self._algorithm = path.suffix[1:]
        self._hasher: hashlib._Hash | None = None
        self._is_gone = False
        self.offset = os.lseek(descriptor, 0, os.SEEK_END)
        # A file that has no bytes yet has a name that a power cut may take.
        self._is_named = self.offset > 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        try:
            if self._hasher is not None:
                self._store.keep_hasher(self._path, self.offset, self._hasher)
        finally:
            os.close(self._descriptor)

    def write(self, chunks: list[bytes]) -> None:
        """See the contract."""
        # As one piece: each call that hashes or writes lets go of the interpreter's lock, and to
        # get it back costs more than this copy when chunks are small.
        data = b"".join(chunks)
        hasher = self._hasher_at_hand()
        view = memoryview(data)
        with _disk_full_told():
            while view:
                written = os.write(self._descriptor, view)
                if hasher is not None:
                    hasher.update(view[:written])
                self.offset += written
                view = view[written:]

    def save(self) -> None:
        """See the contract."""
        with _disk_full_told():
            os.fsync(self._descriptor)
            if not self._is_named:
                _sync_folder(self._path.parent)
                self._is_named = True
        if self._hasher is not None:
            state = f"{self.offset} {self._hasher.hexdigest()}"
            with contextlib.suppress(OSError):
                _state_path(self._path).write_text(state)

    def truncate(self, offset: int) -> None:
        """See the contract."""
        if self._is_gone:
            return  # the file is content now, or nothing
        # The note would fit again once as many other bytes had come.
        _state_path(self._path).unlink(missing_ok=True)
        os.ftruncate(self._descriptor, offset)
        self.offset = os.lseek(self._descriptor, offset, os.SEEK_SET)
        self._hasher = None

    def finish(self, digest: str) -> int:
        """See the contract."""
        actual = self._digest(digest.partition(":")[0])
        if actual != digest:
            raise Failure(Code.DIGEST_MISMATCH, expected=digest, actual=actual)
        place = self._store.blob_path(digest)
        with _disk_full_told():
            os.fsync(self._descriptor)
            _make_folder(place.parent)
            self._path.replace(place)
            self._is_gone = True
            self._hasher = None
            os.fchmod(self._descriptor, 0o400)
            _sync_folder(place.parent)
        _state_path(self._path).unlink(missing_ok=True)
        return self.offset

    def drop(self) -> None:
        """Delete the upload."""
        self._is_gone = True
        self._path.unlink(missing_ok=True)
        _state_path(self._path).unlink(missing_ok=True)
        self._hasher = None

    def _digest(self, algorithm: str) -> str:
        if algorithm != self._algorithm:
            return f"{algorithm}:{_hash(self._read(), algorithm).hexdigest()}"
        hasher = self._hasher_at_hand()
        if hasher is None:
            known = self._read_state()
            if known is not None:
                return f"{algorithm}:{known}"
            hasher = _hash(self._read(), algorithm)
        return f"{algorithm}:{hasher.hexdigest()}"

    def _read_state(self) -> str | None:
        """The hash of the whole content as it stands, if it was noted."""
        try:
            size, _, digest = _state_path(self._path).read_text()[:160].partition(" ")
        except (OSError, ValueError):
            return None
        expected = hashlib.new(self._algorithm).digest_size * 2
        return digest if size == str(self.offset) and len(digest) == expected else None

    def _hasher_at_hand(self) -> hashlib._Hash | None:
        """The hasher of what is there so far, unless that would have to be read again.

        Without it nothing is hashed until the end, when all is read once: chunks that come through
        other processes each time would have everything read as often as there are chunks.
        """
        if self._hasher is None:
            self._hasher = self._store.take_hasher(self._path, self.offset)
        if self._hasher is None and self.offset == 0:
            self._hasher = hashlib.new(self._algorithm)
        return self._hasher

    def _read(self) -> Iterator[bytes]:
        position = 0
        while position < self.offset:
            chunk = os.pread(self._descriptor, _READ_BYTES, position)
            if not chunk:
                return
            position += len(chunk)
            yield chunk


def _locked(descriptor: int) -> bool:
    """Lock a file, waiting a moment: a client resumes before its broken request is done with."""
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(_LOCK_SECONDS / 20)
        else:
            return True


def _hash(chunks: Iterable[bytes], algorithm: str) -> hashlib._Hash:
    hasher = hashlib.new(algorithm)
    for chunk in chunks:
        hasher.update(chunk)
    return hasher


def _state_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.state")


def _make_folder(folder: Path) -> None:
    """Make a folder that survives a power cut."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _disk_full_told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise Failure(Code.STORAGE_FULL) from error
        raise
