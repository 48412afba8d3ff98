"""What images hold and what they stand on, kept so that all of them can be searched.

The layers of images are a tree: images that begin with the same layers share the way from its
root. Layers are told apart by the digests of their archives (OCI image specification, config.md,
"rootfs"), which do not depend on how they were compressed. There is a node where an image ends and
where images part, and no other: at most twice as many as images, and few on the way from one to the
root.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    select,
    update,
)

from customhouse.analysis.packages import INVENTORY
from customhouse.database import METADATA, Name, among, lock, upsert
from customhouse.registry import manifests
from customhouse.registry.manifests import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Row

    from customhouse.database import Transaction

LAYER_CHAIN = Table(
    "layer_chain",
    METADATA,
    Column("id", Integer, primary_key=True),
    # The node below; 0 where there is none.
    Column("parent_id", Integer, nullable=False),
    Column("first", Name, nullable=False),
    # The digests of the layers above the parent's, the first among them, as JSON.
    Column("layers", Text, nullable=False),
    # How many layers there are down to the bottom.
    Column("depth", Integer, nullable=False),
    UniqueConstraint("parent_id", "first", name="uq_layer_chain_parent_id_first"),
)

# Numbers alone: a search reads it for every image that it finds, `image_analysis` has the rest.
IMAGE_CONTENT = Table(
    "image_content",
    METADATA,
    Column("manifest_id", Integer, ForeignKey(MANIFEST.c.id, ondelete="CASCADE"), primary_key=True),
    Column("inventory_id", Integer, ForeignKey(INVENTORY.c.id), nullable=False),
    # The node that its layers end at; NULL where its configuration does not tell them.
    Column("chain_id", Integer, ForeignKey(LAYER_CHAIN.c.id), index=True),
    # That node's parent; 0 where there is none.
    Column("base_id", Integer, nullable=False),
    Index("ix_image_content_inventory", "inventory_id", "manifest_id", "base_id"),
)

_LOCK: Final = "layer chains"


def put(tx: Transaction, digest: str, inventory_id: int, diff_ids: Sequence[str]) -> None:
    """Note what an image holds and which layers it has, unless nobody holds it any more.

    Args:
        tx: the transaction.
        digest: of its manifest.
        inventory_id: its inventory.
        diff_ids: the digests of its layers' archives, from the bottom; none if nothing tells.
    """
    number = manifests.number(tx, digest)
    if number is None:
        return
    lock(tx, _LOCK)
    chain, base = _place(tx, diff_ids)
    values = {
        "manifest_id": number,
        "inventory_id": inventory_id,
        "chain_id": chain,
        "base_id": base,
    }
    upsert(tx, IMAGE_CONTENT, ["manifest_id"], [values])


def ancestors(tx: Transaction, numbers: Collection[int]) -> dict[int, Row[Any]]:
    """These nodes and all that they stand on, by number: `id`, `parent_id`, `depth`."""
    found: dict[int, Row[Any]] = {}
    wanted = set(numbers)
    chain = LAYER_CHAIN.c
    while wanted:
        statement = select(chain.id, chain.parent_id, chain.depth).where(
            among(tx, chain.id, wanted)
        )
        rows: list[Any] = list(tx.execute(statement))
        found.update((row.id, row) for row in rows)
        wanted = {row.parent_id for row in rows} - found.keys() - {0}
    return found


def top_layers(tx: Transaction, numbers: Collection[int]) -> dict[int, str]:
    """The digest of the topmost layer's archive of each of these nodes."""
    rows = tx.execute(
        select(LAYER_CHAIN.c.id, LAYER_CHAIN.c.layers).where(among(tx, LAYER_CHAIN.c.id, numbers))
    )
    return {number: msgspec.json.decode(layers, type=list[str])[-1] for number, layers in rows}


def _place(tx: Transaction, diff_ids: Sequence[str]) -> tuple[int | None, int]:
    """The node that stands for layers, made if it is not there, and its parent."""
    parent, node, depth, rest = 0, 0, 0, list(diff_ids)
    while rest:
        here = (LAYER_CHAIN.c.parent_id == node) & (LAYER_CHAIN.c.first == rest[0])
        row = tx.execute(select(LAYER_CHAIN).where(here)).first()
        parent = node
        if row is None:
            return _insert(tx, parent, rest, depth + len(rest)), parent
        known = msgspec.json.decode(row.layers, type=list[str])
        common = _common(known, rest)
        node = _part(tx, row, known, common) if common < len(known) else int(row.id)
        depth += common
        rest = rest[common:]
    return node or None, parent


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many layers two begin with alike."""
    count = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        count += 1
    return count


def _part(tx: Transaction, row: Row[Any], known: Sequence[str], common: int) -> int:
    """Put a node between another and its parent, where images part or one ends."""
    here = LAYER_CHAIN.c.id == row.id
    # Two may not have one parent and one first layer, not even for a moment.
    tx.execute(update(LAYER_CHAIN).where(here).values(parent_id=-row.id))
    middle = _insert(tx, row.parent_id, known[:common], row.depth - len(known) + common)
    upper = known[common:]
    values = {"parent_id": middle, "first": upper[0], "layers": _encoded(upper)}
    tx.execute(update(LAYER_CHAIN).where(here).values(values))
    tx.execute(
        update(IMAGE_CONTENT).where(IMAGE_CONTENT.c.chain_id == row.id).values(base_id=middle)
    )
    return middle


def _insert(tx: Transaction, parent: int, layers: Sequence[str], depth: int) -> int:
    values = {
        "parent_id": parent,
        "first": layers[0],
        "layers": _encoded(layers),
        "depth": depth,
    }
    key = tx.execute(LAYER_CHAIN.insert().values(values)).inserted_primary_key
    if key is None:
        raise AssertionError("every node has a number")
    return int(key[0])


def _encoded(layers: Sequence[str]) -> str:
    return msgspec.json.encode(layers).decode()
