"""The part of the Common Security Advisory Framework that is used, as types, and the way into it.

Source: CSAF 2.0, section 3: https://docs.oasis-open.org/csaf/csaf/v2.0/csaf-v2.0.html.
"""

from __future__ import annotations

from typing import Final

import msgspec

from customhouse.analysis.feeds import decoding
from customhouse.analysis.feeds.osv.schema import Moment


class Helper(msgspec.Struct, gc=False):
    """`product_identification_helper`: a Common Platform Enumeration, or a package URL."""

    cpe: str = ""
    purl: str = ""


class Product(msgspec.Struct, gc=False):
    """`product` and `full_product_name`."""

    product_id: str
    product_identification_helper: Helper | None = None


class Branch(msgspec.Struct):
    """`product_tree.branches[]`: a product, or more branches."""

    product: Product | None = None
    branches: list[Branch] | None = None


class Relationship(msgspec.Struct, gc=False):
    """`product_tree.relationships[]`: a product as a component of another one."""

    full_product_name: Product
    product_reference: str
    relates_to_product_reference: str


class Tree(msgspec.Struct):
    """`product_tree`."""

    branches: list[Branch] | None = None
    relationships: list[Relationship] | None = None


class Note(msgspec.Struct, gc=False):
    """`notes[]`."""

    category: str = ""
    text: str = ""


class Link(msgspec.Struct, gc=False):
    """`references[]`; of the category `self` or `external`."""

    url: str = ""
    category: str = "external"


class Statement(msgspec.Struct, gc=False):
    """`remediations[]` and `threats[]`: what is said about some products, or about all."""

    category: str = ""
    details: str = ""
    product_ids: list[str] | None = None
    url: str = ""


class Status(msgspec.Struct, gc=False):
    """`product_status`: identifiers of products, as far as they are or were affected."""

    fixed: list[str] | None = None
    known_affected: list[str] | None = None


class Vector(msgspec.Struct, gc=False, rename="camel"):
    """`cvss_v3` and the like."""

    vector_string: str = ""


class Rating(msgspec.Struct, gc=False):
    """`scores[]`."""

    cvss_v2: Vector | None = None
    cvss_v3: Vector | None = None
    cvss_v4: Vector | None = None


class Vulnerability(msgspec.Struct, gc=False):
    """`vulnerabilities[]`."""

    cve: str = ""
    title: str = ""
    release_date: Moment | None = None
    notes: list[Note] | None = None
    product_status: Status | None = None
    references: list[Link] | None = None
    remediations: list[Statement] | None = None
    scores: list[Rating] | None = None
    threats: list[Statement] | None = None


class Tracking(msgspec.Struct, gc=False):
    """`document.tracking`."""

    current_release_date: Moment
    initial_release_date: Moment | None = None
    status: str = ""


class Aggregate(msgspec.Struct, gc=False):
    """`document.aggregate_severity`."""

    text: str = ""


class Head(msgspec.Struct, gc=False):
    """`document`."""

    category: str
    tracking: Tracking
    title: str = ""
    aggregate_severity: Aggregate | None = None


class Csaf(msgspec.Struct):
    """The whole."""

    document: Head
    product_tree: Tree | None = None
    vulnerabilities: list[Vulnerability] | None = None


_DECODER: Final = msgspec.json.Decoder(Csaf)


def decode(content: bytes) -> Csaf:
    """Decode a document.

    Raises:
        Failure: ADVISORY_INVALID if it is too large, is no JSON, or has not this form.
    """
    return decoding.decode(_DECODER, content)
