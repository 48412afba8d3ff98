"""Distribution spec: "Listing Referrers", "Pushing Manifests with Subject"."""

from __future__ import annotations

import json
from typing import Any

import pytest

from customhouse.database import Database, Transaction
from customhouse.oci import parse_manifest
from customhouse.registry import manifests, repositories
from customhouse.registry.manifests import ImageFacts
from tests.wire.calls import Call, Case, Conversation, Registry, case
from tests.wire.contents import (
    CONTENTS,
    MANIFESTS,
    OCI_ARTIFACT,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_MANIFEST,
    artifact,
    digest_of,
)

GET = "GET /v2/<name>/referrers/<image>"
PARTS = ("config", "layer", "hello", "brackets")
SIGNATURE_TYPE = "application/vnd.example.signature"


def descriptor(name: str, artifact_type: str, media_type: str = OCI_MANIFEST) -> dict[str, Any]:
    """What the listing says of a manifest."""
    content = CONTENTS[name]
    return {
        "mediaType": media_type,
        "digest": digest_of(content),
        "size": len(content),
        "artifactType": artifact_type,
    }


SIGNATURE = descriptor("signature", SIGNATURE_TYPE) | {"annotations": {"by": "ana"}}
SBOM = descriptor("sbom", "application/vnd.example.sbom+json")
TYPELESS = descriptor("typeless", OCI_EMPTY)
OLD = descriptor("old artifact", "application/vnd.example.old", OCI_ARTIFACT)


def listing(*found: dict[str, Any], query: str = "", filters: str | None = None) -> Call:
    """A row: what refers to the image."""
    return Call(
        GET + query,
        200,
        answer={"Content-Type": OCI_INDEX, "OCI-Filters-Applied": filters, "Link": None},
        json={
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": sorted(found, key=lambda item: str(item["digest"])),
        },
    )


def push(name: str, subject: str | None = "image") -> Call:
    """A row: a push that is told that its subject was seen."""
    return Call(
        f"PUT /v2/<name>/manifests/<{name}>",
        201,
        headers={"Content-Type": MANIFESTS[name][0]},
        send=name,
        answer={"OCI-Subject": f"<{subject}>" if subject else None},
    )


CALLS = (
    case("nothing of nothing", listing()),
    case("nothing of a manifest", listing(), given=(*PARTS, "v1=image")),
    case(
        "a digest that clients probe with",
        Call(
            f"GET /v2/<name>/referrers/sha256:{'0' * 64}",
            200,
            json={"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []},
        ),
    ),
    case("head", Call("HEAD /v2/<name>/referrers/<image>", 200, body=b"")),
    case(
        "the subject first",
        push("image", None),
        push("signature"),
        listing(SIGNATURE),
        push("sbom"),
        push("typeless"),
        push("old artifact"),
        listing(SIGNATURE, SBOM, TYPELESS, OLD),
        given=PARTS,
    ),
    case(
        "the referrer first",
        push("signature"),
        listing(SIGNATURE),
        push("image", None),
        listing(SIGNATURE),
        given=PARTS,
    ),
    case("by tag", listing(SIGNATURE), given=(*PARTS, "sig=signature")),
    case(
        "an index refers too",
        push("signed index", "absent"),
        Call(
            "GET /v2/<name>/referrers/<absent>",
            200,
            has={
                "manifests": [
                    descriptor("signed index", "application/vnd.example.bundle", OCI_INDEX)
                ]
            },
        ),
        given=(*PARTS, "image"),
    ),
    case(
        "filter",
        listing(SIGNATURE, query=f"?artifactType={SIGNATURE_TYPE}", filters="artifactType"),
        listing(
            SBOM,
            query="?artifactType=application/vnd.example.sbom%2Bjson",
            filters="artifactType",
        ),
        listing(
            TYPELESS,
            query="?artifactType=application%2Fvnd.oci.empty.v1%2Bjson",
            filters="artifactType",
        ),
        listing(query="?artifactType=nothing/of-this", filters="artifactType"),
        listing(SIGNATURE, SBOM, TYPELESS, query="?artifactType="),
        listing(SIGNATURE, SBOM, TYPELESS, query="?other=filter"),
        given=(*PARTS, "signature", "sbom", "typeless"),
    ),
    case(
        "another repository",
        Call("GET /v2/<other>/referrers/<image>", 200, has={"manifests": []}),
        given=(*PARTS, "signature"),
    ),
    case(
        "deleted",
        Call("DELETE /v2/<name>/manifests/<signature>", 202),
        listing(SBOM),
        # A subject that goes leaves what refers to it.
        Call("DELETE /v2/<name>/manifests/<image>", 202),
        listing(SBOM),
        given=(*PARTS, "image", "signature", "sbom"),
    ),
)


@pytest.mark.parametrize("table_case", CALLS)
def test_calls(table_case: Case, registry: Registry) -> None:
    registry.run(table_case)


def test_pages(registry: Registry) -> None:
    talk = registry.conversation()
    talk.given(*PARTS, "image")
    written = write_referrers(talk, 250)
    target: str | None = f"/v2/{talk.words['name']}/referrers/<image>?artifactType=a/b"
    found: list[str] = []
    while target:
        page = talk.make(Call(f"GET {target}", 200, answer={"OCI-Filters-Applied": "artifactType"}))
        assert len(page.json()["manifests"]) >= 50
        found += [entry["digest"] for entry in page.json()["manifests"]]
        target = page.links["next"]["url"] if "next" in page.links else None
        assert target is None or target.startswith(f"/v2/{talk.words['name']}/referrers/")
    assert found == sorted(written)


def write_referrers(talk: Conversation, count: int) -> set[str]:
    """Put many manifests that refer to the image straight into the database."""
    contents = [artifact(CONTENTS["image"], "a/b", n=n) for n in range(count)]

    def write(tx: Transaction) -> set[str]:
        number = repositories.find(tx, talk.words["name"])
        assert number is not None
        for content in contents:
            manifest = parse_manifest(content, OCI_MANIFEST)
            manifests.put(tx, number, manifest, content, ImageFacts(), "user:admin")
        return {digest_of(content) for content in contents}

    database = Database(talk.registry.database_url)
    try:
        return database.write(write)
    finally:
        database.close()


def test_the_listing_is_a_valid_index(registry: Registry) -> None:
    talk = registry.conversation()
    talk.given(*PARTS, "signature", "sbom")
    body = talk.make(Call(GET, 200)).content
    assert len(parse_manifest(body, OCI_INDEX).children) == 2
    assert all(isinstance(item["size"], int) for item in json.loads(body)["manifests"])
