"""CSAF documents of the profile VEX."""

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
    csaf,
    encoded,
    product,
    within,
)

if TYPE_CHECKING:
    from pathlib import Path

    from customhouse.analysis.vex.statement import Statement


def read(**fields: Any) -> list[Statement]:
    """The statements of a document about one CVE."""
    return list(vex.parse(encoded(csaf({"cve": CVE} | fields))).statements)


def test_a_document() -> None:
    found = vex.parse(
        encoded(
            csaf(
                {"cve": CVE, "product_status": {"fixed": ["image"]}},
            )
        )
    )
    assert (found.id, found.author) == ("https://example.com EX-1", "Example Inc.")
    (statement,) = found.statements
    assert statement.names == (CVE,)
    assert statement.products == (Product(IMAGE),)
    assert statement.assessment is Assessment.FIXED
    assert statement.stated_at == 1_714_557_600_000_000


@pytest.mark.parametrize(
    ("group", "assessment"),
    [
        ("known_not_affected", Assessment.NOT_AFFECTED),
        ("fixed", Assessment.FIXED),
        ("first_fixed", Assessment.FIXED),
        ("known_affected", Assessment.AFFECTED),
        ("first_affected", Assessment.AFFECTED),
        ("last_affected", Assessment.AFFECTED),
        ("under_investigation", Assessment.UNDER_INVESTIGATION),
        ("recommended", None),
        ("invented", None),
    ],
)
def test_groups(group: str, assessment: Assessment | None) -> None:
    found = [each.assessment for each in read(product_status={group: ["image"]})]
    assert found == ([assessment] if assessment else [])


PRODUCTS: dict[str, Product] = {
    "image": Product(IMAGE),
    "hashed": Product(digests=(DIGEST,)),
    "libssl": Product(LIBSSL),
    "image:libssl": Product(IMAGE, packages=(LIBSSL,)),
    # Of a release only its name is known, so the version has to tell the package.
    "release:libssl": Product(LIBSSL),
    "release:unversioned": Product("pkg:rpm/example/openssl", is_known=False),
    "release:image": Product(IMAGE),
    "named": Product(is_known=False),
    "release": Product(is_known=False),
    "missing": Product(is_known=False),
}


@pytest.mark.parametrize("identifier", PRODUCTS)
def test_products(identifier: str) -> None:
    (found,) = read(product_status={"fixed": [identifier]})
    assert found.products == (PRODUCTS[identifier],)


def test_circles_of_products_end() -> None:
    circle = [within("a", "libssl", "b"), within("b", "libssl", "a")]
    document = csaf({"cve": CVE, "product_status": {"fixed": ["a"]}}, relationships=circle)
    (found,) = vex.parse(encoded(document)).statements
    assert found.products == (Product(LIBSSL),)


def test_what_is_said_of_some_products() -> None:
    found = read(
        product_status={"known_not_affected": ["image", "hashed", "libssl"]},
        flags=[
            {"label": "component_not_present", "group_ids": ["all"]},
            {"label": "vulnerable_code_not_present", "product_ids": ["libssl"]},
        ],
        threats=[
            {"category": "impact", "details": "never run", "product_ids": ["image", "hashed"]},
            {"category": "exploit_status", "details": "none", "product_ids": ["libssl"]},
        ],
        remediations=[{"category": "workaround", "details": "wait"}],
    )
    assert [(each.justification, each.details, each.action) for each in found] == [
        (Justification.COMPONENT_NOT_PRESENT, "never run", "wait"),
        (Justification.VULNERABLE_CODE_NOT_PRESENT, "", "wait"),
    ]
    assert found[0].products == (Product(IMAGE), Product(digests=(DIGEST,)))
    (affected,) = read(
        product_status={"known_affected": ["image"]},
        flags=[{"label": "component_not_present", "product_ids": ["image"]}],
    )
    assert affected.justification is None


def test_names_of_other_systems() -> None:
    found = vex.parse(
        encoded(
            csaf(
                {"ids": [{"system_name": "GitHub", "text": "GHSA-abcd-2345-wxyz"}]},
                {"title": "nameless"},
            )
        )
    )
    assert found.skipped == 1
    (statement,) = read(ids=[{"text": "GHSA-abcd-2345-wxyz"}], product_status={"fixed": ["image"]})
    assert statement.names == (CVE, "GHSA-abcd-2345-wxyz")


def changed(**head: Any) -> bytes:
    """A document with another head."""
    document = csaf()
    document["document"] |= head
    return encoded(document)


BROKEN: dict[str, bytes] = {
    "another category": changed(category="csaf_security_advisory"),
    "a draft": changed(
        tracking={"id": "1", "status": "draft", "current_release_date": "2024-05-01T10:00:00Z"}
    ),
    "no date": changed(tracking={"id": "1", "status": "final"}),
    "no tracking": changed(tracking=None),
    "a tree of another shape": encoded(csaf(branches=1)),
    "a status of another shape": encoded(csaf({"product_status": []})),
    "deep branches": encoded(csaf()).replace(
        b'"branches": [', b'"branches": [' + b'{"branches": [' * 9000, 1
    ),
    "too much": encoded(
        csaf({"cve": CVE, "product_status": {"fixed": [f"p{n}" for n in range(10_001)]}})
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_refused(case: str) -> None:
    with pytest.raises(Failure) as caught:
        vex.parse(BROKEN[case])
    assert caught.value.code is Code.VEX_INVALID


def test_documents_of_red_hat(shared_data: Path) -> None:
    """Counted in the files: `.vulnerabilities[].product_status | map(length) | add`."""
    folder = shared_data / "redhat" / "csaf-vex"
    counts = {"cve-2023-38545.json": 572, "cve-2022-24834.json": 55, "cve-2023-6238.json": 198}
    for name, count in counts.items():
        found = vex.parse((folder / name).read_bytes())
        assert found.author == "Red Hat Product Security"
        assert sum(len(each.products) for each in found.statements) == count
    # Packages of a release without their versions are not told apart from those of others.
    unversioned = vex.parse((folder / "cve-2023-6238.json").read_bytes())
    assert not any(each.is_known for said in unversioned.statements for each in said.products)


def test_products_with_several_purls() -> None:
    both = product("it")
    both["product"]["product_identification_helper"] = {"purls": ["x", IMAGE]}
    document = csaf({"cve": CVE, "product_status": {"fixed": ["it"]}}, branches=[both])
    (found,) = vex.parse(encoded(document)).statements
    assert found.products == (Product(IMAGE),)
