"""The packages of an image as occurrences of Grafeas v1, kind PACKAGE (package.proto)."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from customhouse.analysis import images, origins, packages
from customhouse.analysis.occurrences import PACKAGE_TYPES, cpe, head, version_parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from customhouse.analysis.occurrences import Resource
    from customhouse.analysis.origins import Origins
    from customhouse.blobstore import BlobStore
    from customhouse.database import Transaction

_NOTE = "projects/customhouse-analysis/notes/PACKAGE"

# grafeas.v1.Architecture has no others.
_ARCHITECTURES = {"amd64": "X64", "x86_64": "X64", "i386": "X86", "i686": "X86", "x86": "X86"}


def of_image(
    tx: Transaction, store: BlobStore, resource: Resource, after: int, count: int
) -> tuple[list[dict[str, Any]], int]:
    """PACKAGE occurrences of an image, or of all images of an index, one for each package.

    Args:
        tx: the transaction.
        store: where the images' configurations are.
        resource: the image.
        after: where the page before ended; 0 for the first.
        count: how many at most.

    Returns:
        The occurrences, and where this page ends, 0 when it is the last.

    Raises:
        Failure: MANIFEST_UNKNOWN.
    """
    digests = images.runnable(tx, resource.repository, resource.digest)
    inventories = images.inventories(tx, digests)
    rows = packages.of_inventories(tx, inventories, after, count)
    if not rows:
        return [], 0
    layers = origins.of_images(tx, store, resource.repository, digests)
    found = [
        _occurrence(resource, list(group), layers)
        for _, group in groupby(rows, key=lambda row: row.package_id)
    ]
    return found, rows[-1].package_id if len(found) == count else 0


def _occurrence(resource: Resource, rows: Sequence[Row[Any]], layers: Origins) -> dict[str, Any]:
    first = rows[0]
    identity = f"{_NOTE} {first.ecosystem} {first.name} {first.version} {first.arch}"
    places = dict.fromkeys((row.path, row.layer, row.layer_index) for row in rows)
    package: dict[str, Any] = {
        "name": first.name,
        "version": version_parts(first.version),
        "packageType": PACKAGE_TYPES.get(first.ecosystem, "OS"),
        "architecture": _ARCHITECTURES.get(first.arch, "ARCHITECTURE_UNSPECIFIED"),
        "location": [
            {"path": path, "layerDetails": origins.to_json(layer, index, layers)}
            for path, layer, index in places
        ],
    }
    if first.ecosystem:
        package["cpeUri"] = cpe(first.ecosystem)
    if first.licence:
        package["license"] = {"expression": first.licence}
    return {**head(resource, _NOTE, "PACKAGE", identity), "package": package}
