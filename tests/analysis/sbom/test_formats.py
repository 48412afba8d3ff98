"""Both formats, of inventories from real package databases, held to the formats' own validators."""

from __future__ import annotations

import json
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from customhouse.analysis.sbom import contents, cyclonedx, documents, spdx
from customhouse.analysis.sbom.licences import expression
from customhouse.analysis.sbom.reading import Own, inventory
from customhouse.errors import Code, Failure
from customhouse.iam import services
from tests.analysis.sbom.places import Place, resource, taken
from tests.analysis.tars import dpkg

if TYPE_CHECKING:
    from pathlib import Path

    from customhouse.analysis.inventory import Inventory
    from customhouse.analysis.sbom.contents import Contents
    from customhouse.database import Database

DEBIAN = b'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'
UBUNTU = b'ID=ubuntu\nVERSION_ID="18.04"\nPRETTY_NAME="Ubuntu 18.04.5 LTS"\n'


@pytest.fixture
def place(database: Database, tmp_path: Path) -> Place:
    """A registry."""
    return Place(database, tmp_path / "store")


def real(shared_data: Path) -> dict[str, Inventory]:
    """Inventories of real package databases."""
    alpine = shared_data / "layers" / "images" / "alpine-311.docker-save.tar.gz"
    with tarfile.open(alpine) as saved:
        (layer,) = (it for it in saved if it.name.endswith("layer.tar"))
        stream = saved.extractfile(layer)
        assert stream
        with tarfile.open(fileobj=stream) as inner:
            files = {}
            for name in ("etc/os-release", "lib/apk/db/installed"):
                file = inner.extractfile(name)
                assert file
                files[name] = file.read()
    rpm, sle = shared_data / "rpmdb", b'ID="sles"\nVERSION_ID="15.4"\nPRETTY_NAME='
    return {
        "alpine": taken(files),
        "ubuntu": taken(
            {"etc/os-release": UBUNTU},
            {
                "var/lib/dpkg/status": (
                    shared_data / "dpkg/status/claircore-texlive.status"
                ).read_bytes()
            },
        ),
        "sles": taken(
            {
                "etc/os-release": sle + b'"SUSE Linux Enterprise Server 15 SP4"\n',
                "usr/lib/sysimage/rpm/Packages.db": (
                    rpm / "ndb/sle15-bci.Packages.db"
                ).read_bytes(),
            }
        ),
        "mariner": taken(
            {
                "etc/os-release": b'ID=mariner\nNAME="CBL-Mariner Linux"\nVERSION_ID="2.0"\n',
                "var/lib/rpm/rpmdb.sqlite": (
                    rpm / "sqlite/cbl-mariner-2.0.rpmdb.sqlite"
                ).read_bytes(),
            }
        ),
    }


def stored(place: Place, found: Inventory, host: str = "cr.example.org") -> Contents:
    """Store an inventory as an image's and tell its contents."""
    digest = place.image("acme/web", salt=found.digest)
    place.analysed(digest, found)
    return place.database.read(contents.of_image, resource("acme/web", digest, host))


def check_spdx(content: bytes) -> dict[str, Any]:
    """Hold a document to the validator of SPDX."""
    document: dict[str, Any] = json.loads(content)
    messages = validate_full_spdx_document(JsonLikeDictParser().parse(document))
    assert not messages, [(each.validation_message, each.context.spdx_id) for each in messages][:5]
    return document


def check_cyclonedx(content: bytes) -> dict[str, Any]:
    """Hold a document to the schema of CycloneDX."""
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(content.decode())
    assert error is None, error
    document: dict[str, Any] = json.loads(content)
    return document


@pytest.mark.parametrize(
    ("name", "count", "purl"),
    [
        ("alpine", 14, "pkg:apk/alpine/musl@1.1.24-r2?arch=x86_64&distro=alpine-3.11"),
        (
            "ubuntu",
            357,
            "pkg:deb/ubuntu/libc6@2.27-3ubuntu1?arch=amd64&distro=ubuntu-18.04&upstream=glibc",
        ),
        (
            "sles",
            35,
            "pkg:rpm/suse/bash@4.4-19.6.1?arch=x86_64&distro=sles-15.4",
        ),
        ("mariner", 129, "pkg:rpm/mariner/bash@5.1.8-1.cm2?arch=x86_64&distro=mariner-2.0"),
    ],
    ids=["alpine", "ubuntu", "sles", "mariner"],
)
def test_real_databases(place: Place, shared_data: Path, name: str, count: int, purl: str) -> None:
    taken_ = real(shared_data)[name]
    assert len(taken_.packages) == count
    found = stored(place, taken_)
    assert len(found.items) == count
    bill = check_spdx(spdx.write(found))
    purls = [
        each["externalRefs"][0]["referenceLocator"]
        for each in bill["packages"]
        if each["SPDXID"].startswith("SPDXRef-Package")
    ]
    assert len(purls) == count
    assert all(PackageURL.from_string(each).to_string() == each for each in purls)
    assert any(each.startswith(purl) for each in purls), purls[:5]
    assert [each["purl"] for each in check_cyclonedx(cyclonedx.write(found))["components"][1:]] == (
        purls
    )


@pytest.mark.parametrize("name", ["alpine", "ubuntu", "sles"])
@pytest.mark.parametrize("form", [spdx, cyclonedx], ids=["spdx", "cyclonedx"])
def test_there_and_back(place: Place, shared_data: Path, name: str, form: Any) -> None:
    """What is written is read as the same packages, which have the same rows in the database."""
    found = stored(place, real(shared_data)[name])
    entries = documents.read(form.write(found)).entries
    read = inventory(entries, "sha256:r", Own())
    # Of a package of a third party nobody's release is told.
    ours = {it.package for it in found.items if "distro=" in it.purl or it.package.ecosystem}
    assert len(ours) > 10
    assert {each.package for each in read.packages} == {
        replace(each, licence=expression(each.licence) or each.licence) for each in ours
    }
    # The rows of the database are the very same.
    place.analysed(found.digest, read)
    again = place.database.read(contents.of_image, resource("acme/web", found.digest))
    assert {it.package for it in again.items} == ours


def mixed() -> Inventory:
    """An image with packages of its system, of a third party, and of languages."""
    return taken(
        {"etc/os-release": DEBIAN, "var/lib/dpkg/status": dpkg("sed-4.9", "php-8+0~20230101")},
        {
            "app/a.dist-info/METADATA": b"Name: Zope_Interface\nVersion: 1.0\nLicense: ZPL 2.1\n",
            "app/node_modules/x/package.json": b'{"name":"@a/x","version":"1.0","license":"mit"}',
        },
    )


def test_what_is_told(place: Place) -> None:
    found = stored(place, mixed())
    bill = check_spdx(spdx.write(found))
    image, system, *rest = bill["packages"]
    assert (image["name"], image["versionInfo"]) == ("acme/web", found.digest)
    assert image["checksums"][0]["checksumValue"] == found.digest.removeprefix("sha256:")
    assert image["externalRefs"][0]["referenceLocator"] == (
        f"pkg:oci/web@{found.digest}?arch=amd64&repository_url=cr.example.org/acme/web"
    )
    assert system["name"] == "Debian GNU/Linux 12 (bookworm)"
    assert {each["name"]: each["externalRefs"][0]["referenceLocator"] for each in rest} == {
        "@a/x": "pkg:npm/%40a/x@1.0",
        "zope-interface": "pkg:pypi/zope-interface@1.0",
        "php": "pkg:deb/php@8%2B0~20230101?arch=x",
        "sed": "pkg:deb/debian/sed@4.9?arch=x&distro=debian-12",
    }
    declared = {each["name"]: each["licenseDeclared"] for each in rest}
    (extracted,) = bill["hasExtractedLicensingInfos"]
    assert extracted["extractedText"] == "ZPL 2.1"
    assert declared == {
        "@a/x": "MIT",
        "zope-interface": extracted["licenseId"],
        "php": "NOASSERTION",
        "sed": "NOASSERTION",
    }
    layer = taken({}, {}).digest and found.items[0].layer
    assert rest[0]["sourceInfo"] == (
        f"found in /app/node_modules/x/package.json of layer 1, {layer}"
    )
    related = [(it["spdxElementId"], it["relationshipType"]) for it in bill["relationships"]]
    assert related == [("SPDXRef-DOCUMENT", "DESCRIBES")] + [("SPDXRef-Image", "CONTAINS")] * 5
    other = check_cyclonedx(cyclonedx.write(found))
    assert other["metadata"]["component"]["purl"] == image["externalRefs"][0]["referenceLocator"]
    by_name = {each["name"]: each for each in other["components"]}
    assert by_name["@a/x"]["licenses"] == [{"expression": "MIT"}]
    assert by_name["zope-interface"]["licenses"] == [{"license": {"name": "ZPL 2.1"}}]
    assert by_name["sed"]["evidence"]["occurrences"] == [{"location": "/var/lib/dpkg/status"}]


@pytest.mark.parametrize("form", [spdx, cyclonedx], ids=["spdx", "cyclonedx"])
def test_the_same_bytes_for_the_same(place: Place, form: Any) -> None:
    first = stored(place, mixed())
    place.analysed(first.digest, mixed())
    place.analysed(place.image("acme/other"), mixed())
    again = place.database.read(
        contents.of_image, resource("acme/web", first.digest, "cr.example.org")
    )
    assert form.write(first) == form.write(again)
    changed = place.analysed(first.digest, taken({"var/lib/dpkg/status": dpkg("sed-4.9")}))
    assert changed
    later = place.database.read(
        contents.of_image, resource("acme/web", first.digest, "cr.example.org")
    )
    assert later.serial != first.serial


def test_nothing_in_it(place: Place) -> None:
    found = stored(place, taken({"bin/x": b"x"}), host="")
    assert check_spdx(spdx.write(found))["packages"][0]["name"] == "acme/web"
    assert check_cyclonedx(cyclonedx.write(found))["components"] == []


def test_hostile_texts(place: Place) -> None:
    """Whatever a package database says, the documents are valid."""
    name = 'x"</script>\\u0000&?#@%2F'
    document = json.dumps({"name": name, "version": "1.0/2 3?a=b#c", "license": "MIT OR (" * 30})
    found = stored(place, taken({"app/node_modules/x/package.json": document.encode()}))
    check_spdx(spdx.write(found))
    check_cyclonedx(cyclonedx.write(found))


def test_of_an_index(place: Place) -> None:
    repository = "acme/web"
    digests = {
        platform: place.image(repository, platform, platform)
        for platform in ("linux/amd64", "linux/arm64/v8", "linux/arm/v7")
    }
    index = place.index(repository, *(place.child(repository, it) for it in digests.values()))
    for number, digest in enumerate(digests.values()):
        place.analysed(digest, taken({"var/lib/dpkg/status": dpkg(f"sed-{number}")}))

    def of(platform: str) -> Contents:
        return place.database.read(contents.of_image, resource(repository, index), platform)

    assert of("linux/amd64").digest == digests["linux/amd64"]
    assert of("linux/arm64").digest == of("linux/arm64/v8").digest == digests["linux/arm64/v8"]
    assert of("linux/arm").items[0].package.version == "2"
    for platform, count in (("", 3), ("linux", 3), ("linux/arm6", 0), ("windows/amd64", 0)):
        with pytest.raises(Failure) as caught:
            of(platform)
        assert caught.value.code is Code.SBOM_PLATFORM
        assert caught.value.fields["count"] == count
        assert "linux/amd64, linux/arm/v7, linux/arm64/v8" in caught.value.message
    single = place.index("acme/one", place.child(repository, digests["linux/amd64"]))
    place.image("acme/one", "linux/amd64", "linux/amd64")
    assert place.database.read(contents.of_image, resource("acme/one", single)).items


def test_there_is_none(place: Place) -> None:
    digest = place.image("acme/web")

    def reason() -> str:
        with pytest.raises(Failure) as caught:
            place.database.read(contents.of_image, resource("acme/web", digest))
        assert caught.value.code is Code.SBOM_UNKNOWN
        return caught.value.message

    assert "not analysed yet" in reason()
    service = services.SERVICES[services.SCANNING]
    place.database.write(services.disable, "acme", service)
    assert "switched off" in reason()
    with pytest.raises(Failure) as caught:
        place.database.read(contents.of_image, resource("acme/web", "sha256:" + "0" * 64))
    assert caught.value.code is Code.MANIFEST_UNKNOWN
    artifact = place.bill("acme/web", b"{}")
    with pytest.raises(Failure, match="no image that runs"):
        place.database.read(contents.of_image, resource("acme/web", artifact))
