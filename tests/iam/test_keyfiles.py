"""Key files: Google's form, and as a password."""

from __future__ import annotations

import base64
import datetime
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from google.oauth2 import service_account
from hypothesis import given
from hypothesis import strategies as st

from customhouse.errors import Code
from customhouse.iam import keyfiles
from customhouse.iam.keyfiles import NewKey, check_key_file, make_key, read_public_key
from tests.iam.test_service_accounts import CI
from tests.support.failures import code_of, failed

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.types import (
        CertificatePublicKeyTypes,
        PrivateKeyTypes,
        PublicKeyTypes,
    )

# The library has no annotations.
Credentials: Any = service_account.Credentials

BASE = "https://images.example.net"


@pytest.fixture(scope="module")
def key() -> NewKey:
    """A key."""
    return make_key(CI, "example.com/proj", 123456789012345678, BASE)


@pytest.fixture(scope="module")
def other() -> NewKey:
    """Another key of the same account."""
    return make_key(CI, "example.com/proj", 123456789012345678, BASE)


def knows(*keys: NewKey, email: str = CI) -> Callable[[str], tuple[str, str] | None]:
    """A lookup that knows these keys."""
    known = {key.id: (email, key.public_pem) for key in keys}
    return known.get


def private_pem(private: PrivateKeyTypes) -> str:
    return private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def public_pem(public: PublicKeyTypes) -> str:
    return public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


def private_numbers(key: NewKey) -> rsa.RSAPrivateNumbers:
    loaded = serialization.load_pem_private_key(key.file["private_key"].encode(), None)
    assert isinstance(loaded, rsa.RSAPrivateKey)
    return loaded.private_numbers()


def der(*numbers: int) -> bytes:
    """An RSAPrivateKey (RFC 8017, A.1.2) of any numbers, in PKCS #8."""

    def tagged(tag: int, content: bytes) -> bytes:
        return bytes([tag, 0x82]) + len(content).to_bytes(2, "big") + content

    def integer(number: int) -> bytes:
        content = number.to_bytes(number.bit_length() // 8 + 1, "big")
        if len(content) < 128:
            return bytes([2, len(content)]) + content
        if len(content) < 256:
            return bytes([2, 0x81, len(content)]) + content
        return tagged(2, content)

    inner = tagged(0x30, b"".join(integer(number) for number in (0, *numbers)))
    algorithm = bytes.fromhex("020100300d06092a864886f70d0101010500")
    return tagged(0x30, algorithm + tagged(4, inner))


def as_pem(content: bytes) -> str:
    text = base64.encodebytes(content).decode()
    return f"-----BEGIN PRIVATE KEY-----\n{text}-----END PRIVATE KEY-----\n"


class TestMake:
    def test_has_googles_form(self, key: NewKey) -> None:
        pem = key.file["private_key"]
        assert key.file == {
            "type": "service_account",
            "project_id": "example.com:proj",
            "private_key_id": key.id,
            "private_key": pem,
            "client_email": CI,
            "client_id": "123456789012345678",
            "auth_uri": f"{BASE}/o/oauth2/auth",
            "token_uri": f"{BASE}/token",
            "auth_provider_x509_cert_url": f"{BASE}/oauth2/v1/certs",
            "client_x509_cert_url": f"{BASE}/robot/v1/metadata/x509/{CI.replace('@', '%40')}",
            "universe_domain": "googleapis.com",
        }
        assert keyfiles.is_key_id(key.id)
        assert pem.startswith("-----BEGIN PRIVATE KEY-----\n")
        assert pem.endswith("\n-----END PRIVATE KEY-----\n")
        loaded = serialization.load_pem_private_key(pem.encode(), None)
        assert isinstance(loaded, rsa.RSAPrivateKey)
        assert loaded.key_size == 2048
        assert public_pem(loaded.public_key()) == key.public_pem

    def test_google_takes_it(self, key: NewKey) -> None:
        credentials = Credentials.from_service_account_info(key.file)
        assert credentials.service_account_email == CI
        assert credentials.project_id == "example.com:proj"
        assert credentials.signer.key_id == key.id


class TestPublicKey:
    def test_its_own(self, key: NewKey) -> None:
        assert read_public_key(key.public_pem) == (key.public_pem, 2048, None)

    def test_certificate(self) -> None:
        private = rsa.generate_private_key(65537, 2048)
        end = datetime.datetime(2040, 1, 2, tzinfo=datetime.UTC)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ci")])
        certificate = (
            x509.CertificateBuilder(name, name, private.public_key(), 1)
            .not_valid_before(end - datetime.timedelta(days=1))
            .not_valid_after(end)
            .sign(private, hashes.SHA256())
        )
        text = certificate.public_bytes(serialization.Encoding.PEM).decode()
        expected = (public_pem(private.public_key()), 2048, int(end.timestamp()) * 1_000_000)
        assert read_public_key(text) == expected

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "\0",
            "é",
            "\ud800",
            "x" * 100_000,
            "-----BEGIN CERTIFICATE-----\nAAAA\n",
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
            "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
        ],
    )
    def test_no_key(self, text: str) -> None:
        with failed(Code.THING_INVALID):
            read_public_key(text)

    def test_a_private_key_is_refused(self, key: NewKey) -> None:
        with failed(Code.THING_INVALID):
            read_public_key(key.file["private_key"])

    @pytest.mark.parametrize(
        "make",
        [
            lambda: rsa.generate_private_key(65537, 1024).public_key(),
            lambda: rsa.generate_private_key(3, 2048).public_key(),
            lambda: rsa.RSAPublicNumbers(65537, (1 << 8191) + 1).public_key(),
            lambda: ec.generate_private_key(ec.SECP256R1()).public_key(),
            lambda: ed25519.Ed25519PrivateKey.generate().public_key(),
        ],
        ids=["small", "exponent", "large", "ec", "ed25519"],
    )
    def test_other_keys(self, make: Callable[[], CertificatePublicKeyTypes]) -> None:
        with failed(Code.THING_INVALID):
            read_public_key(public_pem(make()))


class TestAsPassword:
    @pytest.mark.parametrize("indent", [None, 2])
    def test_right(self, key: NewKey, other: NewKey, indent: int | None) -> None:
        text = json.dumps(key.file, indent=indent)
        assert check_key_file(text, knows(key, other)) == (CI, key.id)
        assert check_key_file(text.encode(), knows(key)) == (CI, key.id)
        assert check_key_file(f"\n{text}\r\n", knows(key)) == (CI, key.id)
        assert check_key_file(base64.b64encode(text.encode()), knows(key)) == (CI, key.id)
        assert check_key_file(base64.encodebytes(text.encode()), knows(key)) == (CI, key.id)

    def test_larger_key(self) -> None:
        private = rsa.generate_private_key(65537, 4096)
        file = {
            "type": "service_account",
            "private_key_id": "a" * 40,
            "private_key": private_pem(private),
            "client_email": CI,
        }
        known = {"a" * 40: (CI, public_pem(private.public_key()))}
        assert check_key_file(json.dumps(file), known.get) == (CI, "a" * 40)

    def test_too_long(self, key: NewKey) -> None:
        with failed(Code.CREDENTIALS_INVALID):
            check_key_file(json.dumps(key.file) + " " * 16_384, knows(key))

    def test_key_that_does_not_count(self, key: NewKey, other: NewKey) -> None:
        with failed(Code.CREDENTIALS_INVALID):
            check_key_file(json.dumps(key.file), knows(other))

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("type", "authorized_user"),
            ("type", None),
            ("client_email", "other-one@acme.iam.example.net"),
            ("client_email", ""),
            ("client_email", 5),
            ("private_key_id", "b" * 40),
            ("private_key_id", "\0"),
            ("private_key_id", ["a"]),
            ("private_key", ""),
            ("private_key", "x" * 5000),
            ("private_key", "-----BEGIN PRIVATE KEY-----\nA\n-----END PRIVATE KEY-----\n"),
            ("private_key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        ],
    )
    def test_wrong_field(self, key: NewKey, field: str, value: object) -> None:
        with failed(Code.CREDENTIALS_INVALID):
            check_key_file(json.dumps(key.file | {field: value}), knows(key))
        without = {name: content for name, content in key.file.items() if name != field}
        with failed(Code.CREDENTIALS_INVALID):
            check_key_file(json.dumps(without), knows(key))

    def test_key_of_another(self, key: NewKey, other: NewKey) -> None:
        swapped = key.file | {"private_key": other.file["private_key"]}
        with failed(Code.CREDENTIALS_INVALID):
            check_key_file(json.dumps(swapped), knows(key, other))

    def test_other_kinds_of_key(self, key: NewKey) -> None:
        for private in (
            ec.generate_private_key(ec.SECP256R1()),
            ed25519.Ed25519PrivateKey.generate(),
            rsa.generate_private_key(65537, 1024),
        ):
            file = key.file | {"private_key": private_pem(private)}
            with failed(Code.CREDENTIALS_INVALID):
                check_key_file(json.dumps(file), knows(key))

    def test_the_public_half_alone_is_no_key(self, key: NewKey) -> None:
        """Who has the public half can write a private key around it, but not with its factors."""
        right = private_numbers(key)
        n, e = right.public_numbers.n, right.public_numbers.e
        rest = (right.d, right.p, right.q, right.dmp1, right.dmq1, right.iqmp)
        lookup = knows(key)

        def check(*numbers: int) -> None:
            file = key.file | {"private_key": as_pem(der(n, e, *numbers))}
            check_key_file(json.dumps(file), lookup)

        check(*rest)
        d, p, q, dmp1, dmq1, iqmp = rest
        for forged in (
            (d, 1, n, dmp1, dmq1, iqmp),
            (d, n, 1, dmp1, dmq1, iqmp),
            (d, p + 2, q, dmp1, dmq1, iqmp),
            (5, 7, 11, 1, 1, 1),
            (1, 1, 1, 1, 1, 1),
            (0, 0, 0, 0, 0, 0),
        ):
            with failed(Code.CREDENTIALS_INVALID):
                check(*forged)

    def test_numbers_that_take_long(self, key: NewKey) -> None:
        """A prime of 9,689 bits, which a full check of the key would prove to be one."""
        prime = (1 << 9689) - 1
        pem = as_pem(der((1 << 2047) + 1, 65537, 5, prime, 3, 1, 1, 1))
        assert len(pem) < 3400
        started = time.perf_counter()
        with failed(Code.CREDENTIALS_INVALID):
            check_key_file(json.dumps(key.file | {"private_key": pem}), knows(key))
        assert time.perf_counter() - started < 1

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "[]",
            "null",
            "{}",
            "[" * 16_000,
            '{"a":' * 3000,
            '{"a":1}' + " " * 20_000,
            b"\xff",
            b'{"type":"\xff"}',
            "\ud800",
            '{"type":"\\ud800"}',
            "e30",
            "e30=",
            "é",
            "==",
            base64.b64encode(b"[" * 10_000),
            '{"x":1e999}',
            "9" * 10_000,
        ],
    )
    def test_no_file(self, key: NewKey, text: str | bytes) -> None:
        with failed(Code.CREDENTIALS_INVALID):
            check_key_file(text, knows(key))

    @given(st.data())
    def test_damaged(self, key: NewKey, data: st.DataObject) -> None:
        """Whatever is changed, the answer is that it is right, or that it is wrong."""
        file: dict[str, Any] = dict(key.file)
        name = data.draw(st.sampled_from(sorted(file)))
        text = file[name]
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, len(text)))
        file[name] = text[:start] + data.draw(st.text(max_size=20)) + text[end:]
        code = code_of(check_key_file, json.dumps(file), knows(key))
        assert code in {None, Code.CREDENTIALS_INVALID}
        if code is None:
            for needed in ("type", "client_email", "private_key_id"):
                assert file[needed] == key.file[needed]
