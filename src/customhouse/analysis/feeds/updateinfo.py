"""Amazon Linux's advisories, as its repositories have them: `updateinfo.xml`, also compressed.

Sources: createrepo_c's and dnf's `updateinfo.xml`; https://alas.aws.amazon.com/ and its FAQ.

What stands in the file does not tell the release, so that is an argument. Extras repositories (as
`kernel-5.15` and `docker`), live patches and NVIDIA's packages are out of scope: they have other
versions of packages of the same names, and nothing in an image tells which were switched on. Their
advisories, known by identifiers as `ALAS2KERNEL-5.15-...`, come without ranges, and are counted.
"""

from __future__ import annotations

import re
import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from xml.parsers import expat

from customhouse.analysis.ecosystems import rpm
from customhouse.analysis.feeds.advisory import Advisory, Omission
from customhouse.analysis.feeds.document import Document, Rejected, shown
from customhouse.analysis.feeds.fixes import Fix, ranges
from customhouse.analysis.feeds.texts import Tally, is_cve, is_name, links, plain
from customhouse.analysis.severity import Severity, from_word
from customhouse.errors import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_UNPACKED: Final = 512 << 20
"""The most bytes of a file when it is unpacked."""

MAX_PACKAGES: Final = 50_000
"""The most packages and references of one advisory."""

MAX_ATTRIBUTES: Final = 16 << 20
"""The most characters of these, all together."""

MAX_TEXT: Final = 16 << 10
"""Bytes that are kept of a description."""

_MAX_SUMMARY: Final = 1 << 10
_MAX_DEPTH: Final = 16
_MAX_TOKEN: Final = 1 << 20
_CHUNK: Final = 64 << 10
_GZIP: Final = b"\x1f\x8b"
_TEXTS: Final = frozenset({"id", "title", "severity", "description"})
_CORE: Final = re.compile(r"ALAS(?:2|20[0-9]{2})?-[0-9]{4}-[0-9]{1,6}", re.ASCII).fullmatch
_IDENTIFIER: Final = re.compile(r"ALAS[!-~]{1,124}").fullmatch


def recognises(content: bytes) -> bool:
    """Tell cheaply whether a file is an `updateinfo.xml`, or one that is compressed by gzip."""
    beginning = content[:_CHUNK]
    if beginning.startswith(_GZIP):
        try:
            beginning = zlib.decompressobj(31).decompress(beginning, _CHUNK)
        except zlib.error:
            return False
    return b"<updates" in beginning


def read(files: Iterable[Document], ecosystem: str) -> Iterator[Advisory | Rejected]:
    """Read files of advisories.

    Args:
        files: each an `updateinfo.xml`, or one that is compressed by gzip.
        ecosystem: what they are about, as `Amazon Linux:2023`.

    Yields:
        Each advisory, or what is wrong with it; and for a file that is damaged, after what could
        be read of it, what is wrong with that.
    """
    for file in files:
        reader = _Reader()
        reason = ""
        try:
            for chunk in _chunks(file.content):
                reader.feed(chunk)
                yield from _results(reader, file.name, ecosystem)
            reader.close()
        except expat.ExpatError as error:
            reason = f"it is not XML: {expat.ErrorString(error.code)}"
        except _RefusedError as error:
            reason = error.args[0]
        except zlib.error:
            reason = "it is not compressed by gzip"
        yield from _results(reader, file.name, ecosystem)
        if reason:
            yield Rejected(file.name, reason)


class _RefusedError(Exception):
    """A file that is not read further; its argument says why."""


class _Update:
    """What is read of one advisory."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.texts: dict[str, str] = {}
        self.dates: dict[str, str] = {}
        self.references: list[dict[str, str]] = []
        self.packages: list[dict[str, str]] = []
        self.is_large = False
        self._size = 0

    def add(self, rows: list[dict[str, str]], attributes: dict[str, str]) -> None:
        """Keep a package or a reference, unless there are too many."""
        self._size += sum(map(len, attributes.values()))
        if len(rows) >= MAX_PACKAGES or self._size > MAX_ATTRIBUTES:
            self.is_large = True
        if not self.is_large:
            rows.append(attributes)


class _Reader:
    """Reads `update` elements piece by piece; those that are whole are in `updates`."""

    def __init__(self) -> None:
        self.updates: list[_Update] = []
        self._update: _Update | None = None
        self._path: list[str] = []
        self._text: list[str] = []
        self._size = 0
        self._pending = 0
        self._parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters

    def feed(self, chunk: bytes) -> None:
        """Read more; raises `_RefusedError` or `ExpatError`."""
        before = self._parser.CurrentByteIndex
        self._parser.Parse(chunk, False)
        moved = self._parser.CurrentByteIndex != before
        self._pending = 0 if moved else self._pending + len(chunk)
        if self._pending > _MAX_TOKEN:
            raise _RefusedError("an element is too long")

    def close(self) -> None:
        """Read to the end; raises `ExpatError` if there is more to come."""
        self._parser.Parse(b"", True)

    def _refuse(self, *_: object) -> None:
        raise _RefusedError("it declares a document type or an entity")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name)
        if len(self._path) > _MAX_DEPTH:
            raise _RefusedError("it is nested too deeply")
        self._text, self._size = [], 0
        if len(self._path) == 1 and name != "updates":
            raise _RefusedError("it has no updates")
        if len(self._path) == 2 and name == "update":
            self._update = _Update(attributes.get("type", "security"))
        elif self._update is None:
            return
        elif name == "package":
            self._update.add(self._update.packages, attributes)
        elif name == "reference":
            self._update.add(self._update.references, attributes)
        elif name in ("issued", "updated") and len(self._path) == 3:
            self._update.dates[name] = attributes.get("date", "")

    def _characters(self, text: str) -> None:
        if self._size <= MAX_TEXT:
            self._text.append(text)
            self._size += len(text)

    def _end(self, name: str) -> None:
        depth = len(self._path)
        self._path.pop()
        if self._update is None:
            return
        if depth == 3 and name in _TEXTS:
            self._update.texts[name] = "".join(self._text)
        elif depth == 2:
            self.updates.append(self._update)
            self._update = None


def _chunks(content: bytes) -> Iterator[bytes]:
    """The text of a file piece by piece, with a bound on all of it."""
    if not content.startswith(_GZIP):
        yield from (content[at : at + _CHUNK] for at in range(0, len(content), _CHUNK))
        return
    unpacker = zlib.decompressobj(31)
    total = 0
    while not unpacker.eof:
        chunk = unpacker.decompress(content, _CHUNK)
        content = unpacker.unconsumed_tail
        total += len(chunk)
        if total > MAX_UNPACKED:
            raise _RefusedError(f"it has more than {MAX_UNPACKED >> 20} MiB when unpacked")
        if not (chunk or content or unpacker.eof):
            raise _RefusedError("it ends too early")
        yield chunk


def _results(reader: _Reader, name: str, ecosystem: str) -> Iterator[Advisory | Rejected]:
    updates, reader.updates = reader.updates, []
    for update in updates:
        identifier = update.texts.get("id", "").strip()
        if not _IDENTIFIER(identifier):
            yield Rejected(name, f"'{shown(identifier[:64])}' is not an identifier of an advisory")
            continue
        where = shown(f"{name}:{identifier}")
        issued = _moment(update.dates.get("issued", ""))
        modified = _moment(update.dates.get("updated", "")) or issued
        if update.is_large:
            yield Rejected(where, "it has too many packages or references")
        elif modified is None:
            yield Rejected(where, "it has no date")
        else:
            yield _advisory(update, identifier, ecosystem, issued, modified)


def _advisory(
    update: _Update, identifier: str, ecosystem: str, issued: datetime | None, modified: datetime
) -> Advisory:
    ids = (each.get("id", "") for each in update.references)
    cves = tuple(dict.fromkeys(filter(is_cve, ids)))
    word = update.texts.get("severity", "").strip()
    severity = from_word(word)
    rejected = Tally()
    count = len(update.packages)
    reason = "" if _CORE(identifier) else "of an extras repository"
    if update.kind != "security":
        reason = "not about a vulnerability"
    fixes = {} if reason else _fixes(update.packages, ecosystem, rejected)
    return Advisory(
        id=identifier,
        aliases=cves,
        cves=cves,
        summary=plain(update.texts.get("title", ""), _MAX_SUMMARY),
        details=plain(update.texts.get("description", ""), MAX_TEXT),
        published=issued,
        modified=modified,
        references=links(("ADVISORY", each.get("href", "")) for each in update.references),
        severity=severity,
        severity_source=f"Amazon severity {word}" if severity else "",
        affected=tuple(
            row
            for name, arches in fixes.items()
            for row in ranges(ecosystem, name, arches, (Severity.SEVERITY_UNSPECIFIED, ""))
        ),
        skipped=(Omission(ecosystem, reason, count),) if reason and count else (),
        rejected=rejected.omissions(),
    )


def _fixes(
    packages: Iterable[dict[str, str]], ecosystem: str, rejected: Tally
) -> dict[str, dict[str, Fix]]:
    """The highest version of each package for each architecture."""
    found: dict[str, dict[str, Fix]] = {}
    for package in packages:
        name = package.get("name", "")
        arch = package.get("arch", "")
        epoch = package.get("epoch", "")
        version = f"{package.get('version', '')}-{package.get('release', '')}"
        if epoch.strip("0"):
            version = f"{epoch}:{version}"
        if arch == "src":
            continue  # is installed nowhere
        if not (is_name(name) and is_name(arch)):
            rejected.add(ecosystem, "not the name of a package", name)
            continue
        try:
            fix = Fix(rpm.key(version), version)
        except Failure as failure:
            rejected.add(ecosystem, "not a version", failure.message)
            continue
        arches = found.setdefault(name, {})
        arch = "" if arch == "noarch" else arch
        arches[arch] = max(arches.get(arch, fix), fix)
    return found


def _moment(text: str) -> datetime | None:
    """A date as `2018-01-11 21:05`, which is in UTC; None if it is none."""
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
