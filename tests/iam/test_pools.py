"""Pools and providers in Google's JSON form."""

from __future__ import annotations

from typing import Any

import pytest

from customhouse.errors import Code
from customhouse.iam.pools import (
    Pool,
    Provider,
    pool_changes,
    pool_to_json,
    provider_changes,
    provider_to_json,
)
from tests.support.failures import failed

NAME = "projects/123456789012/locations/global/workloadIdentityPools/ci-pool"
DOCUMENT = {
    "displayName": "GitHub",
    "description": "Jobs",
    "disabled": True,
    "attributeMapping": {"google.subject": "assertion.sub"},
    "attributeCondition": "assertion.repository_owner == 'acme'",
    "oidc": {
        "issuerUri": "https://token.actions.githubusercontent.com",
        "allowedAudiences": ["https://registry.example.com"],
        "jwksJson": '{"keys": []}',
    },
}


def test_pool() -> None:
    pool = Pool("acme", "ci-pool", "CI", "Jobs", is_disabled=True)
    assert pool_to_json(pool, 123456789012) == {
        "name": NAME,
        "displayName": "CI",
        "description": "Jobs",
        "disabled": True,
        "state": "ACTIVE",
    }
    deleted = Pool("acme", "ci-pool", created_at=1, deleted_at=1_700_000_000_000_000)
    assert pool_to_json(deleted, 123456789012) == {
        "name": NAME,
        "state": "DELETED",
        "expireTime": "2023-12-14T22:13:20Z",
    }


def test_provider_there_and_back() -> None:
    changes = provider_changes(DOCUMENT | {"name": "ignored", "state": "ACTIVE"})
    provider = Provider("acme", "ci-pool", "github", **changes)
    assert provider.audiences == ("https://registry.example.com",)
    assert provider_to_json(provider, 123456789012) == DOCUMENT | {
        "name": f"{NAME}/providers/github",
        "state": "ACTIVE",
    }


def test_only_what_is_there_changes() -> None:
    assert provider_changes({"disabled": False}) == {"is_disabled": False}
    assert provider_changes({"oidc": {"issuerUri": "https://e.com"}}) == {"issuer": "https://e.com"}
    assert pool_changes({}) == {}


@pytest.mark.parametrize(
    ("mask", "names"),
    [
        (["displayName"], {"display_name"}),
        (["display_name", "attribute_condition"], {"display_name", "attribute_condition"}),
        (["oidc"], {"issuer", "audiences", "jwks"}),
        (["oidc.issuer_uri"], {"issuer"}),
        (["oidc.allowedAudiences", "disabled"], {"audiences", "is_disabled"}),
        ([], set()),
    ],
)
def test_mask(mask: list[str], names: set[str]) -> None:
    assert set(provider_changes(DOCUMENT, mask)) == names


def test_masked_but_absent_is_reset() -> None:
    mask = ["oidc", "attributeCondition", "disabled", "attributeMapping"]
    assert provider_changes({}, mask) == {
        "issuer": "",
        "audiences": (),
        "jwks": "",
        "attribute_condition": "",
        "is_disabled": False,
        "attribute_mapping": {},
    }


@pytest.mark.parametrize(
    ("document", "mask"),
    [
        (None, None),
        ([], None),
        ({"displayName": 5}, None),
        ({"disabled": "true"}, None),
        ({"disabled": 1}, None),
        ({"attributeMapping": ["a"]}, None),
        ({"attributeMapping": {"google.subject": 1}}, None),
        ({"attributeCondition": {}}, None),
        ({"oidc": "x"}, None),
        ({"oidc": {"allowedAudiences": "x"}}, None),
        ({"oidc": {"allowedAudiences": [1]}}, None),
        ({"oidc": {"jwksJson": {}}}, None),
        ({"aws": {"accountId": "123456789012"}}, None),
        ({"saml": {}}, None),
        ({}, ["name"]),
        ({}, ["state"]),
        ({}, [""]),
        ({}, ["oidc.clientId"]),
    ],
)
def test_refused(document: Any, mask: list[str] | None) -> None:
    with failed(Code.THING_INVALID):
        provider_changes(document, mask)
