"""What one layer contributes to an image's inventory, read once and kept under its digest.

Source of the rules: OCI image specification, `layer.md`, "Applying Changesets" and "Whiteouts".
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, BinaryIO

import msgspec
import zstandard

from customhouse.analysis.archive import Entry, Kind, Limits, entries
from customhouse.analysis.compression import corrupt, exceeded
from customhouse.analysis.ecosystems import DATABASES, Database, Package, content_sets
from customhouse.analysis.systems import FILES
from customhouse.analysis.tarheader import normalize

if TYPE_CHECKING:
    from collections.abc import Iterator

READER_VERSION = 6
"""Goes up whenever the same layer gives another reading; readings of older versions are stale."""

MAX_KEPT = 100_000
"""Paths that a reading may hold, and packages."""

MAX_KEPT_BYTES = 16 * 1024**2
"""Characters of all paths and targets in a reading, those that packages own included."""

MAX_SYSTEM_FILE = 64 * 1024
"""Bytes of a file that tells the system; real ones have less than two thousand."""

MAX_TARGET = 256
"""Characters of a link's target that is followed."""

_MAX_READING = 256 * 1024**2
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_AUFS = ".wh..wh."  # its own bookkeeping, which removes nothing

_DATABASE_FOLDERS = (
    *content_sets.FOLDERS,
    "lib/apk/db",
    "usr/lib/apk/db",
    "usr/lib/dpkg/status.d",
    "usr/lib/sysimage/rpm",
    "usr/share/rpm",
    "var/lib/dpkg/info",
    "var/lib/dpkg/status.d",
    "var/lib/rpm",
)
# Folders of programs and libraries that are links in some images, to others of these.
_OTHER_FOLDERS = (
    *("bin", "sbin", "lib", "lib32", "lib64", "libx32"),
    *("usr/bin", "usr/sbin", "usr/lib", "usr/lib32", "usr/lib64", "usr/libx32", "usr/local"),
    *("usr/local/bin", "usr/local/sbin", "usr/local/lib", "usr/local/lib64"),
)


def parents(path: str) -> Iterator[str]:
    """Give the folders that a path lies in, from the innermost to the root, which is empty."""
    while path:
        path = path.rpartition("/")[0]
        yield path


_FOLDERS = frozenset(
    folder
    for path in (*FILES, *(f"{folder}/x" for folder in _DATABASE_FOLDERS))
    for folder in parents(path)
    if folder
)
_LINKED = _FOLDERS | frozenset(FILES) | frozenset(_OTHER_FOLDERS)
_PROGRAMS = next(database for database in DATABASES if database.begins)


class DatabaseReading(msgspec.Struct, frozen=True):
    """A file of a package database.

    Attributes:
        reader: name of the kind of database, one of `ecosystems.DATABASES`.
        packages: the installed packages.
        unreadable: number of stanzas that were none.
        owned: files of packages by their names, as of `ecosystems.Listing`.
        licences: of packages by their names, as of `ecosystems.Listing`.
        content_sets: as of `ecosystems.Listing`.
    """

    reader: str
    packages: tuple[Package, ...]
    unreadable: int
    owned: Mapping[str, tuple[str, ...]] = {}
    licences: Mapping[str, str] = {}
    content_sets: tuple[str, ...] = ()


class LayerReading(msgspec.Struct, frozen=True, kw_only=True):
    """What a layer contributes. Paths are normalized and as written: links are not followed.

    A path is in one only of the first six; what a layer replaces within itself is not there. Apart
    from what was removed, only paths are kept that are wanted or lead to wanted ones.

    Attributes:
        databases: files of package databases.
        system_files: contents of those of `systems.FILES` that are files.
        links: symbolic links to their targets, at one of `systems.FILES` or at a folder above
            something wanted, such as `lib` to `usr/lib`.
        hard_links: of wanted paths, to paths that this layer does not have.
        folders: folders that stand at or above something wanted.
        others: anything else that does, such as a device, and programs that tell of no packages:
            there is nothing of use at these paths.
        removed: paths that are removed from the layers below, with all below them.
        opaque: folders whose content in the layers below is removed; the root is empty.
        entries: number of entries of the archive.
        uncompressed_size: bytes of the archive.
        skipped: number of entries that were not used although they might matter: those with `..`
            in their path, whiteouts of no name, files of the system that are too large.
    """

    databases: dict[str, DatabaseReading]
    system_files: dict[str, bytes]
    links: dict[str, str]
    hard_links: dict[str, str]
    folders: tuple[str, ...]
    others: tuple[str, ...]
    removed: tuple[str, ...]
    opaque: tuple[str, ...]
    entries: int
    uncompressed_size: int
    skipped: int


def read_layer(
    stream: BinaryIO, limits: Limits | None = None, media_type: str | None = None
) -> LayerReading:
    """Read a layer.

    Args:
        stream: the layer as stored, at its beginning.
        limits: how much to read, the defaults if not given. Beyond these a reading holds at most
            `MAX_KEPT` paths and as many packages.
        media_type: of the layer, if known.

    Raises:
        Failure: as `archive.entries`; `ARCHIVE_CORRUPT` also if a package database is garbage.
    """
    archive = entries(stream, media_type, limits or Limits())
    layer = _Layer()
    for entry in archive:
        folder, _, name = entry.path.rpartition("/")
        if name.startswith(_WHITEOUT):
            layer.remove(folder, name)
        else:
            layer.add(entry)
    return layer.reading(archive.count, archive.uncompressed, archive.skipped)


def _database_of(path: str) -> Database | None:
    for database in DATABASES:
        if database.matches(path):
            return database
    return None


# What stands at a path: the content of interest, or else the kind and a link's target.
_Node = DatabaseReading | bytes | tuple[Kind, str]


class _Layer:
    """A layer while it is read. Later entries win over earlier ones, as when it is extracted."""

    def __init__(self) -> None:
        self._nodes: dict[str, tuple[int, _Node]] = {}  # with the turn at which they came
        self._cuts: dict[str, int] = {}  # the turn at which a path last became no folder
        self._turn = 0
        self._removed: set[str] = set()
        self._opaque: set[str] = set()
        self._skipped = 0
        self._kept = 0
        self._kept_bytes = 0
        self._packages = 0

    def remove(self, folder: str, name: str) -> None:
        """Take a whiteout: an entry of whatever kind whose name begins with `.wh.`."""
        removed = name.removeprefix(_WHITEOUT)
        if name == _OPAQUE:
            paths, path = self._opaque, folder
        elif removed in {"", ".", ".."}:
            self._skipped += 1
            return
        elif name.startswith(_AUFS):
            return
        else:
            paths, path = self._removed, f"{folder}/{removed}" if folder else removed
        if path not in paths:
            self._keep(path)
            paths.add(path)

    def add(self, entry: Entry) -> None:
        """Take any other entry."""
        path = entry.path
        database = _database_of(path)
        if database is None and path not in _LINKED:
            if not entry.executable:
                return
            node = self._program(entry)
        else:
            node = self._node(entry, database)
        self._turn += 1
        if node != (Kind.DIRECTORY, ""):
            self._cuts[path] = self._turn
        if path not in self._nodes:
            self._keep(path)
        self._nodes[path] = self._turn, node

    def _node(self, entry: Entry, database: Database | None) -> _Node:
        path = entry.path
        if entry.kind is Kind.DIRECTORY:
            return Kind.DIRECTORY, ""
        if entry.kind is Kind.FILE and database:
            return self._database(entry, database)
        if entry.kind is Kind.FILE and path in FILES:
            if entry.size <= MAX_SYSTEM_FILE:
                return entry.read()
            self._skipped += 1
        if entry.kind is Kind.HARD_LINK and (target := normalize(entry.target)):
            if target in self._nodes:
                return self._nodes[target][1]
            if database or path in FILES:
                self._keep(target)
                return Kind.HARD_LINK, target
        if entry.kind is Kind.SYMLINK and not database and len(entry.target) <= MAX_TARGET:
            return Kind.SYMLINK, entry.target
        return Kind.OTHER, ""

    def _database(self, entry: Entry, database: Database) -> _Node:
        if database.is_system:
            with io.BytesIO(entry.read()) as file:
                return self._listed(database, entry.path, file)
        opened = entry.open()
        if opened is None:
            self._skipped += 1
            return Kind.OTHER, ""
        with opened as file:
            return self._listed(database, entry.path, file)

    def _program(self, entry: Entry) -> _Node:
        """Look for packages that a program was made of; its path is noted in any case."""
        opened = entry.open(_PROGRAMS.begins)
        if opened:
            with opened as file:
                reading = self._listed(_PROGRAMS, entry.path, file)
            if reading.packages or reading.unreadable:
                return reading
        return Kind.OTHER, ""

    def _listed(self, database: Database, path: str, file: BinaryIO) -> DatabaseReading:
        listing = database.parse(path, file)
        self._packages += len(listing.packages)
        self._count(sum(len(path) for paths in listing.owned.values() for path in paths))
        self._count(sum(map(len, listing.content_sets)))
        if self._packages > MAX_KEPT:
            raise exceeded(f"it lists more than {MAX_KEPT} packages")
        return DatabaseReading(
            database.name,
            listing.packages,
            listing.unreadable,
            listing.owned,
            listing.licences,
            listing.content_sets,
        )

    def _keep(self, path: str) -> None:
        self._kept += 1
        if self._kept > MAX_KEPT:
            raise exceeded(f"it removes or holds more than {MAX_KEPT} paths of interest")
        self._count(len(path))

    def _count(self, characters: int) -> None:
        self._kept_bytes += characters
        if self._kept_bytes > MAX_KEPT_BYTES:
            raise exceeded(f"its paths of interest have more than {MAX_KEPT_BYTES} characters")

    def reading(self, count: int, uncompressed: int, skipped: int) -> LayerReading:
        """Conclude the layer; the arguments are the archive's counts."""
        nodes = {
            path: node
            for path, (turn, node) in sorted(self._nodes.items())
            if not any(self._cuts.get(folder, 0) > turn for folder in parents(path))
        }

        def of(kind: Kind) -> dict[str, str]:
            return {
                path: node[1]
                for path, node in nodes.items()
                if isinstance(node, tuple) and node[0] is kind
            }

        return LayerReading(
            databases={p: node for p, node in nodes.items() if isinstance(node, DatabaseReading)},
            system_files={p: node for p, node in nodes.items() if isinstance(node, bytes)},
            links=of(Kind.SYMLINK),
            hard_links=of(Kind.HARD_LINK),
            folders=tuple(of(Kind.DIRECTORY)),
            others=tuple(of(Kind.OTHER)),
            removed=tuple(sorted(self._removed)),
            opaque=tuple(sorted(self._opaque)),
            entries=count,
            uncompressed_size=uncompressed,
            skipped=skipped + self._skipped,
        )


def encode(reading: LayerReading) -> bytes:
    """Encode a reading for storage: JSON, compressed with zstd."""
    return zstandard.ZstdCompressor().compress(msgspec.json.encode(reading))


def decode(data: bytes) -> LayerReading:
    """Decode what `encode` made.

    Raises:
        Failure: `ARCHIVE_CORRUPT` if it is something else, for instance of another version.
    """
    try:
        if zstandard.frame_content_size(data) > _MAX_READING:
            raise corrupt("what was stored of it is too large")
        text = zstandard.ZstdDecompressor().decompress(data, max_output_size=_MAX_READING)
        return msgspec.json.decode(text, type=LayerReading)
    except (zstandard.ZstdError, msgspec.DecodeError, msgspec.ValidationError) as error:
        raise corrupt(f"what was stored of it is damaged ({error})") from error
