"""OpenVEX documents.

Source: https://github.com/openvex/spec, OPENVEX-SPEC.md 0.2.0, and 0.0.x, in which vulnerabilities
and products are texts and the parts of products stand beside them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from customhouse.analysis.feeds import decoding
from customhouse.analysis.feeds.osv.schema import Moment
from customhouse.analysis.feeds.texts import plain
from customhouse.analysis.vex import purls
from customhouse.analysis.vex.statement import (
    MAX_IDENTIFIER,
    MAX_NAMES,
    MAX_STATEMENTS,
    MAX_TEXT,
    Assessment,
    Justification,
    Product,
    Statement,
    Vex,
    digest_of,
    invalid,
    name_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

CONTEXT: Final = "https://openvex.dev/ns"
"""What `@context`, and the type of an attestation's predicate, begin with."""

_ALGORITHMS: Final = {"sha-256": "sha256", "sha-512": "sha512"}


class _Component(msgspec.Struct, gc=False):
    id: str = msgspec.field(name="@id", default="")
    identifiers: dict[str, str] | None = None
    hashes: dict[str, str] | None = None


class _Product(msgspec.Struct):
    id: str = msgspec.field(name="@id", default="")
    identifiers: dict[str, str] | None = None
    hashes: dict[str, str] | None = None
    subcomponents: list[_Component | str] | None = None


class _Vulnerability(msgspec.Struct, gc=False):
    id: str = msgspec.field(name="@id", default="")
    name: str = ""
    aliases: list[str] | None = None


class _Statement(msgspec.Struct):
    vulnerability: _Vulnerability | str
    status: str
    products: list[_Product | str] | None = None
    subcomponents: list[str] | None = None
    timestamp: Moment | None = None
    last_updated: Moment | None = None
    justification: str = ""
    impact_statement: str = ""
    action_statement: str = ""
    status_notes: str = ""


class _Document(msgspec.Struct):
    context: str = msgspec.field(name="@context")
    id: str = msgspec.field(name="@id")
    statements: list[_Statement]
    author: str = ""
    timestamp: Moment | None = None
    last_updated: Moment | None = None


_DECODER: Final = msgspec.json.Decoder(_Document)


def parse(content: bytes) -> Vex:
    """Read a document.

    Statements whose status or vulnerability is not understood are left out and counted.

    Raises:
        Failure: VEX_INVALID if it is no document of OpenVEX, ADVISORY_INVALID if it is malformed
            or exceeds a limit.
    """
    document = decoding.decode(_DECODER, content)
    if not document.context.startswith(CONTEXT):
        raise invalid(f"its @context does not begin with {CONTEXT}")
    identifier = plain(document.id, MAX_IDENTIFIER)
    if not identifier:
        raise invalid("it has no @id")
    found, skipped, size = [], 0, 0
    for each in document.statements:
        statement = _statement(document, each)
        if statement is None:
            skipped += 1
            continue
        size += sum(max(1, len(product.packages)) for product in statement.products) or 1
        if size > MAX_STATEMENTS:
            raise invalid(f"it says something about more than {MAX_STATEMENTS} packages")
        found.append(statement)
    return Vex(
        id=identifier,
        author=plain(document.author, MAX_IDENTIFIER),
        statements=tuple(found),
        skipped=skipped,
    )


def _statement(document: _Document, statement: _Statement) -> Statement | None:
    try:
        assessment = Assessment(statement.status.upper())
    except ValueError:
        return None
    names = tuple(dict.fromkeys(filter(None, _names(statement.vulnerability))))[:MAX_NAMES]
    if not names or assessment is Assessment.ACCEPTED:
        return None
    told = statement.last_updated or statement.timestamp
    return Statement(
        names=names,
        products=tuple(
            _product(each, statement.subcomponents or ()) for each in statement.products or ()
        ),
        assessment=assessment,
        justification=justification_of(statement.justification),
        details=plain(statement.impact_statement or statement.status_notes, MAX_TEXT),
        action=plain(statement.action_statement, MAX_TEXT),
        stated_at=microseconds(told or document.last_updated or document.timestamp),
    )


def _names(vulnerability: _Vulnerability | str) -> Iterator[str]:
    if isinstance(vulnerability, str):
        yield name_of(vulnerability)
        return
    # Some give an address alone, which ends with the name.
    yield name_of(vulnerability.name or vulnerability.id.rpartition("/")[2])
    yield from map(name_of, vulnerability.aliases or ())


def _product(product: _Product | str, subcomponents: list[str] | tuple[()]) -> Product:
    if isinstance(product, str):
        product = _Product(product)
    parts = [*(product.subcomponents or ()), *subcomponents]
    packages = tuple(filter(None, map(_purl, parts)))
    purl, digests = _purl(product), _digests(product.hashes)
    return Product(
        purl=purl,
        digests=digests,
        packages=packages,
        # Parts that are not understood must not make it a statement about the whole.
        is_known=bool(purl or digests) and (bool(packages) or not parts),
    )


def _purl(thing: _Product | _Component | str) -> str:
    if isinstance(thing, str):
        thing = _Component(thing)
    text = (thing.identifiers or {}).get("purl") or thing.id
    return text if purls.parse(text) else ""


def _digests(hashes: dict[str, str] | None) -> tuple[str, ...]:
    told = (
        digest_of(_ALGORITHMS[name], value)
        for name, value in (hashes or {}).items()
        if name in _ALGORITHMS
    )
    return tuple(filter(None, told))


def justification_of(word: str) -> Justification | None:
    """The justification that a word of OpenVEX or CSAF stands for, if any."""
    try:
        return Justification(word.upper())
    except ValueError:
        return None


def microseconds(moment: datetime | None) -> int:
    """A time in microseconds since 1970; 0 if there is none or it was before."""
    return max(0, int(moment.timestamp() * 1_000_000)) if moment else 0
