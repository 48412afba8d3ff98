"""Repositories with images whose inventories are stored, as an analysis leaves them."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

from customhouse.analysis import findings, images, packages
from customhouse.analysis.images import Status
from customhouse.analysis.inventory import Inventory, merge
from customhouse.analysis.layers import READER_VERSION, read_layer
from customhouse.analysis.occurrences import Resource
from customhouse.blobstore import FileBlobStore
from customhouse.events import ManifestPushed
from customhouse.iam import accounts, policies
from customhouse.iam.permissions import ROOT
from customhouse.iam.roles import ADMINISTRATOR
from customhouse.oci import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, digest_of, parse_manifest
from customhouse.registry import blobs, manifests, repositories, tags
from customhouse.registry.manifests import ImageFacts
from customhouse.workflows import outbox
from tests.analysis.tars import written
from tests.registry.conftest import ANA, PROVISIONER

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from customhouse.database import Database, Transaction

IN_TOTO = "application/vnd.in-toto+json"
SPDX = "application/spdx+json"


def taken(*layers: dict[str, bytes]) -> Inventory:
    """The inventory of an image with these files in its layers."""
    readings = (read_layer(io.BytesIO(written(files))) for files in layers)
    return merge((digest_of(bytes([i])), reading) for i, reading in enumerate(readings))


def descriptor(content: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    """A descriptor."""
    found = {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}
    return found | more


class Place:
    """A registry in a database and a folder.

    Args:
        database: an empty one, with all tables.
        folder: for blobs.
    """

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.store = FileBlobStore(folder)
        database.write(accounts.create, "ana")
        database.write(policies.grant, ROOT, ADMINISTRATOR, ANA.name)

    def blob(self, repository: str, content: bytes) -> None:
        """Store a blob."""
        upload = self.store.create_upload(repository, "sha256")
        with self.store.open_upload(repository, upload) as file:
            file.write([content])
            file.finish(digest_of(content))

        def link(tx: Transaction) -> None:
            number = repositories.ensure(tx, repository, ANA, PROVISIONER)
            blobs.link(tx, number, digest_of(content), len(content))

        self.database.write(link)

    def push(
        self,
        repository: str,
        document: dict[str, Any],
        *names: str,
        contents: Iterable[bytes] = (),
        platform: str = "",
    ) -> str:
        """Push a manifest with its blobs; returns its digest."""
        for each in contents:
            self.blob(repository, each)
        content = json.dumps(document).encode()
        manifest = parse_manifest(content, document["mediaType"])

        def put(tx: Transaction) -> None:
            number = repositories.ensure(tx, repository, ANA, PROVISIONER)
            facts = ImageFacts(platform=platform)
            held, is_new = manifests.put(tx, number, manifest, content, facts, ANA.name)
            for name in names:
                tags.put(tx, number, name, held, ANA.name)
            event = ManifestPushed(repository, manifest.digest, list(names), ANA.name, is_new)
            outbox.append(tx, event)

        self.database.write(put)
        return manifest.digest

    def image(self, repository: str, salt: str = "", platform: str = "linux/amd64") -> str:
        """Push an image that was not analysed; returns its digest."""
        config = json.dumps({"salt": salt}).encode()
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(config, OCI_CONFIG),
            "layers": [],
        }
        return self.push(repository, document, contents=[config], platform=platform)

    def index(self, repository: str, *children: dict[str, Any]) -> str:
        """Push an index of these descriptors; returns its digest."""
        document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(children)}
        return self.push(repository, document)

    def child(self, repository: str, digest: str, **annotations: str) -> dict[str, Any]:
        """The descriptor of a manifest that is there."""
        row = self.database.read(manifests.get, repository, digest)
        assert row
        return descriptor(row[2], row[1], annotations=annotations)

    def bill(
        self,
        repository: str,
        content: bytes,
        *names: str,
        subject: str = "",
        media_type: str = SPDX,
        artifact_type: str = SPDX,
        **annotations: str,
    ) -> str:
        """Push a document as an artifact; returns the digest of its manifest."""
        empty = b"{}"
        layer = descriptor(content, media_type, annotations=annotations)
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(empty, "application/vnd.oci.empty.v1+json"),
            "layers": [layer],
        }
        if artifact_type:
            document["artifactType"] = artifact_type
        if subject:
            document["subject"] = {"mediaType": OCI_MANIFEST, "digest": subject, "size": 1}
        return self.push(repository, document, *names, contents=[empty, content])

    def analysed(self, digest: str, inventory: Inventory) -> int:
        """Store what an analysis found; returns the number of the inventory."""

        def store(tx: Transaction) -> int:
            number = packages.put(tx, inventory)
            findings.match_inventory(tx, number)
            status = Status.FINISHED_SUCCESS
            images.note(tx, digest, status, reader=READER_VERSION, inventory_id=number)
            return number

        return self.database.write(store)

    def delete(self, repository: str, digest: str) -> None:
        """Delete a manifest and its tags."""

        def remove(tx: Transaction) -> None:
            number = repositories.find(tx, repository)
            assert number
            held = manifests.held(tx, number, digest)
            assert held
            names = tags.remove_all_of(tx, number, held, ANA.name)
            manifests.remove(tx, number, repository, digest, names, ANA.name)

        self.database.write(remove)


def resource(repository: str, digest: str, host: str = "") -> Resource:
    """An image as the API names it."""
    return Resource(host, repository.partition("/")[0], repository, digest)


def step(name: str, function: Any, /, *args: Any, **kwargs: Any) -> Any:
    """Run a step of a workflow at once."""
    assert name
    return function(*args, **kwargs)
