"""What the distribution spec's main branch says beyond 1.1: algorithms, several tags at once."""

from __future__ import annotations

import pytest

from tests.wire.calls import Call, Case, Registry, case
from tests.wire.contents import OCI_MANIFEST

START = "POST /v2/<name>/blobs/uploads/"
PARTS = ("config", "layer")
MANIFEST = {"Content-Type": OCI_MANIFEST}
SHA512 = {
    "Location": "/v2/<name>/blobs/<alphabet|sha512>",
    "Docker-Content-Digest": "<alphabet|sha512>",
}

ALGORITHMS = (
    case(
        "sha512 in chunks",
        Call(f"{START}?digest-algorithm=sha512", 202),
        Call("PATCH <location>", 202, send=b"abcdefghij"),
        Call("PATCH <location>", 202, send=b"klmnopqrst"),
        Call("PUT <location>?digest=<alphabet|sha512>", 201, send=b"uvwxyz", answer=SHA512),
        Call("GET /v2/<name>/blobs/<alphabet|sha512>", 200, body="alphabet"),
        Call("HEAD /v2/<name>/blobs/<alphabet|sha512>", 200),
        # It is there under the digest that it was pushed with.
        Call("GET /v2/<name>/blobs/<alphabet>", 404, "BLOB_UNKNOWN"),
        Call("DELETE /v2/<name>/blobs/<alphabet|sha512>", 202),
    ),
    case(
        "sha512 in one POST",
        Call(f"{START}?digest=<alphabet|sha512>", 201, send="alphabet", answer=SHA512),
    ),
    case(
        "an algorithm that was not announced",
        Call(START, 202),
        Call("PATCH <location>", 202, send=b"abcdefghij"),
        Call("PUT <location>?digest=<alphabet|sha512>", 201, send=b"klmnopqrstuvwxyz"),
        Call("GET /v2/<name>/blobs/<alphabet|sha512>", 200, body="alphabet"),
        Call(f"{START}?digest-algorithm=sha512", 202),
        Call("PATCH <location>", 202, send=b"abcdefghij"),
        Call("PUT <location>?digest=<alphabet>", 201, send=b"klmnopqrstuvwxyz"),
        Call("GET /v2/<name>/blobs/<alphabet>", 200, body="alphabet"),
    ),
    case(
        "a wrong digest",
        Call(f"{START}?digest-algorithm=sha512", 202),
        Call("PUT <location>?digest=<hello|sha512>", 400, "DIGEST_INVALID", send="alphabet"),
        Call("PUT <location>?digest=<hello>", 400, "DIGEST_INVALID", send="alphabet"),
        Call("PUT <location>?digest=<alphabet|sha512>", 201, send="alphabet"),
    ),
    case(
        "an algorithm that is not served",
        *(
            Call(f"{START}?digest-algorithm={name}", 400, "DIGEST_INVALID")
            for name in ("md5", "sha1", "SHA256", "blake3", "sha256:", "..", "a" * 5000)
        ),
    ),
    case(
        "mount",
        Call("POST /v2/<other>/blobs/uploads/?digest=<hello|sha512>", 201, send="hello"),
        Call(f"{START}?mount=<hello|sha512>&from=<other>", 201),
        Call("GET /v2/<name>/blobs/<hello|sha512>", 200, body="hello"),
    ),
    case(
        "manifest by sha512",
        Call(
            "PUT /v2/<name>/manifests/<image|sha512>?tag=v1",
            201,
            headers=MANIFEST,
            send="image",
            answer={
                "Docker-Content-Digest": "<image|sha512>",
                "Location": "/v2/<name>/manifests/<image|sha512>",
                "OCI-Tag": "v1",
            },
        ),
        Call(
            "GET /v2/<name>/manifests/v1",
            200,
            body="image",
            answer={"Docker-Content-Digest": "<image|sha512>"},
        ),
        Call("GET /v2/<name>/manifests/<image|sha512>", 200, body="image"),
        Call("DELETE /v2/<name>/manifests/<image|sha512>", 202),
        Call("GET /v2/<name>/manifests/v1", 404, "MANIFEST_UNKNOWN"),
        given=PARTS,
    ),
    case(
        "manifest that is not what its sha512 says",
        Call(
            "PUT /v2/<name>/manifests/<second|sha512>",
            400,
            "DIGEST_INVALID",
            headers=MANIFEST,
            send="image",
        ),
        given=PARTS,
    ),
)

TAGS = (
    case(
        "with the digest",
        Call(
            "PUT /v2/<name>/manifests/<image>?tag=a&tag=b&tag=a",
            201,
            headers=MANIFEST,
            send="image",
            answer={"OCI-Tag": "a, b"},  # one line for each
        ),
        Call("GET /v2/<name>/manifests/a", 200, body="image"),
        Call("GET /v2/<name>/manifests/b", 200, body="image"),
        Call("GET /v2/<name>/tags/list", 200, has={"tags": ["a", "b"]}),
        given=PARTS,
    ),
    case(
        "no tag at all",
        Call(
            "PUT /v2/<name>/manifests/<image>",
            201,
            headers=MANIFEST,
            send="image",
            answer={"OCI-Tag": None},
        ),
        Call("GET /v2/<name>/tags/list", 200, has={"tags": []}),
        given=PARTS,
    ),
    case(
        "tags that move together",
        Call(
            "PUT /v2/<name>/manifests/<second>?tag=a&tag=new",
            201,
            headers=MANIFEST,
            send="second",
        ),
        Call("GET /v2/<name>/manifests/a", 200, body="second"),
        Call("GET /v2/<name>/manifests/new", 200, body="second"),
        Call("GET /v2/<name>/manifests/b", 200, body="image"),
        given=(*PARTS, "a=image", "b=image"),
    ),
    case(
        "one that is no tag spoils all",
        *(
            Call(
                f"PUT /v2/<name>/manifests/<image>?tag=good&tag={tag}",
                400,
                "MANIFEST_INVALID",
                headers=MANIFEST,
                send="image",
            )
            for tag in ("-bad", "", "a%20b", "%C3%A9", "a" * 129)
        ),
        Call("GET /v2/<name>/manifests/good", 404, "MANIFEST_UNKNOWN"),
        given=PARTS,
    ),
    case(
        "a hundred, and no more",
        Call(
            "PUT /v2/<name>/manifests/<image>?" + "&".join(f"tag=t{n}" for n in range(100)),
            201,
            headers=MANIFEST,
            send="image",
        ),
        Call(
            "PUT /v2/<name>/manifests/<image>?" + "&".join(f"tag=t{n}" for n in range(101)),
            400,
            "MANIFEST_INVALID",
            headers=MANIFEST,
            send="image",
        ),
        given=PARTS,
    ),
)


@pytest.mark.parametrize("table_case", [*ALGORITHMS, *TAGS])
def test_calls(table_case: Case, registry: Registry) -> None:
    registry.run(table_case)
