"""The files of the last good fetch of each feed, kept to be exported and to spare fetches.

A feed's folder has its files and, beside them, what is known of them. A new one takes the place
of the old one by renaming, so that there is never half of one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from customhouse.analysis.feeds.decoding import DAMAGE
from customhouse.errors import Code, Failure

MANIFEST: Final = "manifest.json"
FILES: Final = "files"

_MAX_MANIFEST: Final = 4 << 20
_CHUNK: Final = 1 << 20
_OLD: Final = ".old-"


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a feed.

    Attributes:
        name: relative to the feed's files, with slashes.
        size: in bytes.
        sha256: of its content, in hexadecimal.
        origin: a digest of where it came from, to which the next two belong.
        etag: the server's mark of this content; or the name or digest under which it is announced.
        modified: when the server says that it was last modified, in its words.
    """

    name: str
    size: int
    sha256: str
    origin: str = ""
    etag: str = ""
    modified: str = ""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the files of a feed.

    Attributes:
        name: the feed's.
        form: what they are written in; empty to recognise it.
        ecosystem: what they are about, for updateinfo.
        is_whole: whether an advisory that is not in them is gone.
        source: where they came from, without what is secret in it.
        data_at: when they were known to be current, in microseconds since 1970.
        encoding: of the reader that loaded them (`advisories.ENCODING`).
        files: the files.
    """

    name: str
    form: str
    ecosystem: str
    is_whole: bool
    source: str
    data_at: int
    encoding: int
    files: tuple[File, ...]


def read(root: Path, name: str) -> Kept | None:
    """What is kept of a feed; None if there is nothing, or nothing that can be read.

    Args:
        root: the folder of all that is kept.
        name: the feed's.
    """
    try:
        with (root / name / MANIFEST).open("rb") as file:
            return msgspec.json.decode(file.read(_MAX_MANIFEST), type=Kept)
    except (OSError, *DAMAGE):
        return None


def names(root: Path) -> list[str]:
    """The feeds of which files are kept, in order."""
    if not root.is_dir():
        return []
    return sorted(path.name for path in root.iterdir() if not path.name.startswith("."))


def content(folder: Path) -> Path:
    """What is to be loaded of a feed's folder: its file, or the folder of several."""
    files = [path for path in (folder / FILES).rglob("*") if path.is_file()]
    return files[0] if len(files) == 1 else folder / FILES


def write_manifest(folder: Path, kept: Kept) -> None:
    """Put down what is known of the files of a folder; it is on disk when this returns."""
    part = folder / f".{MANIFEST}"
    with part.open("wb") as file:
        file.write(msgspec.json.encode(kept))
        file.flush()
        os.fsync(file.fileno())
    part.rename(folder / MANIFEST)


def put(root: Path, name: str, folder: Path) -> None:
    """Let a folder with files and manifest take the place of what is kept of a feed.

    It is harmless to do it again after a crash at any moment.

    Args:
        root: the folder of all that is kept.
        name: the feed's.
        folder: the new one, on the same file system; it is gone afterwards.
    """
    root.mkdir(exist_ok=True)
    target, old = root / name, root / f"{_OLD}{name}"
    if folder.is_dir():
        shutil.rmtree(old, ignore_errors=True)
        if target.exists():
            target.rename(old)
        folder.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def remove(root: Path, name: str) -> None:
    """Keep nothing of a feed."""
    shutil.rmtree(root / name, ignore_errors=True)


def describe(path: Path, name: str, **marks: str) -> File:
    """Describe a file: its size, the digest of its content, and marks of its server's.

    Args:
        path: of the file.
        name: by which it is kept.
        marks: `origin`, `etag` and `modified` of `File`.
    """
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return File(name=name, size=size, sha256=digest.hexdigest(), **marks)


def place(folder: Path, name: str) -> Path:
    """Where a file of a feed's folder belongs; the folders above it are made.

    Raises:
        Failure: FEED_BUNDLE_INVALID, if its name leads elsewhere or to below another file.
    """
    parts = PurePosixPath(name).parts
    if (
        not parts
        or len(name.encode()) > 255
        or "\0" in name
        or name.startswith("/")
        or ".." in parts
    ):
        raise Failure(Code.FEED_BUNDLE_INVALID, reason="a file in it has a name that is not safe")
    path = folder / FILES / Path(*parts)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        reason = "a file in it is a folder as well"
        raise Failure(Code.FEED_BUNDLE_INVALID, reason=reason) from None
    return path
