"""Attestations whose predicate is a VEX document, and the envelopes that they come in.

Sources: in-toto Attestation Framework (spec/v1/statement.md, and v0.1, whose form is the same in
what is read here); DSSE (secure-systems-lab/dsse, envelope.md); Sigstore's bundle
(sigstore_bundle.proto, `dsseEnvelope`).

Signatures are not judged: what an attestation says counts as what anybody says who may push.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

import msgspec

from customhouse.analysis.feeds import decoding
from customhouse.analysis.vex.openvex import CONTEXT
from customhouse.analysis.vex.statement import digest_of, invalid

_PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
_STATEMENT: Final = "https://in-toto.io/Statement/"
_ALGORITHMS: Final = ("sha256", "sha512")
_MAX_SUBJECTS: Final = 1000


class _Envelope(msgspec.Struct, rename="camel"):
    payload: str
    payload_type: str


class _Bundle(msgspec.Struct, rename="camel"):
    dsse_envelope: _Envelope


class _Subject(msgspec.Struct):
    digest: dict[str, str]


class _Statement(msgspec.Struct, rename="camel"):
    type: str = msgspec.field(name="_type")
    predicate_type: str
    predicate: msgspec.Raw
    subject: list[_Subject] | None = None


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)
_BUNDLE: Final = msgspec.json.Decoder(_Bundle)
_STATEMENTS: Final = msgspec.json.Decoder(_Statement)


def unwrap(content: bytes) -> bytes:
    """The payload of a DSSE envelope, its signatures passed over.

    Raises:
        Failure: VEX_INVALID, ADVISORY_INVALID.
    """
    return _payload(decoding.decode(_ENVELOPE, content))


def unwrap_bundle(content: bytes) -> bytes:
    """The payload of the DSSE envelope in a bundle of Sigstore's; see `unwrap`."""
    return _payload(decoding.decode(_BUNDLE, content).dsse_envelope)


def predicate(content: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The VEX document of a statement, and the digests of what the statement is about.

    Raises:
        Failure: VEX_INVALID if it is no such statement, ADVISORY_INVALID if it is malformed.
    """
    statement = decoding.decode(_STATEMENTS, content)
    if not statement.type.startswith(_STATEMENT):
        raise invalid(f"its _type does not begin with {_STATEMENT}")
    if not is_vex(statement.predicate_type):
        raise invalid("it is an attestation of something else than OpenVEX")
    subjects = statement.subject or []
    if len(subjects) > _MAX_SUBJECTS:
        raise invalid(f"it has more than {_MAX_SUBJECTS} subjects")
    told = (
        digest_of(name, subject.digest[name])
        for subject in subjects
        for name in _ALGORITHMS
        if name in subject.digest
    )
    digests = tuple(filter(None, told))
    if not digests:
        raise invalid("it names no subject by its digest")
    return bytes(statement.predicate), digests


def is_vex(predicate_type: str) -> bool:
    """Whether a predicate of this type is a VEX document that is understood."""
    return predicate_type.startswith(CONTEXT)


def _payload(envelope: _Envelope) -> bytes:
    if envelope.payload_type != _PAYLOAD_TYPE:
        raise invalid(f"its payload is not {_PAYLOAD_TYPE}")
    try:
        return base64.b64decode(envelope.payload, altchars=None, validate=True)
    except (binascii.Error, ValueError):
        raise invalid("its payload is not base64") from None
