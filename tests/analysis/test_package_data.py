"""Packages as On-Demand Scanning writes them: what is sent comes out again, and nothing hostile."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from customhouse.analysis import package_data
from customhouse.analysis.ecosystems import Package
from customhouse.analysis.inventory import Inventory, InventoryPackage
from customhouse.analysis.origins import Origin
from customhouse.analysis.systems import System
from customhouse.errors import Code, Failure

LAYERS = [("sha256:1", Origin("ADD x", "sha256:2", "sha256:2")), ("sha256:3", Origin())]
UBUNTU = System(
    "ubuntu", "22.04", "Ubuntu 22.04", "Ubuntu:22.04:LTS", ("Ubuntu:Pro:22.04:LTS",), "It is old."
)

texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40
)
maybe = st.just("") | texts
made = st.builds(
    Package,
    name=texts,
    version=texts,
    arch=maybe,
    source=texts,
    source_version=texts,
    licence=maybe,
    maintainer=maybe,
    vendor=maybe,
    module=maybe,
    ecosystem=st.sampled_from(["", "PyPI", "npm", "Go", "crates.io", "Packagist"]),
)


def inventory(*packages: Package, system: System | None = UBUNTU) -> Inventory:
    """An inventory of packages of the second layer."""
    listed = tuple(
        InventoryPackage(each, "dpkg", "var/lib/dpkg/status", "sha256:3", 1) for each in packages
    )
    return Inventory(system, listed, ("var/lib/dpkg/status",), "sha256:0")


@given(packages=st.lists(made, max_size=5), system=st.sampled_from([UBUNTU, None]))
def test_what_is_sent_comes_out(packages: list[Package], system: System | None) -> None:
    sent = inventory(*packages, system=system)
    got = package_data.decode(package_data.encode("web@sha256:4", sent, LAYERS))
    assert got.uri == "web@sha256:4"
    assert msgspec.structs.replace(got.inventory, digest=sent.digest) == sent
    assert got.inventory.digest != sent.digest
    assert got.layers == {(digest, n): origin for n, (digest, origin) in enumerate(LAYERS)}


def test_the_fields_are_those_of_on_demand_scanning() -> None:
    sed = Package("sed", "4.9-1", "amd64", "sed-source", "4.9", "GPL", "Ana <ana@example.org>")
    django = Package("django", "3", "", "django", "3", ecosystem="PyPI")
    request = json.loads(package_data.encode("x", inventory(sed, django), LAYERS))
    assert request["packages"] == [
        {
            "package": "sed",
            "version": "4.9-1",
            "architecture": "amd64",
            "cpeUri": "cpe:/o:canonical:ubuntu_linux:22.04",
            "maintainer": {"name": "Ana <ana@example.org>"},
            "binarySourceInfo": [
                {
                    "binaryVersion": {"name": "sed", "version": "4.9-1", "licenses": ["GPL"]},
                    "sourceVersion": {"name": "sed-source", "version": "4.9"},
                }
            ],
            "fileLocation": [{"filePath": "var/lib/dpkg/status", "layerDetails": {"index": 1}}],
            "database": "dpkg",
        },
        {
            "package": "django",
            "version": "3",
            "packageType": "PYPI",
            "fileLocation": [{"filePath": "var/lib/dpkg/status", "layerDetails": {"index": 1}}],
            "database": "dpkg",
        },
    ]


@pytest.mark.parametrize(
    ("cpe", "ecosystem"),
    [
        ("cpe:/o:debian:debian_linux:12", "Debian:12"),
        ("cpe:/o:canonical:ubuntu_linux:22.04", "Ubuntu:22.04:LTS"),
        ("cpe:/o:alpinelinux:alpine_linux:3.19", "Alpine:v3.19"),
        ("cpe:/o:redhat:enterprise_linux:9", "Red Hat:9"),
        ("cpe:/o:almalinux:almalinux:9", "AlmaLinux:9"),
        ("cpe:/o:rocky:rocky:9", "Rocky Linux:9"),
    ],
    ids=lambda text: text.rpartition(":")[0],
)
def test_requests_of_other_clients(cpe: str, ecosystem: str) -> None:
    details = {"index": 2, "diffId": "sha256:9", "command": "RUN x"}
    got = package_data.decode(
        json.dumps(
            {
                "resourceUri": "https://example.org/p/i@sha256:1",
                "packages": [
                    {"package": "x", "version": "1", "packageType": "GO_STDLIB", "os": "linux"},
                    {
                        "package": "y",
                        "version": "2",
                        "cpeUri": cpe,
                        "hashDigest": "ab",
                        "fileLocation": [{"filePath": "f", "layerDetails": details}],
                    },
                ],
                "includeOsvData": True,
            }
        ).encode()
    )
    found = got.inventory
    assert found.system is not None
    assert found.system.ecosystem == ecosystem
    assert [item.package.ecosystem for item in found.packages] == ["Go", ""]
    assert (found.packages[1].path, found.packages[1].layer_index) == ("f", 2)
    assert got.layers == {("", 2): Origin("RUN x", "sha256:9", "")}
    assert found.databases == ("f",)


BAD = {
    "nothing": b"",
    "a list": b"[]",
    "deep": b'{"packages": ' + b"[" * 100_000,
    "no name": b'{"packages": [{}]}',
    "an empty name": b'{"packages": [{"package": ""}]}',
    "a number": b'{"packages": [{"package": 1}]}',
    "a zero": b'{"packages": [{"package": "a\\u0000"}]}',
    "half a pair": b'{"packages": [{"package": "\\ud800"}]}',
    "no text": b'{"packages": [{"package": "\xff"}]}',
    "long": b'{"packages": [{"package": "%s"}]}' % (b"a" * 513),
    "long in sum": json.dumps(
        {"packages": [{"package": "\u00e4" * 500, "version": "\u00e4" * 200}]}
    ).encode(),
    "many": b'{"packages": [%s]}' % b",".join([b'{"package": "a"}'] * 100_001),
    "a layer below": b"""{"packages": [{"package": "a", "fileLocation": [
        {"layerDetails": {"index": -1}}]}]}""",
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_request(name: str) -> None:
    with pytest.raises(Failure) as caught:
        package_data.decode(BAD[name])
    assert caught.value.code is Code.REQUEST_INVALID
