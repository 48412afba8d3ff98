"""Images in repositories, analysed, with the layers and the packages that a test gives them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from customhouse.analysis import bases, contents, holders, origins, wanted
from customhouse.oci import OCI_CONFIG, OCI_MANIFEST, digest_of
from tests.analysis.sbom.places import Place, descriptor
from tests.analysis.stored import inventory, package
from tests.faults.registry import OCI_LAYER

if TYPE_CHECKING:
    from customhouse.analysis.bases import Base
    from customhouse.analysis.holders import Image, Reach
    from customhouse.analysis.inventory import Inventory
    from customhouse.database import Transaction


class Fleet(Place):
    """A registry whose images are made of names: of layers, and of packages."""

    def add(self, name: str, layers: str = "", *packages: str, of: Inventory | None = None) -> str:
        """Push an image and analyse it.

        Args:
            name: `PROJECT/IMAGE:TAG`.
            layers: names of its layers from the bottom, separated by blanks.
            packages: `NAME=VERSION` each.
            of: the inventory, if it is another than that of these packages.

        Returns:
            Its digest.
        """
        repository, _, tag = name.partition(":")
        names = layers.split()
        config = json.dumps(
            {
                "salt": name,
                "rootfs": {"type": "layers", "diff_ids": [diff_id(each) for each in names]},
                "history": [{"created_by": f"make {each}"} for each in names],
            }
        ).encode()
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(config, OCI_CONFIG),
            "layers": [descriptor(each.encode(), OCI_LAYER) for each in names],
        }
        digest = self.push(repository, document, *[tag] * bool(tag), contents=[config])
        found = of or inventory(*map(package, packages))
        number = self.analysed(digest, found)

        def put(tx: Transaction) -> None:
            contents.put(tx, digest, number, origins.diff_ids(tx, self.store, digest))

        self.database.write(put)
        return digest

    def find(
        self, after: tuple[str, int] = ("", 0), count: int = 1000, reach: Reach = None, **asked: Any
    ) -> list[Image]:
        """A page of the images that are found."""

        def page(tx: Transaction) -> list[Image]:
            sought = wanted.seek(tx, wanted.parse(**asked))
            return holders.page(tx, sought, reach, after, count)

        return self.database.read(page)

    def names(self, reach: Reach = None, **asked: Any) -> list[str]:
        """The repositories with the tags of all images that are found, in order."""
        return [
            ":".join((image.repository, *image.tags)) for image in self.find(reach=reach, **asked)
        ]

    def bases(self, reach: Reach = None, **asked: Any) -> list[Base]:
        """The base images that those that are found share."""

        def shared(tx: Transaction) -> list[Base]:
            sought = wanted.seek(tx, wanted.parse(**asked))
            return bases.shared(tx, self.store, holders.tally(tx, sought, reach), reach)

        return self.database.read(shared)


def diff_id(layer: str) -> str:
    """The digest of a layer's archive, by the layer's name."""
    return digest_of(f"archive of {layer}".encode())
