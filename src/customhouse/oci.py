"""Digests, descriptors and manifests of the OCI image spec 1.1 and of Docker's schema 2.

Parse and check, no I/O. The bytes of a manifest are what counts and are kept as they came;
`parse_manifest` only reads from them what the registry needs to know.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgspec

from customhouse.errors import Code, Failure

MAX_MANIFEST_BYTES = 4 * 1024 * 1024

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"

_SCHEMA1 = (
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
)

# A layer of these types may stay with its publisher (image spec, "Non-Distributable Layers").
_FOREIGN_LAYERS = (
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
)

_DIGESTS = {
    "sha256": re.compile(r"sha256:[0-9a-f]{64}"),
    "sha512": re.compile(r"sha512:[0-9a-f]{128}"),
}
ALGORITHMS = tuple(_DIGESTS)


def parse_digest(text: str) -> str:
    """Return `text` if it is a digest of an algorithm that is served here.

    Raises:
        Failure: DIGEST_INVALID.
    """
    algorithm = text.partition(":")[0]
    pattern = _DIGESTS.get(algorithm)
    if pattern is None:
        raise Failure(
            Code.DIGEST_INVALID, reason=f"the algorithm {algorithm[:32]!r} is not served here"
        )
    if not pattern.fullmatch(text):
        raise Failure(Code.DIGEST_INVALID, reason=f"{text[:150]!r} is malformed")
    return text


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    """The digest of `content`."""
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


class Kind(Enum):
    """What a manifest describes."""

    IMAGE = "image"
    INDEX = "index"
    ARTIFACT = "artifact"


_KINDS = {
    OCI_MANIFEST: Kind.IMAGE,
    DOCKER_MANIFEST: Kind.IMAGE,
    OCI_INDEX: Kind.INDEX,
    DOCKER_LIST: Kind.INDEX,
    OCI_ARTIFACT: Kind.ARTIFACT,
}
MANIFEST_TYPES = tuple(_KINDS)


class Platform(msgspec.Struct, frozen=True):
    """Where an image runs (image spec, image index, `platform`)."""

    os: str = ""
    architecture: str = ""
    variant: str = ""


class Descriptor(msgspec.Struct, frozen=True, rename="camel"):
    """A reference to content by digest (image spec, "OCI Content Descriptors")."""

    digest: str
    size: int
    media_type: str = ""
    urls: list[str] | None = None
    annotations: dict[str, str] | None = None
    data: str | None = None
    artifact_type: str = ""
    platform: Platform | None = None

    @property
    def is_foreign(self) -> bool:
        """Whether the content may be missing here: it is fetched from its publisher."""
        return self.media_type.startswith(_FOREIGN_LAYERS)

    @property
    def is_encrypted(self) -> bool:
        """Whether the content is a layer that only its recipients can read (ocicrypt)."""
        return self.media_type.endswith("+encrypted")


class _Document(msgspec.Struct, rename="camel"):
    schema_version: int = 0
    media_type: str = ""
    artifact_type: str = ""
    config: Descriptor | None = None
    layers: list[Descriptor] | None = None
    blobs: list[Descriptor] | None = None
    manifests: list[Descriptor] | None = None
    subject: Descriptor | None = None
    annotations: dict[str, str] | None = None
    fs_layers: Any = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the registry reads from a manifest."""

    digest: str
    media_type: str
    kind: Kind
    config: Descriptor | None
    layers: tuple[Descriptor, ...]
    children: tuple[Descriptor, ...]
    subject: Descriptor | None
    artifact_type: str
    annotations: dict[str, str]

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """The config and the layers."""
        return (self.config, *self.layers) if self.config else self.layers

    @property
    def is_runnable(self) -> bool:
        """Whether this is an image that a container can run: what the analysis reads.

        Signatures, SBOMs and attestations are image manifests too; they carry another config,
        or, as BuildKit's attestations, layers that are no archives.
        """
        return (
            self.kind is Kind.IMAGE
            and self.config is not None
            and self.config.media_type in {OCI_CONFIG, DOCKER_CONFIG}
            and not any("in-toto" in layer.media_type for layer in self.layers)
        )


def parse_manifest(content: bytes, content_type: str, digest: str | None = None) -> Manifest:
    """Read a manifest.

    Args:
        content: its bytes, at most `MAX_MANIFEST_BYTES`.
        content_type: the Content-Type it came with; may be empty.
        digest: its digest if that is known already.

    Raises:
        Failure: MANIFEST_TOO_LARGE, MANIFEST_SCHEMA1, MANIFEST_INVALID or DIGEST_INVALID.
    """
    if len(content) > MAX_MANIFEST_BYTES:
        raise Failure(Code.MANIFEST_TOO_LARGE, limit=MAX_MANIFEST_BYTES)
    try:
        content.decode()  # fields that are passed over are not looked at below
        document = msgspec.json.decode(content, type=_Document)
        _check_keys(content)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise Failure(Code.MANIFEST_INVALID, reason=str(error)) from error
    media_type = _media_type(document, content_type)
    kind = _KINDS[media_type]
    if document.schema_version != 2 and kind is not Kind.ARTIFACT:
        raise _invalid("schemaVersion must be 2")
    if document.manifests is not None and (document.config or document.layers is not None):
        # A document that is a manifest and an index at once is read differently by different
        # clients (CVE-2021-41190).
        raise _invalid("it has manifests together with a config or layers")
    if kind is Kind.IMAGE and (document.config is None or document.layers is None):
        raise _invalid("an image manifest needs a config and layers")
    if kind is Kind.INDEX and document.manifests is None:
        raise _invalid("an index needs manifests")
    manifest = Manifest(
        digest=digest or digest_of(content),
        media_type=media_type,
        kind=kind,
        config=document.config,
        layers=tuple((document.blobs if kind is Kind.ARTIFACT else document.layers) or ()),
        children=tuple(document.manifests or ()),
        subject=document.subject,
        artifact_type=_artifact_type(document),
        annotations=document.annotations or {},
    )
    for descriptor in (*manifest.blobs, *manifest.children):
        _check_descriptor(descriptor)
    if manifest.subject:
        _check_descriptor(manifest.subject)
    return manifest


_DOCUMENT_KEYS = frozenset(_Document.__struct_encode_fields__)
_DESCRIPTOR_KEYS = frozenset(Descriptor.__struct_encode_fields__)


class _Pairs(tuple[tuple[str, Any], ...]):
    """A JSON object as its keys and values stand in the text."""

    __slots__ = ()


def _check_keys(content: bytes) -> None:
    """Refuse a document that clients read differently: they would not see what was analysed.

    Go's decoder, which most clients use, takes `Layers` for `layers`, and of keys that come twice
    the last.
    """
    document = json.loads(content, object_pairs_hook=_Pairs)
    for key, value in _unambiguous(document, _DOCUMENT_KEYS):
        if key in {"config", "subject"} and isinstance(value, _Pairs):
            _unambiguous(value, _DESCRIPTOR_KEYS)
        elif key in {"layers", "manifests", "blobs"} and isinstance(value, list):
            for item in value:
                _unambiguous(item, _DESCRIPTOR_KEYS)


def _unambiguous(pairs: _Pairs, known: frozenset[str]) -> _Pairs:
    seen: set[str] = set()
    folded = {name.casefold() for name in known}
    for key, _ in pairs:
        if key in seen or (key not in known and key.casefold() in folded):
            raise ValueError(f"the key {key[:40]!r} can be read in two ways")
        seen.add(key)
    return pairs


def _media_type(document: _Document, content_type: str) -> str:
    sent = content_type.partition(";")[0].strip().lower()
    if sent in _SCHEMA1 or document.media_type in _SCHEMA1 or document.fs_layers is not None:
        raise Failure(Code.MANIFEST_SCHEMA1)
    if document.media_type and sent in _KINDS and sent != document.media_type:
        raise _invalid(f"its mediaType is {document.media_type[:128]!r}, Content-Type is {sent!r}")
    media_type = document.media_type
    if not media_type:
        # It must follow from the bytes alone: they are stored once, whoever pushes them and how.
        media_type = OCI_INDEX if document.manifests is not None else OCI_MANIFEST
        if sent in _KINDS and sent != media_type:
            raise _invalid(f"without a mediaType it is {media_type!r}, Content-Type is {sent!r}")
    if media_type not in _KINDS:
        raise _invalid(f"the media type {media_type[:128]!r} is not one of a manifest")
    return media_type


def _artifact_type(document: _Document) -> str:
    """The artifact type as the distribution spec, "Listing Referrers", derives it.

    Raises:
        Failure: MANIFEST_INVALID.
    """
    found = document.artifact_type or (document.config.media_type if document.config else "")
    if "\0" in found:
        raise _invalid("its artifact type has a zero byte")
    return found


def _check_descriptor(descriptor: Descriptor) -> None:
    parse_digest(descriptor.digest)
    if not 0 <= descriptor.size < 1 << 63:
        raise _invalid(f"{descriptor.digest} has size {descriptor.size}")
    if descriptor.data is None:
        return
    try:
        data = base64.b64decode(descriptor.data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _invalid(f"the data of {descriptor.digest} is not base64") from error
    if len(descriptor.data) % 4:  # the decoder passes over too much padding at the end
        raise _invalid(f"the data of {descriptor.digest} is not base64")
    algorithm = descriptor.digest.partition(":")[0]
    if len(data) != descriptor.size or digest_of(data, algorithm) != descriptor.digest:
        raise _invalid(f"the data of {descriptor.digest} is not the content it names")


def _invalid(reason: str) -> Failure:
    return Failure(Code.MANIFEST_INVALID, reason=reason)
