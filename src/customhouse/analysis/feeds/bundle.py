"""Bundles: feeds in one file, for servers that fetch nothing.

A bundle is a tar that is not compressed (its files mostly are). Its first member tells, as JSON,
which feeds follow and which files each has; these follow in that order. Their digests tell whether
a bundle arrived as it was made, not who made it.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO, Final

import msgspec

from customhouse.analysis import tarheader
from customhouse.analysis.feeds import kept
from customhouse.analysis.feeds.decoding import DAMAGE
from customhouse.analysis.feeds.kept import Kept
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

NAME: Final = "customhouse-feeds.json"
"""The name of the first member, by which a bundle is recognised."""

VERSION: Final = 1

MAX_BUNDLE: Final = 64 << 30
"""The largest bundle that is taken, in bytes."""

_MAX_CONTENTS: Final = 16 << 20
_MAX_FEEDS: Final = 1000
_MAX_FILES: Final = 100_000
_MAX_MEMBER_NAME: Final = 99
_CHUNK: Final = 1 << 20
_TRIES: Final = 5
_FEED: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}").fullmatch


class Contents(msgspec.Struct, frozen=True):
    """What is in a bundle."""

    version: int
    feeds: tuple[Kept, ...]


def write(root: Path, names: Sequence[str]) -> Iterator[bytes]:
    """Make a bundle.

    All files are opened before this returns: an update of a feed meanwhile changes nothing.

    Args:
        root: the folder of all that is kept.
        names: the feeds.

    Returns:
        The bytes, piece by piece.

    Raises:
        Failure: FEED_UNKNOWN, if nothing is kept of one of them.
    """
    with ExitStack() as stack:
        opened = [_opened(root, name, stack) for name in names]
        return _pieces(opened, stack.pop_all())


def recognises(stream: BinaryIO) -> bool:
    """Tell by its first bytes whether a file is a bundle; the stream is at its beginning after."""
    begins = stream.read(len(NAME) + 1)
    stream.seek(0)
    return begins == NAME.encode() + b"\0"


def unpack(path: Path, folder: Path) -> tuple[Kept, ...]:
    """Unpack a bundle: each feed into a folder of its name, as they are kept.

    Args:
        path: of the bundle.
        folder: an empty one.

    Returns:
        What is known of the files of each feed.

    Raises:
        Failure: FEED_BUNDLE_INVALID, if it is none, or damaged.
    """
    with path.open("rb") as stream:
        size = _member(stream)
        if size > _MAX_CONTENTS:
            raise _invalid("its list of contents is too large")
        try:
            contents = msgspec.json.decode(_exactly(stream, size), type=Contents)
        except DAMAGE:
            raise _invalid("its list of contents is not of the form that is known") from None
        _pad(stream, size)
        _check(contents)
        for feed in contents.feeds:
            (folder / feed.name).mkdir(parents=True)
            (folder / feed.name / kept.FILES).mkdir()
            for file in feed.files:
                _extract(stream, folder / feed.name, file)
    return contents.feeds


def _check(contents: Contents) -> None:
    if contents.version != VERSION:
        raise _invalid(f"it is of version {contents.version}, which this server does not know")
    names = [feed.name for feed in contents.feeds]
    if len(names) > _MAX_FEEDS or sum(len(feed.files) for feed in contents.feeds) > _MAX_FILES:
        raise _invalid("it has too many feeds or files")
    if len(set(names)) != len(names) or not all(map(_FEED, names)):
        raise _invalid("a feed in it has a name that cannot be")
    if not all(feed.files for feed in contents.feeds):
        raise _invalid("a feed in it has no files")


def _opened(root: Path, name: str, stack: ExitStack) -> tuple[Kept, list[BinaryIO]]:
    """What is known of a feed's files, and the files, opened, of the same moment."""
    for _ in range(_TRIES):
        known = kept.read(root, name) if _FEED(name) else None
        if known is None:
            break
        try:
            files: list[BinaryIO] = [
                stack.enter_context((root / name / kept.FILES / file.name).open("rb"))
                for file in known.files
            ]
        except FileNotFoundError:
            continue  # they were replaced just now
        again = kept.read(root, name)
        if again is not None and again.files == known.files:
            return known, files
    raise Failure(Code.FEED_UNKNOWN, feed=name[:100])


def _pieces(opened: list[tuple[Kept, list[BinaryIO]]], stack: ExitStack) -> Iterator[bytes]:
    with stack:
        feeds = tuple(_without_marks(known) for known, _ in opened)
        content = msgspec.json.encode(Contents(VERSION, feeds))
        yield _header(NAME, len(content)) + content + _padding(len(content))
        for known, files in opened:
            for file, stream in zip(known.files, files, strict=True):
                yield _header(f"{known.name}/{file.name}"[-_MAX_MEMBER_NAME:], file.size)
                while chunk := stream.read(_CHUNK):
                    yield chunk
                yield _padding(file.size)
        yield bytes(2 * tarheader.BLOCK)


def _without_marks(known: Kept) -> Kept:
    files = tuple(
        msgspec.structs.replace(file, origin="", etag="", modified="") for file in known.files
    )
    return msgspec.structs.replace(known, files=files)


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarheader.BLOCK)


def _extract(stream: BinaryIO, folder: Path, file: kept.File) -> None:
    path = kept.place(folder, file.name)
    if _member(stream) != file.size or path.exists():
        raise _invalid(f"{file.name} is not where its list of contents has it")
    digest = hashlib.sha256()
    left = file.size
    with path.open("xb") as target:
        while left:
            chunk = _exactly(stream, min(left, _CHUNK))
            digest.update(chunk)
            target.write(chunk)
            left -= len(chunk)
    if digest.hexdigest() != file.sha256:
        raise _invalid(f"{file.name} has another content than its list of contents says")
    _pad(stream, file.size)


def _member(stream: BinaryIO) -> int:
    """The size of the next member, which must be a file."""
    try:
        block = _exactly(stream, tarheader.BLOCK)
        tarheader.verify(block, "the next member")
        header = tarheader.header(block, {})
    except Failure as failure:
        raise _invalid(str(failure.fields.get("reason", "it is damaged"))) from None
    if header.flag != b"0" or header.size > MAX_BUNDLE:
        raise _invalid("it has a member that is no file")
    return header.size


def _exactly(stream: BinaryIO, size: int) -> bytes:
    content = stream.read(size)
    if len(content) != size:
        raise _invalid("it breaks off")
    return content


def _pad(stream: BinaryIO, size: int) -> None:
    _exactly(stream, -size % tarheader.BLOCK)


def _invalid(reason: str) -> Failure:
    return Failure(Code.FEED_BUNDLE_INVALID, reason=reason)
