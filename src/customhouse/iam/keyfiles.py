"""Key files of service accounts: made here, in Google's form, and sent as a password by Docker.

What Google's libraries sign with such a file is read in `assertions`. No database.
"""

from __future__ import annotations

import base64
import re
import secrets
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import quote

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from customhouse.errors import Code, Failure
from customhouse.names import project_id

if TYPE_CHECKING:
    from collections.abc import Callable

UNIVERSE = "googleapis.com"

_BITS = 2048
_MAX_BITS = 4096
_EXPONENT = 65537
# A file with a key of 4096 bits has 4200 characters.
_MAX_FILE = 16 * 1024
# A key of 4096 bits has 3272. What is longer would only take longer to read.
_MAX_PRIVATE_KEY = 3400
_MAX_PUBLIC_KEY = 8 * 1024
_KEY_ID = re.compile(r"[0-9a-f]{40}")
# PKCS #8 (RFC 5208): after a tag and a length of three bytes, version 0 and rsaEncryption.
_PRIVATE_KEY = re.compile(
    r"-----BEGIN PRIVATE KEY-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END PRIVATE KEY-----\s*"
)
_PKCS8_RSA = bytes.fromhex("020100300d06092a864886f70d0101010500")


class NewKey(NamedTuple):
    """A key that was just made.

    Attributes:
        id: 40 hexadecimal digits.
        file: what its owner gets, once.
        public_pem: what is stored.
    """

    id: str
    file: dict[str, str]
    public_pem: str


class PublicKey(NamedTuple):
    """A public key that somebody uploaded.

    Attributes:
        pem: as SubjectPublicKeyInfo, whatever it came in.
        bits: the size of its modulus.
        expires_at: the end of its certificate in microseconds since 1970; None without one.
    """

    pem: str
    bits: int
    expires_at: int | None


class _File(msgspec.Struct, frozen=True):
    type: Literal["service_account"]
    private_key_id: str
    private_key: str
    client_email: str


def is_key_id(text: str) -> bool:
    """Whether a text has the form of a key's id."""
    return _KEY_ID.fullmatch(text) is not None


def new_key_id() -> str:
    """An id for a key; nobody can guess one."""
    return secrets.token_hex(20)


def make_key(email: str, project: str, client_id: int | str, base_url: str) -> NewKey:
    """Make a key: RSA of 2048 bits. Takes about 0.1 s of computing.

    Args:
        email: the service account.
        project: the project that owns it.
        client_id: the number of the account.
        base_url: where this server is reached, as `https://images.example.net`.
    """
    private = rsa.generate_private_key(_EXPONENT, _BITS)
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    key_id = new_key_id()
    base = base_url.rstrip("/")
    file = {
        "type": "service_account",
        "project_id": project_id(project),
        "private_key_id": key_id,
        "private_key": pem.decode("ascii"),
        "client_email": email,
        "client_id": str(client_id),
        "auth_uri": f"{base}/o/oauth2/auth",
        "token_uri": f"{base}/token",
        "auth_provider_x509_cert_url": f"{base}/oauth2/v1/certs",
        "client_x509_cert_url": f"{base}/robot/v1/metadata/x509/{quote(email, safe='')}",
        "universe_domain": UNIVERSE,
    }
    return NewKey(key_id, file, _pem(private.public_key()))


def read_public_key(text: str) -> PublicKey:
    """A public key in PEM, or that of an X.509 certificate in PEM.

    The certificate says until when the key is good; who signed it is of no importance.

    Raises:
        Failure: THING_INVALID.
    """
    if len(text) > _MAX_PUBLIC_KEY or not text.isascii():
        raise _invalid_key(
            f"it has more than {_MAX_PUBLIC_KEY} characters, or some that are not ASCII"
        )
    expires_at = None
    try:
        if "BEGIN CERTIFICATE" in text:
            certificate = x509.load_pem_x509_certificate(text.encode("ascii"))
            expires_at = int(certificate.not_valid_after_utc.timestamp()) * 1_000_000
            key: object = certificate.public_key()
        else:
            key = serialization.load_pem_public_key(text.encode("ascii"))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _invalid_key("it is neither a public key nor a certificate in PEM") from error
    if not isinstance(key, rsa.RSAPublicKey) or not _BITS <= key.key_size <= _MAX_BITS:
        raise _invalid_key(f"it is no RSA key of {_BITS} to {_MAX_BITS} bits")
    if key.public_numbers().e != _EXPONENT:
        raise _invalid_key(f"its exponent is not {_EXPONENT}")
    return PublicKey(_pem(key), key.key_size, expires_at)


def check_key_file(
    text: str | bytes, lookup: Callable[[str], tuple[str, str] | None]
) -> tuple[str, str]:
    """Who sent a key file as their password (Docker's user name `_json_key`).

    The work is the same whether or not the key is known; it is about 0.1 ms.

    Args:
        text: the file, or the file in base64 (user name `_json_key_base64`).
        lookup: gives the account and the public half in PEM for a key's id, if the key counts.

    Returns:
        The account's address and the key's id.

    Raises:
        Failure: CREDENTIALS_INVALID.
    """
    file = _read_file(text)
    factors = _factors(file.private_key)
    found = lookup(file.private_key_id) if is_key_id(file.private_key_id) else None
    email, public_pem = found or ("", "")
    # Who knows the factors of the modulus has the private key; the rest of it follows from them.
    if not found or file.client_email != email or factors != _modulus(public_pem):
        raise Failure(Code.CREDENTIALS_INVALID)
    return email, file.private_key_id


def _read_file(text: str | bytes) -> _File:
    if len(text) > _MAX_FILE:
        raise Failure(Code.CREDENTIALS_INVALID)
    try:
        content = text.encode() if isinstance(text, str) else text
        if not content.lstrip().startswith(b"{"):
            content = base64.b64decode(content)
        return msgspec.json.decode(content, type=_File)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Failure(Code.CREDENTIALS_INVALID) from error


def _factors(pem: str) -> tuple[int, int] | None:
    """The modulus and exponent of a private key, if the key has the factors of the modulus.

    The library's own check that the numbers fit is left out, which takes 50 ms and, with numbers
    chosen for it, minutes.
    """
    match = _PRIVATE_KEY.fullmatch(pem) if len(pem) <= _MAX_PRIVATE_KEY else None
    if match is None:
        return None
    try:
        der = base64.b64decode(match[1])
        if der[4:22] != _PKCS8_RSA:
            return None
        key: Any = serialization.load_der_private_key(
            der, None, unsafe_skip_rsa_key_validation=True
        )
        numbers: rsa.RSAPrivateNumbers = key.private_numbers()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    public = numbers.public_numbers
    if not 1 < numbers.p < public.n or numbers.p * numbers.q != public.n:
        return None
    return public.n, public.e


def _modulus(public_pem: str) -> tuple[int, int]:
    key: Any = serialization.load_pem_public_key(public_pem.encode("ascii"))
    numbers: rsa.RSAPublicNumbers = key.public_numbers()
    return numbers.n, numbers.e


def _pem(key: rsa.RSAPublicKey) -> str:
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode("ascii")


def _invalid_key(reason: str) -> Failure:
    return Failure(Code.THING_INVALID, kind="public key", reason=reason)
