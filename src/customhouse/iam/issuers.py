"""Issuers of tokens: the public keys that they sign with, as they publish them."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2

from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

Jwk = dict[str, str]

_MAX_URL = 500
_MAX_DOCUMENT = 1024 * 1024
_MAX_KEYS = 100
FETCH_SECONDS = 5.0
_KEEP_SECONDS = 3600
_REFETCH_SECONDS = 60
_RETRY_SECONDS = 10
_REMEMBERED_ISSUERS = 256
# Shorter ones can be broken; longer ones cost more to try than anybody needs.
_RSA_BITS = range(2048, 8193)
_KEY_MEMBERS = ("kty", "kid", "alg", "n", "e", "crv", "x", "y")


def check_url(url: str, *, is_issuer: bool = True) -> None:
    """Check that keys can be fetched from a URL: https, or http to this machine.

    Raises:
        Failure: THING_INVALID.
    """
    try:
        parts = urlsplit(url)
        loopback = parts.hostname in {"localhost", "127.0.0.1", "::1"}
        right = (
            len(url) <= _MAX_URL
            and re.fullmatch(r"[!-\[\]-~]+", url) is not None
            and (parts.scheme == "https" or (parts.scheme == "http" and loopback))
            and bool(parts.hostname)
            and parts.port != 0
            and "@" not in parts.netloc
            and "#" not in url
            and not (is_issuer and "?" in url)
        )
    except ValueError:
        right = False
    if not right:
        reason = f"{url[:100]!r} is no https URL"
        raise Failure(Code.THING_INVALID, kind="issuer", reason=reason)


def read_keys(document: object) -> tuple[Jwk, ...]:
    """The public keys of a JWK Set (RFC 7517) that signatures can be verified with.

    Keys of other kinds and uses are left out, as section 5 of the RFC asks.

    Raises:
        Failure: THING_INVALID.
    """
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise Failure(Code.THING_INVALID, kind="JWK Set", reason="it has no list of keys")
    keys = [
        {name: entry[name] for name in _KEY_MEMBERS if name in entry}
        for entry in entries[:_MAX_KEYS]
        if isinstance(entry, dict) and _is_for_signatures(entry)
    ]
    if not keys:
        reason = "it has no public key for signatures"
        raise Failure(Code.THING_INVALID, kind="JWK Set", reason=reason)
    return tuple(keys)


def _is_for_signatures(entry: dict[str, Any]) -> bool:
    operations = entry.get("key_ops", ["verify"])
    return (
        entry.get("kty") in {"RSA", "EC", "OKP"}
        and entry.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and all(isinstance(entry.get(name, ""), str) for name in _KEY_MEMBERS)
        and all(len(entry.get(name, "")) <= 2048 for name in _KEY_MEMBERS)
        and (entry["kty"] != "RSA" or _bits(entry.get("n", "")) in _RSA_BITS)
    )


def _bits(number: str) -> int:
    try:
        return int.from_bytes(base64.urlsafe_b64decode(f"{number}==")).bit_length()
    except ValueError:
        return 0


def parse_keys(text: str | bytes) -> tuple[Jwk, ...]:
    """Like `read_keys`, of JSON text.

    Raises:
        Failure: THING_INVALID.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Failure(Code.THING_INVALID, kind="JWK Set", reason="it is no JSON") from error
    return read_keys(document)


@dataclass(slots=True)
class _Issuer:
    keys: tuple[Jwk, ...] = ()
    fetched: float = -math.inf
    tried: float = -math.inf
    reason: str = ""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class IssuerKeys:
    """The keys of issuers, fetched when they are needed and remembered for an hour.

    For one event loop. However many ask, an issuer is asked by one at a time, again after a
    failure no sooner than in ten seconds, and for a key that it did not have in a minute.

    Args:
        tls: whom to believe about certificates; the system's authorities by default.
        seconds: how long each of an issuer's two documents may take.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        tls: ssl.SSLContext | None = None,
        *,
        seconds: float = FETCH_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tls = tls
        self._seconds = seconds
        self._clock = clock
        self._issuers: dict[str, _Issuer] = {}

    async def get(self, issuer: str, kid: str) -> tuple[Jwk, ...]:
        """The keys of an issuer. Never call it within a database transaction: it may take long.

        Args:
            issuer: its URL.
            kid: the key that is wanted; empty if a token does not say.

        Raises:
            Failure: ISSUER_UNREACHABLE.
        """
        known = self._issuers.get(issuer)
        if known is None:
            if len(self._issuers) >= _REMEMBERED_ISSUERS:
                del self._issuers[next(iter(self._issuers))]
            known = self._issuers[issuer] = _Issuer()
        if self._serves(issuer, known, kid):
            return known.keys
        async with known.lock:
            if self._serves(issuer, known, kid):
                return known.keys
            try:
                keys = await fetch_keys(issuer, self._tls, self._seconds)
            except Failure as failure:
                known.tried = self._clock()
                known.reason = str(failure.fields["reason"])
                raise
            known.keys, known.reason = keys, ""
            known.tried = known.fetched = self._clock()
            return keys

    def _serves(self, issuer: str, known: _Issuer, kid: str) -> bool:
        now = self._clock()
        if now - known.fetched < _KEEP_SECONDS:
            has_key = not kid or any(key.get("kid") == kid for key in known.keys)
            if has_key or now - known.tried < _REFETCH_SECONDS:
                return True
        if known.reason and now - known.tried < _RETRY_SECONDS:
            raise Failure(Code.ISSUER_UNREACHABLE, issuer=issuer, reason=known.reason)
        return False


async def fetch_keys(
    issuer: str, tls: ssl.SSLContext | None = None, seconds: float = FETCH_SECONDS
) -> tuple[Jwk, ...]:
    """Fetch an issuer's keys by way of its OpenID Connect Discovery 1.0 document.

    Redirects are not followed: they could lead to where the issuer could not point itself.

    Raises:
        Failure: ISSUER_UNREACHABLE.
    """
    # Reading the system's authorities takes tens of milliseconds: not on the loop's thread.
    client = await asyncio.to_thread(
        httpx2.AsyncClient,
        verify=True if tls is None else tls,
        timeout=seconds,
        follow_redirects=False,
    )
    try:
        async with client:
            discovery = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
            jwks_uri = _jwks_uri(await _fetch(client, discovery, seconds), issuer)
            return read_keys(await _fetch(client, jwks_uri, seconds))
    except _Unusable as error:
        reason = str(error)
    except Failure as failure:
        reason = failure.message
    except (TimeoutError, httpx2.TimeoutException):
        reason = f"it does not answer within {seconds:g} seconds"
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, RecursionError) as error:
        reason = f"it cannot be read ({type(error).__name__})"
    raise Failure(Code.ISSUER_UNREACHABLE, issuer=issuer, reason=reason)


class _Unusable(Exception):  # noqa: N818  - what an issuer answered, not a mistake in code
    """An issuer answered something that nothing can be done with."""


def _jwks_uri(document: object, issuer: str) -> str:
    if not isinstance(document, dict) or document.get("issuer") != issuer:
        raise _Unusable("its discovery document is for another issuer")
    jwks_uri = document.get("jwks_uri")
    if not isinstance(jwks_uri, str):
        raise _Unusable("its discovery document has no jwks_uri")
    check_url(jwks_uri, is_issuer=False)
    if jwks_uri.startswith("http:") and not issuer.startswith("http:"):
        raise _Unusable("its jwks_uri is no https URL")
    return jwks_uri


async def _fetch(client: httpx2.AsyncClient, url: str, seconds: float) -> Any:
    headers = {"accept": "application/json", "accept-encoding": "identity"}
    content = bytearray()
    async with (
        asyncio.timeout(seconds),
        client.stream("GET", url, headers=headers) as response,
    ):
        if response.status_code != 200:
            raise _Unusable(f"it answers {response.status_code}")
        async for chunk in response.aiter_raw():
            content += chunk
            if len(content) > _MAX_DOCUMENT:
                raise _Unusable(f"a document of it is larger than {_MAX_DOCUMENT} bytes")
    return json.loads(content)
