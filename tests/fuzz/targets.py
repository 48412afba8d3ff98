"""The readers of what comes from outside, as functions over bytes, and what they may do.

A reader may give what it found, or raise `Failure` with one of the codes that it documents. What it
gives must be fit to be stored, and neither may take more than `SECONDS` or `MEMORY`.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from customhouse.analysis import archives, feeds, inventory, layers, saved, systems, vex
from customhouse.analysis.ecosystems import (
    SCHEMES,
    apk,
    binaries,
    dotnet,
    dpkg,
    java,
    node,
    php,
    python,
    rpm,
    ruby,
    version_key,
)
from customhouse.analysis.feeds import bundle, debian_tracker, epss, kev, secdb, updateinfo
from customhouse.analysis.feeds.advisory import NOT_AFFECTED, UNFIXED, Advisory
from customhouse.analysis.feeds.document import Document, Rejected
from customhouse.analysis.sbom import coordinates, documents
from customhouse.errors import Code, Failure
from tests.fuzz import mutations

if TYPE_CHECKING:
    from customhouse.analysis.ecosystems import Database, Listing
    from tests.fuzz.mutations import Mutate

MAX_INPUT = 64 * 1024
"""Bytes of an input."""

SECONDS = 2.0
"""CPU seconds that an input may take."""

MEMORY = 96 * 1024**2
"""Bytes of Python's memory that an input may take at its peak."""

_ARCHIVE = frozenset({Code.ARCHIVE_CORRUPT, Code.ARCHIVE_LIMIT})
_MANIFEST = frozenset(code for code in Code if code.name.startswith("MANIFEST_"))
_SAVED = _ARCHIVE | _MANIFEST | {Code.SAVED_IMAGE_CORRUPT, Code.ANALYSIS_UNSUPPORTED}


@dataclass(frozen=True, slots=True)
class Target:
    """A reader.

    Attributes:
        run: reads an input; what it gives was checked.
        codes: of the failures that it may end in.
        mutate: changes an input in the terms of its form, or None for bytes alone.
    """

    run: Callable[[bytes], object]
    codes: frozenset[Code] = frozenset()
    mutate: Mutate | None = None

    def check(self, content: bytes) -> None:
        """Read an input; raises whatever the reader must not."""
        try:
            self.run(content)
        except Failure as failure:
            if failure.code not in self.codes or not 0 < len(failure.message) < 2000:
                raise
            failure.message.encode()


def texts(value: object) -> Iterator[str]:
    """The texts in a value that is made of plain types."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from texts(key)
            yield from texts(inner)
    elif isinstance(value, Iterable) and not isinstance(value, bytes):
        for inner in value:
            yield from texts(inner)


def storable(value: object) -> None:
    """Check that a database can store all texts of a value: UTF-8, and no zero."""
    for text in texts(msgspec.to_builtins(value)):
        assert "\0" not in text, text
        text.encode()


def _listed(listing: Listing) -> None:
    assert listing.unreadable >= 0
    for package in listing.packages:
        assert package.name
        assert package.version
    storable(listing.packages)
    msgspec.json.encode(listing)


def _file(database: Database, path: str, content: bytes) -> None:
    _listed(database.parse(path, io.BytesIO(content)))


def _layer(content: bytes) -> None:
    reading = layers.read_layer(io.BytesIO(content))
    assert layers.decode(layers.encode(reading)) == reading
    storable(inventory.merge([("sha256:a", reading), ("sha256:b", reading)]).packages)


def _system(content: bytes) -> None:
    for path in systems.FILES:
        storable(systems.recognise({path: content}))
    storable(systems.recognise(dict.fromkeys(systems.FILES, content)))


def _versions(content: bytes) -> None:
    for text in content.decode("utf-8", "replace").split("\n")[:100]:
        for scheme in SCHEMES:
            try:
                key = version_key(scheme, text)
            except Failure as failure:
                if failure.code is not Code.VERSION_INVALID:
                    raise
                continue
            assert b"" < key < UNFIXED


def _advisory(advisory: Advisory) -> None:
    for row in advisory.affected:
        assert row.introduced < row.fixed or row.status == NOT_AFFECTED
        assert row.fixed <= UNFIXED
    assert all(each.count > 0 for each in (*advisory.skipped, *advisory.rejected))
    storable(msgspec.structs.replace(advisory, affected=()))
    storable([msgspec.structs.replace(row, introduced=b"", fixed=b"") for row in advisory.affected])


def _records(found: Iterable[Advisory | Rejected]) -> None:
    for each in found:
        if isinstance(each, Advisory):
            _advisory(each)
        else:
            storable(each)
            assert each.reason


def _scores(content: bytes) -> None:
    epss.recognises(content)
    for score in epss.scores(content):
        assert 0 <= score.probability < 10
        assert score.percentile is None or 0 <= score.percentile < 10


def _catalogue(content: bytes) -> None:
    kev.recognises(content)
    storable(kev.entries(content))


def _bill(content: bytes) -> None:
    found = documents.read(content)
    for entry in found.entries:
        for own in ("", "Debian:12"):
            made = coordinates.to_package(
                entry.purl, title=entry.title, licence=entry.licence, own=own
            )
            storable((str(entry.purl), entry.title, entry.licence, made))


def _with_file(name: str, read: Callable[[Path], None], content: bytes) -> None:
    """Read an input that has to be a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        read(path)


def _feed(path: Path) -> None:
    _records(feeds.load(path))
    feeds.survey(path)


def _bundle(path: Path) -> None:
    target = path.parent / "to"
    target.mkdir()
    bundle.unpack(path, target)
    assert {each.name for each in path.parent.iterdir()} == {path.name, "to"}


def _saved(path: Path) -> None:
    with archives.opened(path) as files:
        for image in saved.images(files, None)[:10]:
            storable((image.name, image.digest, image.platform))
            for layer in image.layers[:10]:
                with layer.open() as stream:
                    layers.read_layer(stream, media_type=layer.media_type)


def _feed_of(form: Callable[[list[Document]], Iterable[Advisory | Rejected]]) -> Target:
    return Target(lambda content: _records(form([Document("x", content)])), mutate=mutations.json)


_JSON = mutations.json
_TAR = mutations.tar

TARGETS: Mapping[str, Target] = {
    "apk": Target(partial(_file, apk.DATABASE, "lib/apk/db/installed"), _ARCHIVE),
    "bundle": Target(
        partial(_with_file, "b.tar", _bundle), frozenset({Code.FEED_BUNDLE_INVALID}), _TAR
    ),
    "dotnet": Target(
        partial(_file, dotnet.DATABASE, "shared/a.b/8.0.1/a.b.deps.json"), mutate=_JSON
    ),
    "dpkg": Target(partial(_file, dpkg.DATABASE, "var/lib/dpkg/status"), _ARCHIVE),
    "dpkg-list": Target(partial(_file, dpkg.FILES, "var/lib/dpkg/info/a.list")),
    "epss": Target(_scores, frozenset({Code.FEED_INVALID})),
    "feed-file": Target(
        partial(_with_file, "f.json", _feed), frozenset({Code.FEED_INVALID}), _JSON
    ),
    "feed-zip": Target(partial(_with_file, "f.zip", _feed), frozenset({Code.FEED_INVALID})),
    "java": Target(partial(_file, java.DATABASE, "opt/a-1.0.jar")),
    "kev": Target(_catalogue, frozenset({Code.FEED_INVALID}), _JSON),
    "layer": Target(_layer, _ARCHIVE, _TAR),
    "layer-gzip": Target(_layer, _ARCHIVE),
    "layer-zstd": Target(_layer, _ARCHIVE),
    "node": Target(partial(_file, node.DATABASE, "node_modules/a/package.json"), mutate=_JSON),
    "php": Target(partial(_file, php.DATABASE, "composer/installed.json"), mutate=_JSON),
    "program": Target(partial(_file, binaries.DATABASE, "bin/x")),
    "python": Target(partial(_file, python.DATABASE, "a.dist-info/METADATA")),
    "record": Target(
        lambda content: _advisory(feeds.parse(content)), frozenset({Code.ADVISORY_INVALID}), _JSON
    ),
    "rpm-bdb": Target(partial(_file, rpm.DATABASE, "var/lib/rpm/Packages"), _ARCHIVE),
    "rpm-ndb": Target(partial(_file, rpm.DATABASE, "var/lib/rpm/Packages.db"), _ARCHIVE),
    "rpm-sqlite": Target(partial(_file, rpm.DATABASE, "var/lib/rpm/rpmdb.sqlite"), _ARCHIVE),
    "ruby": Target(partial(_file, ruby.DATABASE, "specifications/a-1.0.gemspec")),
    "saved": Target(partial(_with_file, "i.tar", _saved), _SAVED, _TAR),
    "sbom": Target(_bill, frozenset({Code.SBOM_INVALID}), _JSON),
    "secdb": _feed_of(secdb.read),
    "system": Target(_system),
    "tracker": _feed_of(debian_tracker.read),
    "updateinfo": Target(
        lambda content: _records(updateinfo.read([Document("x", content)], "Amazon Linux:2023"))
    ),
    "versions": Target(_versions),
    "vex": Target(
        lambda content: storable(vex.parse(content)), frozenset({Code.VEX_INVALID}), _JSON
    ),
}
"""The readers by name."""
