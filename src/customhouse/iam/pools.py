"""Pools and providers of federated identities as values: what is right, and their JSON form.

The form is that of Google's IAM API, version 1: `projects.locations.workloadIdentityPools`.
"""

from __future__ import annotations

import datetime
import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from customhouse.errors import Code, Failure
from customhouse.iam import attributes, issuers

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

UNDELETE_DAYS = 30
POOL, PROVIDER = "identity pool", "identity provider"
_MAX_AUDIENCES, _MAX_AUDIENCE = 10, 256
_MAX_JWKS = 64 * 1024
_ID = re.compile(r"(?!gcp-)[a-z0-9-]{4,32}")


@dataclass(frozen=True, slots=True)
class Pool:
    """A set of federated identities, whose names are unique in it.

    Attributes:
        project: as it stands in image names.
        id: within the project.
        display_name: for people.
        description: for people.
        is_disabled: whether none of its identities may do anything.
        created_at: microseconds since 1970.
        deleted_at: the same; for thirty days it can be had back.
    """

    project: str
    id: str
    display_name: str = ""
    description: str = ""
    is_disabled: bool = False
    created_at: int = 0
    deleted_at: int | None = None


@dataclass(frozen=True, slots=True)
class Provider:
    """An issuer that a pool trusts, and what is made of its tokens.

    Attributes:
        project: of the pool.
        pool: its id.
        id: within the pool.
        issuer: what `iss` of its tokens is; its keys are published below this URL.
        audiences: one of them is `aud`; if there are none, the provider's own name is.
        attribute_mapping: see `attributes.check_mapping`.
        attribute_condition: the same; empty for none.
        jwks: a JWK Set as JSON, or empty to fetch the issuer's.
        display_name: for people.
        description: for people.
        is_disabled: whether its tokens are refused.
        created_at: microseconds since 1970.
        deleted_at: the same; for thirty days it can be had back.
    """

    project: str
    pool: str
    id: str
    issuer: str = ""
    audiences: tuple[str, ...] = ()
    attribute_mapping: Mapping[str, str] = field(default_factory=dict)
    attribute_condition: str = ""
    jwks: str = ""
    display_name: str = ""
    description: str = ""
    is_disabled: bool = False
    created_at: int = 0
    deleted_at: int | None = None


def checked_pool(pool: Pool) -> Pool:
    """A pool if it is right.

    Raises:
        Failure: THING_INVALID.
    """
    _check(pool, POOL)
    return pool


def checked_provider(provider: Provider) -> Provider:
    """A provider if it is right, with nothing but public members left of its keys.

    Raises:
        Failure: THING_INVALID.
    """
    _check(provider, PROVIDER)
    issuers.check_url(provider.issuer)
    right = len(provider.audiences) <= _MAX_AUDIENCES and all(
        0 < len(audience) <= _MAX_AUDIENCE and audience.isprintable()
        for audience in provider.audiences
    )
    if not right:
        reason = f"it has at most {_MAX_AUDIENCES} audiences of 1 to {_MAX_AUDIENCE} characters"
        raise Failure(Code.THING_INVALID, kind=PROVIDER, reason=reason)
    attributes.check_mapping(provider.attribute_mapping, provider.attribute_condition)
    if not provider.jwks:
        return provider
    if len(provider.jwks) > _MAX_JWKS:
        reason = f"it has more than {_MAX_JWKS} characters"
        raise Failure(Code.THING_INVALID, kind="JWK Set", reason=reason)
    keys = issuers.parse_keys(provider.jwks)
    return replace(provider, jwks=json.dumps({"keys": keys}))


def _check(thing: Pool | Provider, kind: str) -> None:
    if not _ID.fullmatch(thing.id):
        reason = "an id is 4 to 32 lower-case letters, digits and dashes, and not gcp-..."
        raise Failure(Code.THING_INVALID, kind=kind, reason=reason)
    if len(thing.display_name) > 32 or len(thing.description) > 256:
        reason = "it has a display name of 32 characters and a description of 256 at most"
        raise Failure(Code.THING_INVALID, kind=kind, reason=reason)
    if not (thing.display_name + thing.description).isprintable():
        reason = "its display name and description are of characters that can be printed"
        raise Failure(Code.THING_INVALID, kind=kind, reason=reason)


# What a field is called in JSON, and here.
_COMMON = {"displayName": "display_name", "description": "description", "disabled": "is_disabled"}
_PROVIDER = _COMMON | {
    "attributeMapping": "attribute_mapping",
    "attributeCondition": "attribute_condition",
    "oidc.issuerUri": "issuer",
    "oidc.allowedAudiences": "audiences",
    "oidc.jwksJson": "jwks",
}


def pool_name(number: int, pool: str) -> str:
    """The resource name of a pool in the project of a number."""
    return f"projects/{number}/locations/global/workloadIdentityPools/{pool}"


def pool_to_json(pool: Pool, number: int) -> dict[str, Any]:
    """A pool as Google's API writes it; `number` is its project's."""
    return {"name": pool_name(number, pool.id), **_common_to_json(pool)}


def provider_to_json(provider: Provider, number: int) -> dict[str, Any]:
    """A provider as Google's API writes it; `number` is its project's."""
    oidc: dict[str, Any] = {"issuerUri": provider.issuer}
    if provider.audiences:
        oidc["allowedAudiences"] = list(provider.audiences)
    if provider.jwks:
        oidc["jwksJson"] = provider.jwks
    document = {
        "name": f"{pool_name(number, provider.pool)}/providers/{provider.id}",
        **_common_to_json(provider),
        "attributeMapping": dict(provider.attribute_mapping),
        "oidc": oidc,
    }
    if provider.attribute_condition:
        document["attributeCondition"] = provider.attribute_condition
    return document


def pool_changes(document: object, mask: Collection[str] | None = None) -> dict[str, Any]:
    """The fields of a `Pool` that a JSON document sets, for `Pool(...)` or `patch_pool`.

    Args:
        document: what was sent.
        mask: the paths of `updateMask`; None for whatever the document has.

    Raises:
        Failure: THING_INVALID.
    """
    return _changes(POOL, document, mask, _COMMON, Pool("", ""))


def provider_changes(document: object, mask: Collection[str] | None = None) -> dict[str, Any]:
    """Like `pool_changes`, of a `Provider`.

    Raises:
        Failure: THING_INVALID, also where the provider is none of OpenID Connect.
    """
    if isinstance(document, dict):
        for kind in ("aws", "saml", "x509"):
            if kind in document:
                reason = f"a provider of kind {kind} is not possible here; use oidc"
                raise Failure(Code.THING_INVALID, kind=PROVIDER, reason=reason)
        oidc = document.get("oidc")
        if isinstance(oidc, dict):
            document = document | {f"oidc.{name}": value for name, value in oidc.items()}
        elif oidc is not None:
            raise Failure(Code.THING_INVALID, kind=PROVIDER, reason="oidc is no object")
    changes = _changes(PROVIDER, document, mask, _PROVIDER, Provider("", "", ""))
    if "audiences" in changes:
        changes["audiences"] = tuple(changes["audiences"])
    return changes


def _common_to_json(thing: Pool | Provider) -> dict[str, Any]:
    document: dict[str, Any] = {
        name: getattr(thing, here) for name, here in _COMMON.items() if getattr(thing, here)
    }
    document["state"] = "ACTIVE" if thing.deleted_at is None else "DELETED"
    if thing.deleted_at is not None:
        at = datetime.datetime.fromtimestamp(thing.deleted_at // 1_000_000, datetime.UTC)
        expires = at + datetime.timedelta(days=UNDELETE_DAYS)
        document["expireTime"] = expires.strftime("%Y-%m-%dT%H:%M:%SZ")
    return document


def _changes(
    kind: str,
    document: object,
    mask: Collection[str] | None,
    fields: Mapping[str, str],
    empty: Pool | Provider,
) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise Failure(Code.THING_INVALID, kind=kind, reason="it is no object")
    paths = [name for name in fields if name in document]
    if mask is not None:
        paths = []
        for path in mask:
            # Both `displayName` and `display_name` are sent; `oidc` stands for all in it.
            name = re.sub("_([a-z])", lambda found: found[1].upper(), path)
            found = [key for key in fields if key == name or key.startswith(f"{name}.")]
            if not found:
                reason = f"{path[:100]!r} is no field that can be changed"
                raise Failure(Code.THING_INVALID, kind=kind, reason=reason)
            paths += found
    changes = {}
    for name in paths:
        default = getattr(empty, fields[name])
        value = document.get(name)
        if value is None:
            value = default
        if not _is_like(value, default):
            reason = f"{name} is of another type"
            raise Failure(Code.THING_INVALID, kind=kind, reason=reason)
        changes[fields[name]] = value
    return changes


def _is_like(value: object, default: object) -> bool:
    match default:
        case tuple():
            return isinstance(value, list | tuple) and all(isinstance(v, str) for v in value)
        case dict():
            return isinstance(value, dict) and all(isinstance(v, str) for v in value.values())
    return type(value) is type(default)
