"""The exchange of another issuer's token for an identity of this server (RFC 8693)."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from customhouse.errors import Code, Failure
from customhouse.iam import attributes, external, federation, issuers, projects
from customhouse.iam.permissions import Principal
from customhouse.names import parse_project, project_id

if TYPE_CHECKING:
    from customhouse.database import LoopDatabase, Transaction
    from customhouse.iam.attributes import Attributes
    from customhouse.iam.issuers import IssuerKeys
    from customhouse.iam.pools import Provider

TOKEN_TYPES = frozenset(
    {"urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token"}
)
_HOST = "//iam.googleapis.com"
# The second form names no `projects/NUMBER`, which makes google-auth ask Google about that number.
_AUDIENCE = re.compile(
    r"(?:https:)?//iam\.googleapis\.com/(?:projects/(?P<project>[a-z0-9.:-]{1,120})/)?"
    r"locations/global/workloadIdentityPools/(?(project)|(?P<other>[a-z0-9.:-]{1,120})/)"
    r"(?P<pool>[a-z0-9-]{4,32})/providers/(?P<provider>[a-z0-9-]{4,32})"
)
# The identity and its sets are in each token that it gets, and tokens in a header.
_MAX_SETS = 6 * 1024


@dataclass(frozen=True, slots=True)
class Target:
    """A provider that tokens may be exchanged at, and the number of its project."""

    provider: Provider
    number: int

    @property
    def audiences(self) -> frozenset[str]:
        """What `aud` of a token may be."""
        provider = self.provider
        if provider.audiences:
            return frozenset(provider.audiences)
        project = project_id(provider.project)
        pools, rest = "locations/global/workloadIdentityPools", f"providers/{provider.id}"
        names = (
            f"{_HOST}/projects/{self.number}/{pools}/{provider.pool}/{rest}",
            f"{_HOST}/projects/{project}/{pools}/{provider.pool}/{rest}",
            f"{_HOST}/{pools}/{project}/{provider.pool}/{rest}",
        )
        return frozenset(names) | {f"https:{name}" for name in names}


def find(tx: Transaction, audience: str) -> Target:
    """The provider that the `audience` of an exchange names, if tokens may be exchanged there.

    Args:
        tx: the transaction.
        audience: `//iam.googleapis.com/projects/P/locations/global/workloadIdentityPools/POOL/`
            `providers/PROVIDER`, with the number or the id of the project, or
            `//iam.googleapis.com/locations/global/workloadIdentityPools/P/POOL/providers/PROVIDER`;
            `https:` may stand before either.

    Raises:
        Failure: THING_UNKNOWN, whatever of it is unknown, disabled or deleted.
    """
    unknown = Failure(Code.THING_UNKNOWN, kind="identity provider", name=audience[:300])
    match = _AUDIENCE.fullmatch(audience)
    if match is None:
        raise unknown
    name = match["project"] or match["other"]
    try:
        project = projects.get(tx, name if name.isdigit() else parse_project(name))
        pool = federation.get_pool(tx, project.id, match["pool"])
        provider = federation.get_provider(tx, project.id, pool.id, match["provider"])
    except Failure as failure:
        raise unknown from failure
    usable = project.state == projects.ACTIVE and not any(
        thing.is_disabled or thing.deleted_at is not None for thing in (pool, provider)
    )
    if not usable:
        raise unknown
    return Target(provider, project.number)


async def exchange(
    database: LoopDatabase,
    keys: IssuerKeys,
    *,
    audience: str,
    subject_token: str,
    subject_token_type: str,
    now: float,
) -> Principal:
    """Who a token of another issuer is for, here.

    Args:
        database: where providers are; no transaction is held while keys are fetched.
        keys: the issuers'.
        audience: see `find`.
        subject_token: the issuer's token.
        subject_token_type: one of `TOKEN_TYPES`.
        now: seconds since 1970.

    Returns:
        `principal://...` and the sets that it is in.

    Raises:
        Failure: THING_UNKNOWN (of the audience), SUBJECT_TOKEN_INVALID, ISSUER_UNREACHABLE.
    """
    if subject_token_type not in TOKEN_TYPES:
        raise external.refused("its type is neither jwt nor id_token")
    kid = external.key_id(subject_token)
    target = await database.read(find, audience)
    provider = target.provider
    if provider.jwks:
        usable = issuers.parse_keys(provider.jwks)
    else:
        usable = await keys.get(provider.issuer, kid)
    claims = external.verify(
        subject_token,
        keys=usable,
        issuer=provider.issuer,
        audiences=target.audiences,
        now=now,
    )
    # A pattern in an expression can take a while.
    mapped = await asyncio.to_thread(
        attributes.map_claims, provider.attribute_mapping, provider.attribute_condition, claims
    )
    return principal(target.number, provider.pool, mapped)


def principal(number: int, pool: str, mapped: Attributes) -> Principal:
    """The member that a federated identity is, and the sets that it is in.

    White space, control characters and `%`, which members of policies cannot have, are written
    as in URLs.

    Args:
        number: of the project.
        pool: its id.
        mapped: what the provider's mapping made of its claims.

    Raises:
        Failure: SUBJECT_TOKEN_INVALID, when the sets are too many to be put into a token.
    """
    root = f"{_HOST}/projects/{number}/locations/global/workloadIdentityPools/{pool}"
    parts = {f"group/{_escaped(group)}" for group in mapped.groups if group}
    parts |= {
        f"attribute.{name}/{_escaped(value)}" for name, value in mapped.custom.items() if value
    }
    sets = frozenset(f"principalSet:{root}/{part}" for part in (*parts, "*"))
    if sum(map(len, sets)) > _MAX_SETS:
        raise external.refused("its groups and attributes are too long; map fewer")
    return Principal(f"principal:{root}/subject/{_escaped(mapped.subject)}", sets=sets)


def _escaped(value: str) -> str:
    return re.sub(r"[\s%\x00-\x1f\x7f]", lambda found: quote(found[0]), value)
