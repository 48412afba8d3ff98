"""The inventory of an image: what its layers contribute, applied one on top of the other."""

from __future__ import annotations

import hashlib
import posixpath
from dataclasses import dataclass, replace
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING

import msgspec

from customhouse.analysis.compression import exceeded
from customhouse.analysis.ecosystems import DATABASES, Package, dpkg
from customhouse.analysis.layers import DatabaseReading, LayerReading, parents
from customhouse.analysis.systems import FILES, System, recognise
from customhouse.analysis.thirdparty import is_third_party

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

MAX_PACKAGES = 100_000
"""Packages that one image may have."""

_SYSTEMS = frozenset(database.name for database in DATABASES if database.is_system)
_MAX_HOPS = 10  # links that are followed on the way to a file; real ones need three


class InventoryPackage(msgspec.Struct, frozen=True):
    """A package in an image.

    Attributes:
        package: as its database describes it.
        database: name of the kind of database.
        path: of the database's file, links resolved.
        layer: digest of the layer that brought it: the first one of those, up to the top, in which
            the database at that path listed this name, version and architecture without a break.
        layer_index: where that layer stands, counted from 0 at the bottom.
    """

    package: Package
    database: str
    path: str
    layer: str
    layer_index: int


class Inventory(msgspec.Struct, frozen=True):
    """What an image holds.

    Attributes:
        system: the operating system, None if nothing tells.
        packages: in order of name, architecture and version; one that several files list is here
            once, as that of the lowest layer.
        databases: paths of the files that list the system's. An image without any is not one
            without packages of its system: nothing is known of these.
        digest: `sha256:` and the hash of all of the above; equal inventories have equal ones.
        content_sets: repositories that packages are from, as far as the files in the image tell.
            What follows from them is part of the system.
    """

    system: System | None
    packages: tuple[InventoryPackage, ...]
    databases: tuple[str, ...]
    digest: str
    content_sets: tuple[str, ...] = ()


def merge(layers: Iterable[tuple[str, LayerReading]]) -> Inventory:
    """Apply layers one on top of the other and take stock of the result.

    A file that a package of the system owns is that package, and not one of a language once more,
    unless the package is a third party's or the system unknown, which no advisories are about.

    A path whose folder is a symbolic link, in the same layer or one below, stands where the link
    leads. Whiteouts act on lower layers only.

    Args:
        layers: digest and reading of each, the bottom one first; each is looked at once.

    Raises:
        Failure: `ARCHIVE_LIMIT` if the image has more than `MAX_PACKAGES` packages.
    """
    image = _Image()
    digests: list[str] = []
    for index, (digest, reading) in enumerate(layers):
        digests.append(digest)
        image.apply(index, reading)
        if image.size() > MAX_PACKAGES:
            raise exceeded(f"the image has more than {MAX_PACKAGES} packages")
    databases = image.databases()
    sets = image.content_sets()
    system = recognise(image.files(), sets)
    # Where no advisories are about the system, what its packages own is judged by itself.
    owned = image.owned(system.id) if system and system.ecosystem else frozenset()
    licences = image.licences()
    found: dict[tuple[str, ...], InventoryPackage] = {}
    for path, database in databases:
        reader = database.reading.reader
        if reader not in _SYSTEMS and path in owned:
            continue
        for package in database.reading.packages:
            index = database.since[_identity(package)]
            key = (*_identity(package), reader)
            if reader == dpkg.SCHEME and (licence := licences.get(package.name)):
                package = replace(package, licence=licence)  # noqa: PLW2901  # the same with more
            if key not in found or index < found[key].layer_index:
                found[key] = InventoryPackage(package, reader, path, digests[index], index)
    packages = tuple(package for _, package in sorted(found.items()))
    paths = tuple(path for path, database in databases if database.reading.reader in _SYSTEMS)
    canonical = msgspec.json.encode((system, packages, paths))
    digest = f"sha256:{hashlib.sha256(canonical).hexdigest()}"
    return Inventory(system, packages, paths, digest, sets)


def _identity(package: Package) -> tuple[str, str, str]:
    return package.name, package.arch, package.version


@dataclass(frozen=True, slots=True)
class _Database:
    """A database's file as it stands in the image so far.

    Attributes:
        reading: its content.
        since: for each package in it, the index of the layer since which it has been there.
    """

    reading: DatabaseReading
    since: Mapping[tuple[str, str, str], int]


class _Image:
    """The paths of interest of an image, links in their folders resolved, and what is there."""

    def __init__(self) -> None:
        self._contents: dict[str, _Database | bytes] = {}
        self._links: dict[str, str] = {}

    def size(self) -> int:
        """Count the packages in all databases."""
        return sum(
            len(content.reading.packages)
            for content in self._contents.values()
            if isinstance(content, _Database)
        )

    def databases(self) -> list[tuple[str, _Database]]:
        """Give the files of package databases, in the order of their paths."""
        contents = sorted(self._contents.items(), key=itemgetter(0))
        return [(path, content) for path, content in contents if isinstance(content, _Database)]

    def owned(self, system: str) -> set[str]:
        """Give the files that packages of the system, of third parties aside, say are theirs."""
        readings = [database.reading for _, database in self.databases()]
        foreign = {
            package.name
            for reading in readings
            if reading.reader in _SYSTEMS
            for package in reading.packages
            if is_third_party(system, package)
        }
        return self._places(
            path
            for reading in readings
            for name, paths in reading.owned.items()
            if name not in foreign
            for path in paths
        )

    def licences(self) -> dict[str, str]:
        """Give the licences of packages that other files than the system's databases state."""
        return {
            name: licence
            for _, database in self.databases()
            for name, licence in database.reading.licences.items()
        }

    def content_sets(self) -> tuple[str, ...]:
        """Give the content sets that any of the files tells."""
        told = (database.reading.content_sets for _, database in self.databases())
        return tuple(sorted(set(chain.from_iterable(told))))

    def files(self) -> dict[str, bytes]:
        """Give the contents of `systems.FILES`, links followed."""
        found = ((path, self._contents.get(self._follow(path))) for path in FILES)
        return {path: content for path, content in found if isinstance(content, bytes)}

    def apply(self, index: int, reading: LayerReading) -> None:
        """Apply the next layer, whose index is given."""
        below = self._contents
        # What becomes a folder is no link any more, also for what else the layer has in it.
        self._drop(self._places(reading.folders), frozenset())
        removed = self._places(reading.removed)
        others = self._places(reading.others)
        contents: dict[str, DatabaseReading | bytes] = {**reading.system_files, **reading.databases}
        new = self._places((*contents, *reading.links, *reading.hard_links))
        opaque = {self._follow(path) for path in reading.opaque}
        self._drop(removed | others, removed | others | new | opaque)
        for path, target in sorted(reading.links.items()):  # a folder before what is in it
            place = self._place(path)
            self._contents.pop(place, None)
            self._links[place] = target
        for path, content in contents.items():
            self._put(path, content, index)
        for path, target in reading.hard_links.items():
            place = self._place(target)
            self._put(path, self._contents.get(place, below.get(place)), index)

    def _put(
        self, path: str, content: DatabaseReading | _Database | bytes | None, index: int
    ) -> None:
        place = self._place(path)
        self._links.pop(place, None)
        before = self._contents.pop(place, None)
        if isinstance(content, _Database):
            content = content.reading
        if isinstance(content, DatabaseReading):
            earlier = before.since if isinstance(before, _Database) else {}
            identities = map(_identity, content.packages)
            since = {identity: earlier.get(identity, index) for identity in identities}
            self._contents[place] = _Database(content, since)
        elif content is not None:
            self._contents[place] = content

    def _drop(self, paths: AbstractSet[str], folders: AbstractSet[str]) -> None:
        """Forget what is at these paths, and what is below these folders."""

        def stays(path: str) -> bool:
            return path not in paths and folders.isdisjoint(parents(path))

        self._contents = {path: it for path, it in self._contents.items() if stays(path)}
        self._links = {path: it for path, it in self._links.items() if stays(path)}

    def _places(self, paths: Iterable[str]) -> set[str]:
        followed: dict[str, str] = {}  # many paths are in few folders
        places = set()
        for path in paths:
            folder, _, name = path.rpartition("/")
            if folder not in followed:
                followed[folder] = self._follow(folder)
            places.add(f"{followed[folder]}/{name}".lstrip("/"))
        return places

    def _place(self, path: str) -> str:
        """Tell where a path stands once the links in its folder are followed."""
        folder, _, name = path.rpartition("/")
        return f"{self._follow(folder)}/{name}".lstrip("/")

    def _follow(self, path: str) -> str:
        """Follow the links in a path, the last part included; a loop leads to no such path."""
        for _ in range(_MAX_HOPS):
            passed = [link for link in self._links if path == link or path.startswith(f"{link}/")]
            if not passed:
                break
            link = min(passed, key=len)
            target = f"{posixpath.dirname(link)}/{self._links[link]}"
            if self._links[link].startswith("/"):
                target = self._links[link]
            path = posixpath.normpath(f"/{target}{path[len(link) :]}").lstrip("/")
        return path
