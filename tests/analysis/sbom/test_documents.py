"""Reading of documents, whole and broken."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customhouse.analysis.sbom import documents
from customhouse.analysis.sbom.documents import Bill, read
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Callable

PURL = "pkg:pypi/django@3.2"


def spdx(*packages: Any, **more: Any) -> dict[str, Any]:
    """A document of SPDX."""
    return {"spdxVersion": "SPDX-2.3", "packages": list(packages), **more}


def package(purl: str, **more: Any) -> dict[str, Any]:
    """A package of SPDX."""
    ref = {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl"}
    return {"name": "Django", "externalRefs": [ref | {"referenceLocator": purl}], **more}


def cyclonedx(*components: Any) -> dict[str, Any]:
    """A document of CycloneDX."""
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "components": list(components)}


def component(purl: str, **more: Any) -> dict[str, Any]:
    """A component of CycloneDX."""
    return {"type": "library", "name": "Django", "purl": purl, **more}


def statement(predicate: Any, kind: str) -> dict[str, Any]:
    """A statement of in-toto."""
    return {
        "_type": "https://in-toto.io/Statement/v0.1",
        "predicateType": kind,
        "subject": [],
        "predicate": predicate,
    }


def read_json(document: Any) -> Bill:
    """Read a document."""
    return read(json.dumps(document).encode())


DOCUMENTS = {
    "spdx": spdx(package(PURL, licenseDeclared="BSD-3-Clause")),
    "cyclonedx": cyclonedx(component(PURL, licenses=[{"license": {"id": "BSD-3-Clause"}}])),
    "spdx in in-toto": statement(
        spdx(package(PURL, licenseDeclared="BSD-3-Clause")), "https://spdx.dev/Document/v2.3"
    ),
    "cyclonedx in in-toto": statement(
        cyclonedx(component(PURL, licenses=[{"expression": "BSD-3-Clause"}])),
        "https://cyclonedx.org/bom",
    ),
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_every_form(document: dict[str, Any]) -> None:
    (entry,) = read_json(document).entries
    assert (str(entry.purl), entry.title, entry.licence) == (PURL, "Django", "BSD-3-Clause")


def test_licences() -> None:
    texts = [{"licenseId": "LicenseRef-1", "extractedText": "Ours"}, 3]
    document = spdx(
        package(PURL, licenseDeclared="LicenseRef-1"),
        package(PURL, licenseDeclared="LicenseRef-2"),
        package(PURL, licenseDeclared="NOASSERTION"),
        package(PURL),
        hasExtractedLicensingInfos=texts,
    )
    assert [each.licence for each in read_json(document).entries] == ["Ours", "", "", ""]
    found = read_json(
        cyclonedx(
            component(PURL, licenses=[{"license": {"id": "MIT"}}, {"license": {"name": "x"}}])
        )
    )
    assert found.entries[0].licence == "MIT AND x"


def test_components_in_components() -> None:
    inner = component("pkg:pypi/b@1", components=[component("pkg:pypi/c@1")])
    document = cyclonedx(component("pkg:pypi/a@1", components=[inner]), component("pkg:pypi/d@1"))
    assert [each.purl.name for each in read_json(document).entries] == ["a", "b", "c", "d"]


def test_what_is_malformed_is_passed_over() -> None:
    good = package(PURL)
    document = spdx(3, None, {}, [], {"externalRefs": "x"}, package("x"), package(""), good)
    found = read_json(document)
    assert (len(found.entries), found.passed_over) == (1, 7)
    found = read_json(cyclonedx(3, {"purl": 1}, {"components": 3}, component(PURL)))
    assert (len(found.entries), found.passed_over) == (1, 3)


def test_texts_are_fit_to_be_shown() -> None:
    document = spdx(package(PURL, name="\x1b[2JDjango" + "x" * 5000, licenseDeclared="a\0b\nc"))
    (entry,) = read_json(document).entries
    assert entry.title.startswith("[2JDjango")
    assert len(entry.title) <= 256
    assert entry.licence == "abc"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'"SPDX-2.3"',
        b'{"spdxVersion": "SPDX-3.0"}',
        b'{"spdxVersion": 2}',
        b'{"spdxVersion": "SPDX-2.3", "packages": {}}',
        b'{"bomFormat": "CycloneDX", "components": 1}',
        b'{"predicateType": "https://slsa.dev/provenance/v1", "predicate": {}}',
        b'{"predicateType": "https://spdx.dev/Document", "predicate": null}',
        b'{"predicateType": "https://spdx.dev/Document", "predicate": []}',
        b"SPDXVersion: SPDX-2.3\n",
        b"\xff\xfe{}",
        b'{"spdxVersion": "\xff"}',
        b"[" * 100_000,
        b'{"packages":' * 100_000,
    ],
    ids=range(18),
)
def test_none(content: bytes) -> None:
    with pytest.raises(Failure) as caught:
        read(content)
    assert caught.value.code is Code.SBOM_INVALID
    assert len(caught.value.message) < 400


def test_depth() -> None:
    """What is nested deeper than anybody nests is not looked at; it does no harm."""
    text = '{"components":[' * 200 + "]}" * 200
    assert read(b'{"bomFormat":"CycloneDX",' + text.encode()[1:]).entries == ()
    deep = '{"components":[' * 50_000 + "]}" * 50_000
    with pytest.raises(Failure):
        read(b'{"bomFormat":"CycloneDX",' + deep.encode()[1:])


def test_size(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Failure, match="bytes"):
        read(b" " * (documents.MAX_BYTES + 1))
    monkeypatch.setattr(documents, "MAX_PACKAGES", 10)
    with pytest.raises(Failure, match="more than 10 packages"):
        read_json(spdx(*[package(PURL)] * 11))
    monkeypatch.setattr(documents, "_MAX_COMPONENTS", 10)
    with pytest.raises(Failure, match="more than 10 packages"):
        read_json(cyclonedx(*[{}] * 11))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "name",
                    "purl",
                    "components",
                    "licenses",
                    "license",
                    "expression",
                    "externalRefs",
                    "referenceType",
                    "referenceLocator",
                    "licenseDeclared",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@pytest.mark.parametrize("form", [spdx, cyclonedx])
@given(packages=st.lists(JSON, max_size=5))
def test_any_shape(form: Callable[..., dict[str, Any]], packages: list[Any]) -> None:
    found = read_json(form(*packages))
    assert len(found.entries) + found.passed_over >= len(packages)


@given(st.binary(max_size=100), st.integers(0, 400))
def test_any_damage(noise: bytes, where: int) -> None:
    content = json.dumps(DOCUMENTS["cyclonedx in in-toto"]).encode()
    with suppress(Failure):
        read(content[:where] + noise + content[where:])
