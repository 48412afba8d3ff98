"""CycloneDX 1.6, as JSON.

Source: https://cyclonedx.org/docs/1.6/json/.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from customhouse import __version__
from customhouse.analysis.sbom.licences import expression

if TYPE_CHECKING:
    from customhouse.analysis.sbom.contents import Contents, Item

MEDIA_TYPE = "application/vnd.cyclonedx+json"

_SYSTEM = "operating-system"


def write(contents: Contents) -> bytes:
    """Write what an image holds; the same bytes for the same."""
    created = datetime.datetime.fromtimestamp(contents.created / 1_000_000, datetime.UTC)
    components = [_component(item) for item in contents.items]
    if contents.system:
        system: dict[str, Any] = {"type": _SYSTEM, "bom-ref": _SYSTEM, "name": contents.system}
        if contents.distro:
            system["properties"] = [_property("distro", contents.distro)]
        components.insert(0, system)
    tool = {"type": "application", "name": "customhouse", "version": __version__}
    image: dict[str, Any] = {
        "type": "container",
        "bom-ref": contents.purl,
        "name": contents.repository,
        "version": contents.digest,
        "purl": contents.purl,
    }
    if contents.platform:
        image["properties"] = [_property("platform", contents.platform)]
    references = [each["bom-ref"] for each in components]
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{contents.serial}",
        "version": 1,
        "metadata": {
            "timestamp": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "tools": {"components": [tool]},
            "component": image,
        },
        "components": components,
        "dependencies": [{"ref": contents.purl, "dependsOn": references}],
    }
    return msgspec.json.encode(document)


def _component(item: Item) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": item.id,
        "name": item.package.name,
        "version": item.package.version,
        "purl": item.purl,
        "evidence": {"occurrences": [{"location": f"/{item.path}"}]},
        "properties": [
            _property("layer", item.layer),
            _property("layer-index", str(item.layer_index)),
        ],
    }
    licence = item.package.licence
    if licence:
        known = expression(licence)
        component["licenses"] = [{"expression": known} if known else {"license": {"name": licence}}]
    return component


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": f"customhouse:{name}", "value": value}
