"""The client side of OpenID Connect, against providers that do as they should and that do not."""

from __future__ import annotations

import asyncio
import hmac
import json
import threading
import time
from base64 import urlsafe_b64encode as b64encode
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from joserfc.jwk import RSAKey
from pydantic import SecretStr

from customhouse.errors import Code, Failure
from customhouse.iam.oidc import Person, Provider
from customhouse.settings import OidcSettings
from tests.iam.issuer import DISCOVERY, make_key, public, sign
from tests.support.oidc_provider import CLIENT_ID, CLIENT_SECRET, oidc_provider, sign_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("oidc")

BACK = "http://127.0.0.1:1/auth/callback"
SECRET = "of-one-browser"
KEY = make_key("first", "RS256")
OTHER = make_key("other", "RS256")
assert isinstance(KEY, RSAKey)
KEY_PEM = KEY.as_pem(private=False)


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "none"])
def test_every_way_of_the_client_to_sign_in(tmp_path: Path, method: str) -> None:
    with oidc_provider(tmp_path, BACK, method=method) as real, httpx2.Client() as browser:
        real.know(ana={"preferred_username": "ana", "groups": ["a", "b"]})
        provider = Provider(
            OidcSettings(
                issuer=real.issuer,
                client_id=CLIENT_ID,
                client_secret=None if method == "none" else SecretStr(CLIENT_SECRET),
                username_claim="preferred_username",
                groups_claim="groups",
            )
        )

        def leave(response: httpx2.Response) -> None:
            if response.headers.get("location", "").startswith(BACK):
                raise _BackError(response.headers["location"])

        browser.follow_redirects = True
        browser.event_hooks = {"response": [leave]}

        async def whole() -> Person:
            url = await provider.begin(BACK, SECRET)
            with pytest.raises(_BackError) as back:
                sign_in(browser, url, "ana", BACK)
            query = parse_qs(urlsplit(str(back.value)).query)
            return await provider.finish(BACK, SECRET, {k: v[-1] for k, v in query.items()})

        person = asyncio.run(whole())
    assert person == Person(real.issuer, "ana", "ana", "", frozenset({"a", "b"}))


class _BackError(Exception):
    pass


class Fake:
    """A provider of which a test says what it answers.

    Attributes:
        url: its issuer.
        documents: what it publishes, by path; text is sent as it is.
        status: what it answers at /token.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.status = 200
        self.nonce = ""
        self.documents: dict[str, Any] = {
            DISCOVERY: {
                "issuer": url,
                "authorization_endpoint": f"{url}/authorize",
                "token_endpoint": f"{url}/token",
                "jwks_uri": f"{url}/jwks",
            },
            "/jwks": public(KEY),
        }

    def claims(self, **changed: Any) -> dict[str, Any]:
        """The claims of a right ID token, some of them changed, or left out for None."""
        now = int(time.time())
        claims = {
            "iss": self.url,
            "sub": "1",
            "aud": "me",
            "iat": now,
            "exp": now + 60,
            "nonce": self.nonce,
            "email": "ana@example.com",
            "email_verified": True,
        } | changed
        return {name: value for name, value in claims.items() if value is not None}

    def tokens(self, **changed: Any) -> dict[str, Any]:
        """The answer of the token endpoint."""
        id_token = sign(self.claims(**changed), KEY)
        return {"access_token": "at", "token_type": "Bearer", "id_token": id_token}


@contextmanager
def fake() -> Iterator[Fake]:
    """Run a provider."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            document = running.documents.get(self.path)
            self.rfile.read(int(self.headers.get("content-length", 0)))
            content = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(running.status if self.path == "/token" else 200)
            self.send_header("content-type", "application/json")
            self.send_header("location", f"{running.url}/jwks")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815  - the name that the base class calls

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running = Fake(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def run(site: Fake, prepare: Callable[[Fake], object], **settings: Any) -> Person:
    provider = Provider(OidcSettings(issuer=site.url, client_id="me", **settings))

    async def whole() -> Person:
        url = await provider.begin(BACK, SECRET)
        query = parse_qs(urlsplit(url).query)
        site.nonce = query["nonce"][0]
        made = prepare(site)
        if made is not None:
            site.documents["/token"] = made
        return await provider.finish(BACK, SECRET, {"code": "c", "state": query["state"][0]})

    return asyncio.run(whole())


def unsigned(site: Fake) -> dict[str, Any]:
    token = sign(site.claims(), KEY).split(".")
    head = "eyJhbGciOiJub25lIn0"
    return site.tokens() | {"id_token": f"{head}.{token[1]}."}


def signed_with_public_key(site: Fake) -> dict[str, Any]:
    head = b64encode(json.dumps({"alg": "HS256", "kid": "first"}).encode())
    signed = head.rstrip(b"=") + b"." + sign(site.claims(), KEY).split(".")[1].encode()
    signature = b64encode(hmac.digest(KEY_PEM, signed, "sha256"))
    return site.tokens() | {"id_token": (signed + b"." + signature.rstrip(b"=")).decode()}


def test_it_is_right_as_such() -> None:
    with fake() as site:
        person = run(site, Fake.tokens)
        assert person == Person(site.url, "1", "ana@example.com", "ana@example.com", frozenset())


WRONG: dict[str, tuple[Callable[[Fake], object], Code]] = {
    "another nonce": (lambda site: site.tokens(nonce="x"), Code.SIGN_IN_REFUSED),
    "no nonce": (lambda site: site.tokens(nonce=None), Code.SIGN_IN_REFUSED),
    "another issuer": (lambda site: site.tokens(iss="http://x"), Code.SIGN_IN_REFUSED),
    "another audience": (lambda site: site.tokens(aud="you"), Code.SIGN_IN_REFUSED),
    "no azp": (lambda site: site.tokens(aud=["me", "you"]), Code.SIGN_IN_REFUSED),
    "another azp": (lambda site: site.tokens(azp="you"), Code.SIGN_IN_REFUSED),
    "another token's at_hash": (lambda site: site.tokens(at_hash="x"), Code.SIGN_IN_REFUSED),
    "expired": (lambda site: site.tokens(iat=1, exp=2), Code.SIGN_IN_REFUSED),
    "of the future": (lambda site: site.tokens(iat=2**40, exp=2**40 + 9), Code.SIGN_IN_REFUSED),
    "no sub": (lambda site: site.tokens(sub=None), Code.SIGN_IN_REFUSED),
    "sub is a number": (lambda site: site.tokens(sub=1), Code.SIGN_IN_REFUSED),
    "sub is empty": (lambda site: site.tokens(sub=""), Code.SIGN_IN_REFUSED),
    "sub is long": (lambda site: site.tokens(sub="1" * 256), Code.SIGN_IN_REFUSED),
    "not signed": (unsigned, Code.SIGN_IN_REFUSED),
    "signed with the public key": (signed_with_public_key, Code.SIGN_IN_REFUSED),
    "another key": (
        lambda site: site.tokens() | {"id_token": sign(site.claims(), OTHER)},
        Code.SIGN_IN_REFUSED,
    ),
    "another key of that name": (
        lambda site: site.tokens() | {"id_token": sign(site.claims(), OTHER, kid="first")},
        Code.SIGN_IN_REFUSED,
    ),
    "no ID token": (lambda _: {"access_token": "at", "token_type": "x"}, Code.SIGN_IN_REFUSED),
    "ID token is a list": (lambda site: site.tokens() | {"id_token": []}, Code.SIGN_IN_REFUSED),
    "ID token is none": (lambda site: site.tokens() | {"id_token": "..."}, Code.SIGN_IN_REFUSED),
    "an error": (lambda _: {"error": "invalid_grant"}, Code.SIGN_IN_REFUSED),
    "an error that is no text": (lambda _: {"error": [1]}, Code.SIGN_IN_REFUSED),
    "a list": (lambda _: [1], Code.PROVIDER_UNUSABLE),
    "no JSON": (lambda _: b"<html>", Code.PROVIDER_UNUSABLE),
    "deep JSON": (lambda _: b"[" * 200_000, Code.PROVIDER_UNUSABLE),
    "very much": (lambda _: b" " * 2_000_000, Code.PROVIDER_UNUSABLE),
    "an expiry that is no number": (
        lambda site: site.tokens() | {"expires_in": "x"},
        Code.PROVIDER_UNUSABLE,
    ),
    "down": (lambda site: setattr(site, "status", 502), Code.PROVIDER_UNUSABLE),
    "a redirect": (lambda site: setattr(site, "status", 307), Code.PROVIDER_UNUSABLE),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_tokens(name: str) -> None:
    prepare, code = WRONG[name]
    with fake() as site, pytest.raises(Failure) as caught:
        run(site, prepare)
    assert caught.value.code is code, caught.value.message
    assert len(caught.value.message) < 700


DISCOVERIES: dict[str, object] = {
    "another issuer": {"issuer": "http://evil.example"},
    "no token endpoint": {"token_endpoint": None},
    "a token endpoint without TLS": {"token_endpoint": "http://evil.example/token"},
    "a page that is a script": {"authorization_endpoint": "javascript:alert(1)"},
    "odd userinfo": {"userinfo_endpoint": {"a": 1}},
    "no object": [],
    "no JSON": b"<html>",
    "deep": b"[" * 200_000,
    "much": b" " * 2_000_000,
}


@pytest.mark.parametrize("name", DISCOVERIES)
def test_wrong_discovery(name: str) -> None:
    with fake() as site:
        wrong = DISCOVERIES[name]
        right = site.documents[DISCOVERY]
        site.documents[DISCOVERY] = right | wrong if isinstance(wrong, dict) else wrong
        provider = Provider(OidcSettings(issuer=site.url, client_id="me"))

        async def twice() -> None:
            for _ in range(2):
                with pytest.raises(Failure) as caught:
                    await provider.begin(BACK, SECRET)
                assert caught.value.code is Code.PROVIDER_UNUSABLE

        asyncio.run(twice())


def test_nobody_there() -> None:
    provider = Provider(OidcSettings(issuer="http://127.0.0.1:1", client_id="me"))
    with pytest.raises(Failure) as caught:
        asyncio.run(provider.begin(BACK, SECRET))
    assert caught.value.code is Code.PROVIDER_UNUSABLE


USERINFO: dict[str, tuple[object, object]] = {
    "the rest": ({"sub": "1", "email": "b@x.org", "email_verified": True}, "b@x.org"),
    "of somebody else": ({"sub": "2", "email": "b@x.org"}, Code.SIGN_IN_REFUSED),
    "of nobody": ({"email": "b@x.org"}, Code.SIGN_IN_REFUSED),
    "no object": ([], Code.PROVIDER_UNUSABLE),
    "no JSON": (b"eyJ", Code.PROVIDER_UNUSABLE),
    # It vouches for another address than the ID token has.
    "half": ({"sub": "1", "email_verified": True}, ""),
}


@pytest.mark.parametrize("name", USERINFO)
def test_userinfo(name: str) -> None:
    document, expected = USERINFO[name]
    with fake() as site:
        site.documents[DISCOVERY]["userinfo_endpoint"] = f"{site.url}/me"
        site.documents["/me"] = document

        def prepare(site: Fake) -> object:
            return site.tokens(email="a@x.org", email_verified=None)

        if isinstance(expected, Code):
            with pytest.raises(Failure) as caught:
                run(site, prepare)
            assert caught.value.code is expected
        else:
            assert run(site, prepare).email == expected
