"""Images of one layer that servers are given."""

import gzip
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from random import Random

from benchmarks.wire import REPOSITORY, Endpoint, expect, relative, with_digest

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
TAG = "v1"
_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
_LAYER_SIZE = 4096


@dataclass(frozen=True, slots=True)
class Image:
    """An image of one layer.

    Attributes:
        manifest: the bytes of its manifest.
        config: the bytes of its configuration.
        layer: the bytes of its only layer.
    """

    manifest: bytes
    config: bytes
    layer: bytes


def digest_of(content: bytes) -> str:
    """The sha256 digest of some content."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _descriptor(media_type: str, content: bytes) -> dict[str, str | int]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def small_image() -> Image:
    """The image, always the same."""
    layer = Random(4096).randbytes(_LAYER_SIZE)
    return _image(layer, digest_of(layer), _LAYER_TYPE)


def image_of(path: Path) -> Image:
    """An image whose only layer is a file, a tar archive in gzip."""
    layer = path.read_bytes()
    return _image(layer, digest_of(gzip.decompress(layer)), f"{_LAYER_TYPE}+gzip")


def _image(layer: bytes, diff_id: str, media_type: str) -> Image:
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        }
    ).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": _descriptor(_CONFIG_TYPE, config),
            "layers": [_descriptor(media_type, layer)],
        }
    ).encode()
    return Image(manifest, config, layer)


def push_image(endpoint: Endpoint, image: Image) -> None:
    """Push an image and tag it.

    Raises:
        BenchmarkError: the server refused something.
    """
    for blob in (image.config, image.layer):
        started = endpoint.ask("POST", f"/v2/{REPOSITORY}/blobs/uploads/", b"")
        expect(started.status, 202, "POST", started.body)
        location = with_digest(relative(started.headers.get("location")), digest_of(blob))
        ended = endpoint.ask("PUT", location, blob, {"Content-Type": "application/octet-stream"})
        expect(ended.status, 201, "PUT of a blob", ended.body)
    tagged = endpoint.ask(
        "PUT",
        f"/v2/{REPOSITORY}/manifests/{TAG}",
        image.manifest,
        {"Content-Type": MANIFEST_TYPE},
    )
    expect(tagged.status, 201, "PUT of the manifest", tagged.body)
