"""Signing in through an identity provider: OpenID Connect Core 1.0, authorization code flow.

With PKCE (RFC 7636), state and nonce. All three are made from one random value that the browser
keeps in a cookie meanwhile, so that nothing is stored here for a sign-in that may never end.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oauth2.client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc.errors import JoseError

from customhouse.errors import Code, Failure
from customhouse.iam import external
from customhouse.iam.issuers import IssuerKeys, check_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from customhouse.settings import OidcSettings

_SECONDS = 10.0
_MAX_DOCUMENT = 1024 * 1024
_KEEP_SECONDS = 3600
_RETRY_SECONDS = 10
_LEEWAY_SECONDS = 60
_MAX_CODE = 4096
_MAX_TEXT = 255
_MAX_GROUPS = 500

# What comes of answers, or of none, that nothing can be done with.
_UNUSABLE = (TimeoutError, httpx2.HTTPError, httpx2.InvalidURL, ValueError, RecursionError)


@dataclass(frozen=True, slots=True)
class Person:
    """Who signed in at the provider.

    Attributes:
        issuer: the provider.
        subject: who, for the provider: the one thing that never changes nor means somebody else.
        username: what the claim for names says; empty where it says nothing that can be used.
        email: the address in lower case; empty where the provider does not say it is verified.
        groups: what the claim for groups lists.
    """

    issuer: str
    subject: str
    username: str
    email: str
    groups: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Metadata:
    """What is used of a provider's document (OpenID Connect Discovery 1.0 section 3)."""

    authorization: str
    token: str
    userinfo: str
    token_methods: frozenset[str]


class _Client(AsyncOAuth2Client):  # type: ignore[misc]  # Authlib has no annotations
    """Authlib's client, which reads no more of an answer than such answers have."""

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send a request and read its answer."""
        request.headers["accept-encoding"] = "identity"
        response: httpx2.Response = await super().send(request, **options | {"stream": True})
        content = bytearray()
        try:
            async for chunk in response.aiter_raw():
                content += chunk
                if len(content) > _MAX_DOCUMENT:
                    raise ValueError(f"an answer of it has more than {_MAX_DOCUMENT} bytes")
        finally:
            await response.aclose()
        kind = {"content-type": response.headers.get("content-type", "")}
        status = response.status_code
        return httpx2.Response(status, headers=kind, content=bytes(content), request=request)


class Provider:
    """The identity provider of the settings, for one event loop."""

    def __init__(self, settings: OidcSettings) -> None:
        self._settings = settings
        self._keys = IssuerKeys()
        self._metadata: _Metadata | None = None
        self._fetched = self._failed = -math.inf
        self._lock = asyncio.Lock()

    async def begin(self, redirect_uri: str, secret: str) -> str:
        """Where to send a browser.

        Args:
            redirect_uri: where the provider sends it back to.
            secret: a random value that nobody but this browser has.

        Raises:
            Failure: PROVIDER_UNUSABLE.
        """
        metadata = await self._discover()
        client = OAuth2Client(
            None,
            client_id=self._settings.client_id,
            scope=" ".join(self._settings.scopes),
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
        )
        url, _ = client.create_authorization_url(
            metadata.authorization,
            state=_derive(secret, "state"),
            nonce=_derive(secret, "nonce"),
            code_verifier=_derive(secret, "verifier"),
        )
        return str(url)

    async def finish(self, redirect_uri: str, secret: str, answer: Mapping[str, str]) -> Person:
        """Who has signed in, of the provider's answer.

        Args:
            redirect_uri: the one that `begin` was given.
            secret: the one that `begin` was given, out of the browser's cookie.
            answer: the parameters that the browser was sent back with.

        Raises:
            Failure: SIGN_IN_REFUSED, PROVIDER_UNUSABLE.
        """
        issuer = self._settings.issuer
        state = answer.get("state", "").encode(errors="replace")
        if not hmac.compare_digest(state, _derive(secret, "state").encode()):
            raise _refused("it was not begun in this browser, or another one was begun since")
        # RFC 9207: an answer of another provider, in this one's name.
        if answer.get("iss", issuer) != issuer:
            raise _refused("another provider answered")
        if "error" in answer:
            said = f"{answer['error'][:60]} {answer.get('error_description', '')[:200]}".strip()
            raise _refused(f"the provider says {said}")
        code = answer.get("code", "")
        # RFC 6749 appendix A.11: visible characters and spaces.
        if not 0 < len(code) <= _MAX_CODE or not code.isascii() or not code.isprintable():
            raise _refused("the provider sent no code")
        metadata = await self._discover()
        try:
            async with asyncio.timeout(_SECONDS), await self._client(redirect_uri) as client:
                tokens = await client.fetch_token(
                    metadata.token,
                    auth=self._client_auth(metadata),
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=_derive(secret, "verifier"),
                )
                claims = await self._verify(tokens, _derive(secret, "nonce"))
                if metadata.userinfo and not self._wanted() <= claims.keys():
                    claims = await self._userinfo(client, metadata.userinfo, claims)
        except (AuthlibBaseError, JoseError) as error:
            raise _refused(f"{type(error).__name__} {error!s:.200}".strip()) from error
        except _UNUSABLE as error:
            raise self._unusable(error) from error
        return self._person(claims)

    async def _client(self, redirect_uri: str = "") -> _Client:
        secret = self._settings.client_secret
        # Reading the system's authorities takes tens of milliseconds: not on the loop's thread.
        return await asyncio.to_thread(
            _Client,
            client_id=self._settings.client_id,
            client_secret=secret.get_secret_value() if secret else None,
            redirect_uri=redirect_uri,
            leeway=0,
            timeout=_SECONDS,
            follow_redirects=False,
        )

    def _client_auth(self, metadata: _Metadata) -> object:
        """How the client signs in at the token endpoint (RFC 6749 section 2.3.1)."""
        secret = self._settings.client_secret
        client_id = self._settings.client_id
        value = secret.get_secret_value() if secret else ""
        if value and "client_secret_post" not in metadata.token_methods:
            return httpx2.BasicAuth(quote_plus(client_id), quote_plus(value))
        method = "client_secret_post" if value else "none"
        return _Client.client_auth_class(client_id, value, method)

    async def _verify(self, tokens: Mapping[str, Any], nonce: str) -> dict[str, Any]:
        """The claims of the ID token, checked as OpenID Connect Core section 3.1.3.7 asks."""
        text = tokens.get("id_token")
        if not isinstance(text, str):
            raise _refused("the provider sent no ID token")
        settings = self._settings
        try:
            kid = external.key_id(text)
            keys = await self._keys.get(settings.issuer, kid)
            claims = external.verify(
                text,
                keys=keys,
                issuer=settings.issuer,
                audiences=[settings.client_id],
                now=time.time(),
            )
        except Failure as failure:
            if failure.code is Code.SUBJECT_TOKEN_INVALID:
                raise _refused(f"of the ID token, {failure.fields['reason']}") from failure
            raise self._unusable(failure.fields.get("reason", "")) from failure
        head = text.partition(".")[0]
        header = json.loads(base64.urlsafe_b64decode(f"{head}=="))
        parameters = {
            "nonce": nonce,
            "client_id": settings.client_id,
            "access_token": tokens.get("access_token"),
        }
        CodeIDToken(claims, header, params=parameters).validate(leeway=_LEEWAY_SECONDS)
        return claims

    async def _userinfo(
        self, client: _Client, url: str, claims: Mapping[str, Any]
    ) -> dict[str, Any]:
        """These claims and what else the provider says (OpenID Connect Core section 5.3)."""
        response = await client.get(url)
        found = response.json() if response.status_code == 200 else None
        if not isinstance(found, dict):
            raise self._unusable(f"its userinfo endpoint answers {response.status_code}")
        if found.get("sub") != claims["sub"]:
            raise _refused("the provider speaks of somebody else")
        # What is said of an address counts for the one beside it.
        split = set() if "email_verified" in claims else {"email"}
        return found | {name: value for name, value in claims.items() if name not in split}

    def _wanted(self) -> set[str]:
        settings = self._settings
        wanted = {settings.username_claim, settings.groups_claim} - {""}
        if settings.allowed_domains or settings.username_claim == "email":
            wanted |= {"email", "email_verified"}
        return wanted

    def _person(self, claims: Mapping[str, Any]) -> Person:
        settings = self._settings
        # There are providers that write true as text.
        is_verified = claims.get("email_verified") in (True, "true")
        email = _text(claims.get("email")).lower() if is_verified else ""
        is_email = settings.username_claim == "email"
        groups = claims.get(settings.groups_claim) if settings.groups_claim else None
        listed = groups if isinstance(groups, list) else [groups]
        subject = _text(claims["sub"])
        if not subject:
            raise _refused("the provider does not say who it is")
        return Person(
            issuer=settings.issuer,
            subject=subject,
            username=email if is_email else _text(claims.get(settings.username_claim)),
            email=email,
            groups=frozenset(text for each in listed[:_MAX_GROUPS] if (text := _text(each))),
        )

    async def _discover(self) -> _Metadata:
        async with self._lock:
            moment = time.monotonic()
            if self._metadata is not None and moment - self._fetched < _KEEP_SECONDS:
                return self._metadata
            if moment - self._failed < _RETRY_SECONDS:
                raise self._unusable("it could not be read some seconds ago")
            issuer = self._settings.issuer
            url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
            try:
                async with asyncio.timeout(_SECONDS), await self._client() as client:
                    response = await client.request("GET", url, withhold_token=True)
                self._metadata = _read_metadata(response, issuer)
            except _UNUSABLE as error:
                self._failed = time.monotonic()
                raise self._unusable(error) from error
            except Failure as failure:
                self._failed = time.monotonic()
                raise self._unusable(failure.message) from failure
            self._fetched = time.monotonic()
            return self._metadata

    def _unusable(self, reason: object) -> Failure:
        text = str(reason) or type(reason).__name__
        return Failure(Code.PROVIDER_UNUSABLE, issuer=self._settings.issuer, reason=text[:300])


def _read_metadata(response: httpx2.Response, issuer: str) -> _Metadata:
    if response.status_code != 200:
        raise ValueError(f"it answers {response.status_code}")
    document = response.json()
    if not isinstance(document, dict) or document.get("issuer") != issuer:
        raise ValueError("its discovery document is for another issuer")
    names = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint")
    authorization, token, userinfo = (str(document.get(name) or "") for name in names)
    for url in (authorization, token, *([userinfo] if userinfo else [])):
        check_url(url, is_issuer=False)
    methods = document.get("token_endpoint_auth_methods_supported")
    listed = methods if isinstance(methods, list) else []
    return _Metadata(authorization, token, userinfo, frozenset(map(str, listed)))


def _derive(secret: str, purpose: str) -> str:
    """A value for one purpose that tells nothing of those for others; 43 characters of base64."""
    made = hmac.digest(secret.encode(errors="replace"), purpose.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(made).decode().rstrip("=")


def _text(value: object) -> str:
    """A claim that is a short, printable text; otherwise empty."""
    return (
        value if isinstance(value, str) and len(value) <= _MAX_TEXT and value.isprintable() else ""
    )


def _refused(reason: str) -> Failure:
    return Failure(Code.SIGN_IN_REFUSED, reason=reason)
