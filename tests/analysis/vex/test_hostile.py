"""Documents of the wrong shape: each is read or refused, and nothing else happens."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customhouse.analysis import vex
from customhouse.analysis.vex.statement import MAX_IDENTIFIER, MAX_NAMES, MAX_TEXT
from customhouse.errors import Code, Failure
from tests.analysis.vex.documents import (
    CVE,
    DIGEST,
    IMAGE,
    LIBSSL,
    attestation,
    csaf,
    encoded,
    envelope,
    openvex,
    says,
)

STATEMENTS = openvex(
    says("not_affected", {"@id": IMAGE, "subcomponents": [{"@id": LIBSSL}]}, impact_statement="x"),
    says("affected", {"@id": "x", "hashes": {"sha-256": "a" * 64}}, action_statement="y"),
)
DOCUMENTS: dict[str, dict[str, Any]] = {
    "openvex": STATEMENTS,
    "attestation": attestation(STATEMENTS, DIGEST),
    "envelope": envelope(attestation(STATEMENTS, DIGEST)),
    "csaf": csaf(
        {
            "cve": CVE,
            "ids": [{"text": "X-1"}],
            "product_status": {
                "known_not_affected": ["image:libssl", "hashed"],
                "fixed": ["image"],
            },
            "flags": [{"label": "component_not_present", "group_ids": ["all"]}],
            "threats": [{"category": "impact", "details": "x", "product_ids": ["hashed"]}],
        }
    ),
}
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from([CVE, IMAGE, LIBSSL, DIGEST, "pkg:oci/x", "0001-01-01T00:00:00+23:59", "\0"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where in a document something stands."""
    found = [path] if path else []
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in items:
        found += places(inner, (*path, key))
    return found


def check(content: bytes) -> None:
    """Read a document, and see that what comes of it is bounded and can be stored."""
    try:
        found = vex.parse(content)
    except Failure as failure:
        if failure.code is not Code.VEX_INVALID:
            raise
        return
    assert found.id
    texts = [found.id, found.author]
    for statement in found.statements:
        assert 0 < len(statement.names) <= MAX_NAMES
        assert 0 <= statement.stated_at < 1 << 62
        texts += [statement.details, statement.action]
        for product in statement.products:
            texts += [product.purl, *product.packages]
    assert all("\0" not in text and len(text) <= MAX_TEXT for text in texts)
    assert len(found.id) <= MAX_IDENTIFIER
    "".join(texts).encode()


@pytest.mark.parametrize("form", DOCUMENTS)
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_one_value_is_another(form: str, data: st.DataObject) -> None:
    document = copy.deepcopy(DOCUMENTS[form])
    *path, last = data.draw(st.sampled_from(places(document)))
    inner: Any = document
    for key in path:
        inner = inner[key]
    inner[last] = data.draw(VALUES)
    check(json.dumps(document).encode())


@pytest.mark.parametrize("form", DOCUMENTS)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_bytes_are_others(form: str, data: st.DataObject) -> None:
    content = bytearray(encoded(DOCUMENTS[form]))
    start = data.draw(st.integers(0, len(content) - 1))
    content[start : start + data.draw(st.integers(0, 20))] = data.draw(st.binary(max_size=20))
    check(bytes(content))


@settings(max_examples=100, deadline=None)
@given(VALUES)
def test_any_json(value: object) -> None:
    check(json.dumps(value).encode())
