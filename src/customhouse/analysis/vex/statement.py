"""What a VEX document says, in one form for all formats, and in Grafeas' words.

grafeas.v1 (proto/v1/vex.proto, `VulnerabilityAssessmentNote.Assessment`) for states and
justifications.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from customhouse.errors import Code, Failure

MAX_STATEMENTS: Final = 10_000
"""The most statements about one product and package that are taken from a document."""

MAX_NAMES: Final = 20
"""The most names of a vulnerability that are kept of a statement."""

MAX_TEXT: Final = 4096
"""Bytes that are kept of a text for people."""

MAX_IDENTIFIER: Final = 1024
"""Characters of what a document or a product is called."""

_DIGEST: Final = re.compile(r"[0-9a-fA-F]{1,128}").fullmatch
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-:._][A-Za-z0-9]+)+", re.ASCII)
_MAX_NAME: Final = 100


class Assessment(Enum):
    """What is held of a vulnerability: Grafeas' `State`, and the acceptance of a risk.

    Who accepts a risk does not say that it is none: for Grafeas it stays AFFECTED.
    """

    AFFECTED = "AFFECTED"
    NOT_AFFECTED = "NOT_AFFECTED"
    FIXED = "FIXED"
    UNDER_INVESTIGATION = "UNDER_INVESTIGATION"
    ACCEPTED = "ACCEPTED"


class Justification(Enum):
    """Why something is not affected: Grafeas' `JustificationType`.

    OpenVEX and CSAF have the same words, in lower case.
    """

    COMPONENT_NOT_PRESENT = "COMPONENT_NOT_PRESENT"
    VULNERABLE_CODE_NOT_PRESENT = "VULNERABLE_CODE_NOT_PRESENT"
    VULNERABLE_CODE_NOT_IN_EXECUTE_PATH = "VULNERABLE_CODE_NOT_IN_EXECUTE_PATH"
    VULNERABLE_CODE_CANNOT_BE_CONTROLLED_BY_ADVERSARY = (
        "VULNERABLE_CODE_CANNOT_BE_CONTROLLED_BY_ADVERSARY"
    )
    INLINE_MITIGATIONS_ALREADY_EXIST = "INLINE_MITIGATIONS_ALREADY_EXIST"


@dataclass(frozen=True, slots=True)
class Product:
    """What a statement is about.

    Attributes:
        purl: its package URL; empty if it has none.
        digests: those of its content, as `sha256:...`; empty if none is told.
        packages: package URLs of the parts of it that are meant; empty for all of it.
        is_known: whether anything in it tells what it is. One that is not known is about nothing:
            to take it for the image would say more than the document does.
    """

    purl: str = ""
    digests: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    is_known: bool = True


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement.

    Attributes:
        names: of the vulnerability; the first is the main one.
        products: what it is about; empty for whatever the document is attached to.
        assessment: what it says; never ACCEPTED.
        justification: why it is not affected, if that is told.
        details: why, in words.
        action: what to do, in words.
        stated_at: when, in microseconds since 1970.
    """

    names: tuple[str, ...]
    products: tuple[Product, ...]
    assessment: Assessment
    justification: Justification | None
    details: str
    action: str
    stated_at: int


@dataclass(frozen=True, slots=True)
class Vex:
    """A document.

    Attributes:
        id: what it calls itself.
        author: who speaks, as the document says; nothing proves it.
        statements: in order.
        subjects: digests that an attestation is about; empty where it is none.
        skipped: how many statements were left out because nothing here understands them.
    """

    id: str
    author: str
    statements: tuple[Statement, ...]
    subjects: tuple[str, ...] = ()
    skipped: int = 0


def name_of(text: str) -> str:
    """A vulnerability's name as findings have it; empty if the text cannot be one.

    >>> name_of("cve-2024-1234"), name_of("GHSA-ABCD-2345-WXYZ"), name_of("https://x/CVE-1")
    ('CVE-2024-1234', 'GHSA-abcd-2345-wxyz', '')
    """
    text = text.strip()
    if len(text) > _MAX_NAME or not _NAME.fullmatch(text):
        return ""
    head, _, rest = text.partition("-")
    if head.upper() == "GHSA":
        return f"GHSA-{rest.lower()}"
    return text.upper() if head.upper() in {"CVE", "DSA", "DLA", "USN", "RHSA"} else text


def digest_of(algorithm: str, value: str) -> str:
    """A digest as images have it, as `sha256:...`; empty if the value is none."""
    return f"{algorithm}:{value.lower()}" if _DIGEST(value) else ""


def invalid(reason: str) -> Failure:
    """The failure of a document, with the reason as a part of a sentence."""
    return Failure(Code.VEX_INVALID, reason=reason)
