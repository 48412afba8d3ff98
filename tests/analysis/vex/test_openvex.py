"""OpenVEX documents, bare and in attestations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from customhouse.analysis import vex
from customhouse.analysis.vex.statement import Assessment, Justification, Product
from customhouse.errors import Code, Failure
from tests.analysis.vex.documents import (
    CVE,
    DIGEST,
    IMAGE,
    LIBSSL,
    OTHER,
    attestation,
    encoded,
    envelope,
    openvex,
    says,
)

if TYPE_CHECKING:
    from pathlib import Path

    from customhouse.analysis.vex import Vex
    from customhouse.analysis.vex.statement import Statement

MAY_1 = 1_714_557_600_000_000


def read(*statements: dict[str, Any], **fields: Any) -> Vex:
    """Read a document with these statements."""
    return vex.parse(encoded(openvex(*statements, **fields)))


def only(**fields: Any) -> Statement:
    """The one statement of a document that differs in this from a plain one."""
    (found,) = read(says() | fields).statements
    return found


def test_a_document() -> None:
    part = {"@id": LIBSSL}
    found = read(
        says("not_affected", {"@id": IMAGE, "subcomponents": [part]}, impact_statement="never run"),
        says("affected", IMAGE, name="CVE-2024-2", action_statement="upgrade"),
    )
    assert (found.id, found.author, found.skipped, found.subjects) == (
        "https://example.com/vex/1",
        "Example Inc.",
        0,
        (),
    )
    first, second = found.statements
    assert first.names == (CVE,)
    assert first.products == (Product(IMAGE, packages=(LIBSSL,)),)
    assert first.assessment is Assessment.NOT_AFFECTED
    assert first.justification is Justification.VULNERABLE_CODE_NOT_IN_EXECUTE_PATH
    assert (first.details, first.action, first.stated_at) == ("never run", "", MAY_1)
    assert second.assessment is Assessment.AFFECTED
    assert (second.justification, second.action) == (None, "upgrade")


@pytest.mark.parametrize("assessment", list(Assessment)[:4], ids=lambda each: each.value)
def test_statuses(assessment: Assessment) -> None:
    assert only(status=assessment.value.lower()).assessment is assessment


@pytest.mark.parametrize("justification", Justification, ids=lambda each: each.value)
def test_justifications(justification: Justification) -> None:
    assert only(justification=justification.value.lower()).justification is justification


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "accepted"},
        {"status": "fine"},
        {"vulnerability": {"name": "not a name"}},
        {"vulnerability": {}},
    ],
    ids=["accepted", "unknown", "name", "nameless"],
)
def test_statements_that_are_left_out(fields: dict[str, Any]) -> None:
    found = read(says() | fields, says())
    assert (len(found.statements), found.skipped) == (1, 1)


@pytest.mark.parametrize(
    ("vulnerability", "names"),
    [
        ("cve-2024-1234", (CVE,)),
        ({"name": CVE, "aliases": ["GHSA-abcd-2345-wxyz", CVE]}, (CVE, "GHSA-abcd-2345-wxyz")),
        ({"@id": f"https://nvd.nist.gov/vuln/detail/{CVE}"}, (CVE,)),
        ({"name": CVE, "aliases": ["https://ubuntu.com/security/x", "a b"]}, (CVE,)),
        ({"name": "x", "aliases": ["DSA-1-1"]}, ("DSA-1-1",)),
        ({"name": CVE, "aliases": [f"X-{n}" for n in range(50)]}, 20),
    ],
    ids=["text", "aliases", "address", "links", "alias", "many"],
)
def test_names(vulnerability: object, names: tuple[str, ...] | int) -> None:
    found = only(vulnerability=vulnerability).names
    assert found == names or len(found) == names


PRODUCTS: dict[str, tuple[object, Product]] = {
    "purl": ({"@id": IMAGE}, Product(IMAGE)),
    "text": (IMAGE, Product(IMAGE)),
    "identifier": ({"@id": "x", "identifiers": {"purl": IMAGE}}, Product(IMAGE)),
    "hash": ({"@id": "x", "hashes": {"sha-256": "A" * 64}}, Product(digests=(DIGEST,))),
    "hash of a kind that counts not": (
        {"@id": "x", "hashes": {"md5": "a" * 32}},
        Product(is_known=False),
    ),
    "hash that is none": ({"@id": "x", "hashes": {"sha-256": "\0"}}, Product(is_known=False)),
    "address": ({"@id": "https://example.com/x"}, Product(is_known=False)),
    "nothing": ({}, Product(is_known=False)),
    "part": (
        {"@id": IMAGE, "subcomponents": [{"@id": LIBSSL}, "pkg:npm/a"]},
        Product(IMAGE, packages=(LIBSSL, "pkg:npm/a")),
    ),
    "a part that is not understood makes it no statement about the whole": (
        {"@id": IMAGE, "subcomponents": [{"@id": "openssl"}]},
        Product(IMAGE, is_known=False),
    ),
}


@pytest.mark.parametrize("case", PRODUCTS)
def test_products(case: str) -> None:
    written, product = PRODUCTS[case]
    assert only(products=[written]).products == (product,)


def test_parts_beside_products_as_in_the_first_version() -> None:
    found = only(products=[IMAGE], subcomponents=[LIBSSL])
    assert found.products == (Product(IMAGE, packages=(LIBSSL,)),)


def test_the_time_of_a_statement() -> None:
    assert only(timestamp="2024-05-01T12:00:00+01:00").stated_at == MAY_1 + 3600 * 1_000_000
    moved = {"timestamp": "2023-01-01T00:00:00Z", "last_updated": "2024-05-01T10:00:00Z"}
    assert only(**moved).stated_at == MAY_1
    assert only(timestamp="0001-01-01T00:00:00+14:00").stated_at == 0
    assert only(timestamp="9999-12-31T23:59:59-12:00").stated_at > MAY_1
    (untimed,) = read(says(), timestamp=None).statements
    assert untimed.stated_at == 0


def test_an_attestation() -> None:
    statement = attestation(openvex(says()), DIGEST, OTHER)
    for written in (
        statement,
        attestation(openvex(says()), DIGEST, OTHER, _type="https://in-toto.io/Statement/v0.1"),
        envelope(statement),
        {"mediaType": "x", "dsseEnvelope": envelope(statement)},
    ):
        found = vex.parse(encoded(written))
        assert found.subjects == (DIGEST, OTHER)
        assert found.statements[0].names == (CVE,)


STATEMENT = attestation(openvex(says()), DIGEST)
BROKEN: dict[str, bytes] = {
    "empty": b"",
    "no json": b"<vex/>",
    "no object": b"[]",
    "number": b"1",
    "nothing known": b"{}",
    "not utf-8": b'{"@context": "\xff"}',
    "another context": encoded(openvex() | {"@context": "https://example.com"}),
    "a list of contexts": encoded(openvex() | {"@context": ["https://openvex.dev/ns"]}),
    "no statements": encoded({"@context": "https://openvex.dev/ns", "@id": "x"}),
    "no name": encoded(openvex() | {"@id": " \0"}),
    "statements of another shape": encoded(openvex() | {"statements": [1]}),
    "time without zone": encoded(openvex(says(timestamp="2024-05-01T10:00:00"))),
    "too much": encoded(openvex(says("fixed", *[IMAGE] * 10_001))),
    "deep": b'{"@context": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "another predicate": encoded(STATEMENT | {"predicateType": "https://slsa.dev/provenance/v1"}),
    "another type": encoded(STATEMENT | {"_type": "https://example.com"}),
    "no subject": encoded(STATEMENT | {"subject": []}),
    "a digest that is none": encoded(STATEMENT | {"subject": [{"digest": {"sha256": "a\0"}}]}),
    "a subject without digest": encoded(STATEMENT | {"subject": [{"digest": {"md5": "a"}}]}),
    "too many subjects": encoded(attestation(openvex(says()), *[DIGEST] * 1001)),
    "an envelope of something else": encoded(envelope(STATEMENT, payloadType="text/plain")),
    "an envelope without content": encoded(envelope(STATEMENT, payload="")),
    "an envelope that is no base64": encoded(envelope(STATEMENT, payload="%%%%")),
    "an envelope in an envelope": encoded(envelope(envelope(STATEMENT))),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_refused(case: str) -> None:
    with pytest.raises(Failure) as caught:
        vex.parse(BROKEN[case])
    assert caught.value.code is Code.VEX_INVALID


def test_documents_of_ubuntu(shared_data: Path) -> None:
    """Counted in the files: `.statements[].products | length`."""
    found = vex.parse((shared_data / "ubuntu/vex/CVE-2023-38545.json").read_bytes())
    assert found.author == "Canonical Ltd."
    assert sum(len(each.products) for each in found.statements) == 618
    assert all(product.is_known for each in found.statements for product in each.products)
    assert {each.names for each in found.statements} == {("CVE-2023-38545",)}
    assert [each.assessment for each in found.statements] == [
        Assessment.FIXED,
        Assessment.AFFECTED,
        Assessment.NOT_AFFECTED,
    ]
    large = vex.parse((shared_data / "ubuntu/vex/CVE-2016-20013.json").read_bytes())
    assert sum(len(each.products) for each in large.statements) == 3790
