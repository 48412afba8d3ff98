"""Fetching a source into a folder: its mirrors in turn, again and again, with growing pauses."""

from __future__ import annotations

import os
import random
import re
import time
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from xml.parsers import expat

from customhouse.analysis import archive
from customhouse.analysis.feeds import download, increments, kept
from customhouse.analysis.feeds.archives import MAX_UNPACKED
from customhouse.analysis.feeds.document import MAX_DOCUMENT, MAX_DOCUMENTS, SUFFIX
from customhouse.analysis.feeds.download import Downloader, Limits, MirrorError
from customhouse.analysis.feeds.sources import Layout, Source
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from customhouse.analysis.feeds.kept import File, Kept

_MAX_WAIT: Final = 60.0
_SMALL: Final = 64 << 10
_MAX_REPOMD: Final = 4 << 20
_ADDRESS: Final = re.compile(r"https?://[!-~]{1,1000}").fullmatch
_HREF: Final = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._/-]{0,299}").fullmatch
_ARCHIVE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.tar\.(?:zst|gz)").fullmatch
_LATEST: Final = "archive_latest.txt"


def fetch(
    source: Source,
    folder: Path,
    known: tuple[Path, Kept] | None,
    limits: Limits,
    progress: Callable[[int, int], None],
) -> tuple[File, ...] | None:
    """Fetch the files of a source.

    Args:
        source: the source.
        folder: an empty one for the files; those that have not changed are linked there.
        known: the folder of what was fetched the last time, and what is known of it.
        limits: how much, and how patiently.
        progress: told how many bytes of a file came so far of how many; 0 if that is not known.

    Returns:
        The files; None if none of them has changed.

    Raises:
        Failure: FEED_UNREACHABLE, naming every mirror and why, without what is secret in their
            addresses; STORAGE_FULL.
    """
    reasons: dict[str, str] = {}
    ready = dict.fromkeys(source.mirrors, 0.0)
    tries = dict.fromkeys(source.mirrors, 0)
    with download.client(limits) as client:
        downloader = Downloader(client, limits, progress)
        while ready:
            mirror = min(ready, key=ready.__getitem__)
            pause = ready[mirror] - time.monotonic()
            if pause > downloader.seconds_left or downloader.seconds_left < 0:
                break
            time.sleep(max(0.0, pause))
            tries[mirror] += 1
            downloader.begin()
            run = Run(source, folder, known, downloader)
            try:
                files = _LAYOUTS[source.layout](run, mirror)
            except MirrorError as error:
                reasons[mirror] = str(error)
                ready[mirror] = time.monotonic() + (error.wait or _back_off(tries[mirror], limits))
                if error.is_final or tries[mirror] >= limits.attempts:
                    del ready[mirror]
            else:
                return files if run.has_changed else None
    reason = "; ".join(f"{download.shown(mirror)}: {why}" for mirror, why in reasons.items())
    raise Failure(Code.FEED_UNREACHABLE, feed=source.name, reason=reason or "there was no time")


def _back_off(tries: int, limits: Limits) -> float:
    """How long to wait before the next try; by chance a little, so that not all come at once."""
    longest = min(limits.back_off * 2.0 ** (tries - 1), _MAX_WAIT)
    return longest * random.uniform(0.75, 1.25)  # noqa: S311  - no secret


@dataclass(slots=True)
class Run:
    """One try of one mirror.

    What an earlier try left in the folder is written over; every file belongs to one mirror.

    Attributes:
        source: the source.
        folder: for the files.
        known: the folder of what was fetched the last time, and what is known of it.
        downloader: gets files.
        has_changed: whether any file is another one than the last time.
        past: where the files of the last time are.
    """

    source: Source
    folder: Path
    known: tuple[Path, Kept] | None
    downloader: Downloader
    has_changed: bool = False
    _before: dict[str, File] = field(default_factory=dict)
    past: Path = field(init=False)

    def __post_init__(self) -> None:
        self.past = self.folder
        if self.known is not None:
            self.past = self.known[0] / kept.FILES
            self._before = {file.name: file for file in self.known[1].files}

    def get(self, url: str, name: str) -> File:
        """Get a file, if it is not what is known already."""
        path = kept.place(self.folder, name)
        before = self.before(name)
        file = self.downloader.get(url, path, name, before)
        if file is not None:
            self.has_changed |= before is None or before.sha256 != file.sha256
            return file
        if before is None:
            raise MirrorError("it says that nothing has changed, of what was never asked for")
        return self.keep(before)

    def before(self, name: str) -> File | None:
        """What is known of a file that is still there."""
        file = self._before.get(name)
        return file if file is not None and (self.past / name).is_file() else None

    def keep(self, file: File) -> File:
        """Take a file over that has not changed."""
        path = kept.place(self.folder, file.name)
        path.unlink(missing_ok=True)
        os.link(self.past / file.name, path)
        return file

    def check_gone(self, files: list[File]) -> tuple[File, ...]:
        """Note as a change if there are fewer files than before."""
        self.has_changed |= set(self._before) != {file.name for file in files}
        return tuple(files)


def _export(run: Run, mirror: str) -> tuple[File, ...]:
    """An export of OSV, or the file itself where a mirror is none."""
    return increments.export(run, mirror) if mirror.endswith("/") else _files(run, mirror)


def _files(run: Run, mirror: str) -> tuple[File, ...]:
    """Files with fixed names below a mirror, or the mirror itself."""
    found: list[File] = []
    for name in run.source.files:
        try:
            found.append(run.get(mirror + name if mirror.endswith("/") else mirror, name))
        except MirrorError as error:
            if not (error.is_missing and name in run.source.optional):
                raise
    return run.check_gone(found)


def _repository(run: Run, mirror: str) -> tuple[File, ...]:
    """The file of advisories that a repository's metadata names.

    Source: createrepo_c's `repomd.xml`; `mirror.list` has an address of a repository in each line.
    """
    base = mirror
    if not mirror.endswith("/"):
        lines = run.downloader.read(mirror, _SMALL).decode("ascii", "replace").split()
        if not lines or not _ADDRESS(lines[0]):
            raise MirrorError("it is no list of mirrors")
        if mirror.startswith("https:") and not lines[0].startswith("https:"):
            raise MirrorError("it leads from https to something else", is_final=True)
        base = lines[0].replace("$basearch", "x86_64").rstrip("/") + "/"
    content = run.downloader.read(f"{base}repodata/repomd.xml", _MAX_REPOMD)
    href, checksum = _updateinfo(content)
    (name,) = run.source.files
    before = run.before(name)
    if before is not None and before.sha256 == checksum:
        return (run.keep(before),)
    file = run.get(base + href, name)
    if file.sha256 != checksum:
        raise MirrorError("the file has another checksum than its repository says")
    return (file,)


def _updateinfo(content: bytes) -> tuple[str, str]:
    """The place and the SHA-256 of the advisories in a `repomd.xml`."""
    kind = text = href = checksum = ""
    parser = expat.ParserCreate()

    def begin(name: str, attributes: dict[str, str]) -> None:
        nonlocal kind, text, href
        text = ""
        if name == "data":
            kind = attributes.get("type", "")
        elif name == "location" and kind == "updateinfo":
            href = attributes.get("href", "")
        elif name == "checksum" and attributes.get("type") != "sha256":
            text = "-"

    def data(more: str) -> None:
        nonlocal text
        text += more[:_SMALL]

    def end(name: str) -> None:
        nonlocal checksum
        if name == "checksum" and kind == "updateinfo":
            checksum = text.strip().lower()

    def refuse(*_arguments: object) -> None:
        raise MirrorError("its repomd.xml declares a document type")

    parser.StartElementHandler = begin
    parser.CharacterDataHandler = data
    parser.EndElementHandler = end
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except expat.ExpatError:
        raise MirrorError("its repomd.xml is not XML") from None
    if not _HREF(href) or not re.fullmatch(r"[0-9a-f]{64}", checksum):
        raise MirrorError("its repomd.xml names no advisories")
    return href, checksum


def _archive(run: Run, mirror: str) -> tuple[File, ...]:
    """The documents of a tar that a text file names, as a zip, which can be read anywhere."""
    latest = run.downloader.read(mirror + _LATEST, _SMALL).decode("ascii", "replace").strip()
    if not _ARCHIVE(latest):
        raise MirrorError(f"its {_LATEST} names no archive")
    (name,) = run.source.files
    before = run.before(name)
    if before is not None and before.etag == latest:
        return (run.keep(before),)
    packed = run.folder / "archive"
    try:
        run.downloader.get(mirror + latest, packed, latest)
        target = kept.place(run.folder, name)
        _repack(packed, target, run.downloader.seconds_left)
    finally:
        packed.unlink(missing_ok=True)
    run.has_changed = True
    return (kept.describe(target, name, etag=latest),)


def _repack(packed: Path, target: Path, seconds: float) -> None:
    """Make a zip of the documents of a compressed tar; what is too large is left out."""
    limits = archive.Limits(
        uncompressed_bytes=MAX_UNPACKED,
        files_bytes=MAX_UNPACKED,
        file_bytes=MAX_DOCUMENT,
        entries=MAX_DOCUMENTS,
        window_bytes=128 << 20,
        seconds=max(1.0, seconds),
    )
    try:
        with (
            packed.open("rb") as stream,
            zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as result,
        ):
            for entry in archive.entries(stream, None, limits):
                if (
                    entry.kind is archive.Kind.FILE
                    and entry.path.endswith(SUFFIX)
                    and entry.size <= MAX_DOCUMENT
                ):
                    result.writestr(entry.path, entry.read())
    except Failure as failure:
        reason = f"its archive cannot be read: {failure.fields.get('reason', failure.message)}"
        raise MirrorError(reason) from None


_LAYOUTS: Final[dict[Layout, Callable[[Run, str], tuple[File, ...]]]] = {
    Layout.FILES: _files,
    Layout.EXPORT: _export,
    Layout.REPOSITORY: _repository,
    Layout.ARCHIVE: _archive,
}
