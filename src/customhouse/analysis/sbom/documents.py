"""Reading of bills of materials that others wrote.

SPDX 2 as JSON (https://spdx.github.io/spdx-spec/v2.3/), CycloneDX as JSON
(https://cyclonedx.org/docs/1.6/json/), and in-toto statements about either
(https://github.com/in-toto/attestation, "Statement" and "Predicates"), as BuildKit attaches them.
A package counts by its package URL; one without says too little to be matched.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from customhouse.analysis.ecosystems.package import shown
from customhouse.analysis.inventory import MAX_PACKAGES
from customhouse.analysis.purls import Purl, parse
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 64 * 1024**2
"""Bytes of a document; the bill of an image of 5,000 packages and all their files has 20 MB."""

PREDICATES = ("https://spdx.dev/Document", "https://cyclonedx.org/bom")
"""What the types of predicates begin with that are bills of materials; versions follow."""

_MAX_COMPONENTS = 2 * MAX_PACKAGES
_MAX_DEPTH = 32


class Entry(NamedTuple):
    """A package in a document.

    Attributes:
        purl: its package URL.
        title: what the document calls it.
        licence: as the document states it, or empty.
    """

    purl: Purl
    title: str
    licence: str


class Bill(NamedTuple):
    """What a document lists.

    Attributes:
        entries: the packages that have a package URL.
        passed_over: how many have none, are images, or are malformed.
    """

    entries: tuple[Entry, ...]
    passed_over: int


class _Reference(msgspec.Struct, rename="camel"):
    reference_type: str = ""
    reference_locator: str = ""


class _SpdxPackage(msgspec.Struct, rename="camel"):
    name: str = ""
    license_declared: str = ""
    external_refs: list[_Reference] = []


class _Extracted(msgspec.Struct, rename="camel"):
    license_id: str = ""
    extracted_text: str = ""


class _Licence(msgspec.Struct, frozen=True):
    id: str = ""
    name: str = ""


class _Choice(msgspec.Struct):
    expression: str = ""
    license: _Licence = _Licence()


class _Component(msgspec.Struct):
    name: str = ""
    group: str = ""
    purl: str = ""
    licenses: list[_Choice] = []
    components: list[msgspec.Raw] = []


class _Document(msgspec.Struct, rename="camel"):
    """A document of any of the forms; what it is shows in what it has."""

    spdx_version: str = ""
    packages: list[msgspec.Raw] = []
    has_extracted_licensing_infos: list[msgspec.Raw] = []
    bom_format: str = ""
    components: list[msgspec.Raw] = []
    predicate_type: str = ""
    predicate: msgspec.Raw = msgspec.Raw(b"null")


def read(content: bytes) -> Bill:
    """Read a document.

    Raises:
        Failure: SBOM_INVALID if it is none, or too large.
    """
    if len(content) > MAX_BYTES:
        raise _invalid(f"it has more than {MAX_BYTES} bytes")
    document = _decoded(content)
    if document.predicate_type.startswith(PREDICATES):
        document = _decoded(bytes(document.predicate))
    if document.spdx_version.startswith("SPDX-2."):
        found = _spdx(document)
    elif document.bom_format == "CycloneDX":
        found = _cyclonedx(document.components)
    else:
        raise _invalid("it is neither SPDX 2 nor CycloneDX in JSON")
    rows = list(islice(found, _MAX_COMPONENTS + 1))
    entries = tuple(row for row in rows if row is not None)
    if len(rows) > _MAX_COMPONENTS or len(entries) > MAX_PACKAGES:
        raise _invalid(f"it has more than {MAX_PACKAGES} packages")
    return Bill(entries, len(rows) - len(entries))


def _decoded(content: bytes) -> _Document:
    try:
        return msgspec.json.decode(content, type=_Document)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise _invalid(str(error)) from error


def _spdx(document: _Document) -> Iterator[Entry | None]:
    licences = (_part(raw, _Extracted) for raw in document.has_extracted_licensing_infos)
    texts = {it.license_id: it.extracted_text for it in licences if it}
    for raw in document.packages:
        package = _part(raw, _SpdxPackage)
        if package is None:
            yield None
            continue
        purls = (
            it.reference_locator for it in package.external_refs if it.reference_type == "purl"
        )
        licence = texts.get(package.license_declared, package.license_declared)
        yield _entry(next(purls, ""), package.name, licence)


def _cyclonedx(components: list[msgspec.Raw]) -> Iterator[Entry | None]:
    waiting = [(raw, 1) for raw in reversed(components)]
    while waiting:
        raw, depth = waiting.pop()
        component = _part(raw, _Component)
        if component is None:
            yield None
            continue
        if depth < _MAX_DEPTH:
            waiting += ((each, depth + 1) for each in reversed(component.components))
        licences = [it.expression or it.license.id or it.license.name for it in component.licenses]
        yield _entry(component.purl, component.name, " AND ".join(filter(None, licences)))


def _part(raw: msgspec.Raw, form: type[Any]) -> Any:
    try:
        return msgspec.json.decode(raw, type=form)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None


def _entry(locator: str, title: str, licence: str) -> Entry | None:
    purl = parse(locator)
    if purl is None or purl.type == "oci":  # an image, most often that which all is about
        return None
    if licence in {"NOASSERTION", "NONE"} or "LicenseRef-" in licence:
        licence = ""
    return Entry(purl, shown(title), shown(licence))


def _invalid(reason: str) -> Failure:
    return Failure(Code.SBOM_INVALID, reason=reason)
