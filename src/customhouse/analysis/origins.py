"""Where the layers of an image come from: the commands in its configuration's history.

Source: OCI image specification, config.md, "Properties" (`history`, `rootfs`) and "Layer ChainID".
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from customhouse.errors import Failure
from customhouse.oci import parse_manifest
from customhouse.registry import manifests

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from customhouse.blobstore import BlobStore
    from customhouse.database import Transaction
    from customhouse.oci import Manifest

MAX_CONFIG = 4 * 1024**2
"""Bytes of a configuration that is read; real ones have some thousands."""

MAX_COMMAND = 500
"""Characters of a command that are told."""

_MAX_IMAGES = 20
_MAX_DIFF_ID = 200


@dataclass(frozen=True, slots=True)
class Origin:
    """What an image's configuration tells of a layer; texts are empty where it tells nothing.

    Attributes:
        command: the command that made it, without control characters.
        diff_id: digest of its archive.
        chain_id: digest that stands for it and all below.
    """

    command: str = ""
    diff_id: str = ""
    chain_id: str = ""


Origins = dict[tuple[str, int], Origin]
"""By a layer's digest and index, counted from 0 at the bottom."""


class _Entry(msgspec.Struct):
    created_by: str = ""
    empty_layer: bool = False


class _Layers(msgspec.Struct):
    diff_ids: list[str] | None = None


class _Config(msgspec.Struct):
    history: list[_Entry] | None = None
    rootfs: _Layers | None = None


def parse(config: bytes, count: int) -> list[Origin]:
    """Give the origins of an image's layers, from the bottom.

    Where the history tells of another number of layers than there are, nothing says which entry is
    whose, and no command is told.

    Args:
        config: the configuration; one that is none tells nothing.
        count: how many layers there are.
    """
    try:
        document = msgspec.json.decode(config, type=_Config)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return [Origin()] * count
    history = [each.created_by for each in document.history or () if not each.empty_layer]
    commands = history if len(history) == count else [""] * count
    diff_ids = document.rootfs.diff_ids if document.rootfs else None
    if diff_ids is None or len(diff_ids) != count:
        return [Origin(_told(command)) for command in commands]
    origins = []
    chain = ""
    for command, diff_id in zip(commands, diff_ids, strict=True):
        shown = _told(diff_id)[:_MAX_DIFF_ID]
        text = f"{chain} {shown}".encode()
        chain = f"sha256:{hashlib.sha256(text).hexdigest()}" if chain else shown
        origins.append(Origin(_told(command), shown, chain))
    return origins


def of_images(
    tx: Transaction, store: BlobStore, repository: str, digests: Sequence[str]
) -> Origins:
    """Read the origins of the layers of images in a repository; of the first twenty of them."""
    found: Origins = {}
    for digest in digests[:_MAX_IMAGES]:
        row = manifests.get(tx, repository, digest)
        if row is None:
            continue
        manifest = parse_manifest(row[2], row[1], digest)
        for index, (layer, origin) in enumerate(_read(store, manifest)):
            found.setdefault((layer, index), origin)
    return found


def of_manifest(tx: Transaction, store: BlobStore, digest: str) -> list[tuple[str, Origin]]:
    """The digests and origins of an image's layers from the bottom, whoever holds the image.

    Returns:
        None at all if its configuration is lost.
    """
    row = manifests.anywhere(tx, digest)
    return [] if row is None else _read(store, parse_manifest(row[1], row[0], digest))


def diff_ids(tx: Transaction, store: BlobStore, digest: str) -> list[str]:
    """The digests of the archives of an image's layers from the bottom; none if nothing tells."""
    found = [origin.diff_id for _, origin in of_manifest(tx, store, digest)]
    return found if all(found) else []


def _read(store: BlobStore, manifest: Manifest) -> list[tuple[str, Origin]]:
    if manifest.config is None:
        return []
    try:
        with store.open(manifest.config.digest) as file:
            config = file.read(MAX_CONFIG)
    except (Failure, OSError):
        return []  # what is lost of the configuration does not hide what is known of packages
    layers = [layer.digest for layer in manifest.layers]
    return list(zip(layers, parse(config, len(layers)), strict=True))


def to_json(layer: str, index: int, origins: Mapping[tuple[str, int], Origin]) -> dict[str, Any]:
    """A layer as Grafeas' `LayerDetails` (package.proto), and `layerDigest`, its blob's digest."""
    origin = origins.get((layer, index), Origin())
    texts = {
        "diffId": origin.diff_id,
        "chainId": origin.chain_id,
        "command": origin.command,
        "layerDigest": layer,
    }
    return {"index": index, **{name: text for name, text in texts.items() if text}}


def _told(text: str) -> str:
    text = " ".join(text[: 2 * MAX_COMMAND].split())[:MAX_COMMAND]
    return "".join(filter(str.isprintable, text))
