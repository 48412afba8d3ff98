"""Bills of materials that are pushed beside images, in projects that want them.

OCI image spec 1.1, "Guidelines for artifact usage": a manifest whose `artifactType` is SPDX's, with
the empty config, whose subject is the image.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import Column, ForeignKey, Index, Integer, Table, delete, select

from customhouse.analysis import images
from customhouse.analysis.occurrences import Resource
from customhouse.analysis.packages import INVENTORY
from customhouse.analysis.sbom import contents, spdx
from customhouse.database import METADATA, Name, upsert
from customhouse.events import ManifestPushed
from customhouse.iam import services
from customhouse.names import split_project
from customhouse.oci import OCI_MANIFEST, digest_of, parse_manifest
from customhouse.registry import blobs, manifests, repositories, tags
from customhouse.registry.manifests import MANIFEST, REPOSITORY_MANIFEST, ImageFacts
from customhouse.registry.repositories import REPOSITORY
from customhouse.workflows import outbox

if TYPE_CHECKING:
    from customhouse.blobstore import BlobStore
    from customhouse.database import Database, Transaction
    from customhouse.workflows.subscription import Step

# At most one for each image; it is replaced when the image's inventory is another one.
SBOM_REFERRER = Table(
    "sbom_referrer",
    METADATA,
    Column(
        "repository_id",
        Integer,
        ForeignKey(REPOSITORY.c.id, ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("image_digest", Name, primary_key=True),
    Column("referrer_digest", Name, nullable=False),
    Column("inventory_id", Integer, ForeignKey(INVENTORY.c.id), nullable=False, index=True),
    Index("ix_sbom_referrer_referrer", "repository_id", "referrer_digest"),
)

_EMPTY = b"{}"
_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
_FILE = "sbom.spdx.json"
_PAGE = 500


class _Wanted(NamedTuple):
    """What is to be pushed."""

    repository: str
    image: str
    inventory: int
    bill: bytes
    manifest: bytes
    principal: str


def is_ours(tx: Transaction, repository: str, referrer: str) -> bool:
    """Whether a manifest is a bill of materials that was written here."""
    found = tx.execute(
        select(SBOM_REFERRER.c.image_digest)
        .join(REPOSITORY)
        .where(REPOSITORY.c.name == repository, SBOM_REFERRER.c.referrer_digest == referrer)
    )
    return found.first() is not None


def is_known(tx: Transaction, repository: str, digest: str) -> bool:
    """Whether a manifest is a bill that was written here, or was an image that has one."""
    found = tx.execute(
        select(SBOM_REFERRER.c.image_digest)
        .join(REPOSITORY)
        .where(REPOSITORY.c.name == repository, SBOM_REFERRER.c.image_digest == digest)
    )
    return found.first() is not None or is_ours(tx, repository, digest)


@dataclass(frozen=True, slots=True)
class Publisher:
    """Pushes bills of materials.

    Attributes:
        database: the database.
        store: where their bytes go.
        public_url: of the server, which the image is named by; may be empty.
        domain: what addresses of service accounts end with.
    """

    database: Database
    store: BlobStore
    public_url: str
    domain: str

    def pushed(self, step: Step, repository: str, digest: str) -> None:
        """Of the workflow of a push: an image may have been analysed in another repository."""
        step("publish", self._publish, repository, digest)

    def analysed(self, step: Step, digest: str) -> None:
        """Of the workflow of an analysis: push a bill to every repository that wants it."""
        after = ""
        while True:
            names = step(f"find after {after}", self.database.read, holders, digest, after)
            for name in names:
                step(f"publish in {name}", self._publish, name, digest)
            if len(names) < _PAGE:
                return
            after = names[-1]

    def deleted(self, step: Step, repository: str, digest: str) -> None:
        """Of the workflow of a deletion: an image's bill goes with it."""
        step("withdraw", self.database.write, _withdraw, repository, digest, self.domain)

    def _publish(self, repository: str, digest: str) -> None:
        host = urlsplit(self.public_url).netloc
        wanted = self.database.read(_wanted, repository, digest, host, self.domain)
        if wanted is not None:
            self._store(repository, _EMPTY)
            self._store(repository, wanted.bill)
            self.database.write(_push, wanted)

    def _store(self, repository: str, content: bytes) -> None:
        upload = self.store.create_upload(repository, "sha256")
        with self.store.open_upload(repository, upload) as file:
            file.write([content])
            file.finish(digest_of(content))


def holders(tx: Transaction, digest: str, after: str = "") -> list[str]:
    """Names of repositories that hold a manifest and want bills, those after one, in order."""
    return list(
        tx.scalars(
            select(REPOSITORY.c.name)
            .select_from(MANIFEST.join(REPOSITORY_MANIFEST).join(REPOSITORY))
            .where(
                MANIFEST.c.digest == digest,
                REPOSITORY.c.name > after,
                REPOSITORY.c.project.in_(services.projects_with(services.SBOMS)),
            )
            .order_by(REPOSITORY.c.name)
            .limit(_PAGE)
        )
    )


def lacks(tx: Transaction, repository: str, digest: str) -> bool:
    """Whether a manifest is an image that was analysed and lacks the bill that it should have."""
    if not services.is_enabled(tx, split_project(repository)[0], services.SBOMS):
        return False
    row = manifests.get(tx, repository, digest)
    if row is None or not parse_manifest(row[2], row[1], digest).is_runnable:
        return False
    inventory = images.get(tx, [digest])[digest].inventory_id
    return inventory not in {None, _published(tx, repository, digest)}


def _wanted(
    tx: Transaction, repository: str, digest: str, host: str, domain: str
) -> _Wanted | None:
    """What is to be pushed beside an image; None if nothing is, or it is there."""
    row = manifests.get(tx, repository, digest)
    inventory = images.get(tx, [digest])[digest].inventory_id
    if row is None or inventory is None or not lacks(tx, repository, digest):
        return None
    project = split_project(repository)[0]
    found = contents.of_image(tx, Resource(host, project, repository, digest))
    created = datetime.datetime.fromtimestamp(found.created / 1_000_000, datetime.UTC)
    bill = spdx.write(found)
    layer = _descriptor(spdx.MEDIA_TYPE, bill)
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": spdx.MEDIA_TYPE,
        "config": _descriptor(_EMPTY_TYPE, _EMPTY),
        "layers": [layer | {"annotations": {"org.opencontainers.image.title": _FILE}}],
        "subject": {"mediaType": row[1], "digest": digest, "size": len(row[2])},
        "annotations": {"org.opencontainers.image.created": created.strftime("%Y-%m-%dT%H:%M:%SZ")},
    }
    manifest = msgspec.json.encode(document)
    return _Wanted(repository, digest, inventory, bill, manifest, _agent(tx, project, domain))


def _descriptor(media_type: str, content: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def _agent(tx: Transaction, project: str, domain: str) -> str:
    service = services.SERVICES[services.SCANNING]
    return f"serviceAccount:{services.agent(tx, project, service, domain)}"


def _published(tx: Transaction, repository: str, image: str) -> int | None:
    """The inventory that an image's bill is of, if the bill is there."""
    return tx.execute(
        select(SBOM_REFERRER.c.inventory_id)
        .select_from(
            SBOM_REFERRER.join(REPOSITORY)
            .join(MANIFEST, MANIFEST.c.digest == SBOM_REFERRER.c.referrer_digest)
            .join(
                REPOSITORY_MANIFEST,
                (REPOSITORY_MANIFEST.c.manifest_id == MANIFEST.c.id)
                & (REPOSITORY_MANIFEST.c.repository_id == REPOSITORY.c.id),
            )
        )
        .where(REPOSITORY.c.name == repository, SBOM_REFERRER.c.image_digest == image)
    ).scalar()


def _push(tx: Transaction, wanted: _Wanted) -> None:
    """Let the repository hold a bill in place of the one before, unless the image is gone."""
    number = repositories.find(tx, wanted.repository)
    if number is None:
        return
    repositories.hold(tx, number)
    if manifests.held(tx, number, wanted.image) is None:
        return
    for content in (_EMPTY, wanted.bill):
        blobs.link(tx, number, digest_of(content), len(content))
    manifest = parse_manifest(wanted.manifest, OCI_MANIFEST)
    before = _referrer(tx, number, wanted.image)
    values = {
        "repository_id": number,
        "image_digest": wanted.image,
        "referrer_digest": manifest.digest,
        "inventory_id": wanted.inventory,
    }
    upsert(tx, SBOM_REFERRER, ["repository_id", "image_digest"], [values])
    by = wanted.principal
    _, is_new = manifests.put(tx, number, manifest, wanted.manifest, ImageFacts(), by)
    if is_new:
        event = ManifestPushed(wanted.repository, manifest.digest, [], by, is_new=True)
        outbox.append(tx, event)
    if before and before != manifest.digest:
        _remove(tx, number, wanted.repository, before, by)


def _referrer(tx: Transaction, repository_id: int, image: str) -> str | None:
    return tx.execute(
        select(SBOM_REFERRER.c.referrer_digest).where(
            SBOM_REFERRER.c.repository_id == repository_id, SBOM_REFERRER.c.image_digest == image
        )
    ).scalar()


def _withdraw(tx: Transaction, repository: str, image: str, domain: str) -> None:
    """Remove an image's bill, and what is known of one that somebody else removed."""
    number = repositories.find(tx, repository)
    if number is None:
        return
    repositories.hold(tx, number)
    here = SBOM_REFERRER.c.repository_id == number
    tx.execute(delete(SBOM_REFERRER).where(here, SBOM_REFERRER.c.referrer_digest == image))
    referrer = _referrer(tx, number, image)
    if referrer is None or manifests.held(tx, number, image) is not None:
        return
    tx.execute(delete(SBOM_REFERRER).where(here, SBOM_REFERRER.c.image_digest == image))
    _remove(tx, number, repository, referrer, _agent(tx, split_project(repository)[0], domain))


def _remove(tx: Transaction, number: int, repository: str, referrer: str, by: str) -> None:
    """Remove a bill, with its tags and its bytes, unless it is part of an index."""
    held = manifests.held(tx, number, referrer)
    row = manifests.get(tx, repository, referrer)
    if held is None or row is None or manifests.user(tx, number, referrer) is not None:
        return
    names = tags.remove_all_of(tx, number, held, by)
    manifests.remove(tx, number, repository, referrer, names, by)
    # The empty config stays: somebody may be about to push a manifest that has it.
    for part in parse_manifest(row[2], row[1], referrer).layers:
        if manifests.user(tx, number, part.digest) is None:
            blobs.unlink(tx, number, part.digest)
