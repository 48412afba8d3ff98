"""Distribution spec: "Content Management": deleting tags, manifests and blobs."""

from __future__ import annotations

import pytest

from tests.wire.calls import Call, Case, Registry, case

PARTS = ("config", "layer")


def gone(what: str) -> tuple[Call, ...]:
    """A manifest is not there, by whatever method one looks."""
    path = f"/v2/<name>/manifests/{what}"
    return (
        Call(f"GET {path}", 404, "MANIFEST_UNKNOWN"),
        Call(f"HEAD {path}", 404),
        Call(f"DELETE {path}", 404, "MANIFEST_UNKNOWN"),
    )


CALLS = (
    case(
        "a tag alone",
        Call("DELETE /v2/<name>/manifests/v1", 202, body=b""),
        *gone("v1"),
        Call("GET /v2/<name>/manifests/v2", 200, body="image"),
        Call("GET /v2/<name>/manifests/<image>", 200, body="image"),
        Call("GET /v2/<name>/tags/list", 200, has={"tags": ["v2"]}),
        given=(*PARTS, "v1=image", "v2=image"),
    ),
    case(
        "the last tag leaves the manifest",
        Call("DELETE /v2/<name>/manifests/v1", 202),
        Call("GET /v2/<name>/tags/list", 200, has={"tags": []}),
        Call("GET /v2/<name>/manifests/<image>", 200, body="image"),
        given=(*PARTS, "v1=image"),
    ),
    case(
        "a manifest with its tags",
        Call("DELETE /v2/<name>/manifests/<image>", 202, body=b""),
        *gone("<image>"),
        *gone("v1"),
        *gone("v2"),
        Call("GET /v2/<name>/manifests/kept", 200, body="second"),
        Call("GET /v2/<name>/tags/list", 200, has={"tags": ["kept"]}),
        given=(*PARTS, "v1=image", "v2=image", "kept=second"),
    ),
    case(
        "a manifest that comes back",
        Call("DELETE /v2/<name>/manifests/<image>", 202),
        Call(
            "PUT /v2/<name>/manifests/v2",
            201,
            headers={"Content-Type": "application/vnd.oci.image.manifest.v1+json"},
            send="image",
        ),
        Call("GET /v2/<name>/manifests/<image>", 200, body="image"),
        Call("GET /v2/<name>/tags/list", 200, has={"tags": ["v2"]}),
        given=(*PARTS, "v1=image"),
    ),
    case(
        "a manifest of another repository stays there",
        Call("POST /v2/<other>/blobs/uploads/?mount=<config>&from=<name>", 201),
        Call("POST /v2/<other>/blobs/uploads/?mount=<layer>&from=<name>", 201),
        Call("PUT /v2/<other>/manifests/v1", 201, send="image"),
        Call("DELETE /v2/<name>/manifests/<image>", 202),
        Call("DELETE /v2/<name>/blobs/<layer>", 202),
        Call("GET /v2/<other>/manifests/v1", 200, body="image"),
        Call("GET /v2/<other>/blobs/<layer>", 200, body="layer"),
        given=(*PARTS, "v1=image"),
    ),
    case(
        "a child of an index",
        Call("DELETE /v2/<name>/manifests/<image>", 405, "UNSUPPORTED"),
        Call("GET /v2/<name>/manifests/v1", 200, body="image"),
        Call("DELETE /v2/<name>/manifests/v1", 202),
        Call("DELETE /v2/<name>/manifests/<index>", 202),
        Call("DELETE /v2/<name>/manifests/<image>", 202),
        *gone("<image>"),
        given=(*PARTS, "v1=image", "docker", "index"),
    ),
    case(
        "unknown manifests",
        *gone("v1"),
        *gone("<image>"),
        given=("hello",),
    ),
    case("of no repository", *gone("v1"), *gone("<image>")),
    case(
        "a blob",
        Call("DELETE /v2/<name>/blobs/<hello>", 202, body=b""),
        Call("GET /v2/<name>/blobs/<hello>", 404, "BLOB_UNKNOWN"),
        Call("HEAD /v2/<name>/blobs/<hello>", 404),
        Call("DELETE /v2/<name>/blobs/<hello>", 404, "BLOB_UNKNOWN"),
        Call("POST /v2/<name>/blobs/uploads/?digest=<hello>", 201, send="hello"),
        Call("GET /v2/<name>/blobs/<hello>", 200, body="hello"),
        given=("hello",),
    ),
    case(
        "a blob in use",
        Call("DELETE /v2/<name>/blobs/<layer>", 405, "UNSUPPORTED"),
        Call("DELETE /v2/<name>/blobs/<config>", 405, "UNSUPPORTED"),
        Call("GET /v2/<name>/blobs/<layer>", 200, body="layer"),
        Call("DELETE /v2/<name>/manifests/<image>", 202),
        Call("DELETE /v2/<name>/blobs/<layer>", 202),
        given=(*PARTS, "v1=image"),
    ),
    case(
        "unknown blobs",
        Call("DELETE /v2/<name>/blobs/<hello>", 404, "BLOB_UNKNOWN"),
        Call("DELETE /v2/<other>/blobs/<hello>", 404, "BLOB_UNKNOWN"),
        # What another repository holds is not told, and is not touched.
        Call("POST /v2/<other>/blobs/uploads/?digest=<hello>", 201, send="hello"),
        Call("DELETE /v2/<name>/blobs/<hello>", 404, "BLOB_UNKNOWN"),
        Call("GET /v2/<other>/blobs/<hello>", 200, body="hello"),
        given=("empty",),
    ),
    case(
        "a mount that comes after the blob was deleted here",
        Call("POST /v2/<other>/blobs/uploads/?mount=<alphabet>&from=<name>", 201),
        Call("DELETE /v2/<name>/blobs/<alphabet>", 202),
        Call("POST /v2/<name>/blobs/uploads/?mount=<alphabet>&from=<other>", 201),
        Call("GET /v2/<name>/blobs/<alphabet>", 200, body="alphabet"),
        given=("alphabet",),
    ),
)


@pytest.mark.parametrize("table_case", CALLS)
def test_calls(table_case: Case, registry: Registry) -> None:
    registry.run(table_case)
