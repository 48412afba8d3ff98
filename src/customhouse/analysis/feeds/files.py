"""The documents of a JSON file, and of all JSON files below a folder."""

from __future__ import annotations

import os
import re
from collections import Counter
from contextlib import suppress
from enum import Enum, auto
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import msgspec

from customhouse.analysis.feeds.document import (
    MAX_DOCUMENT,
    MAX_DOCUMENTS,
    SUFFIX,
    TOO_LARGE,
    Document,
    Rejected,
    Survey,
    explain,
    shown,
)
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Iterator

_SAMPLE: Final = 64 << 10
_BLANK: Final = b" \t\r\n\xef\xbb\xbf"  # with the byte order mark
_EVERY_RECORD: Final = b'"modified"'
_MARK: Final = re.compile(rb'\\.|["{}\[\]]', re.DOTALL)


class _Form(Enum):
    RECORD = auto()
    ARRAY = auto()
    LINES = auto()


def survey_file(path: Path) -> Survey:
    """Count the documents of a file by a sample from its beginning.

    Raises:
        Failure: FEED_INVALID if it cannot be read or is no JSON.
    """
    try:
        with path.open("rb") as stream:
            if _form(stream) is _Form.RECORD:
                return Survey(1, 0)
            sample = stream.read(_SAMPLE)
            size = stream.seek(0, os.SEEK_END)
    except OSError as error:
        raise Failure(Code.FEED_INVALID, reason=explain(error)) from None
    return Survey(max(1, sample.count(_EVERY_RECORD) * size // max(1, len(sample))), 0)


def file_documents(path: Path, name: str) -> Iterator[Document | Rejected]:
    """Read the documents of a file: one record, an array of records, or a record a line.

    Only the document at hand is in memory.

    Args:
        path: of a regular file.
        name: what the documents are named after.

    Yields:
        Each document, or what is wrong with it.

    Raises:
        OSError: it cannot be read.
        Failure: FEED_INVALID if it does not begin as JSON does.
    """
    with path.open("rb") as stream:
        form = _form(stream)
        if form is _Form.ARRAY:
            yield from _elements(stream, name)
        elif form is _Form.LINES:
            yield from _lines(stream, name)
        else:
            content = stream.read(MAX_DOCUMENT + 1)
            large = len(content) > MAX_DOCUMENT
            yield Rejected(name, TOO_LARGE) if large else Document(name, content)


def survey_folder(folder: Path) -> Survey:
    """Count the files below a folder.

    Raises:
        Failure: FEED_INVALID if there are too many or the folder cannot be read.
    """
    kinds = Counter(name.lower().endswith(SUFFIX) for name, _ in walk(folder))
    return Survey(kinds[True], kinds[False])


def folder_documents(folder: Path) -> Iterator[Document | Rejected]:
    """Read the documents of all JSON files below a folder, in the order of their names.

    Links are not followed, and what cannot be read is rejected.

    Raises:
        Failure: FEED_INVALID if there are too many files or the folder cannot be read.
    """
    for name, path in walk(folder):
        if not name.lower().endswith(SUFFIX):
            continue
        try:
            yield from file_documents(path, shown(name))
        except OSError as error:
            yield Rejected(shown(name), explain(error))
        except Failure as failure:
            yield Rejected(shown(name), str(failure.fields["reason"]))


def walk(folder: Path) -> Iterator[tuple[str, Path]]:
    """Regular files with their names relative to the folder.

    A stack and not recursion, because folders can be nested more deeply than calls.
    """
    pending = [("", folder, True)]
    count = 0
    while pending:
        name, path, is_folder = pending.pop()
        if not is_folder:
            yield name, path
            continue
        try:
            with os.scandir(path) as listing:
                entries = sorted(listing, key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            reason = f"folder {shown(name) or '.'}: {explain(error)}"
            raise Failure(Code.FEED_INVALID, reason=reason) from None
        count += len(entries)
        if count > MAX_DOCUMENTS:
            raise Failure(Code.FEED_INVALID, reason=f"it has more than {MAX_DOCUMENTS} files")
        for entry in entries:
            is_folder = entry.is_dir(follow_symlinks=False)
            if is_folder or entry.is_file(follow_symlinks=False):
                below = f"{name}/{entry.name}" if name else entry.name
                pending.append((below, Path(entry.path), is_folder))


def _form(stream: BinaryIO) -> _Form:
    """Tell the form by the first bytes; the stream is at its beginning before and after."""
    start = stream.read(_SAMPLE).lstrip(_BLANK)[:1]
    stream.seek(0)
    if start == b"[":
        return _Form.ARRAY
    if start != b"{":
        raise Failure(Code.FEED_INVALID, reason="it is neither JSON nor a zip")
    # Two lines, so that one bad line at the beginning does not hide the form. Only the opening
    # brace stands in the first line of a record that is written over several.
    lines = iter(lambda: stream.readline(MAX_DOCUMENT), b"")
    first, second = islice(chain(filter(_is_written, lines), (b"", b"")), 2)
    stream.seek(0)
    several = second and (_is_record(first) or _is_record(second))
    return _Form.LINES if several else _Form.RECORD


def _is_written(line: bytes) -> bool:
    return bool(line.strip(_BLANK))


def _is_record(line: bytes) -> bool:
    text = line.lstrip(_BLANK)
    with suppress(msgspec.MsgspecError, RecursionError):
        msgspec.json.decode(text, type=msgspec.Raw)
        return text.startswith(b"{")
    return False


def _lines(stream: BinaryIO, name: str) -> Iterator[Document | Rejected]:
    number = 0
    while line := stream.readline(MAX_DOCUMENT + 1):
        number += 1
        where = f"{name}:{number}"
        if len(line) > MAX_DOCUMENT:
            yield Rejected(where, TOO_LARGE)
            while line and not line.endswith(b"\n"):
                line = stream.readline(MAX_DOCUMENT)
        elif _is_written(line):
            yield Document(where, line)


def _elements(stream: BinaryIO, name: str) -> Iterator[Document | Rejected]:
    """Cut an array into its elements by counting brackets outside of texts.

    Whether an element is well formed shows when it is parsed. The array can be larger than memory.
    """
    element = bytearray()
    depth = index = 0
    quoted = False
    while chunk := stream.read(_SAMPLE):
        while chunk.endswith(b"\\") and (more := stream.read(1)):
            chunk += more  # not to part an escape
        begin = 0
        for mark in _MARK.finditer(chunk):
            match mark[0]:
                case b'"':
                    quoted = not quoted
                case b"{" | b"[" if not quoted:
                    depth += 1
                    if depth == 2:
                        element.clear()
                        begin = mark.start()
                case b"}" | b"]" if not quoted:
                    depth -= 1
                    if depth == 1:
                        element += chunk[begin : mark.end()]
                        where = f"{name}[{index}]"
                        index += 1
                        if len(element) > MAX_DOCUMENT:
                            yield Rejected(where, TOO_LARGE)
                        else:
                            yield Document(where, bytes(element))
        if depth >= 2 and len(element) <= MAX_DOCUMENT:
            element += chunk[begin:]
    if depth:
        yield Rejected(f"{name}[{index}]", "the file ends within it")
