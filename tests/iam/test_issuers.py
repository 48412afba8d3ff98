"""Keys of issuers: fetched from a real server on loopback, well-behaved and not."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from typing import TYPE_CHECKING, Any

import pytest
from joserfc.jwk import OctKey
from joserfc.jwk import RSAKey as Rsa

from customhouse.errors import Code, Failure
from customhouse.iam.issuers import IssuerKeys, check_url, fetch_keys, parse_keys, read_keys
from tests.iam.issuer import DISCOVERY, answer, make_key, public, running
from tests.support.tls import self_signed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

    from tests.iam.issuer import Issuer


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with running() as made:
        yield made


def kids(keys: tuple[dict[str, str], ...]) -> list[str]:
    return [key["kid"] for key in keys]


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class TestCheckUrl:
    @pytest.mark.parametrize(
        "url",
        [
            "https://token.actions.githubusercontent.com",
            "https://gitlab.example.com:8443/group/",
            "http://localhost:8080",
            "http://127.0.0.1:8080/realms/ci",
            "http://[::1]:8080",
        ],
    )
    def test_takes(self, url: str) -> None:
        check_url(url)

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "gitlab.example.com",
            "http://gitlab.example.com",
            "http://127.0.0.1.example.com",
            "http://localhost@example.com",
            "https://user:password@example.com",
            "https://example.com?x=1",
            "https://example.com#x",
            "https://example.com\\@127.0.0.1",
            "https://exam ple.com",
            "https://example.com/\n",
            "https://ex\u00e4mple.com",
            "https://[::1",
            "https://example.com:99999",
            "https://example.com:x",
            "https://",
            "file:///etc/passwd",
            "https://example.com/" + "a" * 500,
        ],
    )
    def test_refuses(self, url: str) -> None:
        with pytest.raises(Failure) as caught:
            check_url(url)
        assert caught.value.code is Code.THING_INVALID


class TestReadKeys:
    def test_leaves_out_what_does_not_verify(self) -> None:
        good = make_key("good", "RS256")
        document: dict[str, Any] = public(good)
        weak = good.as_dict(private=False) | {"kid": "weak", "n": "AQAB"}
        secret = OctKey.generate_key(256).as_dict() | {"kid": "secret"}
        document["keys"] += [
            weak,
            secret,
            public(make_key("e"))["keys"][0] | {"use": "enc"},
            public(make_key("o"))["keys"][0] | {"key_ops": ["encrypt"]},
            public(make_key("t"))["keys"][0] | {"x": 5},
            "text",
            None,
        ]
        assert kids(read_keys(document)) == ["good"]

    def test_keeps_no_private_member(self) -> None:
        document = {"keys": [make_key("a", "RS256").as_dict(private=True)]}
        assert set(read_keys(document)[0]) == {"kty", "kid", "alg", "n", "e"}

    @pytest.mark.parametrize(
        "text", ["", "[]", "null", "{}", '{"keys": {}}', '{"keys": []}', "[" * 100_000, "\x00"]
    )
    def test_refuses(self, text: str) -> None:
        with pytest.raises(Failure) as caught:
            parse_keys(text)
        assert caught.value.code is Code.THING_INVALID

    def test_length_of_rsa_keys(self) -> None:
        key = make_key("a", "RS256").as_dict(private=False)
        assert isinstance(key["n"], str)
        for n in ("A" * 340 + key["n"], key["n"]):
            padded = read_keys({"keys": [key | {"n": n}]})
            assert Rsa.import_key(dict(padded[0])).raw_value.key_size == 2048
        with pytest.raises(Failure):
            read_keys({"keys": [key | {"n": "A" * 342}]})


class TestFetch:
    def test_by_discovery(self, issuer: Issuer) -> None:
        assert kids(asyncio.run(fetch_keys(issuer.url))) == ["first"]
        assert issuer.asked == [DISCOVERY, "/jwks"]

    def test_over_tls(self, tmp_path: Path) -> None:
        certificate = self_signed(tmp_path)
        theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        theirs.load_cert_chain(certificate.chain, certificate.key)
        ours = ssl.create_default_context(cafile=str(certificate.chain))
        with running(theirs) as issuer:
            assert kids(asyncio.run(fetch_keys(issuer.url, ours))) == ["first"]
            with pytest.raises(Failure) as caught:
                asyncio.run(fetch_keys(issuer.url))
        assert caught.value.code is Code.ISSUER_UNREACHABLE

    @pytest.mark.parametrize(
        ("path", "act", "reason"),
        [
            (DISCOVERY, lambda h: answer(h, 500, b"{}"), "it answers 500"),
            (DISCOVERY, lambda h: answer(h, 200, b"<html>"), "it cannot be read"),
            (DISCOVERY, lambda h: answer(h, 200, b"[" * 100_000), "it cannot be read"),
            (DISCOVERY, lambda h: answer(h, 200, b"[]"), "another issuer"),
            (DISCOVERY, lambda h: answer(h, 200, b'{"issuer": "https://e.com"}'), "another issuer"),
            (DISCOVERY, lambda h: h.wfile.write(b"nonsense\r\n\r\n"), "it cannot be read"),
            (DISCOVERY, lambda h: h.close_connection, "it cannot be read"),
            ("/jwks", lambda h: answer(h, 302, b"", location="/other"), "it answers 302"),
            ("/jwks", lambda h: answer(h, 200, b"{}"), "no list of keys"),
            ("/jwks", lambda h: answer(h, 200, b'{"keys": []}'), "no public key"),
            ("/jwks", lambda h: answer(h, 200, b" " * 1_100_000), "larger than 1048576"),
        ],
    )
    def test_says_what_is_wrong(
        self,
        issuer: Issuer,
        path: str,
        act: Callable[[BaseHTTPRequestHandler], None],
        reason: str,
    ) -> None:
        issuer.answers[path] = act
        with pytest.raises(Failure) as caught:
            asyncio.run(fetch_keys(issuer.url))
        assert caught.value.code is Code.ISSUER_UNREACHABLE
        assert reason in caught.value.message
        assert "/other" not in issuer.asked

    @pytest.mark.parametrize("uri", ["file:///etc/passwd", "http://192.0.2.1/", "", 5, None, "/x"])
    def test_keys_elsewhere(self, issuer: Issuer, uri: object) -> None:
        document = json.dumps({"issuer": issuer.url, "jwks_uri": uri}).encode()
        issuer.answers[DISCOVERY] = lambda handler: answer(handler, 200, document)
        with pytest.raises(Failure) as caught:
            asyncio.run(fetch_keys(issuer.url))
        assert caught.value.code is Code.ISSUER_UNREACHABLE
        assert issuer.asked == [DISCOVERY]

    def test_nobody_listens(self) -> None:
        with running() as issuer:
            url = issuer.url
        with pytest.raises(Failure) as caught:
            asyncio.run(fetch_keys(url))
        assert caught.value.code is Code.ISSUER_UNREACHABLE

    def test_endless_and_slow(self, issuer: Issuer) -> None:
        def trickle(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.end_headers()
            for _ in range(100):
                handler.wfile.write(b" ")
                time.sleep(0.05)

        issuer.answers[DISCOVERY] = trickle
        began = time.monotonic()
        with pytest.raises(Failure) as caught:
            asyncio.run(fetch_keys(issuer.url, seconds=0.3))
        assert "does not answer within 0.3 seconds" in caught.value.message
        assert time.monotonic() - began < 3


class TestIssuerKeys:
    def test_remembers_for_an_hour(self, issuer: Issuer) -> None:
        clock = Clock()
        keys = IssuerKeys(clock=clock)

        async def ask() -> None:
            for later in (0, 3500, 200):
                clock.now += later
                assert kids(await keys.get(issuer.url, "first")) == ["first"]

        asyncio.run(ask())
        assert issuer.asked == [DISCOVERY, "/jwks"] * 2

    def test_rotation(self, issuer: Issuer) -> None:
        clock = Clock()
        keys = IssuerKeys(clock=clock)

        async def ask() -> None:
            await keys.get(issuer.url, "first")
            issuer.keys.append(make_key("second"))
            # At most once a minute, however many unknown keys are asked for.
            assert kids(await keys.get(issuer.url, "second")) == ["first"]
            clock.now += 61
            assert kids(await keys.get(issuer.url, "second")) == ["first", "second"]
            for number in range(20):
                await keys.get(issuer.url, f"invented-{number}")

        asyncio.run(ask())
        assert issuer.asked == [DISCOVERY, "/jwks"] * 2

    def test_asks_once_for_all(self, issuer: Issuer) -> None:
        keys = IssuerKeys()

        async def ask() -> None:
            await asyncio.gather(*(keys.get(issuer.url, "first") for _ in range(20)))

        asyncio.run(ask())
        assert issuer.asked == [DISCOVERY, "/jwks"]

    def test_failure_is_remembered_for_a_moment(self, issuer: Issuer) -> None:
        clock = Clock()
        keys = IssuerKeys(clock=clock)
        issuer.answers[DISCOVERY] = lambda handler: answer(handler, 503, b"")

        async def ask() -> None:
            answers = await asyncio.gather(
                *(keys.get(issuer.url, "first") for _ in range(20)), return_exceptions=True
            )
            assert all(
                isinstance(answer, Failure) and "it answers 503" in answer.message
                for answer in answers
            )
            assert issuer.asked == [DISCOVERY]
            del issuer.answers[DISCOVERY]
            clock.now += 11
            assert kids(await keys.get(issuer.url, "first")) == ["first"]

        asyncio.run(ask())

    def test_known_keys_outlast_a_failure(self, issuer: Issuer) -> None:
        clock = Clock()
        keys = IssuerKeys(clock=clock)

        async def ask() -> None:
            await keys.get(issuer.url, "first")
            issuer.answers[DISCOVERY] = lambda handler: answer(handler, 503, b"")
            clock.now += 61
            with pytest.raises(Failure):
                await keys.get(issuer.url, "second")
            assert kids(await keys.get(issuer.url, "first")) == ["first"]
            clock.now += 3600
            with pytest.raises(Failure):
                await keys.get(issuer.url, "first")

        asyncio.run(ask())
