"""What service accounts sign with their keys: assertions and tokens. No database.

Google's libraries sign with the key of a key file either an assertion that the token endpoint
turns into a token (RFC 7523, "JWT Bearer"), or a token for an API that they send there at once
(https://google.aip.dev/auth/4111).
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Literal

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from customhouse.errors import Code, Failure
from customhouse.iam.keyfiles import UNIVERSE, is_key_id

if TYPE_CHECKING:
    from collections.abc import Collection

CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"
GOOGLE_TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105  - an address

_LEEWAY_SECONDS = 60
_LIFETIME_SECONDS = 3600
_MAX_LENGTH = 8 * 1024
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# Members of a header that are not understood are passed over: RFC 7515, section 4.
_JWS = jws.JWSRegistry(algorithms=["RS256"], strict_check_header=False)


class Claims(msgspec.Struct, frozen=True):
    """What the owner of a key signed; see RFC 7519, section 4.1, for the short names.

    Attributes:
        iss: the service account's address.
        iat: seconds since 1970.
        exp: the same.
        nbf: the same.
        sub: the same address, or nothing.
        aud: whom it is for.
        scope: what for, separated by spaces.
        target_audience: for whom an ID token is wanted, instead of an access token.
    """

    iss: str
    iat: float
    exp: float
    nbf: float | None = None
    sub: str | None = None
    aud: str | tuple[str, ...] | None = None
    scope: str = ""
    target_audience: str = ""


class _Header(msgspec.Struct, frozen=True):
    alg: Literal["RS256"]
    kid: str
    crit: None = None
    b64: None = None


def is_self_signed(token: str) -> bool:
    """Whether a token may be one of a service account's key: its header says RS256."""
    head = token[:400].partition(".")[0]
    try:
        text = base64.b64decode(head + "=" * (-len(head) % 4), b"-_", validate=True)
    except ValueError:
        return False
    return b'"RS256"' in text


def read_key_id(assertion: str) -> str:
    """The id of the key that an assertion says it was signed with; nothing is verified yet.

    Raises:
        Failure: TOKEN_INVALID, also for what is signed by another algorithm than RS256.
    """
    if len(assertion) > _MAX_LENGTH or not assertion.isascii():
        raise _refused(f"it has more than {_MAX_LENGTH} characters, or some that are not ASCII")
    encoded = assertion.partition(".")[0]
    try:
        text = base64.b64decode(encoded + "=" * (-len(encoded) % 4), b"-_", validate=True)
        header = msgspec.json.decode(text, type=_Header)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _refused("its header names no key, or another algorithm than RS256") from error
    if not is_key_id(header.kid):
        raise _refused("its header names no key of a service account")
    return header.kid


def verify_assertion(
    assertion: str, email: str, public_pem: str, audiences: Collection[str], now: float
) -> Claims:
    """What an assertion for the token endpoint says (RFC 7523, section 3).

    Args:
        assertion: the JWT.
        email: whose key it names.
        public_pem: that key.
        audiences: the addresses of the token endpoint, of which it must name one;
            `GOOGLE_TOKEN_URL` is what Google's libraries name whatever the file says.
        now: seconds since 1970.

    Raises:
        Failure: TOKEN_INVALID.
    """
    claims = _verified(assertion, email, public_pem, now)
    if claims.sub not in {None, email}:
        raise _refused("it is for somebody else than who signed it")
    named = (claims.aud,) if isinstance(claims.aud, str) else claims.aud or ()
    if not any(audience in audiences for audience in named):
        raise _refused("it is for another audience")
    return claims


def verify_self_signed(
    token: str,
    email: str,
    public_pem: str,
    base_urls: Collection[str],
    now: float,
    *,
    universes: Collection[str] = (UNIVERSE,),
) -> Claims:
    """What a token says that a client signed itself for an API, instead of asking for one.

    Args:
        token: the JWT.
        email: whose key it names.
        public_pem: that key.
        base_urls: where this server is reached, as `https://images.example.net`.
        now: seconds since 1970.
        universes: the domains below which the audience may be a service of any name: a client
            names the API's usual address wherever it is told to find it.

    Raises:
        Failure: TOKEN_INVALID.
    """
    claims = _verified(token, email, public_pem, now)
    if claims.sub != email:
        raise _refused("its subject is not who signed it")
    if claims.aud is None:
        if CLOUD_PLATFORM not in claims.scope.split():
            raise _refused("it has neither an audience nor the scope cloud-platform")
        return claims
    audience = claims.aud if isinstance(claims.aud, str) else ""
    own = {base_url.rstrip("/") for base_url in base_urls}
    services = "|".join(re.escape(universe) for universe in universes)
    if audience.removesuffix("/") not in own and not re.fullmatch(
        rf"https://{_LABEL}\.(?:{services})/?", audience
    ):
        raise _refused("it is for another audience")
    return claims


def _verified(assertion: str, email: str, public_pem: str, now: float) -> Claims:
    read_key_id(assertion)
    try:
        key = RSAKey.import_key(public_pem)
        signed = jws.deserialize_compact(assertion, key, registry=_JWS)
        claims = msgspec.json.decode(signed.payload, type=Claims)
    except (JoseError, msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _refused("its signature or its form is wrong") from error
    if claims.iss != email:
        raise _refused("its issuer is not the account of its key")
    if max(claims.iat, claims.nbf or 0) > now + _LEEWAY_SECONDS:
        raise _refused("it is not valid yet; is the clock right?")
    if claims.exp <= now - _LEEWAY_SECONDS:
        raise _refused("it has expired")
    if not 0 < claims.exp - claims.iat <= _LIFETIME_SECONDS + _LEEWAY_SECONDS:
        raise _refused("it is valid for more than an hour")
    return claims


def _refused(reason: str) -> Failure:
    return Failure(Code.TOKEN_INVALID, reason=reason)
