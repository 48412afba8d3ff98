"""VEX documents that are pushed as referrers of an image (OCI distribution spec, "Referrers").

What is taken is an image manifest with a subject whose artifact type, or whose layer's media type,
says that it is a VEX document:

- `application/vnd.openvex+json` and `application/csaf+json`; with one of these as the artifact
  type, as `oras attach` writes it, the layer may have any type;
- `application/vnd.in-toto+json` (a statement, bare or in a DSSE envelope), also as
  `application/vnd.dsse.envelope.v1+json`, and Sigstore's bundles: what cosign 3 and Docker Scout
  push. Where an annotation `in-toto.io/predicate-type` or `predicateType` tells of something else
  than OpenVEX, it is not read.

Not taken: the tags `sha256-....att` of cosign 2, and BuildKit's attestations in an index.

Whoever may push to a repository may speak for its images: only referrers in the image's own
repository count, and what they say is shown with who pushed it. Signatures are not judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from customhouse.analysis import vex
from customhouse.analysis.exceptions import statements
from customhouse.analysis.exceptions.model import Origin, Place
from customhouse.analysis.exceptions.statements import Source
from customhouse.analysis.feeds.document import MAX_DOCUMENT
from customhouse.analysis.vex import intoto
from customhouse.database import now
from customhouse.errors import Failure
from customhouse.names import split_project
from customhouse.oci import Kind, parse_manifest
from customhouse.registry import manifests

if TYPE_CHECKING:
    from customhouse.analysis.exceptions.statements import Outcome
    from customhouse.blobstore import BlobStore
    from customhouse.database import Database, Transaction
    from customhouse.events import ManifestDeleted, ManifestPushed
    from customhouse.oci import Descriptor, Manifest
    from customhouse.workflows.subscription import Step

_log = structlog.get_logger()

_DOCUMENTS: Final = frozenset({"application/vnd.openvex+json", "application/csaf+json"})
_ATTESTATIONS: Final = frozenset(
    {"application/vnd.in-toto+json", "application/vnd.dsse.envelope.v1+json"}
)
_BUNDLE: Final = "application/vnd.dev.sigstore.bundle"
_PREDICATES: Final = ("in-toto.io/predicate-type", "predicateType")
_MAX_LAYERS: Final = 10


@dataclass(frozen=True, slots=True)
class Attachments:
    """Reads VEX documents that were pushed, and forgets those that were deleted.

    Args:
        database: where exceptions are.
        store: where the content is.
    """

    database: Database
    store: BlobStore

    def is_about(self, event: ManifestPushed | ManifestDeleted) -> bool:
        """Whether a manifest that was pushed or deleted is one that is read, or was."""
        row = self.database.read(manifests.get, event.repository, event.digest)
        if row is not None and documents(parse_manifest(row[2], row[1], event.digest)):
            return True
        return self.database.read(statements.is_stored, event.repository, event.digest)

    def run(self, step: Step, repository: str, digest: str) -> None:
        """The workflow: bring what is stored of a manifest to whether the repository holds it.

        So it does not matter in which order a push and a deletion are worked off, or how often.
        """
        step("bring up to date", self._update, repository, digest)

    def _update(self, repository: str, digest: str) -> None:
        row = self.database.read(manifests.get, repository, digest)
        if row is None:
            self.database.write(_forget, repository, digest)
            return
        manifest = parse_manifest(row[2], row[1], digest)
        layers = documents(manifest)
        if not layers or self.database.read(statements.is_stored, repository, digest):
            return
        try:
            found = [vex.parse(self._content(layer)) for layer in layers]
            outcome = self.database.write(_store, found, repository, manifest)
        except (Failure, OSError) as error:
            reason = error.message if isinstance(error, Failure) else type(error).__name__
            _log.warning("a VEX document is left out", image=f"{repository}@{digest}", why=reason)
            return
        if outcome is not None:
            told = {"stored": outcome.stored, "skipped": outcome.skipped}
            _log.info("a VEX document was read", image=f"{repository}@{digest}", **told)

    def _content(self, layer: Descriptor) -> bytes:
        with self.store.open(layer.digest) as stream:
            return stream.read(MAX_DOCUMENT + 1)


def documents(manifest: Manifest) -> list[Descriptor]:
    """The layers of a referrer that are VEX documents, or may be; see the module."""
    if manifest.kind is not Kind.IMAGE or manifest.subject is None:
        return []
    is_document = manifest.artifact_type in _DOCUMENTS
    return [
        layer
        for layer in manifest.layers[:_MAX_LAYERS]
        if layer.size <= MAX_DOCUMENT
        and (
            is_document
            or layer.media_type in _DOCUMENTS
            or (_is_attestation(layer, manifest) and _may_be_vex(layer, manifest))
        )
    ]


def _store(
    tx: Transaction, found: list[vex.Vex], repository: str, manifest: Manifest
) -> Outcome | None:
    """Store what a referrer says, unless it was deleted meanwhile."""
    owner = manifests.pushed_by(tx, repository, manifest.digest)
    if owner is None or manifest.subject is None:
        return None
    place = Place(split_project(repository)[0], repository, manifest.subject.digest)
    source = Source(place, Origin.REFERRER, owner, manifest.digest)
    return statements.replace(tx, found, source, now())


def _forget(tx: Transaction, repository: str, digest: str) -> None:
    """Forget what a referrer said, unless it was pushed again meanwhile."""
    if manifests.pushed_by(tx, repository, digest) is None:
        place = Place(split_project(repository)[0], repository)
        statements.remove(tx, place, Origin.REFERRER, digest)


def _is_attestation(layer: Descriptor, manifest: Manifest) -> bool:
    return any(
        media_type in _ATTESTATIONS or media_type.startswith(_BUNDLE)
        for media_type in (layer.media_type, manifest.artifact_type)
    )


def _may_be_vex(layer: Descriptor, manifest: Manifest) -> bool:
    annotations = (layer.annotations or {}, manifest.annotations)
    told = [each[key] for each in annotations for key in _PREDICATES if key in each]
    return not told or any(map(intoto.is_vex, told))
