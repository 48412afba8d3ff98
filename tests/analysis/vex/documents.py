"""VEX documents of each form, made on the spot."""

from __future__ import annotations

import base64
import json
from typing import Any

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
CVE = "CVE-2024-1234"
LIBSSL = "pkg:deb/debian/libssl3@3.0.8-1?arch=amd64"
IMAGE = f"pkg:oci/web@{DIGEST}?repository_url=registry.example.com/acme/web"


def openvex(*statements: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A document of OpenVEX 0.2.0."""
    return {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": "https://example.com/vex/1",
        "author": "Example Inc.",
        "timestamp": "2024-05-01T10:00:00Z",
        "version": 1,
        "statements": list(statements),
        **fields,
    }


def says(
    status: str = "not_affected", *products: str | dict[str, Any], name: str = CVE, **fields: Any
) -> dict[str, Any]:
    """A statement; of `not_affected` it says why."""
    if status == "not_affected":
        fields = {"justification": "vulnerable_code_not_in_execute_path"} | fields
    listed = [{"@id": each} if isinstance(each, str) else each for each in products]
    return {
        "vulnerability": {"name": name},
        "status": status,
        **({"products": listed} if listed else {}),
        **fields,
    }


def attestation(document: dict[str, Any], *digests: str, **fields: Any) -> dict[str, Any]:
    """A statement of in-toto about these digests, with the document as its predicate."""
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "web", "digest": {"sha256": each[7:]}} for each in digests],
        "predicateType": "https://openvex.dev/ns/v0.2.0",
        "predicate": document,
        **fields,
    }


def envelope(statement: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A DSSE envelope."""
    return {
        "payloadType": "application/vnd.in-toto+json",
        "payload": base64.b64encode(encoded(statement)).decode(),
        "signatures": [{"sig": "AAAA"}],
        **fields,
    }


def csaf(*vulnerabilities: dict[str, Any], **tree: Any) -> dict[str, Any]:
    """A document of CSAF's profile VEX, with an image and a package in it."""
    return {
        "document": {
            "category": "csaf_vex",
            "csaf_version": "2.0",
            "publisher": {
                "category": "vendor",
                "name": "Example Inc.",
                "namespace": "https://example.com",
            },
            "title": "x",
            "tracking": {
                "id": "EX-1",
                "status": "final",
                "version": "1",
                "current_release_date": "2024-05-01T10:00:00Z",
                "initial_release_date": "2024-05-01T10:00:00Z",
            },
        },
        "product_tree": {
            "branches": [
                {
                    "category": "vendor",
                    "name": "Example",
                    "branches": [
                        product("image", purl=IMAGE),
                        product("libssl", purl=LIBSSL),
                        product("release", cpe="cpe:/o:example:linux:9"),
                        product("unversioned", purl="pkg:rpm/example/openssl"),
                        product("named"),
                    ],
                }
            ],
            "full_product_names": [
                {
                    "product_id": "hashed",
                    "name": "x",
                    "product_identification_helper": {
                        "hashes": [
                            {
                                "filename": "x",
                                "file_hashes": [{"algorithm": "sha256", "value": DIGEST[7:]}],
                            }
                        ]
                    },
                }
            ],
            "relationships": [
                within("image:libssl", "libssl", "image"),
                within("release:libssl", "libssl", "release"),
                within("release:unversioned", "unversioned", "release"),
                within("release:image", "image", "release"),
            ],
            "product_groups": [{"group_id": "all", "product_ids": ["image", "hashed"]}],
            **tree,
        },
        "vulnerabilities": list(vulnerabilities),
    }


def product(name: str, **helper: str) -> dict[str, Any]:
    """A branch with a product."""
    found: dict[str, Any] = {"product_id": name, "name": name}
    if helper:
        found["product_identification_helper"] = helper
    return {"category": "product_version", "name": name, "product": found}


def within(name: str, component: str, product_id: str) -> dict[str, Any]:
    """A component of a product."""
    return {
        "category": "default_component_of",
        "full_product_name": {"product_id": name, "name": name},
        "product_reference": component,
        "relates_to_product_reference": product_id,
    }


def encoded(document: object) -> bytes:
    """JSON."""
    return json.dumps(document).encode()
