"""VEX: what publishers say of whether a vulnerability matters in what they publish.

A document is read in whatever form it comes: OpenVEX, CSAF, or OpenVEX in an attestation.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import msgspec

from customhouse.analysis.feeds import decoding
from customhouse.analysis.vex import csaf, intoto, openvex
from customhouse.analysis.vex.statement import Vex, invalid
from customhouse.errors import Code, Failure

__all__ = ["Vex", "parse"]


class _Head(msgspec.Struct, rename="camel"):
    """What tells the forms apart."""

    context: object = msgspec.field(name="@context", default=None)
    document: msgspec.Raw = msgspec.Raw()
    type: str = msgspec.field(name="_type", default="")
    payload_type: str = ""
    dsse_envelope: msgspec.Raw = msgspec.Raw()


_HEAD: Final = msgspec.json.Decoder(_Head)


def parse(content: bytes) -> Vex:
    """Read a document.

    Args:
        content: JSON, at most `feeds.document.MAX_DOCUMENT` bytes.

    Raises:
        Failure: VEX_INVALID.
    """
    try:
        return _parse(content)
    except Failure as failure:
        if failure.code is Code.VEX_INVALID:
            raise
        raise invalid(str(failure.fields["reason"])) from None


def _parse(content: bytes) -> Vex:
    head = decoding.decode(_HEAD, content)
    if bytes(head.dsse_envelope):
        content = intoto.unwrap_bundle(content)
        head = decoding.decode(_HEAD, content)
    elif head.payload_type:
        content = intoto.unwrap(content)
        head = decoding.decode(_HEAD, content)
    if head.type:
        document, subjects = intoto.predicate(content)
        return replace(openvex.parse(document), subjects=subjects)
    if bytes(head.document):
        return csaf.parse(content)
    if head.context is not None:
        return openvex.parse(content)
    raise invalid("it is neither OpenVEX, nor CSAF, nor an attestation of OpenVEX")
