"""Tokens of other issuers: who signed them, for whom, and whether they count now.

OpenID Connect ID tokens as CI systems issue them: JSON Web Tokens (RFC 7519) signed with a
private key whose public half the issuer publishes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import import_key

from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from joserfc.jwa import JWSAlgModel

    from customhouse.iam.issuers import Jwk

_MAX_TOKEN = 16 * 1024
_MAX_DEPTH = 16
_LEEWAY_SECONDS = 60
_MAX_LIFETIME_SECONDS = 24 * 3600

# Signatures of RFC 7518 and RFC 8037 by a private key. What is verified with a shared secret is
# not among them: whoever can check such a token can make one.
_KEY_TYPES = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
    **dict.fromkeys(("EdDSA", "Ed25519"), "OKP"),
}


class _Registry(jws.JWSRegistry):
    """Takes public-key algorithms, `EdDSA` being the name that issuers have for Ed25519."""

    max_header_length = 4096

    def get_alg(self, name: str) -> JWSAlgModel:
        return super().get_alg("Ed25519" if name == "EdDSA" else name)


_REGISTRY = _Registry(algorithms=list(_KEY_TYPES), strict_check_header=False)


def key_id(token: str) -> str:
    """Which key a token says it is signed with, before anything of it is verified; perhaps "".

    Raises:
        Failure: SUBJECT_TOKEN_INVALID, also where the algorithm is none of public keys.
    """
    return _parse(token)[2]


def verify(
    token: str, *, keys: Sequence[Jwk], issuer: str, audiences: Collection[str], now: float
) -> dict[str, Any]:
    """The claims of a token (RFC 7519), once everything about it was found right.

    Args:
        token: a JWS in compact form.
        keys: the issuer's.
        issuer: what `iss` must be.
        audiences: one of which `aud` must name.
        now: seconds since 1970. Clocks may differ by a minute.

    Raises:
        Failure: SUBJECT_TOKEN_INVALID.
    """
    signed, algorithm, kid = _parse(token)
    fitting = [
        key
        for key in keys
        if key["kty"] == _KEY_TYPES[algorithm]
        and key.get("alg", algorithm).replace("Ed25519", "EdDSA")
        == algorithm.replace("Ed25519", "EdDSA")
        and (not kid or key.get("kid") == kid)
    ]
    if not fitting or (not kid and len(fitting) > 1):
        raise refused(f"its issuer has no {algorithm} key {kid[:100]!r}")
    try:
        key = import_key({k: v for k, v in fitting[0].items() if k not in {"alg", "kid"}})
        right = jws.validate_compact(signed, key, registry=_REGISTRY)
    except (JoseError, ValueError, LookupError, TypeError, OverflowError) as error:
        raise refused("its signature does not verify") from error
    if not right:
        raise refused("its signature does not verify")
    try:
        claims = json.loads(signed.payload)
    except (ValueError, RecursionError) as error:
        raise refused("its claims are no JSON") from error
    if not isinstance(claims, dict) or not _is_shallow(claims, _MAX_DEPTH):
        raise refused("its claims are no object, or nested too deeply")
    _check_claims(claims, issuer, audiences, now)
    return claims


def _parse(token: str) -> tuple[jws.CompactSignature, str, str]:
    if len(token) > _MAX_TOKEN or not token.isascii():
        raise refused(f"it is no JSON Web Token of at most {_MAX_TOKEN} bytes")
    try:
        signed = jws.extract_compact(token.encode(), registry=_REGISTRY)
        header = signed.headers()
        algorithm, kid = header.get("alg"), header.get("kid", "")
    except (JoseError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise refused("it is no JSON Web Token") from error
    if not isinstance(algorithm, str) or algorithm not in _KEY_TYPES:
        raise refused(f"its algorithm {str(algorithm)[:20]!r} is not taken")
    if not isinstance(kid, str) or "crit" in header:
        raise refused("its header has what is not known here")
    return signed, algorithm, kid


def _check_claims(
    claims: Mapping[str, Any], issuer: str, audiences: Collection[str], now: float
) -> None:
    if claims.get("iss") != issuer:
        raise refused(f"it is of issuer {str(claims.get('iss'))[:200]!r}, not {issuer!r}")
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    if not any(isinstance(name, str) and name in audiences for name in named):
        right = " or ".join(sorted(audiences))[:600]
        raise refused(f"it is for audience {str(audience)[:300]!r}, not {right}")
    issued, expires = _time(claims, "iat"), _time(claims, "exp")
    begins = max(issued, _time(claims, "nbf") if "nbf" in claims else issued)
    if expires + _LEEWAY_SECONDS < now:
        raise refused("it has expired")
    if begins - _LEEWAY_SECONDS > now:
        raise refused("it is not valid yet")
    if expires - issued > _MAX_LIFETIME_SECONDS:
        raise refused("it is valid for more than a day")


def _time(claims: Mapping[str, Any], name: str) -> float:
    # Python reads true, NaN and Infinity as numbers as well.
    value = claims.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**53:
        return value
    raise refused(f"its {name} is no time")


def _is_shallow(value: object, depth: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return depth > 0 and all(_is_shallow(item, depth - 1) for item in inner)


def refused(reason: str) -> Failure:
    """What to raise where a token is not accepted."""
    return Failure(Code.SUBJECT_TOKEN_INVALID, reason=reason)
