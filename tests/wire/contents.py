"""Blobs and manifests that the tables speak of by name."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
OCI_FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
SIGNED_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"

MANIFEST_LIMIT = 4 * 1024 * 1024
"""The distribution spec, "Pushing Manifests": a registry should take at least this much."""


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    """The digest as the specification writes it."""
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def pretty(document: dict[str, Any]) -> bytes:
    """JSON with spaces and line breaks, which a registry must not lose."""
    return json.dumps(document, indent=3, ensure_ascii=False).encode() + b"\n"


BLOBS = {
    "empty": b"",
    "brackets": b"{}",
    "hello": b"hello, customs\n",
    "alphabet": b"abcdefghijklmnopqrstuvwxyz",
    "large": hashlib.shake_256(b"large").digest(3_000_000),
    "layer": hashlib.shake_256(b"layer").digest(5_000),
    "config": json.dumps(
        {
            "architecture": "arm64",
            "variant": "v8",
            "os": "linux",
            "created": "2024-02-29T12:34:56.789Z",
            "rootfs": {"type": "layers", "diff_ids": []},
        }
    ).encode(),
    "strange config": b'{"created": "no date", "os": "a\\u0000b"}',
    "wrong config": b'{"os": 7}',
}


def blob(media_type: str, name: str, algorithm: str = "sha256", **more: object) -> dict[str, Any]:
    """A descriptor of one of `BLOBS`."""
    content = BLOBS[name]
    digest = digest_of(content, algorithm)
    return {"mediaType": media_type, "digest": digest, "size": len(content)} | more


def image(*layers: dict[str, Any], media_type: str = OCI_MANIFEST, **more: object) -> bytes:
    """An image manifest."""
    config = OCI_CONFIG if media_type == OCI_MANIFEST else DOCKER_CONFIG
    document = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": blob(config, "config"),
        "layers": layers or [blob(OCI_LAYER, "layer")],
        **more,
    }
    return pretty({key: value for key, value in document.items() if value is not None})


def index(*children: bytes, media_type: str = OCI_INDEX, **more: object) -> bytes:
    """An index of manifests."""
    manifests = [
        {
            "mediaType": json.loads(child).get("mediaType", OCI_MANIFEST),
            "digest": digest_of(child),
            "size": len(child),
        }
        for child in children
    ]
    return pretty(
        {"schemaVersion": 2, "mediaType": media_type, "manifests": manifests} | dict(more)
    )


def artifact(subject: bytes | None, artifact_type: str | None, **more: object) -> bytes:
    """An OCI image manifest that is no image: a signature, an SBOM ..."""
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": blob(OCI_EMPTY, "brackets"),
        "layers": [blob("text/plain", "hello")],
    }
    if artifact_type is not None:
        document["artifactType"] = artifact_type
    if subject is not None:
        document["subject"] = {
            "mediaType": OCI_MANIFEST,
            "digest": digest_of(subject),
            "size": len(subject),
        }
    return pretty(document | dict(more))


def padded(length: int) -> bytes:
    """An image manifest of exactly this many bytes."""
    base = len(image(annotations={"padding": ""}))
    return image(annotations={"padding": "x" * (length - base)})


IMAGE = image()
DOCKER = image(blob(DOCKER_LAYER, "layer"), media_type=DOCKER_MANIFEST)
INDEX = index(IMAGE, DOCKER)
ABSENT = image(annotations={"never": "pushed"})
SIGNATURE = artifact(IMAGE, "application/vnd.example.signature", annotations={"by": "ana"})
SBOM = artifact(IMAGE, "application/vnd.example.sbom+json")
HELLO_DATA = base64.b64encode(BLOBS["hello"]).decode()

MANIFESTS: dict[str, tuple[str, bytes]] = {
    "image": (OCI_MANIFEST, IMAGE),
    "second": (OCI_MANIFEST, image(annotations={"second": "yes"})),
    "docker": (DOCKER_MANIFEST, DOCKER),
    "index": (OCI_INDEX, INDEX),
    "list": (DOCKER_LIST, index(DOCKER, media_type=DOCKER_LIST)),
    "nested": (OCI_INDEX, index(INDEX)),
    "sparse": (OCI_INDEX, index(IMAGE, ABSENT)),
    "absent": (OCI_MANIFEST, ABSENT),
    "signature": (OCI_MANIFEST, SIGNATURE),
    "sbom": (OCI_MANIFEST, SBOM),
    # Without an artifactType the config's type stands for it.
    "typeless": (OCI_MANIFEST, artifact(IMAGE, None)),
    "signed index": (
        OCI_INDEX,
        index(
            IMAGE,
            artifactType="application/vnd.example.bundle",
            subject={"mediaType": OCI_MANIFEST, "digest": digest_of(ABSENT), "size": len(ABSENT)},
        ),
    ),
    "orphan": (OCI_MANIFEST, artifact(ABSENT, "application/vnd.example.signature")),
    "old artifact": (
        OCI_ARTIFACT,
        pretty(
            {
                "mediaType": OCI_ARTIFACT,
                "artifactType": "application/vnd.example.old",
                "blobs": [blob("text/plain", "hello")],
                "subject": {
                    "mediaType": OCI_MANIFEST,
                    "digest": digest_of(IMAGE),
                    "size": len(IMAGE),
                },
            }
        ),
    ),
    "unknown fields": (
        OCI_MANIFEST,
        image(unknown={"ünknown": [1, None, {"€": 1.50}]}),
    ),
    "no media type": (OCI_MANIFEST, image(mediaType=None)),
    "foreign": (
        OCI_MANIFEST,
        image(blob(OCI_FOREIGN, "large", urls=["https://example.com/base.tar.gz"])),
    ),
    "docker foreign": (
        DOCKER_MANIFEST,
        image(
            blob(DOCKER_FOREIGN, "large", urls=["https://example.com/base.tar.gz"]),
            media_type=DOCKER_MANIFEST,
        ),
    ),
    "data": (OCI_MANIFEST, image(blob("text/plain", "hello", data=HELLO_DATA))),
    "sha512 layer": (OCI_MANIFEST, image(blob(OCI_LAYER, "layer", "sha512"))),
    "at the limit": (OCI_MANIFEST, padded(MANIFEST_LIMIT)),
    "over the limit": (OCI_MANIFEST, padded(MANIFEST_LIMIT + 1)),
}

CONTENTS = BLOBS | {name: body for name, (_, body) in MANIFESTS.items()}
