"""Distribution spec: "Pushing Manifests"; image spec: descriptors, manifest, index."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.wire.calls import Call, Case, Registry, case
from tests.wire.contents import (
    BLOBS,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    HELLO_DATA,
    IMAGE,
    INDEX,
    MANIFEST_LIMIT,
    MANIFESTS,
    OCI_ARTIFACT,
    OCI_FOREIGN,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    SCHEMA1,
    SIGNED_SCHEMA1,
    blob,
    digest_of,
    image,
    index,
    padded,
)

PUT = "PUT /v2/<name>/manifests/v1"
PARTS = ("config", "layer")
EVERY_PART = (*PARTS, "hello", "brackets")
ZEROS = f"sha256:{'0' * 64}"


def put(
    content: str | bytes | tuple[bytes, ...],
    status: int,
    code: str = "",
    content_type: str = OCI_MANIFEST,
) -> Call:
    """A row that pushes with the tag v1."""
    return Call(PUT, status, code, headers={"Content-Type": content_type}, send=content)


def accepted(title: str, name: str, *given: str) -> Any:
    """A case: a manifest is taken by tag and by digest, and comes back byte for byte."""
    headers = {"Content-Type": MANIFESTS[name][0]}
    answer = {"Location": f"/v2/<name>/manifests/<{name}>", "Docker-Content-Digest": f"<{name}>"}
    return case(
        title,
        *(
            Call(
                f"PUT /v2/<name>/manifests/{reference}",
                201,
                headers=headers,
                send=name,
                answer=answer,
                body=b"",
            )
            for reference in ("v1", f"<{name}>", "v1")
        ),
        Call("GET /v2/<name>/manifests/v1", 200, answer=headers, body=name),
        given=given or EVERY_PART,
    )


def changed(**fields: object) -> bytes:
    """The image manifest with fields replaced; without those that are None."""
    document = json.loads(IMAGE) | fields
    return json.dumps({key: value for key, value in document.items() if value is not None}).encode()


ACCEPTED = (
    accepted("OCI image", "image"),
    accepted("Docker image", "docker"),
    accepted("OCI index", "index", *PARTS, "image", "docker"),
    accepted("Docker list", "list", *PARTS, "docker"),
    accepted("index of indexes", "nested", *PARTS, "image", "docker", "index"),
    accepted("artifact", "signature"),
    accepted("artifact without a type", "typeless"),
    accepted("OCI artifact manifest", "old artifact"),
    accepted("artifact whose subject is not there", "orphan"),
    accepted("index with a subject", "signed index", *PARTS, "image"),
    accepted("unknown fields", "unknown fields"),
    accepted("without mediaType", "no media type"),
    accepted("layers that stay with their publisher", "foreign"),
    accepted("Docker layers that stay with their publisher", "docker foreign"),
    accepted("data that is the content", "data"),
    accepted("four MiB", "at the limit"),
    case(
        "layer by sha512",
        Call("POST /v2/<name>/blobs/uploads/?digest=<layer|sha512>", 201, send="layer"),
        put("sha512 layer", 201),
        given=("config",),
    ),
    case(
        "layers elsewhere that claim to be immense",
        put(
            image(*(blob(OCI_FOREIGN, name, size=(1 << 63) - 1) for name in ("large", "empty"))),
            201,
        ),
        Call("GET /v2/<name>/tags/list", 200),
        given=PARTS,
    ),
    case(
        "zero bytes where they mean nothing",
        put(changed(annotations={"a\0b": "\0"}), 201),
        put(changed(layers=[blob("a\0b", "layer")]), 201),
        Call("GET /v2/<name>/tags/list", 200),
        given=PARTS,
    ),
    case(
        "empty index",
        put(b'{"schemaVersion": 2, "manifests": []}', 201, content_type=OCI_INDEX),
        Call("GET /v2/<name>/manifests/v1", 200, answer={"Content-Type": OCI_INDEX}),
    ),
    case(
        "types of content",
        put("image", 201, content_type=f"{OCI_MANIFEST}; charset=utf-8"),
        put("image", 201, content_type="application/json"),
        put("image", 201, content_type=""),
        Call(PUT, 201, send="image"),
        Call("GET /v2/<name>/manifests/v1", 200, answer={"Content-Type": OCI_MANIFEST}),
        given=PARTS,
    ),
    case(
        "the type that only Content-Type says",
        put(changed(mediaType=None), 201, content_type=OCI_MANIFEST),
        Call("GET /v2/<name>/manifests/v1", 200, answer={"Content-Type": OCI_MANIFEST}),
        given=PARTS,
    ),
)

MISSING = (
    case(
        "layer",
        put("image", 400, "MANIFEST_BLOB_UNKNOWN"),
        Call("GET /v2/<name>/manifests/v1", 404, "MANIFEST_UNKNOWN"),
        Call("GET /v2/<name>/manifests/<image>", 404, "MANIFEST_UNKNOWN"),
        given=("config",),
    ),
    case("config", put("image", 400, "MANIFEST_BLOB_UNKNOWN"), given=("layer",)),
    case(
        "held by another repository alone",
        Call(
            "PUT /v2/<other>/manifests/v1",
            400,
            "MANIFEST_BLOB_UNKNOWN",
            headers={"Content-Type": OCI_MANIFEST},
            send="image",
        ),
        given=PARTS,
    ),
    case(
        "child of an index",
        put("index", 400, "MANIFEST_BLOB_UNKNOWN", OCI_INDEX),
        put("sparse", 400, "MANIFEST_BLOB_UNKNOWN", OCI_INDEX),
        put("nested", 400, "MANIFEST_BLOB_UNKNOWN", OCI_INDEX),
        given=(*PARTS, "image"),
    ),
    case("child of a list", put("list", 400, "MANIFEST_BLOB_UNKNOWN", DOCKER_LIST)),
    case(
        "data does not stand for the blob",
        put("data", 400, "MANIFEST_BLOB_UNKNOWN"),
        given=("config",),
    ),
    case("blob of an artifact", put("signature", 400, "MANIFEST_BLOB_UNKNOWN"), given=("hello",)),
)

TOO_LARGE = (
    case(
        "one byte over four MiB",
        put("over the limit", 413, "MANIFEST_INVALID"),
        put((padded(MANIFEST_LIMIT), b"\n"), 413, "MANIFEST_INVALID"),
        put(padded(MANIFEST_LIMIT + 1024 * 1024), 413, "MANIFEST_INVALID"),
        Call("GET /v2/<name>/manifests/v1", 404, "MANIFEST_UNKNOWN"),
        given=PARTS,
    ),
)

SCHEMA1_BODY = json.dumps(
    {"schemaVersion": 1, "name": "p/a", "tag": "v1", "fsLayers": [], "history": []}
).encode()

WRONG_FIELDS: tuple[dict[str, Any], ...] = (
    {"schemaVersion": 1},
    {"schemaVersion": "2"},
    {"schemaVersion": None},
    {"config": None},
    {"layers": None},
    {"layers": {}},
    {"layers": [None]},
    {"layers": [{}]},
    {"layers": ["<layer>"]},
    {"config": []},
    {"annotations": {"a": 1}},
    {"annotations": []},
    {"subject": "x"},
    {"config": blob(OCI_LAYER, "config") | {"size": -1}},
    {"config": blob(OCI_LAYER, "config") | {"size": 1 << 63}},
    {"config": blob(OCI_LAYER, "config") | {"size": 1.5}},
    {"config": blob(OCI_LAYER, "config") | {"size": "310"}},
    {"config": blob(OCI_LAYER, "config") | {"size": 7}},
    {"artifactType": "a\0b"},
    {"artifactType": 7},
    {"mediaType": 7},
    {"mediaType": "text/plain"},
)

CHILD = json.loads(INDEX)["manifests"][0]

INVALID = (
    case(
        "wrong size of a child",
        put(index(manifests=[CHILD | {"size": 7}]), 400, "MANIFEST_INVALID", OCI_INDEX),
        put(index(manifests=[CHILD]), 201, content_type=OCI_INDEX),
        given=(*PARTS, "image"),
    ),
    case(
        "schema 1",
        put(SCHEMA1_BODY, 400, "MANIFEST_INVALID", SCHEMA1),
        put(SCHEMA1_BODY, 400, "MANIFEST_INVALID", SIGNED_SCHEMA1),
        put(SCHEMA1_BODY, 400, "MANIFEST_INVALID", "application/json"),
        put("image", 400, "MANIFEST_INVALID", SCHEMA1),
        put(changed(mediaType=SCHEMA1), 400, "MANIFEST_INVALID", "application/json"),
    ),
    case(
        "not JSON",
        *(
            put(content, 400, "MANIFEST_INVALID")
            for content in (
                b"",
                b"{",
                b"null",
                b"[]",
                b'"text"',
                b"7",
                b"\xff\xfe{}",
                b'{"schemaVersion": 2, "annotations": {"a": "\xc3"}}',
                b'{"schemaVersion": 2} x',
                b"[" * 200_000,
                b'{"a":' * 200_000,
                b'{"schemaVersion": ' + b"9" * 100_000 + b"}",
            )
        ),
    ),
    case(
        "wrong fields",
        *(put(changed(**fields), 400, "MANIFEST_INVALID") for fields in WRONG_FIELDS),
        given=PARTS,
    ),
    case(
        "wrong digests in it",
        *(
            put(
                changed(layers=[blob(OCI_LAYER, "layer") | {"digest": text}]), 400, "DIGEST_INVALID"
            )
            for text in ("", "x", "sha256:", f"md5:{'0' * 32}", ZEROS.upper(), f"{ZEROS}0")
        ),
        put(changed(subject={"mediaType": "a/b", "digest": "x", "size": 1}), 400, "DIGEST_INVALID"),
        given=EVERY_PART,
    ),
    case(
        "a manifest and an index at once",
        put(changed(manifests=[]), 400, "MANIFEST_INVALID"),
        put(changed(manifests=[], mediaType=None), 400, "MANIFEST_INVALID", OCI_INDEX),
        put(changed(manifests=[], mediaType=OCI_INDEX), 400, "MANIFEST_INVALID", OCI_INDEX),
        put(index(config=blob("a/b", "config")), 400, "MANIFEST_INVALID", OCI_INDEX),
        put(index(layers=[blob(OCI_LAYER, "layer")]), 400, "MANIFEST_INVALID", OCI_INDEX),
        given=PARTS,
    ),
    case(
        "another Content-Type than mediaType",
        put("image", 400, "MANIFEST_INVALID", DOCKER_MANIFEST),
        put("image", 400, "MANIFEST_INVALID", OCI_INDEX),
        put("docker", 400, "MANIFEST_INVALID", OCI_MANIFEST),
        put(INDEX, 400, "MANIFEST_INVALID", DOCKER_LIST),
        given=PARTS,
    ),
    case(
        "a type that the document itself does not say",
        put(changed(mediaType=None), 400, "MANIFEST_INVALID", DOCKER_MANIFEST),
        put(b'{"schemaVersion": 2, "manifests": []}', 400, "MANIFEST_INVALID", DOCKER_LIST),
        given=PARTS,
    ),
    case(
        "keys that clients read in two ways",
        *(
            put(IMAGE.replace(old, new, 1), 400, "MANIFEST_INVALID")
            for old, new in (
                (b'"layers":', b'"layers": [], "layers":'),
                (b'"layers":', b'"Layers": [], "layers":'),
                (b'"schemaVersion":', b'"SchemaVersion": 1, "schemaVersion":'),
                (b'"config":', b'"Config": null, "config":'),
                (b'"size":', b'"SIZE": 7, "size":'),
                (b'"digest":', b'"digest": "%b", "digest":' % ZEROS.encode()),
                (b'"mediaType":', b'"media\\u0054ype": "a/b", "mediaType":'),
                (b'"layers":', b'"layer\xc5\xbf": [], "layers":'),  # a long s
            )
        ),
        given=PARTS,
    ),
    case(
        "a type that its fields do not have",
        put(changed(mediaType=OCI_INDEX), 400, "MANIFEST_INVALID", OCI_INDEX),
        put(changed(mediaType=None), 400, "MANIFEST_INVALID", OCI_INDEX),
        put(index(mediaType=OCI_MANIFEST), 400, "MANIFEST_INVALID", OCI_MANIFEST),
        given=PARTS,
    ),
    case(
        "data that is other content",
        *(
            put(image(blob("text/plain", "hello", data=data)), 400, "MANIFEST_INVALID")
            for data in ("", HELLO_DATA[:-4], f"{HELLO_DATA}=", "*", "€", "aGVsbG8sIHdvcmxkcyEK")
        ),
        given=EVERY_PART,
    ),
    case(
        "another digest than the reference",
        Call(
            "PUT /v2/<name>/manifests/<second>",
            400,
            "DIGEST_INVALID",
            headers={"Content-Type": OCI_MANIFEST},
            send="image",
        ),
        Call("PUT /v2/<name>/manifests/sha256:0", 400, "DIGEST_INVALID", send="image"),
        Call("PUT /v2/<name>/manifests/md5:0", 400, "DIGEST_INVALID", send="image"),
        given=PARTS,
    ),
    case(
        "old artifact with nonsense",
        put(
            b'{"mediaType": "%b", "blobs": 7}' % OCI_ARTIFACT.encode(),
            400,
            "MANIFEST_INVALID",
            OCI_ARTIFACT,
        ),
    ),
)


@pytest.mark.parametrize("table_case", [*ACCEPTED, *MISSING, *TOO_LARGE, *INVALID])
def test_calls(table_case: Case, registry: Registry) -> None:
    registry.run(table_case)


def test_every_missing_part_is_named(registry: Registry) -> None:
    talk = registry.conversation()
    talk.given("hello")
    layers = [blob(OCI_LAYER, name) for name in ("layer", "hello", "large")]
    response = talk.make(put(image(*layers), 400, "MANIFEST_BLOB_UNKNOWN"))
    for name in ("config", "layer", "large"):
        assert digest_of(BLOBS[name]) in response.text
    assert digest_of(BLOBS["hello"]) not in response.text


def test_schema_1_is_refused_in_words(registry: Registry) -> None:
    response = registry.conversation().make(put(SCHEMA1_BODY, 400, "MANIFEST_INVALID", SCHEMA1))
    assert "schema 1" in response.json()["errors"][0]["message"]
