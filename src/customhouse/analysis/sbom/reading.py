"""Reading of the bills of materials that are pushed as referrers of images.

Sources: OCI distribution spec 1.1, "Listing Referrers"; BuildKit's "Image attestation storage" for
the manifests that it puts into indexes; cosign's specification of its tags.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import structlog
from sqlalchemy import select

from customhouse.analysis import images
from customhouse.analysis.inventory import MAX_PACKAGES, Inventory, InventoryPackage
from customhouse.analysis.packages import INVENTORY_PACKAGE, PACKAGE
from customhouse.analysis.sbom import attached, coordinates, documents, publishing
from customhouse.analysis.sbom.attached import LAYER_INDEX, Link
from customhouse.analysis.systems import System, names
from customhouse.errors import Failure
from customhouse.oci import Kind, parse_manifest
from customhouse.registry import manifests

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from customhouse.analysis.ecosystems import Package
    from customhouse.analysis.sbom.documents import Entry
    from customhouse.blobstore import BlobStore
    from customhouse.database import Database, Transaction
    from customhouse.oci import Descriptor, Manifest
    from customhouse.workflows.subscription import Step

_log = structlog.get_logger()

IN_TOTO = "application/vnd.in-toto+json"
_BILLS = frozenset({"application/spdx+json", "application/vnd.cyclonedx+json", "text/spdx+json"})
_PREDICATE_TYPE = "in-toto.io/predicate-type"
_REFERENCE, _REFERENCE_TYPE = "vnd.docker.reference.digest", "vnd.docker.reference.type"
_MAX_DOCUMENTS = 8
_MAX_LINKS = 100


class Own(NamedTuple):
    """What an image tells of itself.

    Attributes:
        ecosystem: of its system; may be empty.
        packages: names and versions of what it holds.
    """

    ecosystem: str = ""
    packages: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads what is attached to images."""

    database: Database
    store: BlobStore

    def pushed(self, step: Step, repository: str, digest: str, tags: list[str]) -> None:
        """Of the workflow of a push: read the bills in a manifest."""
        for link in step("find bills", self.database.read, links, repository, digest, tags):
            step(f"read {link.referrer} of {link.image}", self._read, link)

    def analysed(self, step: Step, digest: str) -> None:
        """Of the workflow of an analysis: read the bills again, now that the system is known."""
        for link in step("find bills", self.database.read, attached.of_image, digest):
            step(f"read {link.referrer} in {link.repository}", self._read, link)

    def removed(self, step: Step, repository: str, digest: str, tag: str) -> None:
        """Of the workflow of a deletion, of a manifest or, if one is named, of a tag."""
        step("forget", self.database.write, attached.remove, repository, digest, tag)

    def _read(self, link: Link) -> None:
        manifest = self.database.read(_manifest, link.repository, link.referrer)
        if manifest is None:
            return
        own = self.database.read(_own, link.image)
        entries: list[Entry] = []
        for layer in _documents(manifest):
            try:
                entries += documents.read(self._content(layer)).entries
            except (Failure, OSError) as error:
                reason = error.message if isinstance(error, Failure) else error.strerror
                _log.info("an SBOM is not read", referrer=link.referrer, reason=reason)
            if len(entries) > MAX_PACKAGES:
                reason = f"there are more than {MAX_PACKAGES} packages"
                _log.info("an SBOM is not read", referrer=link.referrer, reason=reason)
                return
        found = inventory(entries, link.referrer, own)
        if entries and not self.database.write(attached.put, link, found):
            _log.info("an SBOM does not count", referrer=link.referrer, image=link.image)

    def _content(self, layer: Descriptor) -> bytes:
        with self.store.open(layer.digest) as file:
            return file.read(documents.MAX_BYTES + 1)


def inventory(entries: Sequence[Entry], referrer: str, own: Own) -> Inventory:
    """Make an inventory of what a document lists.

    Packages of a system whose release is not told are left out: nothing is known about them. So
    are those that the image's own database has: it tells more, such as who made them.

    Args:
        entries: the packages.
        referrer: the digest of the manifest that has the document: their layer.
        own: what the image tells of itself.
    """
    made = (
        coordinates.to_package(it.purl, title=it.title, licence=it.licence, own=own.ecosystem)
        for it in entries
    )
    kept = (
        it
        for it in made
        if it
        and it.ecosystem
        and (it.ecosystem in coordinates.LANGUAGES or (it.name, it.version) not in own.packages)
    )
    found = list(dict.fromkeys(kept))
    system = _system(found)
    if system:
        found = [
            replace(it, ecosystem="") if it.ecosystem == system.ecosystem else it for it in found
        ]
    found.sort(key=_order)
    listed = tuple(
        InventoryPackage(it, "sbom", f"SBOM {referrer}", referrer, LAYER_INDEX) for it in found
    )
    canonical = msgspec.json.encode((system, listed))
    return Inventory(system, listed, (), f"sha256:{hashlib.sha256(canonical).hexdigest()}")


def _order(package: Package) -> tuple[str, ...]:
    return package.name, package.version, package.arch, package.ecosystem, package.source


def _system(found: list[Package]) -> System | None:
    """The system that most packages of systems are of."""
    counts = Counter(it.ecosystem for it in found if it.ecosystem not in coordinates.LANGUAGES)
    if not counts:
        return None
    ecosystem = max(sorted(counts), key=lambda each: counts[each])
    release = coordinates.distribution(ecosystem, "").release
    identifier, _, version = release.rpartition("-")
    also = names.suse_modules(ecosystem)
    return System(identifier or release, version, release, ecosystem, also)


def _own(tx: Transaction, image: str) -> Own:
    analysis = images.get(tx, [image])[image]
    rows = tx.execute(
        select(PACKAGE.c.name, PACKAGE.c.version)
        .join(INVENTORY_PACKAGE)
        .where(INVENTORY_PACKAGE.c.inventory_id == analysis.inventory_id)
    )
    ecosystem = (analysis.system and analysis.system.ecosystem) or ""
    return Own(ecosystem, frozenset((row.name, row.version) for row in rows))


def links(tx: Transaction, repository: str, digest: str, tags: list[str]) -> list[Link]:
    """Tell what a manifest that was pushed, or those in an index, tell of which images."""
    manifest = _manifest(tx, repository, digest)
    if manifest is None or publishing.is_ours(tx, repository, digest):
        return []
    if manifest.kind is Kind.INDEX:
        return list(_in_index(tx, repository, manifest))
    if not _documents(manifest):
        return []
    found = [Link(repository, attached.image_of(tag), digest, tag) for tag in tags]
    found = [link for link in found if link.image]
    if manifest.subject:
        found.append(Link(repository, manifest.subject.digest, digest))
    return found[:_MAX_LINKS]


def _in_index(tx: Transaction, repository: str, index: Manifest) -> Iterator[Link]:
    children = {child.digest for child in index.children}
    named = ((child.digest, child.annotations or {}) for child in index.children)
    about = (
        (digest, annotations[_REFERENCE])
        for digest, annotations in named
        if annotations.get(_REFERENCE_TYPE) == "attestation-manifest"
        and annotations.get(_REFERENCE) in children
    )
    for digest, image in islice(about, _MAX_LINKS):
        manifest = _manifest(tx, repository, digest)
        if manifest and _documents(manifest):
            yield Link(repository, image, digest)


def _manifest(tx: Transaction, repository: str, digest: str) -> Manifest | None:
    row = manifests.get(tx, repository, digest)
    return None if row is None else parse_manifest(row[2], row[1], digest)


def _documents(manifest: Manifest) -> list[Descriptor]:
    """The layers that are bills, as far as their descriptors tell."""
    all_are = _plain(manifest.artifact_type) in _BILLS
    found = [layer for layer in manifest.layers if all_are or _is_bill(layer)]
    return found[:_MAX_DOCUMENTS]


def _is_bill(layer: Descriptor) -> bool:
    predicate = (layer.annotations or {}).get(_PREDICATE_TYPE, documents.PREDICATES[0])
    kind = _plain(layer.media_type)
    return kind in _BILLS or (kind == IN_TOTO and predicate.startswith(documents.PREDICATES))


def _plain(media_type: str) -> str:
    return media_type.partition(";")[0].strip().lower()
