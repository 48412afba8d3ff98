"""Java's packages, as build tools leave them in archives, and in archives inside of archives.

Sources: Maven Archiver ("pom.properties", default manifest entries), the JAR file specification,
OSGi Core (`Bundle-*`), and PKWARE's APPNOTE 6.3 for the archives: end of central directory (4.3.16,
zip64 4.3.14), central directory (4.3.12), local headers (4.3.7).

Few entries of an archive are of interest, so these are read where the central directory says that
they are, and nothing else: neither overlaps nor what lies between matter. What is inflated is
bounded by the stated size, and that by the compressed one, by `MAX_READ` and `MAX_NESTED`.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from customhouse.analysis.ecosystems.encoding import MAX_VERSION
from customhouse.analysis.ecosystems.package import Database, Listing, Package, of_language, shown

ECOSYSTEM = "Maven"

MAX_DEPTH = 5
"""Archives inside of each other, below the file itself."""

MAX_ARCHIVES = 2_000
"""Archives inside of one file, at all depths."""

MAX_ENTRIES = 300_000
"""Entries of one file's archives, at all depths; those of large applications have 100,000."""

MAX_WANTED = 10_000
"""Entries of one archive that are looked into."""

MAX_LISTED = 10_000
"""Packages of one file."""

MAX_READ = 512 * 1024**2
"""Bytes of directories and entries of one file that are read: the compressed or the uncompressed
ones of an entry, whichever are more."""

MAX_NESTED = 128 * 1024**2
"""Bytes of compressed archives that are kept in memory at a time. An archive that is merely stored
inside of another one is read in its place, whatever its size."""

MAX_RATIO = 200
"""Of uncompressed to compressed bytes, beyond the first `MAX_TEXT` bytes; texts reach 20."""

MAX_TEXT = 64 * 1024
"""Bytes of a `pom.properties` or manifest that are read; what is of interest stands in front."""

_MAX_DIRECTORY = 32 * 1024**2
_ENDS = frozenset({"ar", "AR", "aR", "Ar"})
_ARCHIVE = re.compile(r"(?:.*/)?[^/]+\.(?:[jwe]ar|par)", re.IGNORECASE | re.DOTALL).fullmatch
_WANTED = re.compile(
    rb"(?P<pom>(?:(?:WEB|BOOT)-INF/classes/)?META-INF/maven/(?P<group>[^/]+)/(?P<artifact>[^/]+)/pom\.properties)"
    rb"|(?P<manifest>(?i:META-INF/MANIFEST\.MF))"
    rb"|(?P<archive>(?:.*/)?(?P<name>[^/]+\.(?i:[jwe]ar|par)))",
    re.DOTALL,
).fullmatch

_END = struct.Struct("<4s8xLLH")
_END_64 = struct.Struct("<4s36xQQ")
_LOCATOR_SIZE = 20
_CENTRAL = struct.Struct("<4s4xHH4xLLLHHH8xL")
_LOCAL = struct.Struct("<4s22xHH")
_MAX_COMMENT = 65_535
_ENCRYPTED = 0x2041  # bit 0, strong encryption (6) and masked headers (13)
_STORED, _DEFLATED = 0, 8
_CHUNK = 64 * 1024


class _UnreadableError(Exception):
    """An archive or entry is damaged, of a form that is not read, or exceeds a limit."""


@dataclass(slots=True)
class _Reading:
    """What is left of the limits of one file, and what was found."""

    archives: int = MAX_ARCHIVES
    entries: int = MAX_ENTRIES
    bytes: int = MAX_READ
    nested: int = MAX_NESTED
    unreadable: int = 0
    packages: dict[Package, None] = field(default_factory=dict)

    def spend(self, size: int) -> None:
        """Take bytes that are going to be read off the limit."""
        if size > self.bytes:
            raise _UnreadableError
        self.bytes -= size


@dataclass(frozen=True, slots=True)
class _Window:
    """An archive: a part of a file that is opened."""

    file: BinaryIO
    start: int
    size: int

    def read(self, offset: int, size: int) -> bytes:
        if not 0 <= offset <= offset + size <= self.size:
            raise _UnreadableError
        self.file.seek(self.start + offset)
        found = self.file.read(size)
        if len(found) != size:
            raise _UnreadableError
        return found


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of interest, as the central directory describes it; `offset` is in the window."""

    match: re.Match[bytes]
    flags: int
    method: int
    checksum: int
    compressed: int
    size: int
    offset: int


def matches(path: str) -> bool:
    """Tell whether a path inside an image is an archive of Java."""
    return path[-2:] in _ENDS and _ARCHIVE(path) is not None


def parse(path: str, file: BinaryIO) -> Listing:
    """Read the packages of an archive and of those inside of it; never raises.

    A package is what a `pom.properties` names; several in one archive are shaded into it. Without
    any, an archive is listed if its manifest and file name tell group, artifact and version. The
    name is `GROUP:ARTIFACT`. Archives and entries that cannot be read, or exceed a limit, count as
    unreadable.
    """
    reading = _Reading()
    size = file.seek(0, io.SEEK_END)
    _archive(_Window(file, 0, size), path.rpartition("/")[2], 0, reading)
    return Listing(tuple(reading.packages), reading.unreadable)


def _archive(window: _Window, name: str, depth: int, reading: _Reading) -> None:
    """Read an archive of some file name and depth into the reading."""
    own: list[Package] = []
    manifest: dict[str, str] = {}
    try:
        entries = _wanted(window, reading)
    except _UnreadableError:
        reading.unreadable += 1
        return
    for entry in entries:
        try:
            if entry.match["archive"] is not None:
                _nested(window, entry, depth + 1, reading)
                continue
            text = _inflated(window, entry, MAX_TEXT, reading).getvalue().decode("utf-8", "replace")
            if entry.match["pom"] is not None:
                own.append(_described(text, entry.match))
            else:
                manifest = manifest or _attributes(text)
        except _UnreadableError:
            reading.unreadable += 1
    if not own and (guessed := _guessed(name, manifest)):
        own.append(guessed)
    stem = _stem(name)
    for package in own:
        if len(reading.packages) == MAX_LISTED:
            reading.unreadable += 1
            return
        artifact = package.name.partition(":")[2]
        # The manifest speaks of the archive, not of what is shaded into it.
        is_its = stem in {artifact, f"{artifact}-{package.version}"}
        reading.packages[replace(package, licence=_licence(manifest)) if is_its else package] = None


def _nested(window: _Window, entry: _Entry, depth: int, reading: _Reading) -> None:
    """Read an archive inside of another one: in its place if stored, else in memory."""
    if depth > MAX_DEPTH or reading.archives == 0:
        raise _UnreadableError
    reading.archives -= 1
    name = entry.match["name"].decode("utf-8", "replace")
    if entry.method == _STORED:
        offset = _data(window, entry)
        inner = _Window(window.file, window.start + offset, entry.compressed)
        _archive(inner, name, depth, reading)
        return
    if entry.size > reading.nested:
        raise _UnreadableError
    reading.nested -= entry.size
    try:
        with _inflated(window, entry, entry.size, reading) as file:
            _archive(_Window(file, 0, entry.size), name, depth, reading)
    finally:
        reading.nested += entry.size


def _wanted(window: _Window, reading: _Reading) -> list[_Entry]:
    """Give the entries of interest of an archive's central directory."""
    directory, before = _directory(window, reading)
    found: list[_Entry] = []
    at = 0
    end = len(directory) - _CENTRAL.size
    while at <= end:
        mark, flags, method, checksum, compressed, size, name, extra, comment, offset = (
            _CENTRAL.unpack_from(directory, at)
        )
        reading.entries -= 1
        if mark != b"PK\1\2" or reading.entries < 0:
            raise _UnreadableError
        at += _CENTRAL.size
        if match := _WANTED(directory, at, at + name):
            if len(found) == MAX_WANTED:
                raise _UnreadableError
            found.append(_Entry(match, flags, method, checksum, compressed, size, offset + before))
        at += name + extra + comment
    return found


def _directory(window: _Window, reading: _Reading) -> tuple[bytes, int]:
    """Give an archive's central directory, and how many bytes stand before the archive proper."""
    size = min(window.size, _END.size + _MAX_COMMENT)
    tail = window.read(window.size - size, size)
    at = tail.rfind(b"PK\5\6", 0, max(size - _END.size + 4, 0))
    if at < 0:
        raise _UnreadableError
    _, size, offset, _ = _END.unpack_from(tail, at)
    end = window.size - len(tail) + at
    at -= _LOCATOR_SIZE + _END_64.size
    if at >= 0 and tail.startswith(b"PK\6\6", at) and tail.startswith(b"PK\6\7", at + _END_64.size):
        _, size, offset = _END_64.unpack_from(tail, at)
        end -= _LOCATOR_SIZE + _END_64.size
    if size > min(end, _MAX_DIRECTORY) or offset > end - size:
        raise _UnreadableError
    reading.spend(size)
    return window.read(end - size, size), end - size - offset


def _data(window: _Window, entry: _Entry) -> int:
    """Tell where the content of an entry lies, which is after its local header."""
    if entry.flags & _ENCRYPTED or entry.method not in {_STORED, _DEFLATED}:
        raise _UnreadableError
    if entry.method == _STORED and entry.compressed != entry.size:
        raise _UnreadableError
    mark, name, extra = _LOCAL.unpack(window.read(entry.offset, _LOCAL.size))
    offset: int = entry.offset + _LOCAL.size + name + extra
    if mark != b"PK\3\4" or offset + entry.compressed > window.size:
        raise _UnreadableError
    return offset


def _inflated(window: _Window, entry: _Entry, limit: int, reading: _Reading) -> io.BytesIO:
    """Read the content of an entry, or its first `limit` bytes if it has more."""
    offset = _data(window, entry)
    size = min(entry.size, limit)
    if entry.size > entry.compressed * MAX_RATIO + MAX_TEXT:
        raise _UnreadableError
    reading.spend(max(size, entry.compressed))
    file = io.BytesIO()
    inflate = zlib.decompressobj(-zlib.MAX_WBITS) if entry.method == _DEFLATED else None
    left = size
    for at in range(offset, offset + entry.compressed, _CHUNK):
        data = window.read(at, min(_CHUNK, offset + entry.compressed - at))
        if inflate:
            try:
                # One byte more than there should be tells whether there is more.
                data = inflate.decompress(data, left + 1)
            except zlib.error:
                raise _UnreadableError from None
        file.write(data[:left])
        left -= len(data)
        if left < 0 or (inflate and inflate.eof):
            break
    if size < entry.size:
        if left > 0:
            raise _UnreadableError
    elif left or (inflate and not inflate.eof) or _checksum(file) != entry.checksum:
        raise _UnreadableError
    file.seek(0)
    return file


def _checksum(file: io.BytesIO) -> int:
    with file.getbuffer() as content:
        return zlib.crc32(content)


_PROPERTY = re.compile(
    r"^[ \t\f]*(groupId|artifactId|version)[ \t\f]*[=:](.*)$", re.MULTILINE
).findall
_FOLDED = re.compile(r"\r?\n ").sub
_ATTRIBUTE = re.compile(r"([0-9A-Za-z_-]{1,70}): ?(.*)").fullmatch
_NAME = re.compile(r"[0-9A-Za-z_][0-9A-Za-z._-]{0,127}").fullmatch
_GROUP = re.compile(r"[a-z][0-9A-Za-z_-]*(?:\.[0-9A-Za-z_-]+)+").fullmatch
_VERSION = re.compile(rf"[0-9A-Za-z][0-9A-Za-z._+~-]{{0,{MAX_VERSION - 1}}}").fullmatch
_CLASSIFIER = re.compile(r"-(?:sources|javadoc|tests|test-sources)$").sub
_FILE = re.compile(r"(.+?)-([0-9].*)").fullmatch
_VERSIONS = ("implementation-version", "bundle-version", "specification-version")
_MAX_LICENCE = 100


def _package(group: str, artifact: str, version: str) -> Package | None:
    """Make a package; None if one of the three is not one."""
    if not (_NAME(group) and _NAME(artifact) and _VERSION(version)):
        return None
    name = f"{group}:{artifact}"
    return of_language(ECOSYSTEM, name, version)


def _described(properties: str, path: re.Match[bytes]) -> Package:
    """Read a `pom.properties`; what it lacks of group and artifact its path tells."""
    found = _PROPERTY(properties.replace("\r", "\n"))
    stated = {key: value.strip() for key, value in found}
    package = _package(
        stated.get("groupId") or path["group"].decode("utf-8", "replace"),
        stated.get("artifactId") or path["artifact"].decode("utf-8", "replace"),
        stated.get("version", ""),
    )
    if package is None:
        raise _UnreadableError
    return package


def _attributes(manifest: str) -> dict[str, str]:
    """Read the main section of a manifest: its attributes by their names in lower case."""
    found: dict[str, str] = {}
    for line in _FOLDED("", manifest).splitlines():
        if not line:
            break
        if match := _ATTRIBUTE(line):
            found.setdefault(match[1].lower(), match[2].strip())
    return found


def _guessed(name: str, manifest: dict[str, str]) -> Package | None:
    """Guess what an archive without `pom.properties` is; None rather than half of it.

    The file is named `ARTIFACT-VERSION.jar` if it was not renamed, so that name counts before the
    manifest, whose `Bundle-Version` OSGi makes write `1.0-rc1` as `1.0.0.rc1`. The group is the
    vendor's identifier, else the bundle's or module's name as far as it is not the artifact's:
    `com.zaxxer.HikariCP` and `com.squareup.okhttp3`, which holds `okhttp`, tell both.
    """
    stem = _stem(name)
    versions = [manifest[key] for key in _VERSIONS if _VERSION(manifest.get(key, ""))]
    suffix = next((version for version in versions if stem.endswith(f"-{version}")), None)
    if suffix:
        artifact, version = stem.removesuffix(f"-{suffix}"), suffix
    elif match := _FILE(stem):
        artifact, version = match[1], match[2]
    elif versions:
        title = manifest.get("implementation-title", "")
        artifact, version = title if _NAME(title) else stem, versions[0]
    else:
        return None
    return _package(_group(artifact, manifest), artifact, version)


def _stem(name: str) -> str:
    """Cut extension and classifier off the file name of an archive."""
    return _CLASSIFIER("", name.rpartition(".")[0])


def _group(artifact: str, manifest: dict[str, str]) -> str:
    """Guess the group of an artifact from its manifest; empty if nothing tells."""
    vendor = manifest.get("implementation-vendor-id", "")
    if _GROUP(vendor):
        return vendor
    bundle = manifest.get("bundle-symbolicname", "").partition(";")[0].strip()
    module = manifest.get("automatic-module-name", "")
    for name in (bundle, module):
        group = name.removesuffix(f".{artifact}")
        if group != name and _GROUP(group):
            return group
    return bundle if _GROUP(bundle) else ""


def _licence(manifest: dict[str, str]) -> str:
    """Give the licence that a bundle states, without its link and description."""
    licence = manifest.get("bundle-license", "").partition(";")[0].strip(' "')
    return shown(licence) if len(licence) <= _MAX_LICENCE else ""


DATABASE = Database("java", matches, parse, is_system=False)
