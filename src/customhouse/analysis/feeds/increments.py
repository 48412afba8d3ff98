"""OSV's exports, of which only the records are fetched that have changed, where those are few.

Source: https://google.github.io/osv.dev/data/: beside each `all.zip` lie its records, each a file,
and `modified_id.csv`, which has a line `TIME,ID` for each.
"""

from __future__ import annotations

import re
import shutil
import zipfile
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import msgspec

from customhouse.analysis.feeds import kept
from customhouse.analysis.feeds.decoding import DAMAGE
from customhouse.analysis.feeds.document import MAX_DOCUMENT, SUFFIX
from customhouse.analysis.feeds.download import MirrorError

if TYPE_CHECKING:
    from pathlib import Path

    from customhouse.analysis.feeds.fetch import Run
    from customhouse.analysis.feeds.kept import File

MAX_CHANGES: Final = 500
"""The most records that are fetched one by one, and that may be gone; the export otherwise."""

INDEX: Final = "modified_id.csv"

_MAX_INDEX: Final = 128 << 20
_MAX_RECORDS: Final = 64 << 20
_LINE: Final = re.compile(rb"([0-9TZ:.+-]{10,40}),([A-Za-z0-9][A-Za-z0-9._:-]{0,199})\r?")


class _Record(msgspec.Struct):
    id: str


def export(run: Run, mirror: str) -> tuple[File, ...]:
    """Fetch an export, or what has changed in it.

    Args:
        run: the try.
        mirror: the folder of the export.

    Returns:
        The one file: the export, whole in both cases.

    Raises:
        MirrorError: it did not come.
    """
    (name,) = run.source.files
    index = _index(run, mirror)
    before = run.before(name)
    known = _parsed(run.past.parent / INDEX) if before is not None else {}
    if before is not None and index and known:
        changed = {record for record, moment in index.items() if known.get(record) != moment}
        gone = known.keys() - index.keys()
        if not changed and not gone:
            return (run.keep(before),)
        if max(len(changed), len(gone)) <= MAX_CHANGES:
            records = _records(run, mirror, changed)
            path = kept.place(run.folder, name)
            shutil.copyfile(run.past / name, path)
            if records is not None and _patch(path, records, set(gone)):
                run.has_changed = True
                # What is in the list and not there is asked for again the next time.
                missing = changed - records.keys()
                _store(run.folder / INDEX, {k: v for k, v in index.items() if k not in missing})
                return (kept.describe(path, name),)
    file = run.get(mirror + name, name)
    # It is older than the export, if anything: a record is rather fetched twice than never.
    _store(run.folder / INDEX, index)
    return (file,)


def _index(run: Run, mirror: str) -> dict[str, str]:
    """When each record was last changed; nothing where a mirror does not tell."""
    try:
        return _lines(run.downloader.read(mirror + INDEX, _MAX_INDEX))
    except MirrorError as error:
        if not error.is_missing:
            raise
        return {}


def _records(run: Run, mirror: str, names: set[str]) -> dict[str, bytes] | None:
    """Those of the records that are there; None if they are too large together."""
    found: dict[str, bytes] = {}
    size = 0
    for number, name in enumerate(sorted(names)):
        try:
            content = run.downloader.read(f"{mirror}{quote(name)}{SUFFIX}", MAX_DOCUMENT)
        except MirrorError as error:
            if not error.is_missing:
                raise
            continue
        try:
            if msgspec.json.decode(content, type=_Record).id != name:
                raise MirrorError("it has another record than was asked for")
        except DAMAGE:
            raise MirrorError("it has a record that cannot be read") from None
        found[name] = content
        size += len(content)
        if size > _MAX_RECORDS:
            return None
        run.downloader.progress(number + 1, len(names))
    return found


def _patch(path: Path, records: dict[str, bytes], gone: set[str]) -> bool:
    """Replace, add and remove records of a zip; whether that was worth it.

    What is replaced stays in the file and is only no longer named, until that is half of it.
    """
    size = path.stat().st_size
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        entries = archive.infolist()
        if size > 2 * sum(entry.compress_size for entry in entries) + MAX_DOCUMENT:
            return False
        dropped = {f"{name}{SUFFIX}" for name in gone | records.keys()}
        entries[:] = [entry for entry in entries if entry.filename not in dropped]
        for name in dropped:
            archive.NameToInfo.pop(name, None)
        for name, content in records.items():
            archive.writestr(f"{name}{SUFFIX}", content)
        archive.comment = b""  # The directory is written also where nothing was added.
    return True


def _parsed(path: Path) -> dict[str, str]:
    with suppress(OSError), path.open("rb") as file:
        return _lines(file.read(_MAX_INDEX))
    return {}


def _lines(content: bytes) -> dict[str, str]:
    found = {}
    for line in content.splitlines():
        if match := _LINE.fullmatch(line):
            found[match[2].decode()] = match[1].decode()
    return found


def _store(path: Path, index: dict[str, str]) -> None:
    path.write_text("".join(f"{moment},{record}\n" for record, moment in index.items()))
