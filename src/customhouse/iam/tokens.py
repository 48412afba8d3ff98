"""Signed tokens: short-lived ones for the APIs, long-lived ones to get those without a password.

JSON Web Tokens (RFC 7519) signed with ES256 by a key that only this installation has. Verifying
one reads no database; a token that was verified is remembered until it expires.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, KeySet
from sqlalchemy import BigInteger, Column, Table, Text, select

from customhouse.database import METADATA, Name, now
from customhouse.errors import Code, Failure
from customhouse.iam.permissions import Principal

if TYPE_CHECKING:
    from customhouse.database import Database, Transaction

SIGNING_KEY = Table(
    "signing_key",
    METADATA,
    Column("id", Name, primary_key=True),
    Column("private_key", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

SERVICE = "customhouse"
_ALGORITHMS = ["ES256"]
_LEEWAY_SECONDS = 30
_MAX_TOKEN = 16 * 1024
_REMEMBER_COUNT = 10_000

# Repository name -> Docker actions ("pull", "push", "delete", "*").
Access = Mapping[str, frozenset[str]]

# Stands among repository names for the scope `registry:catalog`; no repository is called so.
CATALOG = "registry:catalog"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who sent a request and what its token is limited to.

    Attributes:
        principal: who.
        access: what a registry token was issued for; None where there is no such limit.
    """

    principal: Principal
    access: Access | None = None

    def covers(self, repository: str, action: str) -> bool:
        """Whether the token was issued for this action on this repository."""
        if self.access is None:
            return True
        actions = self.access.get(repository, frozenset())
        return action in actions or "*" in actions


@dataclass(frozen=True, slots=True)
class Refresh:
    """What a refresh token says: the account, and the generation of its password."""

    account: str
    generation: int


def create_key(database: Database) -> None:
    """Make the installation's signing key if there is none."""
    if database.read(_load):
        return
    key = ECKey.generate_key("P-256", {"kid": secrets.token_hex(8)}, private=True)
    row = {
        "id": key.kid,
        "private_key": key.as_pem(private=True).decode(),
        "created_at": now(),
    }
    database.write(lambda tx: tx.execute(SIGNING_KEY.insert(), row) and None)


def _load(tx: Transaction) -> list[tuple[str, str]]:
    rows = tx.execute(
        select(SIGNING_KEY.c.id, SIGNING_KEY.c.private_key).order_by(
            SIGNING_KEY.c.created_at.desc(), SIGNING_KEY.c.id
        )
    )
    return [(row.id, row.private_key) for row in rows]


def _resource_parts(resource: str) -> tuple[str, str]:
    return ("registry", "catalog") if resource == CATALOG else ("repository", resource)


@dataclass(slots=True)
class Tokens:
    """Issues and verifies tokens with the installation's keys, the newest of which signs."""

    keys: KeySet
    access_seconds: int
    refresh_seconds: int
    _verified: dict[str, tuple[float, Identity]] = field(default_factory=dict)

    @classmethod
    def load(cls, database: Database, *, access_seconds: int, refresh_seconds: int) -> Tokens:
        """Read the keys that `create_key` made."""
        keys: list[Key] = [
            ECKey.import_key(pem, {"kid": kid, "use": "sig", "alg": "ES256"})
            for kid, pem in database.read(_load)
        ]
        return cls(KeySet(keys), access_seconds, refresh_seconds)

    def issue(self, principal: Principal, access: Access | None) -> str:
        """A token for the APIs, for `access_seconds`."""
        claims: dict[str, Any] = {
            "sub": principal.name,
            "aud": SERVICE,
            "administrator": principal.is_administrator,
            "access": [
                {"type": kind, "name": name, "actions": sorted(actions)}
                for resource, actions in (access or {}).items()
                for kind, name in [_resource_parts(resource)]
            ],
        }
        return self._sign(claims, self.access_seconds)

    def issue_refresh(self, account: str, generation: int) -> str:
        """A token that gets tokens without the password, for `refresh_seconds`."""
        claims = {"sub": account, "aud": f"{SERVICE}/refresh", "generation": generation}
        return self._sign(claims, self.refresh_seconds)

    def verify(self, token: str) -> Identity:
        """Who sent this token.

        Raises:
            Failure: TOKEN_INVALID.
        """
        known = self._verified.get(token)
        if known is not None and known[0] > time.time():
            return known[1]
        claims = self._claims(token, SERVICE)
        access = {
            CATALOG if item["type"] == "registry" else item["name"]: frozenset(item["actions"])
            for item in claims.get("access", [])
        }
        principal = Principal(claims["sub"], is_administrator=claims["administrator"] is True)
        identity = Identity(principal, access)
        if len(self._verified) >= _REMEMBER_COUNT:
            self._verified.clear()
        self._verified[token] = (claims["exp"] + _LEEWAY_SECONDS, identity)
        return identity

    def verify_refresh(self, token: str) -> Refresh:
        """Which account this refresh token is for; whether it still counts is for the caller.

        Raises:
            Failure: TOKEN_INVALID.
        """
        claims = self._claims(token, f"{SERVICE}/refresh")
        return Refresh(claims["sub"], claims["generation"])

    def _sign(self, claims: dict[str, Any], seconds: int) -> str:
        issued = int(time.time())
        times = {"iat": issued, "nbf": issued, "exp": issued + seconds, "iss": SERVICE}
        key = self.keys.keys[0]
        header = {"alg": "ES256", "kid": key.kid, "typ": "JWT"}
        return jwt.encode(
            header, claims | times | {"jti": secrets.token_hex(8)}, key, algorithms=_ALGORITHMS
        )

    def _claims(self, token: str, audience: str) -> dict[str, Any]:
        if len(token) > _MAX_TOKEN:
            raise Failure(Code.TOKEN_INVALID, reason="it is too long")
        try:
            decoded = jwt.decode(token, self.keys, algorithms=_ALGORITHMS)
            registry = jwt.JWTClaimsRegistry(
                leeway=_LEEWAY_SECONDS,
                iss={"essential": True, "value": SERVICE},
                aud={"essential": True, "value": audience},
                exp={"essential": True},
                nbf={"essential": True},
            )
            registry.validate(decoded.claims)
        except (JoseError, ValueError) as error:
            reason = getattr(error, "error", "") or "it is malformed"
            raise Failure(Code.TOKEN_INVALID, reason=reason) from error
        return decoded.claims
