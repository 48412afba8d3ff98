"""The packages of an image as On-Demand Scanning's `AnalyzePackagesRequestV1` names them.

Source: the discovery document of ondemandscanning v1. What that form has no place for stands in
fields of other names: `system`, `databases` and `layers` of the request, `vendor`, `module`,
`database` and `osvEcosystem` of a package. A request without them, as other clients send it, is
taken too; its system is what the CPE of its packages says.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from customhouse.analysis.ecosystems import Package
from customhouse.analysis.inventory import MAX_PACKAGES, Inventory, InventoryPackage
from customhouse.analysis.occurrences import PACKAGE_TYPES, cpe
from customhouse.analysis.origins import Origin, Origins
from customhouse.analysis.systems import System, recognise
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_BODY = 64 * 1024**2
"""Bytes that a request may have."""

# PostgreSQL keeps no more than 2,704 bytes of a row in an index.
_MAX_IDENTITY = 2000

_Text = Annotated[str, Meta(max_length=512)]
_Path = Annotated[str, Meta(max_length=4096)]

_ECOSYSTEMS = {name: ecosystem for ecosystem, name in PACKAGE_TYPES.items()} | {
    "GO_STDLIB": "Go",
    "SWIFT": "SwiftURL",
}
_DATABASES = ("dpkg", "apk", "rpm")

# The identifiers of os-release(5), by the product of a CPE.
_SYSTEMS = {
    "debian_linux": "debian",
    "ubuntu_linux": "ubuntu",
    "alpine_linux": "alpine",
    "enterprise_linux": "rhel",
    "centos": "centos",
    "almalinux": "almalinux",
    "rocky": "rocky",
    "rocky_linux": "rocky",
    "linux": "ol",
    "amazon_linux": "amzn",
    "linux_enterprise_server": "sles",
    "leap": "opensuse-leap",
}


class LayerDetails(msgspec.Struct, rename="camel", omit_defaults=True):
    """`LayerDetails`, and the digest of the layer's blob."""

    index: Annotated[int, Meta(ge=0, lt=1000)] = 0
    diff_id: _Text = ""
    chain_id: _Text = ""
    command: _Path = ""
    layer_digest: _Text = ""


class FileLocation(msgspec.Struct, rename="camel", omit_defaults=True):
    """`FileLocation`."""

    file_path: _Path = ""
    layer_details: LayerDetails | None = None


class PackageVersion(msgspec.Struct, omit_defaults=True):
    """`PackageVersion`."""

    name: _Text = ""
    version: _Text = ""
    licenses: Annotated[list[_Text], Meta(max_length=20)] = []


class BinarySourceInfo(msgspec.Struct, rename="camel", omit_defaults=True):
    """`BinarySourceInfo`."""

    binary_version: PackageVersion | None = None
    source_version: PackageVersion | None = None


class Maintainer(msgspec.Struct, omit_defaults=True):
    """`Maintainer`."""

    name: _Text = ""
    email: _Text = ""


class PackageData(msgspec.Struct, rename="camel", omit_defaults=True):
    """`PackageData`, as far as it is used."""

    package: Annotated[str, Meta(min_length=1, max_length=512)]
    version: _Text = ""
    package_type: _Text = "OS"
    architecture: _Text = ""
    cpe_uri: _Text = ""
    maintainer: Maintainer | None = None
    binary_source_info: Annotated[list[BinarySourceInfo], Meta(max_length=20)] = []
    file_location: Annotated[list[FileLocation], Meta(max_length=100)] = []
    vendor: _Text = ""
    module: _Text = ""
    database: _Text = ""


class SystemData(msgspec.Struct, omit_defaults=True):
    """`systems.System`."""

    id: _Text
    version: _Text
    name: _Text
    ecosystem: _Text | None = None
    also: Annotated[list[_Text], Meta(max_length=10)] = []
    caveat: _Path = ""


class AnalyzePackagesRequest(msgspec.Struct, rename="camel", omit_defaults=True):
    """`AnalyzePackagesRequestV1`, with what it has no place for."""

    resource_uri: _Path = ""
    packages: Annotated[list[PackageData], Meta(max_length=MAX_PACKAGES)] = []
    system: SystemData | None = None
    databases: Annotated[list[_Path], Meta(max_length=10_000)] | None = None
    layers: Annotated[list[LayerDetails], Meta(max_length=1000)] = []


@dataclass(frozen=True, slots=True)
class Analyzed:
    """What a request is about.

    Attributes:
        uri: how the client names the image.
        inventory: what it holds; its digest is no other's.
        layers: where its layers come from.
    """

    uri: str
    inventory: Inventory
    layers: Origins


def encode(uri: str, inventory: Inventory, layers: Sequence[tuple[str, Origin]]) -> bytes:
    """Write a request.

    Args:
        uri: how the image is named.
        inventory: what it holds.
        layers: digest and origin of each of its layers, from the bottom.
    """
    system = inventory.system
    os_cpe = cpe(system.ecosystem) if system and system.ecosystem else ""
    request = AnalyzePackagesRequest(
        resource_uri=uri,
        packages=[_encoded(item, os_cpe) for item in inventory.packages],
        system=SystemData(
            system.id,
            system.version,
            system.name,
            system.ecosystem,
            list(system.also),
            system.caveat,
        )
        if system
        else None,
        databases=list(inventory.databases),
        layers=[
            LayerDetails(index, origin.diff_id, origin.chain_id, origin.command, digest)
            for index, (digest, origin) in enumerate(layers)
        ],
    )
    return msgspec.json.encode(request)


def _encoded(item: InventoryPackage, os_cpe: str) -> PackageData:
    package = item.package
    info = BinarySourceInfo()
    if package.licence:
        licences = [package.licence]
        info.binary_version = PackageVersion(package.name, package.version, licences)
    if (package.source, package.source_version) != (package.name, package.version):
        info.source_version = PackageVersion(package.source, package.source_version)
    return PackageData(
        package=package.name,
        version=package.version,
        package_type=PACKAGE_TYPES.get(package.ecosystem, "OS"),
        architecture=package.arch,
        cpe_uri="" if package.ecosystem else os_cpe,
        maintainer=Maintainer(package.maintainer) if package.maintainer else None,
        binary_source_info=[] if info == BinarySourceInfo() else [info],
        file_location=[FileLocation(item.path, LayerDetails(item.layer_index))],
        vendor=package.vendor,
        module=package.module,
        database=item.database,
    )


def decode(body: bytes) -> Analyzed:
    """Read a request.

    Raises:
        Failure: REQUEST_INVALID if it is none, or has too much of something.
    """
    if b"\\u0000" in body:
        raise _invalid("there is a zero character in it")
    try:
        request = msgspec.json.decode(body, type=AnalyzePackagesRequest)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise _invalid(str(error)) from error
    layers = [details.layer_digest or details.diff_id for details in request.layers]
    origins = {
        (digest, index): _origin(details)
        for index, (digest, details) in enumerate(zip(layers, request.layers, strict=True))
    }
    found = [_decoded(data, layers, origins) for data in request.packages]
    system = _system(request)
    databases = request.databases
    if databases is None:
        databases = list({item.path for item in found if not item.package.ecosystem})
    digest = f"request:{secrets.token_hex(16)}"
    inventory = Inventory(system, tuple(found), tuple(databases), digest)
    return Analyzed(request.resource_uri, inventory, origins)


def _origin(details: LayerDetails) -> Origin:
    return Origin(details.command, details.diff_id, details.chain_id)


def _decoded(data: PackageData, layers: list[str], origins: Origins) -> InventoryPackage:
    info = data.binary_source_info[0] if data.binary_source_info else BinarySourceInfo()
    source = info.source_version or PackageVersion()
    binary = info.binary_version or PackageVersion()
    package = Package(
        name=data.package,
        version=data.version,
        arch=data.architecture,
        source=source.name or data.package,
        source_version=source.version or data.version,
        licence=" AND ".join(binary.licenses),
        maintainer=" ".join(filter(None, (data.maintainer.name, data.maintainer.email)))
        if data.maintainer
        else "",
        vendor=data.vendor,
        module=data.module,
        ecosystem=_ECOSYSTEMS.get(data.package_type, ""),
    )
    identity = "".join(
        (package.name, package.version, package.arch, package.source, package.source_version)
    )
    if len((identity + package.module).encode()) > _MAX_IDENTITY:
        raise _invalid(f"package {package.name[:100]!r} is described with too many characters")
    place = data.file_location[0] if data.file_location else FileLocation()
    details = place.layer_details or LayerDetails()
    layer = layers[details.index] if details.index < len(layers) else details.layer_digest
    if not layers and details.command:
        origins.setdefault((layer, details.index), _origin(details))
    return InventoryPackage(package, data.database, place.file_path, layer, details.index)


def _system(request: AnalyzePackagesRequest) -> System | None:
    """The system that a request names, or else the CPE of one of its packages."""
    if request.system is not None:
        told = request.system
        ecosystem = told.ecosystem or None
        return System(told.id, told.version, told.name, ecosystem, tuple(told.also), told.caveat)
    for data in request.packages:
        parts = data.cpe_uri.split(":")
        if parts[:2] == ["cpe", "/o"] and len(parts) > 4 and parts[3] in _SYSTEMS:
            release = f'ID={_SYSTEMS[parts[3]]}\nVERSION_ID="{parts[4]}"\n'
            return recognise({"etc/os-release": release.encode()})
    return None


def _invalid(reason: str) -> Failure:
    return Failure(Code.REQUEST_INVALID, reason=reason)
