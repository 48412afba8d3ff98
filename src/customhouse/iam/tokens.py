"""Signed tokens: short-lived ones for the APIs, long-lived ones to get those without a password.

JSON Web Tokens (RFC 7519) signed with ES256 by a key that only this installation has. Verifying
one reads no database; a token that was verified is remembered until it expires.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, KeySet
from sqlalchemy import BigInteger, Column, Table, Text, func, select

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
_ID_SECONDS = 3600

# Repository name -> Docker actions ("pull", "push", "delete", "*").
Limits = Mapping[str, frozenset[str]]

# Stands among repository names for the scope `registry:catalog`; no repository is called so.
CATALOG = "registry:catalog"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who sent a request and what its token is limited to.

    Attributes:
        principal: who.
        limits: what a registry token was issued for; None where there is no such limit.
        expires: when its token does, in seconds since 1970.
    """

    principal: Principal
    limits: Limits | None = None
    expires: float = math.inf

    def covers(self, repository: str, action: str) -> bool:
        """Whether the token was issued for this action on this repository."""
        if self.limits is None:
            return True
        actions = self.limits.get(repository, frozenset())
        return action in actions or "*" in actions


def create_key(database: Database) -> None:
    """Make the installation's signing key if there is none."""
    if not database.read(_load):
        database.write(rotate, 0)


def rotate(tx: Transaction, keep_seconds: int) -> None:
    """Make a new signing key, and forget those that no valid token can be signed with.

    Args:
        tx: the transaction.
        keep_seconds: how long the longest-lived token lasts.
    """
    rows = tx.execute(
        select(SIGNING_KEY.c.id, SIGNING_KEY.c.created_at).order_by(SIGNING_KEY.c.created_at.desc())
    ).all()
    # A key has signed until its successor was made.
    replaced = dict(
        zip([row.id for row in rows[1:]], [row.created_at for row in rows], strict=False)
    )
    oldest = now() - keep_seconds * 1_000_000
    for name, until in replaced.items():
        if until < oldest:
            tx.execute(SIGNING_KEY.delete().where(SIGNING_KEY.c.id == name))
    key = ECKey.generate_key("P-256", {"kid": secrets.token_hex(8)}, private=True)
    row = {
        "id": key.kid,
        "private_key": key.as_pem(private=True).decode(),
        "created_at": now(),
    }
    tx.execute(SIGNING_KEY.insert(), row)


def newest_key_at(tx: Transaction) -> int:
    """When the newest signing key was made, in microseconds since 1970."""
    return int(tx.execute(select(func.max(SIGNING_KEY.c.created_at))).scalar() or 0)


def _load(tx: Transaction) -> list[tuple[str, str]]:
    rows = tx.execute(
        select(SIGNING_KEY.c.id, SIGNING_KEY.c.private_key).order_by(
            SIGNING_KEY.c.created_at.desc(), SIGNING_KEY.c.id
        )
    )
    return [(row.id, row.private_key) for row in rows]


def _key_set(tx: Transaction) -> KeySet:
    keys: list[Key] = [
        ECKey.import_key(pem, {"kid": kid, "use": "sig", "alg": "ES256"}) for kid, pem in _load(tx)
    ]
    return KeySet(keys)


def _resource_parts(resource: str) -> tuple[str, str]:
    return ("registry", "catalog") if resource == CATALOG else ("repository", resource)


@dataclass(slots=True)
class Tokens:
    """Issues and verifies tokens with the installation's keys, the newest of which signs.

    Attributes:
        keys: the keys, newest first.
        access_seconds: how long a token for the registry lasts.
        refresh_seconds: how long one lasts that gets others.
        api_seconds: how long a token for every API lasts.
    """

    keys: KeySet
    access_seconds: int
    refresh_seconds: int
    api_seconds: int = 3600
    _verified: dict[str, Identity] = field(default_factory=dict)
    _asked: float = 0.0

    @classmethod
    def load(
        cls,
        database: Database,
        *,
        access_seconds: int,
        refresh_seconds: int,
        api_seconds: int = 3600,
    ) -> Tokens:
        """Read the keys that `create_key` and `rotate` made."""
        return cls(database.read(_key_set), access_seconds, refresh_seconds, api_seconds)

    def reload(self, tx: Transaction) -> None:
        """Read the keys again: another process may have made one."""
        self.keys = _key_set(tx)

    def is_of_unknown_key(self, token: str) -> bool:
        """Whether a token names a key that is not known here, asked at most once a second."""
        if time.monotonic() < self._asked + 1:
            return False
        self._asked = time.monotonic()
        try:
            kid = jws.extract_compact(token.encode("latin-1", "replace")).headers().get("kid")
        except (JoseError, ValueError, TypeError):
            return False
        return isinstance(kid, str) and all(key.kid != kid for key in self.keys.keys)

    def public_keys(self) -> dict[str, Any]:
        """The public halves, as a JWK Set (RFC 7517)."""
        return dict(self.keys.as_dict(private=False))

    def issue(
        self, principal: Principal, limits: Limits | None, seconds: float | None = None
    ) -> str:
        """A token for the APIs.

        Args:
            principal: whom it is for.
            limits: what it is limited to in the registry; None for whatever the principal may do.
            seconds: how long it lasts; `access_seconds` if that is not said.
        """
        claims: dict[str, Any] = {"sub": principal.name, "aud": SERVICE}
        if principal.credential:
            claims["cred"] = principal.credential
        if principal.sets:
            claims["sets"] = sorted(principal.sets)
        if limits is not None:
            claims["access"] = [
                {"type": kind, "name": name, "actions": sorted(actions)}
                for resource, actions in limits.items()
                for kind, name in [_resource_parts(resource)]
            ]
        return self._sign(claims, self.access_seconds if seconds is None else int(seconds))

    def issue_id(self, issuer: str, subject: str, email: str, audience: str) -> str:
        """An OpenID Connect ID token, which says to others who somebody is.

        Args:
            issuer: where this server is reached.
            subject: the number of the account.
            email: its address.
            audience: whom it is for.
        """
        claims = {"sub": subject, "aud": audience, "azp": email, "email": email}
        return self._sign(claims | {"email_verified": True}, _ID_SECONDS, issuer)

    def issue_refresh(self, principal: Principal) -> str:
        """A token that gets tokens without the password or key, for `refresh_seconds`."""
        claims = {
            "sub": principal.name,
            "aud": f"{SERVICE}/refresh",
            "cred": principal.credential,
        }
        return self._sign(claims, self.refresh_seconds)

    def known(self, token: str) -> Identity | None:
        """Who sent this token, if it was verified before and has not expired; the quick way."""
        known = self._verified.get(token)
        return known if known is not None and known.expires > time.time() else None

    def verify(self, token: str) -> Identity:
        """Who sent this token.

        Raises:
            Failure: TOKEN_INVALID.
        """
        known = self._verified.get(token)
        if known is not None and known.expires + _LEEWAY_SECONDS > time.time():
            return known
        claims = self._claims(token, SERVICE)
        limits: Limits | None = None
        if "access" in claims:
            limits = {
                CATALOG if item["type"] == "registry" else item["name"]: frozenset(item["actions"])
                for item in claims["access"]
            }
        principal = Principal(
            claims["sub"], claims.get("cred", ""), frozenset(claims.get("sets", ()))
        )
        identity = Identity(principal, limits, float(claims["exp"]))
        if len(self._verified) >= _REMEMBER_COUNT:
            self._verified.clear()
        self._verified[token] = identity
        return identity

    def verify_refresh(self, token: str) -> Principal:
        """Whom this refresh token is for; whether it still counts is for the caller.

        Raises:
            Failure: TOKEN_INVALID.
        """
        claims = self._claims(token, f"{SERVICE}/refresh")
        if "generation" in claims:  # as they were before service accounts had any
            return Principal(f"user:{claims['sub']}", str(claims["generation"]))
        return Principal(claims["sub"], claims["cred"])

    def _sign(self, claims: dict[str, Any], seconds: int, issuer: str = SERVICE) -> str:
        issued = int(time.time())
        times = {"iat": issued, "nbf": issued, "exp": issued + seconds, "iss": issuer}
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
        except (JoseError, ValueError, TypeError) as error:
            reason = getattr(error, "error", "") or "it is malformed"
            raise Failure(Code.TOKEN_INVALID, reason=reason) from error
        return decoded.claims
