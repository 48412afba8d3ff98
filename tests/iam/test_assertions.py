"""What is signed with service accounts' keys, by those who have one and by those who mean harm."""

from __future__ import annotations

import base64
import json
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import OctKey, RSAKey

from customhouse.errors import Code, Failure
from customhouse.iam.assertions import (
    CLOUD_PLATFORM,
    GOOGLE_TOKEN_URL,
    Claims,
    read_key_id,
    verify_assertion,
    verify_self_signed,
)
from customhouse.iam.keyfiles import NewKey, make_key
from tests.iam.test_service_accounts import CI
from tests.support.failures import code_of, failed

BASE = "https://images.example.net"
AUDIENCES = [GOOGLE_TOKEN_URL, f"{BASE}/token"]
NOW = 1_800_000_000
ANALYSIS = "https://containeranalysis.googleapis.com/"


@pytest.fixture(scope="module")
def key() -> NewKey:
    """A key."""
    return make_key(CI, "acme", 123456789012345678, BASE)


def claims(**changes: object) -> dict[str, object]:
    """Right claims, changed; None takes one away."""
    made: dict[str, object] = {
        "iss": CI,
        "iat": NOW,
        "exp": NOW + 3600,
        "aud": GOOGLE_TOKEN_URL,
    }
    return {name: value for name, value in (made | changes).items() if value is not None}


@cache
def private_key(pem: str) -> RSAKey:
    """The key of a file; reading one takes as long as signing a hundred times."""
    return RSAKey.import_key(pem)


def sign(key: NewKey, content: object, **header: object) -> str:
    """An assertion with any content."""
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    private = private_key(key.file["private_key"])
    full = {"alg": "RS256", "typ": "JWT", "kid": key.id} | header
    registry = jws.JWSRegistry(algorithms=["RS256", "RS384", "PS256"], strict_check_header=False)
    return jws.serialize_compact(full, text, private, registry=registry)


def encoded(content: bytes | str) -> str:
    data = content.encode() if isinstance(content, str) else content
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def verify(key: NewKey, assertion: str, now: float = NOW) -> Claims:
    if read_key_id(assertion) != key.id:
        raise Failure(Code.TOKEN_INVALID, reason="it names another key")
    return verify_assertion(assertion, CI, key.public_pem, AUDIENCES, now)


class TestAssertions:
    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"sub": CI},
            {"aud": f"{BASE}/token"},
            {"aud": ["https://other.example", GOOGLE_TOKEN_URL]},
            {"iat": NOW + 59},
            {"iat": NOW - 3600, "exp": NOW - 59},
            {"iat": NOW + 0.5, "exp": NOW + 60.5},
            {"exp": NOW + 3660},
            {"nbf": NOW + 59},
            {"jti": "1", "scope": "a b", "unknown": {"a": [1, 2]}},
        ],
    )
    def test_taken(self, key: NewKey, changes: dict[str, object]) -> None:
        assert verify(key, sign(key, claims(**changes))).iss == CI

    @pytest.mark.parametrize(
        "changes",
        [
            {"iss": None},
            {"iss": "other-one@acme.iam.example.net"},
            {"iss": f"{CI}\0"},
            {"iss": [CI]},
            {"sub": "user:ana"},
            {"sub": ""},
            {"aud": None},
            {"aud": "https://oauth2.googleapis.com/token/"},
            {"aud": "https://oauth2.googleapis.com"},
            {"aud": f"{BASE}/"},
            {"aud": []},
            {"aud": [[GOOGLE_TOKEN_URL]]},
            {"aud": {GOOGLE_TOKEN_URL: 1}},
            {"iat": None},
            {"exp": None},
            {"exp": str(NOW + 3600)},
            {"exp": True},
            {"iat": NOW - 3700, "exp": NOW - 60},
            {"iat": NOW + 61},
            {"nbf": NOW + 61},
            {"exp": NOW + 3661},
            {"exp": NOW},
            {"iat": NOW + 30, "exp": NOW + 20},
            {"exp": 10**30},
            {"iat": -(10**300), "exp": 10**300},
            {"scope": 5},
            {"target_audience": ["a"]},
        ],
    )
    def test_refused(self, key: NewKey, changes: dict[str, object]) -> None:
        with failed(Code.TOKEN_INVALID):
            verify(key, sign(key, claims(**changes)))

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"{}",
            b"[]",
            b"null",
            b"\xff",
            b"[" * 4000,
            b'{"iss":' * 500,
            b'{"iss":"\\ud800","iat":1,"exp":2}',
            f'{{"iss":"{CI}","aud":"{GOOGLE_TOKEN_URL}","iat":{NOW},"exp":NaN}}'.encode(),
            f'{{"iss":"{CI}","aud":"{GOOGLE_TOKEN_URL}","iat":-Infinity,"exp":{NOW}}}'.encode(),
            f'{{"iss":"{CI}","aud":"{GOOGLE_TOKEN_URL}","iat":{NOW},"exp":1e999}}'.encode(),
            f'{{"iss":"{CI}","aud":"{GOOGLE_TOKEN_URL}","iat":{NOW},"exp":{"9" * 4400}}}'.encode(),
        ],
    )
    def test_other_content(self, key: NewKey, content: bytes) -> None:
        with failed(Code.TOKEN_INVALID):
            verify(key, sign(key, content))

    def test_signed_by_another_key(self, key: NewKey) -> None:
        other = make_key(CI, "acme", 1, BASE)
        with failed(Code.TOKEN_INVALID):
            verify(key, sign(other, claims(), kid=key.id))

    def test_key_of_another_account(self, key: NewKey) -> None:
        """Who has a key cannot speak for the account of another, nor it for this one."""
        with failed(Code.TOKEN_INVALID):
            verify_assertion(
                sign(key, claims()), "other-one@acme.example", key.public_pem, AUDIENCES, NOW
            )

    @pytest.mark.parametrize("algorithm", ["RS384", "PS256"])
    def test_other_algorithms_of_the_same_key(self, key: NewKey, algorithm: str) -> None:
        with failed(Code.TOKEN_INVALID):
            verify(key, sign(key, claims(), alg=algorithm))

    @pytest.mark.parametrize("algorithm", ["none", "None", "", "HS256", "ES256", "rs256"])
    def test_no_signature(self, key: NewKey, algorithm: str) -> None:
        header = encoded(json.dumps({"alg": algorithm, "kid": key.id}))
        for signature in ("", "AAAA"):
            assertion = f"{header}.{encoded(json.dumps(claims()))}.{signature}"
            for check in (read_key_id, lambda text: verify(key, text)):
                with failed(Code.TOKEN_INVALID):
                    check(assertion)

    def test_the_public_key_as_a_secret(self, key: NewKey) -> None:
        secret = OctKey.import_key(encoded(key.public_pem))
        assertion = jws.serialize_compact(
            {"alg": "HS256", "kid": key.id}, json.dumps(claims()), secret, algorithms=["HS256"]
        )
        for check in (read_key_id, lambda text: verify(key, text)):
            with failed(Code.TOKEN_INVALID):
                check(assertion)
        _, payload, signature = assertion.split(".")
        header = encoded(json.dumps({"alg": "RS256", "kid": key.id}))
        with failed(Code.TOKEN_INVALID):
            verify(key, f"{header}.{payload}.{signature}")

    @pytest.mark.parametrize(
        "header",
        [
            "",
            "AA",
            "====",
            "é",
            encoded("[]"),
            encoded('"alg"'),
            encoded('["alg"]'),
            encoded("[" * 5000),
            encoded('{"alg":"RS256"}'),
            encoded('{"alg":"RS256","kid":5}'),
            encoded('{"alg":["RS256"],"kid":"' + "a" * 40 + '"}'),
            encoded('{"alg":"RS256","kid":"../../etc/passwd"}'),
            encoded('{"alg":"RS256","crit":["b64"],"b64":false,"kid":"' + "a" * 40 + '"}'),
            encoded('{"alg":"RS256","crit":["exp"],"kid":"' + "a" * 40 + '"}'),
            encoded(b'{"alg":"RS256","kid":"\xff"}'),
            "A" * 9000,
        ],
    )
    def test_other_headers(self, header: str) -> None:
        with failed(Code.TOKEN_INVALID):
            read_key_id(f"{header}.e30.AA")

    def test_unknown_member_of_the_header(self, key: NewKey) -> None:
        assert verify(key, sign(key, claims(), x="y")).iss == CI

    def test_parts(self, key: NewKey) -> None:
        right = sign(key, claims())
        header, payload, signature = right.split(".")
        for assertion in (
            header,
            f"{header}.{payload}",
            f"{header}.{payload}.",
            f"{header}..{signature}",
            f"{right}.",
            f"{right}=",
            f"{right}\n",
            f" {right}",
            f"{header}.{payload}.{signature}.AA.AA",
            right.swapcase(),
        ):
            with failed(Code.TOKEN_INVALID):
                verify(key, assertion)

    @given(st.data())
    def test_damaged(self, key: NewKey, data: st.DataObject) -> None:
        right = sign(key, claims())
        start = data.draw(st.integers(0, len(right)))
        end = data.draw(st.integers(start, len(right)))
        damaged = right[:start] + data.draw(st.text(max_size=20)) + right[end:]
        assert code_of(verify, key, damaged) is (None if damaged == right else Code.TOKEN_INVALID)


class TestSelfSigned:
    @pytest.mark.parametrize(
        "changes",
        [
            {"aud": ANALYSIS},
            {"aud": "https://artifactregistry.googleapis.com"},
            {"aud": "https://us-central1-artifactregistry.googleapis.com/"},
            {"aud": "https://containeranalysis.example.cloud/"},
            {"aud": BASE},
            {"aud": f"{BASE}/"},
            {"aud": None, "scope": CLOUD_PLATFORM},
            {"aud": None, "scope": f"openid {CLOUD_PLATFORM}"},
        ],
    )
    def test_taken(self, key: NewKey, changes: dict[str, object]) -> None:
        token = sign(key, claims(sub=CI, **changes))
        universes = ["googleapis.com", "example.cloud"]
        found = verify_self_signed(
            token, CI, key.public_pem, [f"{BASE}/"], NOW, universes=universes
        )
        assert found.iss == CI

    @pytest.mark.parametrize(
        "changes",
        [
            {"aud": ANALYSIS, "sub": None},
            {"aud": ANALYSIS, "sub": "ana@example.com"},
            {"aud": ANALYSIS, "iss": "ana@example.com"},
            {"aud": GOOGLE_TOKEN_URL, "scope": CLOUD_PLATFORM},
            {"aud": f"{BASE}/token"},
            {"aud": f"{BASE}.evil.example/"},
            {"aud": "https://googleapis.com/"},
            {"aud": "https://a.b.googleapis.com/"},
            {"aud": "https://evilgoogleapis.com/"},
            {"aud": "https://a.googleapisXcom/"},
            {"aud": "https://a.googleapis.com.evil.example/"},
            {"aud": "https://evil.example/.googleapis.com/"},
            {"aud": "https://a.googleapis.com/\n"},
            {"aud": "https://a.googleapis.com//"},
            {"aud": "http://containeranalysis.googleapis.com/"},
            {"aud": "https://containeranalysis.example.cloud/"},
            {"aud": [ANALYSIS]},
            {"aud": ""},
            {"aud": "", "scope": CLOUD_PLATFORM},
            {"aud": None},
            {"aud": None, "scope": f"{CLOUD_PLATFORM}.read-only"},
            {"aud": None, "scope": "openid"},
            {"aud": ANALYSIS, "iat": NOW - 3700, "exp": NOW - 100},
            {"aud": ANALYSIS, "exp": NOW + 86400},
        ],
    )
    def test_refused(self, key: NewKey, changes: dict[str, object]) -> None:
        token = sign(key, claims(**{"sub": CI} | changes))
        with failed(Code.TOKEN_INVALID):
            verify_self_signed(token, CI, key.public_pem, [BASE], NOW)

    @given(st.text(max_size=60))
    def test_audiences(self, key: NewKey, audience: str) -> None:
        token = sign(key, claims(sub=CI, aud=audience))
        with failed(Code.TOKEN_INVALID):
            verify_self_signed(token, CI, key.public_pem, [BASE], NOW)
