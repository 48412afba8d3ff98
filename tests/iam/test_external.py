"""Tokens of other issuers: good ones of every kind, and what attackers send."""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import RSAKey

from customhouse.errors import Code, Failure
from customhouse.iam.external import key_id, verify
from customhouse.iam.issuers import read_keys
from tests.iam.issuer import github, gitlab, make_key, public, sign, times
from tests.support.failures import code_of, failed

ISSUER = "https://token.actions.githubusercontent.com"
AUDIENCE = "https://registry.example.com"
KEYS = {name: make_key(name, name) for name in ("RS256", "PS256", "ES256", "ES384", "Ed25519")}
PUBLIC = read_keys(public(*KEYS.values()))
KEY = KEYS["RS256"]


def check(token: str, **changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "keys": PUBLIC,
        "issuer": ISSUER,
        "audiences": {AUDIENCE},
        "now": time.time(),
    }
    return verify(token, **(arguments | changes))


def claims(**changes: Any) -> dict[str, Any]:
    return {"iss": ISSUER, "aud": AUDIENCE} | github(**changes)


def encoded(value: object) -> str:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def signed(header: dict[str, Any], content: object) -> str:
    """A token with whatever header, signed by the Ed25519 key."""
    private = KEYS["Ed25519"].get_op_key("sign")
    assert isinstance(private, Ed25519PrivateKey)
    head = f"{encoded(header)}.{encoded(content)}"
    return f"{head}.{encoded(private.sign(head.encode()))}"


def reason(token: str, **changes: Any) -> str:
    with pytest.raises(Failure) as caught:
        check(token, **changes)
    assert caught.value.code is Code.SUBJECT_TOKEN_INVALID
    return str(caught.value.fields["reason"])


class TestGood:
    @pytest.mark.parametrize("algorithm", KEYS)
    def test_every_algorithm(self, algorithm: str) -> None:
        token = sign(claims(), KEYS[algorithm])
        assert key_id(token) == algorithm
        assert check(token)["repository"] == "acme/app"

    def test_eddsa_by_its_older_name(self) -> None:
        token = signed({"alg": "EdDSA", "kid": "Ed25519"}, claims())
        assert check(token)["sub"] == "repo:acme/app:ref:refs/heads/main"
        older = [k | {"alg": "EdDSA"} for k in PUBLIC if k["kid"] == "Ed25519"]
        assert check(token, keys=older)
        assert check(sign(claims(), KEYS["Ed25519"]), keys=older)

    def test_of_gitlab(self) -> None:
        token = sign({"iss": ISSUER, "aud": AUDIENCE} | gitlab(), KEY)
        assert check(token)["groups_direct"] == ["acme/developers", "acme/release managers"]

    def test_several_audiences(self) -> None:
        assert check(sign(claims(aud=["https://other.example.com", AUDIENCE]), KEY))

    def test_without_key_id(self) -> None:
        content = json.dumps(claims()).encode()
        token = jws.serialize_compact({"alg": "RS256"}, content, KEY, algorithms=["RS256"])
        assert key_id(token) == ""
        assert check(token)
        two = read_keys(public(KEY, make_key("b", "RS256")))
        assert "has no RS256 key" in reason(token, keys=two)

    def test_header_with_more_in_it(self) -> None:
        assert check(sign(claims(), KEY, x5t="dGVzdA", custom="value"))

    @pytest.mark.parametrize("seconds", [-55, 55])
    def test_clocks_differ(self, seconds: int) -> None:
        token = sign(claims(**times(0)), KEY)
        assert check(token, now=time.time() + seconds)


class TestRefused:
    def test_other_issuer(self) -> None:
        token = sign(claims(iss="https://gitlab.example.com"), KEY)
        assert reason(token) == f"it is of issuer 'https://gitlab.example.com', not {ISSUER!r}"

    @pytest.mark.parametrize("issuer", [ISSUER + "/", ISSUER.upper(), [ISSUER], None, ""])
    def test_issuer_is_exact(self, issuer: object) -> None:
        assert "it is of issuer" in reason(sign(claims(iss=issuer), KEY))

    @pytest.mark.parametrize(
        "audience", ["https://other.example.com", "", None, [], [None], {AUDIENCE: 1}, 5]
    )
    def test_other_audience(self, audience: object) -> None:
        assert "it is for audience" in reason(sign(claims(aud=audience), KEY))

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"exp": int(time.time()) - 120}, "it has expired"),
            ({"iat": int(time.time()) + 7200}, "it is not valid yet"),
            ({"nbf": int(time.time()) + 7200}, "it is not valid yet"),
            (times(24 * 3600 + 1), "it is valid for more than a day"),
            ({"exp": None}, "its exp is no time"),
            ({"exp": "9999999999"}, "its exp is no time"),
            ({"exp": True}, "its exp is no time"),
            ({"exp": float("nan")}, "its exp is no time"),
            ({"exp": float("inf")}, "its exp is no time"),
            ({"exp": 2**64}, "its exp is no time"),
            ({"iat": -1}, "its iat is no time"),
            ({"iat": None}, "its iat is no time"),
            ({"nbf": []}, "its nbf is no time"),
        ],
    )
    def test_times(self, changes: dict[str, Any], expected: str) -> None:
        assert reason(sign(claims(**changes), KEY)) == expected

    def test_unsigned(self) -> None:
        for name in ("none", "None", "NONE"):
            token = f"{encoded({'alg': name, 'kid': 'RS256'})}.{encoded(claims())}."
            assert reason(token) == f"its algorithm {name!r} is not taken"
            with failed(Code.SUBJECT_TOKEN_INVALID):
                key_id(token)

    def test_public_key_as_secret(self) -> None:
        assert isinstance(KEY, RSAKey)
        head = f"{encoded({'alg': 'HS256', 'kid': 'RS256'})}.{encoded(claims())}"
        for secret in (KEY.as_pem(private=False), KEY.as_der(private=False)):
            token = f"{head}.{encoded(hmac.digest(secret, head.encode(), 'sha256'))}"
            assert reason(token) == "its algorithm 'HS256' is not taken"

    def test_signed_by_another_key_of_that_name(self) -> None:
        assert reason(sign(claims(), make_key("RS256", "RS256"))) == "its signature does not verify"

    def test_key_is_for_another_algorithm(self) -> None:
        assert isinstance(KEY, RSAKey)
        token = jws.serialize_compact(
            {"alg": "PS256", "kid": "RS256"},
            json.dumps(claims()).encode(),
            RSAKey.import_key(KEY.as_pem(private=True)),
            algorithms=["PS256"],
        )
        assert "has no PS256 key" in reason(token)

    def test_curve_of_another_algorithm(self) -> None:
        key = [k | {"alg": "ES256", "kid": "ES256"} for k in PUBLIC if k["kid"] == "ES384"]
        assert reason(sign(claims(), KEYS["ES256"]), keys=key) == "its signature does not verify"

    def test_unknown_key(self) -> None:
        assert "has no RS256 key 'other'" in reason(sign(claims(), make_key("other", "RS256")))

    def test_key_in_the_header(self) -> None:
        own = make_key("own", "RS256")
        header = {"alg": "RS256", "kid": "RS256", "jwk": own.as_dict(private=False)}
        content = json.dumps(claims()).encode()
        token = jws.serialize_compact(
            header, content, own, registry=jws.JWSRegistry(algorithms=["RS256"])
        )
        assert reason(token) == "its signature does not verify"

    def test_changed(self) -> None:
        head, body, signature = sign(claims(), KEY).split(".")
        changed = encoded(claims(repository="mallory/app"))
        assert reason(f"{head}.{changed}.{signature}") == "its signature does not verify"
        assert reason(f"{head}.{body}.") == "its signature does not verify"
        assert reason(f"{head}.{body}.{signature[:-4]}") == "its signature does not verify"

    def test_critical_header(self) -> None:
        for more in ({"crit": ["other"], "other": 1}, {"crit": ["b64"], "b64": False}, {"crit": 1}):
            token = signed({"alg": "EdDSA", "kid": "Ed25519"} | more, claims())
            assert reason(token) == "its header has what is not known here"

    @pytest.mark.parametrize("content", [b"", b"[]", b"null", b"\xff", b"1", b'{"a":' * 5000])
    def test_claims_are_no_object(self, content: bytes) -> None:
        token = jws.serialize_compact(
            {"alg": "ES256", "kid": "ES256"}, content, KEYS["ES256"], algorithms=["ES256"]
        )
        assert "its claims are no" in reason(token) or "no JSON Web Token" in reason(token)

    def test_too_deep(self) -> None:
        deep: Any = "end"
        for _ in range(16):
            deep = [deep]
        assert "nested too deeply" in reason(sign(claims(deep=deep), KEY))

    def test_too_long(self) -> None:
        assert "at most 16384 bytes" in reason(sign(claims(filler="a" * 16_384), KEY))

    @pytest.mark.parametrize(
        "token",
        ["", ".", "..", "...", "a.b.c", "a.b.c.d.e", "\u00e9.b.c", "e30.e30.e30", "bnVsbA.e30.AA"],
    )
    def test_no_token(self, token: str) -> None:
        reason(token)
        with failed(Code.SUBJECT_TOKEN_INVALID):
            key_id(token)

    @pytest.mark.parametrize("header", [[], None, {}, {"alg": 5}, {"alg": ["RS256"]}, "RS256"])
    def test_odd_header(self, header: object) -> None:
        reason(f"{encoded(header)}.{encoded(claims())}.AAAA")

    def test_odd_key_id(self) -> None:
        header = {"alg": "RS256", "kid": {"a": 1}}
        reason(f"{encoded(header)}.{encoded(claims())}.AAAA")

    @pytest.mark.parametrize(
        "key",
        [
            {"kty": "EC", "kid": "ES256", "crv": "P-256", "x": "AA", "y": "AA"},
            {"kty": "EC", "kid": "ES256", "crv": "nope", "x": "AA", "y": "AA"},
            {"kty": "EC", "kid": "ES256"},
            {"kty": "EC", "kid": "ES256", "crv": "P-256", "x": "!", "y": "\u00e9"},
        ],
    )
    def test_broken_key(self, key: dict[str, str]) -> None:
        assert reason(sign(claims(), KEYS["ES256"]), keys=[key]) == "its signature does not verify"


@given(st.binary(max_size=200), st.binary(max_size=300), st.binary(max_size=100))
def test_any_bytes(head: bytes, body: bytes, signature: bytes) -> None:
    reason(".".join(map(encoded, (head, body, signature))))


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["iss", "aud", "exp", "iat", "nbf", "sub"]), JSON))
def test_any_claims(changes: dict[str, Any]) -> None:
    token = sign(claims(**changes), KEYS["ES256"])
    code = code_of(check, token)
    assert code in {None, Code.SUBJECT_TOKEN_INVALID}
    assert code is not None or changes.get("iss", ISSUER) == ISSUER
