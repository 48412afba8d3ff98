"""Images in files: what `docker save` and OCI layouts hold, and root file systems in a folder.

Sources: OCI image specification, image-layout.md; Docker's image specification v1.2, "Combined
Image JSON + Filesystem Changeset Format" (`manifest.json`); containers-image, `dir:`.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

import msgspec

from customhouse.analysis import rootfs
from customhouse.analysis.tarheader import normalize
from customhouse.errors import Code, Failure
from customhouse.oci import MAX_MANIFEST_BYTES, Kind, digest_of, parse_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from customhouse.oci import Descriptor

MAX_IMAGES = 500
"""Images that a file may hold."""

_MAX_DEPTH = 4
_MAX_LAYERS = 500
_REF_NAME = "org.opencontainers.image.ref.name"
_IMAGE_NAME = "io.containerd.image.name"


class Files(Protocol):
    """Named files, in an archive or a folder; names are normalized paths."""

    def open(self, name: str) -> BinaryIO | None:
        """A file at its beginning, or None if there is none of that name."""


@dataclass(frozen=True, slots=True)
class SavedLayer:
    """A layer of a saved image.

    Attributes:
        digest: as the image's manifest has it; where there is none, that of the uncompressed layer
            as its configuration has it. Empty for the one of a folder.
        media_type: of the layer, if it is told.
        open: gives the layer at its beginning.
    """

    digest: str
    media_type: str
    open: Callable[[], BinaryIO]


@dataclass(frozen=True, slots=True)
class SavedImage:
    """An image in a file or folder.

    Attributes:
        name: a name that it was saved under, or empty.
        digest: of its manifest; of its configuration where it was saved without; else empty.
        platform: `os/architecture[/variant]`, as far as it is told.
        config: its configuration.
        layers: the bottom one first.
    """

    name: str
    digest: str
    platform: str
    config: bytes
    layers: tuple[SavedLayer, ...]


class _DockerImage(msgspec.Struct, rename="pascal"):
    config: str
    layers: list[str]
    repo_tags: list[str] | None = None


class _RootFs(msgspec.Struct):
    diff_ids: list[str] | None = None


class _Config(msgspec.Struct):
    os: str = ""
    architecture: str = ""
    variant: str = ""
    rootfs: _RootFs | None = None


def images(files: Files, root: Path | None) -> list[SavedImage]:
    """Give the images that run; none that are named in an index but are not there.

    Args:
        files: what an archive or a folder holds.
        root: the folder, if it is one, which is then taken for a root file system if it is nothing
            else.

    Raises:
        Failure: ANALYSIS_UNSUPPORTED if it holds no image, ARCHIVE_CORRUPT, ARCHIVE_LIMIT,
            MANIFEST_INVALID and the like.
    """
    found: list[SavedImage] = []
    index = _read(files, "index.json")
    manifest = _read(files, "manifest.json")
    if index is not None:
        found = list(_of_layout(files, index))
    if not found and manifest is not None:
        found = list(_of_docker(files, manifest))
    if not found and root is not None and index is None and manifest is None:
        found = [_of_root(root)]
    if not found:
        reason = "it holds no image: neither an index.json nor a manifest.json leads to one"
        raise Failure(Code.ANALYSIS_UNSUPPORTED, reason=reason)
    return found


def choose(found: list[SavedImage], name: str, platform: str) -> SavedImage:
    """Give the one image that is meant.

    Args:
        found: the images of a file.
        name: the name of the one, or empty.
        platform: `os/architecture[/variant]` of the one, if there are several of that name.

    Raises:
        Failure: SAVED_IMAGES, naming what there is.
    """
    named = [image for image in found if name in {"", image.name, image.digest}]
    fitting = named
    if len(named) > 1:
        fitting = [image for image in named if f"{image.platform}/".startswith(f"{platform}/")]
    if len({image.digest for image in fitting}) == 1 and fitting[0].digest:
        fitting = fitting[:1]
    if len(fitting) != 1:
        there = "; ".join(
            " ".join(filter(None, (image.name or image.digest, image.platform)))
            for image in found[:20]
        )
        raise Failure(Code.SAVED_IMAGES, count=len(fitting), images=there)
    return fitting[0]


def _of_layout(files: Files, index: bytes) -> Iterator[SavedImage]:
    """The images that the index of an OCI layout leads to."""
    queue = [(each, _name(each), 0) for each in _index(index)]
    seen: set[tuple[str, str]] = set()
    while queue and len(seen) < MAX_IMAGES:
        descriptor, name, depth = queue.pop(0)
        if (descriptor.digest, name) in seen:
            continue
        seen.add((descriptor.digest, name))
        content = _read(files, _blob(descriptor.digest))
        if content is None:
            continue
        manifest = parse_manifest(content, descriptor.media_type, descriptor.digest)
        if manifest.kind is Kind.INDEX and depth < _MAX_DEPTH:
            queue += [(child, _name(child) or name, depth + 1) for child in manifest.children]
        elif manifest.is_runnable and manifest.config is not None:
            names = [_blob(layer.digest) for layer in manifest.layers]
            digests = [layer.digest for layer in manifest.layers]
            types = [layer.media_type for layer in manifest.layers]
            config = _read(files, _blob(manifest.config.digest)) or b""
            layers = _layers(files, names, digests, types)
            yield SavedImage(name, descriptor.digest, _platform(config), config, layers)


def _of_docker(files: Files, manifest: bytes) -> Iterator[SavedImage]:
    """The images of `docker save`; that of containers-image's `dir:`, whose manifest is one."""
    if manifest.lstrip().startswith(b"{"):
        yield from _of_folder(files, manifest)
        return
    try:
        listed = msgspec.json.decode(manifest, type=list[_DockerImage])
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise _corrupt(f"its manifest.json is none ({error})") from error
    for image in listed[:MAX_IMAGES]:
        config = _read(files, image.config)
        if config is None:
            raise _corrupt(f"{image.config[:200]} is not in it")
        rootfs = _configuration(config).rootfs
        digests = (rootfs.diff_ids if rootfs else None) or []
        if len(digests) != len(image.layers):
            raise _corrupt(f"it has {len(image.layers)} layers where {len(digests)} are told")
        layers = _layers(files, image.layers, digests, [""] * len(digests))
        for name in image.repo_tags or [""]:
            yield SavedImage(name, digest_of(config), _platform(config), config, layers)


def _of_folder(files: Files, content: bytes) -> Iterator[SavedImage]:
    manifest = parse_manifest(content, "")
    if manifest.config is None or not manifest.is_runnable:
        return
    digests = [layer.digest for layer in manifest.layers]
    types = [layer.media_type for layer in manifest.layers]
    names = [digest.partition(":")[2] for digest in digests]
    config = _read(files, manifest.config.digest.partition(":")[2]) or b""
    layers = _layers(files, names, digests, types)
    yield SavedImage("", manifest.digest, _platform(config), config, layers)


def _of_root(root: Path) -> SavedImage:
    layer = SavedLayer("", "", lambda: rootfs.archive(root))
    return SavedImage(str(root), "", "", b"", (layer,))


def _layers(
    files: Files, names: list[str], digests: list[str], types: list[str]
) -> tuple[SavedLayer, ...]:
    if len(names) > _MAX_LAYERS:
        reason = f"it has {len(names)} layers, more than {_MAX_LAYERS}"
        raise Failure(Code.ANALYSIS_UNSUPPORTED, reason=reason)

    def opener(name: str) -> Callable[[], BinaryIO]:
        def opened() -> BinaryIO:
            file = files.open(name)
            if file is None:
                raise _corrupt(f"layer {name[:200]} is not in it")
            return file

        return opened

    return tuple(
        SavedLayer(digest, media_type, opener(name))
        for name, digest, media_type in zip(names, digests, types, strict=True)
    )


def _index(content: bytes) -> tuple[Descriptor, ...]:
    # An index without a media type, as older tools write it, is one all the same.
    return parse_manifest(content, "").children


def _name(descriptor: Descriptor) -> str:
    annotations = descriptor.annotations or {}
    return annotations.get(_IMAGE_NAME) or annotations.get(_REF_NAME, "")


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/', 1)}"


def _platform(config: bytes) -> str:
    document = _configuration(config)
    return "/".join(filter(None, (document.os, document.architecture, document.variant)))[:200]


def _configuration(config: bytes) -> _Config:
    try:
        return msgspec.json.decode(config, type=_Config)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return _Config()


def _read(files: Files, name: str) -> bytes | None:
    """A small file whole."""
    path = normalize(name)
    file = files.open(path) if path else None
    if file is None:
        return None
    with contextlib.closing(file):
        content = file.read(MAX_MANIFEST_BYTES + 1)
    if len(content) > MAX_MANIFEST_BYTES:
        raise Failure(Code.MANIFEST_TOO_LARGE, limit=MAX_MANIFEST_BYTES)
    return content


def _corrupt(reason: str) -> Failure:
    return Failure(Code.SAVED_IMAGE_CORRUPT, reason=reason)
