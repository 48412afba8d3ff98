"""Distribution spec: "Pulling manifests"."""

from __future__ import annotations

import pytest

from tests.wire.calls import Call, Case, Registry, case
from tests.wire.contents import DOCKER_LIST, DOCKER_MANIFEST, MANIFESTS, OCI_INDEX, OCI_MANIFEST

PARTS = ("config", "layer")
FACTS = {
    "Content-Type": OCI_MANIFEST,
    "Docker-Content-Digest": "<image>",
    "ETag": '"<image>"',
    "Content-Length": "<image|size>",
}

CALLS = (
    case(
        "by tag and by digest",
        Call("GET /v2/<name>/manifests/v1", 200, answer=FACTS, body="image"),
        Call("GET /v2/<name>/manifests/<image>", 200, answer=FACTS, body="image"),
        Call("HEAD /v2/<name>/manifests/v1", 200, answer=FACTS, body=b""),
        Call("HEAD /v2/<name>/manifests/<image>", 200, answer=FACTS, body=b""),
        given=(*PARTS, "v1=image"),
    ),
    case(
        "unknown",
        Call("GET /v2/<name>/manifests/v1", 404, "MANIFEST_UNKNOWN"),
        Call("HEAD /v2/<name>/manifests/v1", 404),
        Call("GET /v2/<name>/manifests/<image>", 404, "MANIFEST_UNKNOWN"),
        Call("HEAD /v2/<name>/manifests/<image>", 404),
        Call("GET /v2/<name>/manifests/<hello|sha512>", 404, "MANIFEST_UNKNOWN"),
    ),
    case(
        "of another repository",
        Call("GET /v2/<other>/manifests/v1", 404, "MANIFEST_UNKNOWN"),
        Call("GET /v2/<other>/manifests/<image>", 404, "MANIFEST_UNKNOWN"),
        given=(*PARTS, "v1=image"),
    ),
    case(
        "tags differ by case",
        Call("GET /v2/<name>/manifests/V1", 404, "MANIFEST_UNKNOWN"),
        given=(*PARTS, "v1=image"),
    ),
    case(
        "a blob is no manifest",
        Call("GET /v2/<name>/manifests/<config>", 404, "MANIFEST_UNKNOWN"),
        given=PARTS,
    ),
    case(
        "if none match",
        *(
            Call(
                f"{method} /v2/<name>/manifests/{reference}",
                304,
                headers={"If-None-Match": text},
                answer={"ETag": '"<image>"', "Content-Length": None},
                body=b"",
            )
            for method in ("GET", "HEAD")
            for reference in ("v1", "<image>")
            for text in ('"<image>"', 'W/"<image>"', '"a", "<image>"', "*")
        ),
        Call(
            "GET /v2/<name>/manifests/v1",
            200,
            headers={"If-None-Match": '"<second>"'},
            body="image",
        ),
        given=(*PARTS, "v1=image"),
    ),
    case(
        "what was pushed is answered whatever is accepted",
        *(
            Call("GET /v2/<name>/manifests/v1", 200, headers=headers, answer=FACTS, body="image")
            for headers in (
                {},
                {"Accept": "application/json"},
                {"Accept": "text/html"},
                {"Accept": f"{OCI_INDEX},{OCI_MANIFEST};q=0.5,*/*;q=0.1"},
                # dockerd and containers/image send a line for each type, in any order.
                (("Accept", OCI_INDEX), ("Accept", OCI_MANIFEST), ("Accept", DOCKER_MANIFEST)),
                (("Accept", OCI_MANIFEST), ("Accept", OCI_INDEX), ("Accept", DOCKER_LIST)),
            )
        ),
        given=(*PARTS, "v1=image"),
    ),
    case(
        "every type as it came",
        *(
            Call(
                f"GET /v2/<name>/manifests/<{name}>",
                200,
                answer={"Content-Type": MANIFESTS[name][0], "Docker-Content-Digest": f"<{name}>"},
                body=name,
            )
            for name in ("image", "docker", "index", "list", "nested")
        ),
        given=(*PARTS, "image", "docker", "index", "list", "nested"),
    ),
    case(
        "a tag moves",
        Call("GET /v2/<name>/manifests/latest", 200, body="image"),
        Call(
            "PUT /v2/<name>/manifests/latest",
            201,
            headers={"Content-Type": OCI_MANIFEST},
            send="second",
        ),
        Call("GET /v2/<name>/manifests/latest", 200, body="second"),
        Call("GET /v2/<name>/manifests/<image>", 200, body="image"),
        given=(*PARTS, "latest=image"),
    ),
)


@pytest.mark.parametrize("table_case", CALLS)
def test_calls(table_case: Case, registry: Registry) -> None:
    registry.run(table_case)
