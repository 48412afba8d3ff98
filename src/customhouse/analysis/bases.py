"""Which base images the images that were found have in common."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select

from customhouse.analysis import contents, holders, origins
from customhouse.analysis.contents import IMAGE_CONTENT
from customhouse.registry.manifests import MANIFEST, REPOSITORY_MANIFEST
from customhouse.registry.repositories import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy import Row

    from customhouse.analysis.holders import Reach, Tally
    from customhouse.blobstore import BlobStore
    from customhouse.database import Transaction

MAX_BASES = 10
"""How many bases are told, those of the most images."""

_CONSIDERED = 300
_SHOWN = 5


class Known(NamedTuple):
    """An image in reach that has the layers of a base, and no more."""

    repository: str
    project: str
    digest: str
    tags: tuple[str, ...]


class Base(NamedTuple):
    """Layers that images begin with alike.

    Attributes:
        images: how many of those that were found stand on it.
        depth: how many layers it has.
        known: some of the images that have these layers and no more.
        layer: its topmost layer, as Grafeas' `LayerDetails`.
    """

    images: int
    depth: int
    known: tuple[Known, ...]
    layer: dict[str, Any]


def shared(tx: Transaction, store: BlobStore, found: Tally, within: Reach) -> list[Base]:
    """The bases that most of the images stand on, at most `MAX_BASES`.

    Of bases that stand on each other and hold equally many of the images, the highest is told that
    is an image here, and the highest of all. What is no image in reach is told only if it is what
    two of those found share, so that nothing is told of images out of reach.

    Args:
        tx: the transaction.
        store: where the configurations of images are.
        found: the images.
        within: where they and the bases are looked for.
    """
    nodes = contents.ancestors(tx, found.bases.keys() - {0})
    images, examples = _spread(found, nodes)
    considered = heapq.nlargest(
        _CONSIDERED, nodes, key=lambda number: (images[number], nodes[number].depth)
    )
    ends = _ends(tx, considered, within)
    chosen = _chosen(considered, ends, images, nodes)[:MAX_BASES]
    known = _known(tx, [number for number in chosen if number in ends], within)
    tops = contents.top_layers(tx, chosen)
    return [
        Base(
            images[number],
            nodes[number].depth,
            tuple(known.get(number, ())),
            _layer(tx, store, examples[number], nodes[number].depth, tops[number]),
        )
        for number in chosen
    ]


def _spread(found: Tally, nodes: Mapping[int, Row[Any]]) -> tuple[dict[int, int], dict[int, int]]:
    """How many of the images stand on each node, near or far, and one that does."""
    images = dict.fromkeys(nodes, 0) | dict(found.bases)
    examples = dict(found.examples)
    for _, parent, number in sorted(
        ((node.depth, node.parent_id, number) for number, node in nodes.items()), reverse=True
    ):
        if parent:
            images[parent] += images[number]
            examples.setdefault(parent, examples[number])
    return images, examples


def _chosen(
    considered: list[int],
    ends: Collection[int],
    images: Mapping[int, int],
    nodes: Mapping[int, Row[Any]],
) -> list[int]:
    """Those to tell, in order: without what only lies below another that holds as many."""
    covered: set[int] = set()
    below: set[int] = set()
    # From the top down, so that a node is seen before those that it stands on.
    for number in sorted(considered, key=lambda number: -nodes[number].depth):
        parent = nodes[number].parent_id
        if parent and images[parent] == images[number]:
            below.add(parent)
            if number in ends or number in covered:
                covered.add(parent)
    return [
        number
        for number in considered
        if (number not in covered if number in ends else images[number] > 1 and number not in below)
    ]


def _ends(tx: Transaction, numbers: Collection[int], within: Reach) -> set[int]:
    """Those of these nodes at which an image in reach ends."""
    statement = select(IMAGE_CONTENT.c.chain_id).select_from(
        IMAGE_CONTENT.join(
            REPOSITORY_MANIFEST, REPOSITORY_MANIFEST.c.manifest_id == IMAGE_CONTENT.c.manifest_id
        ).join(REPOSITORY)
    )
    here = IMAGE_CONTENT.c.chain_id.in_(numbers)
    return set(tx.scalars(statement.where(here, holders.permitted(tx, within)).distinct()))


def _known(tx: Transaction, numbers: Collection[int], within: Reach) -> dict[int, list[Known]]:
    """Some of the images in reach that end at each of these nodes, the newest first."""
    found: dict[int, list[Known]] = {}
    for number in numbers:
        rows = tx.execute(
            select(
                REPOSITORY.c.id.label("repository_id"),
                REPOSITORY.c.name,
                REPOSITORY.c.project,
                MANIFEST.c.id,
                MANIFEST.c.digest,
            )
            .select_from(IMAGE_CONTENT.join(MANIFEST).join(REPOSITORY_MANIFEST).join(REPOSITORY))
            .where(IMAGE_CONTENT.c.chain_id == number, holders.permitted(tx, within))
            .order_by(REPOSITORY_MANIFEST.c.manifest_id.desc(), REPOSITORY.c.name)
            .limit(_SHOWN)
        ).all()
        tags = holders.tagged(tx, [(row.repository_id, row.id, row.digest) for row in rows])
        found[number] = [
            Known(
                row.name,
                row.project,
                row.digest,
                tags[row.repository_id, row.id],
            )
            for row in rows
        ]
    return found


def _layer(
    tx: Transaction, store: BlobStore, manifest: int, depth: int, diff_id: str
) -> dict[str, Any]:
    """The layer of an image at a depth, as far as its configuration tells."""
    digest = tx.scalar(select(MANIFEST.c.digest).where(MANIFEST.c.id == manifest))
    layers = origins.of_manifest(tx, store, str(digest))
    index = depth - 1
    if index >= len(layers):
        return {"index": index, "diffId": diff_id}
    layer, origin = layers[index]
    return origins.to_json(layer, index, {(layer, index): origin})
