"""SPDX 2.3, as JSON.

Source: https://spdx.github.io/spdx-spec/v2.3/, and its JSON schema.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from customhouse import __version__
from customhouse.analysis.sbom.licences import NO_ASSERTION, expression, reference

if TYPE_CHECKING:
    from customhouse.analysis.sbom.contents import Contents, Item

MEDIA_TYPE = "application/spdx+json"

_IMAGE, _SYSTEM = "SPDXRef-Image", "SPDXRef-OperatingSystem"


def write(contents: Contents) -> bytes:
    """Write what an image holds; the same bytes for the same."""
    name = f"{contents.repository}@{contents.digest}"
    created = datetime.datetime.fromtimestamp(contents.created / 1_000_000, datetime.UTC)
    algorithm, _, checksum = contents.digest.partition(":")
    image = _package(_IMAGE, contents.repository, contents.digest, contents.purl)
    image["checksums"] = [{"algorithm": algorithm.upper(), "checksumValue": checksum}]
    image["primaryPackagePurpose"] = "CONTAINER"
    packages = [image]
    if contents.system:
        system = _package(_SYSTEM, contents.system, "", "")
        packages.append(system | {"primaryPackagePurpose": "OPERATING-SYSTEM"})
    packages += map(_item, contents.items)
    document = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": f"urn:uuid:{contents.serial}",
        "creationInfo": {
            "created": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": [f"Tool: customhouse-{__version__}"],
        },
        "packages": packages,
        "hasExtractedLicensingInfos": _extracted(contents),
        "relationships": [
            _relationship("SPDXRef-DOCUMENT", "DESCRIBES", _IMAGE),
            *(_relationship(_IMAGE, "CONTAINS", each["SPDXID"]) for each in packages[1:]),
        ],
    }
    return msgspec.json.encode(document)


def _package(identifier: str, name: str, version: str, purl: str) -> dict[str, Any]:
    package: dict[str, Any] = {"SPDXID": identifier, "name": name}
    if version:
        package["versionInfo"] = version
    package |= {
        "downloadLocation": NO_ASSERTION,
        "filesAnalyzed": False,
        "licenseConcluded": NO_ASSERTION,
        "licenseDeclared": NO_ASSERTION,
        "copyrightText": NO_ASSERTION,
    }
    if purl:
        locator = {"referenceType": "purl", "referenceLocator": purl}
        package["externalRefs"] = [{"referenceCategory": "PACKAGE-MANAGER", **locator}]
    return package


def _item(item: Item) -> dict[str, Any]:
    package = _package(_id(item), item.package.name, item.package.version, item.purl)
    licence = item.package.licence
    if licence:
        package["licenseDeclared"] = expression(licence) or reference(licence)
    package["sourceInfo"] = f"found in /{item.path} of layer {item.layer_index}, {item.layer}"
    return package


def _id(item: Item) -> str:
    return f"SPDXRef-Package-{item.id}"


def _extracted(contents: Contents) -> list[dict[str, str]]:
    """The licences that are no expressions, in full: section "Other licensing information"."""
    texts = {item.package.licence for item in contents.items}
    return [
        {"licenseId": reference(text), "extractedText": text, "name": text}
        for text in sorted(texts)
        if text and not expression(text)
    ]


def _relationship(of: str, kind: str, to: str) -> dict[str, str]:
    return {"spdxElementId": of, "relationshipType": kind, "relatedSpdxElement": to}
