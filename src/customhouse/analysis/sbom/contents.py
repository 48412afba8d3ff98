"""Everything that is known of an image, as a bill of materials tells it."""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from customhouse.analysis import images
from customhouse.analysis.ecosystems import Package
from customhouse.analysis.inventory import MAX_PACKAGES
from customhouse.analysis.packages import INVENTORY, INVENTORY_PACKAGE, PACKAGE
from customhouse.analysis.purls import Purl
from customhouse.analysis.sbom import coordinates
from customhouse.errors import Code, Failure
from customhouse.iam import services
from customhouse.registry.manifests import MANIFEST

if TYPE_CHECKING:
    from typing import Any

    from sqlalchemy import Row

    from customhouse.analysis.occurrences import Resource
    from customhouse.analysis.sbom.coordinates import Distribution
    from customhouse.database import Transaction

_SHOWN_PLATFORMS = 20


class Item(NamedTuple):
    """A package in an image.

    Attributes:
        id: made of all that identifies the package, 24 hexadecimal digits.
        package: the package; the ecosystem of one of the system is empty.
        purl: its package URL.
        layer: digest of the layer that brought it.
        layer_index: where that layer stands, counted from 0 at the bottom.
        path: of the file that tells of it.
    """

    id: str
    package: Package
    purl: str
    layer: str
    layer_index: int
    path: str


class Contents(NamedTuple):
    """What an image holds.

    Attributes:
        repository: `PROJECT/IMAGE`.
        digest: of the image's manifest.
        platform: `os/architecture[/variant]`; may be empty.
        purl: the image's package URL.
        serial: the same for the same image and inventory.
        created: when it was found, in microseconds.
        system: what its operating system calls itself; may be empty.
        distro: the qualifier `distro` of that; may be empty.
        items: in order of name, version and `id`.
    """

    repository: str
    digest: str
    platform: str
    purl: str
    serial: uuid.UUID
    created: int
    system: str
    distro: str
    items: tuple[Item, ...]


def of_image(tx: Transaction, resource: Resource, platform: str = "") -> Contents:
    """Tell what an image holds.

    Args:
        tx: the transaction.
        resource: the image, or an index; its host may be empty and is then not told.
        platform: which image of an index, as `linux/amd64`; without its variant it stands for
            every one.

    Raises:
        Failure: MANIFEST_UNKNOWN; SBOM_PLATFORM when there is not exactly one image of the
            platform; SBOM_UNKNOWN when it was not analysed.
    """
    digest, found = _choose(tx, resource, platform)
    analysis = images.get(tx, [digest])[digest]
    if analysis.inventory_id is None:
        reason = analysis.error or "it is not analysed yet"
        if not services.is_enabled(tx, resource.project, services.SCANNING):
            reason = "scanning is switched off in its project"
        raise Failure(Code.SBOM_UNKNOWN, image=f"{resource.repository}@{digest}", reason=reason)
    inventory = tx.execute(select(INVENTORY).where(INVENTORY.c.id == analysis.inventory_id)).one()
    home = coordinates.distribution(inventory.ecosystem, inventory.system)
    rows = tx.execute(
        select(
            PACKAGE,
            INVENTORY_PACKAGE.c.layer,
            INVENTORY_PACKAGE.c.layer_index,
            INVENTORY_PACKAGE.c.path,
        )
        .join(INVENTORY_PACKAGE)
        .where(INVENTORY_PACKAGE.c.inventory_id == analysis.inventory_id)
        .limit(MAX_PACKAGES)
    )
    items = [_item(row, inventory.ecosystem, home) for row in rows]
    items.sort(key=lambda item: (item.package.name, item.package.version, item.id))
    purl = _purl(resource, digest, found)
    return Contents(
        resource.repository,
        digest,
        found,
        purl,
        uuid.UUID(bytes=hashlib.sha256(f"{purl} {inventory.digest}".encode()).digest()[:16]),
        # Neither changes when the same is found again.
        max(inventory.created_at, analysis.created_at),
        inventory.system,
        home.release,
        tuple(items),
    )


def _choose(tx: Transaction, resource: Resource, platform: str) -> tuple[str, str]:
    """The digest and platform of the one image that is meant."""
    digests = images.runnable(tx, resource.repository, resource.digest)
    rows = tx.execute(
        select(MANIFEST.c.digest, MANIFEST.c.platform).where(MANIFEST.c.digest.in_(digests))
    )
    platforms: dict[str, str] = {row.digest: row.platform for row in rows}
    chosen = [
        digest
        for digest in digests
        if not platform or f"{platforms[digest]}/".startswith(f"{platform}/")
    ]
    if len(chosen) == 1:
        return chosen[0], platforms[chosen[0]]
    if not digests:
        reason = "it holds no image that runs"
        raise Failure(Code.SBOM_UNKNOWN, image=resource.uri, reason=reason)
    there = sorted({platforms[digest] or "unknown" for digest in digests})[:_SHOWN_PLATFORMS]
    raise Failure(Code.SBOM_PLATFORM, count=len(chosen), platforms=", ".join(there))


def _purl(resource: Resource, digest: str, platform: str) -> str:
    """Name an image as purl-spec, "oci", does."""
    parts = platform.split("/")
    qualifiers = {
        "arch": parts[1] if len(parts) > 1 else "",
        "repository_url": f"{resource.host}/{resource.repository}" if resource.host else "",
    }
    return str(Purl("oci", "", resource.repository.rpartition("/")[2], digest, qualifiers))


def _item(row: Row[Any], ecosystem: str, home: Distribution) -> Item:
    kind = "generic"
    of_system = ":" in row.ecosystem or row.ecosystem in {"", ecosystem}
    if of_system:
        kind = coordinates.kind_of(row.ecosystem.partition("+")[0] or ecosystem, row.path)
    package = Package(
        row.name,
        row.version,
        row.arch,
        row.source,
        row.source_version,
        row.licence,
        module=row.module,
        ecosystem="" if of_system else row.ecosystem,
    )
    # The advisories of a system with some are about each of its own packages.
    is_own = bool(row.ecosystem) or not ecosystem
    purl = coordinates.of_package(package, kind, home if is_own else None)
    identity = "\0".join((*row[1:8], row.path))
    number = hashlib.sha256(identity.encode()).hexdigest()[:24]
    return Item(number, package, str(purl), row.layer, row.layer_index, row.path)
