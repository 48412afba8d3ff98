"""Bills that others attached: which count, where, and for how long."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from customhouse.analysis import findings, occurrences
from customhouse.analysis.packages import INVENTORY_PACKAGE
from customhouse.analysis.sbom import attached
from customhouse.analysis.sbom.reading import Reader
from customhouse.oci import OCI_MANIFEST
from customhouse.registry import repositories, tags
from tests.analysis.sbom.places import IN_TOTO, SPDX, Place, descriptor, resource, step, taken
from tests.analysis.sbom.test_documents import component, cyclonedx, package, spdx, statement
from tests.analysis.stored import advisory, affects, load
from tests.analysis.tars import dpkg

if TYPE_CHECKING:
    from pathlib import Path

    from customhouse.database import Database, Transaction

DJANGO = "pkg:pypi/django@3.2"
SED = "pkg:deb/debian/sed@4.9?arch=x&distro=debian-12"
CYCLONEDX = "application/vnd.cyclonedx+json"
REPOSITORY = "acme/web"
FROM_THE_FIRST = {"introduced": "0"}
DEBIAN = {"etc/os-release": b'ID=debian\nVERSION_ID="12"\n', "var/lib/dpkg/status": dpkg("sed-4.9")}


class Reading(Place):
    """A place where pushes and deletions are followed by their workflows."""

    def __init__(self, database: Database, folder: Path) -> None:
        super().__init__(database, folder)
        self.reader = Reader(database, self.store)

    def push(self, repository: str, document: dict[str, Any], *names: str, **more: Any) -> str:
        """Push, and read what it is."""
        digest = super().push(repository, document, *names, **more)
        self.reader.pushed(step, repository, digest, list(names))
        return digest

    def delete(self, repository: str, digest: str) -> None:
        """Delete, and forget what it was."""
        super().delete(repository, digest)
        self.reader.removed(step, repository, digest, "")

    def found(self, digest: str, repository: str = REPOSITORY) -> list[tuple[str, str, str]]:
        """Advisory, package and layer of every finding in an image."""
        found, _ = self.database.read(
            occurrences.vulnerabilities, self.store, resource(repository, digest), 0, 100
        )
        return sorted(
            (
                each["vulnerability"]["extraDetails"],
                issue["affectedPackage"].lower(),
                issue["fileLocation"][0]["layerDetails"]["layerDigest"],
            )
            for each in found
            for issue in each["vulnerability"]["packageIssue"]
        )


@pytest.fixture
def place(database: Database, tmp_path: Path) -> Reading:
    """A registry, and advisories about what the bills list."""
    load(
        database,
        advisory("PYSEC-1", affects("django", FROM_THE_FIRST, ecosystem="PyPI")),
        advisory("DSA-1", affects("sed", FROM_THE_FIRST)),
    )
    return Reading(database, tmp_path / "store")


def document(*purls: str) -> bytes:
    """A bill of SPDX."""
    return json.dumps(spdx(*(package(each, name="") for each in purls))).encode()


def in_toto(*purls: str, kind: str = "https://spdx.dev/Document") -> bytes:
    """A statement about a bill of SPDX."""
    return json.dumps(statement(json.loads(document(*purls)), kind)).encode()


def test_a_referrer_is_read(place: Reading) -> None:
    image = place.image(REPOSITORY)
    assert place.found(image) == []
    bill = place.bill(REPOSITORY, document(DJANGO, SED), subject=image)
    assert place.found(image) == [("DSA-1", "sed", bill), ("PYSEC-1", "django", bill)]
    (first, *_) = place.database.read(
        occurrences.vulnerabilities, place.store, resource(REPOSITORY, image), 0, 100
    )[0]
    (issue,) = first["vulnerability"]["packageIssue"]
    assert issue["fileLocation"][0]["filePath"] == f"SBOM {bill}"
    place.delete(REPOSITORY, bill)
    assert place.found(image) == []


@pytest.mark.parametrize(
    ("media_type", "artifact_type", "content"),
    [
        (SPDX, SPDX, document(DJANGO)),
        ("text/spdx+json", "", document(DJANGO)),
        (f"{SPDX}; version=2.3", "application/vnd.example", document(DJANGO)),
        ("application/octet-stream", SPDX, document(DJANGO)),
        (CYCLONEDX, CYCLONEDX, json.dumps(cyclonedx(component(DJANGO))).encode()),
        (IN_TOTO, IN_TOTO, in_toto(DJANGO)),
        (IN_TOTO, "", in_toto(DJANGO, kind="https://spdx.dev/Document/v2.3")),
    ],
    ids=["spdx", "text", "version", "artifact type", "cyclonedx", "in-toto", "version of in-toto"],
)
def test_every_kind_of_referrer(
    place: Reading, media_type: str, artifact_type: str, content: bytes
) -> None:
    image = place.image(REPOSITORY)
    kinds = {"media_type": media_type, "artifact_type": artifact_type}
    bill = place.bill(REPOSITORY, content, subject=image, **kinds)
    assert place.found(image) == [("PYSEC-1", "django", bill)]


@pytest.mark.parametrize(
    ("kinds", "content"),
    [
        ({"media_type": "application/json", "artifact_type": "x/y"}, document(DJANGO)),
        ({"media_type": IN_TOTO, "artifact_type": ""}, in_toto(DJANGO, kind="https://slsa.dev/x")),
        (
            {
                "in-toto.io/predicate-type": "https://slsa.dev/x",
                "media_type": IN_TOTO,
                "artifact_type": "",
            },
            in_toto(DJANGO),
        ),
        ({}, b"{"),
        ({}, document("pkg:generic/x@1", "pkg:pypi/django", "nonsense")),
        ({}, document("pkg:deb/debian/sed@4.9", "pkg:deb/sed@4.9?distro=ubuntu-22.04")),
    ],
    ids=[
        "another type",
        "provenance",
        "said to be provenance",
        "broken",
        "no package",
        "no release",
    ],
)
def test_what_is_no_bill(place: Reading, kinds: dict[str, str], content: bytes) -> None:
    image = place.image(REPOSITORY)
    place.bill(REPOSITORY, content, subject=image, **kinds)
    assert place.found(image) == []


def test_it_counts_where_it_is(place: Reading) -> None:
    """Another repository with the same image sees nothing of it."""
    image = place.image(REPOSITORY)
    assert place.image("secret/web") == image
    place.bill("secret/web", document(DJANGO), subject=image)
    assert place.found(image) == []
    assert len(place.found(image, "secret/web")) == 1
    place.bill(REPOSITORY, document(DJANGO), subject=image)
    place.delete("secret/web", place.bill("secret/web", document(DJANGO), subject=image))
    assert place.found(image, "secret/web") == []
    assert len(place.found(image)) == 1


def test_a_bill_may_come_before_its_image(place: Reading) -> None:
    other = place.image("acme/other")
    bill = place.bill(REPOSITORY, document(DJANGO), subject=other)
    assert place.image(REPOSITORY) == other
    assert place.found(other) == [("PYSEC-1", "django", bill)]


def test_a_tag_of_cosign(place: Reading) -> None:
    image = place.image(REPOSITORY)
    tag = image.replace(":", "-") + ".sbom"
    kinds = {"media_type": "text/spdx+json", "artifact_type": ""}
    first = place.bill(REPOSITORY, document(DJANGO), tag, "sha256-x.sbom", "latest", **kinds)
    assert place.found(image) == [("PYSEC-1", "django", first)]
    second = place.bill(REPOSITORY, document(SED), tag, **kinds)
    assert place.found(image) == [("DSA-1", "sed", second)]

    def untag(tx: Transaction) -> None:
        number = repositories.find(tx, REPOSITORY)
        assert number
        tags.remove(tx, number, REPOSITORY, tag, "user:ana")

    place.database.write(untag)
    place.reader.removed(step, REPOSITORY, second, "another")
    assert place.found(image) == [("DSA-1", "sed", second)]
    place.reader.removed(step, REPOSITORY, second, tag)
    assert place.found(image) == []


def test_attestations_of_buildkit(place: Reading) -> None:
    image = place.image(REPOSITORY)
    kinds = {"media_type": IN_TOTO, "artifact_type": ""}
    said = {"in-toto.io/predicate-type": "https://spdx.dev/Document"}
    bill = place.bill(REPOSITORY, in_toto(DJANGO), **kinds, **said)
    assert place.found(image) == []
    about = {"vnd.docker.reference.type": "attestation-manifest"}
    child = place.child(REPOSITORY, image)
    for reference in ("", "sha256:x", "sha256:" + "0" * 64):
        annotations = about | {"vnd.docker.reference.digest": reference}
        place.index(REPOSITORY, child, place.child(REPOSITORY, bill, **annotations))
        assert place.found(image) == []
    annotations = about | {"vnd.docker.reference.digest": image}
    index = place.index(REPOSITORY, child, place.child(REPOSITORY, bill, **annotations))
    assert place.found(image) == place.found(index) == [("PYSEC-1", "django", bill)]


def test_a_bill_of_an_index(place: Reading) -> None:
    image = place.image(REPOSITORY)
    index = place.index(REPOSITORY, place.child(REPOSITORY, image))
    place.bill(REPOSITORY, document(DJANGO), subject=index)
    assert place.found(image) == []
    assert len(place.found(index)) == 1


def test_what_the_image_tells_itself_counts_once(place: Reading) -> None:
    image = place.image(REPOSITORY)
    inventory = taken(DEBIAN)
    place.analysed(image, inventory)
    place.bill(REPOSITORY, document(SED, DJANGO), subject=image)
    other = json.dumps(cyclonedx(component(DJANGO), component(SED))).encode()
    place.bill(REPOSITORY, other, subject=image, media_type=CYCLONEDX, artifact_type="")
    found = place.found(image)
    assert [each[:2] for each in found] == [("DSA-1", "sed"), ("PYSEC-1", "django")]
    assert found[0][2] == inventory.packages[0].layer


def test_the_images_own_system_names_the_release(place: Reading) -> None:
    image = place.image(REPOSITORY)
    bill = place.bill(REPOSITORY, document("pkg:deb/debian/sed@4.8?arch=x"), subject=image)
    assert place.found(image) == []
    place.analysed(image, taken(DEBIAN | {"var/lib/dpkg/status": dpkg("bash-1")}))
    place.reader.analysed(step, image)
    assert place.found(image) == [("DSA-1", "sed", bill)]


def test_the_images_own_database_knows_better(place: Reading) -> None:
    """A tool calls a package the distribution's that somebody else made."""
    image = place.image(REPOSITORY)
    place.bill(REPOSITORY, document(SED.replace("4.9", "4.9-1ppa1")), subject=image)
    assert place.found(image) == []  # by its version
    load(place.database, advisory("DSA-2", affects("docker-ce", FROM_THE_FIRST)))
    bill = place.bill(REPOSITORY, document(SED.replace("sed", "docker-ce")), subject=image)
    assert place.found(image) == [("DSA-2", "docker-ce", bill)]
    status = b"Package: docker-ce\nStatus: install ok installed\nArchitecture: x\nVersion: 4.9\n"
    place.analysed(
        image,
        taken(DEBIAN | {"var/lib/dpkg/status": status + b"Maintainer: x <x@docker.com>\n\n"}),
    )
    place.reader.analysed(step, image)
    assert place.found(image) == []


def test_equal_packages_are_one_row(place: Reading) -> None:
    """A bill's package has the very row that the reader of a package database makes."""
    own = place.analysed(place.image(REPOSITORY), taken(DEBIAN))
    other = place.image(REPOSITORY, "other")
    place.bill(REPOSITORY, document(SED), subject=other)
    (theirs,) = place.database.read(attached.inventories, REPOSITORY, [other])

    def packages(tx: Transaction) -> list[int]:
        rows = select(INVENTORY_PACKAGE.c.package_id)
        return list(tx.scalars(rows.where(INVENTORY_PACKAGE.c.inventory_id.in_([own, theirs]))))

    assert len(numbers := place.database.read(packages)) == 2
    assert len(set(numbers)) == 1
    rows = place.database.read(findings.of_inventories, [own, theirs], 0, 100)
    assert len(rows) == 2
    assert [row.layer_index for row in attached.distinct(rows)] == [0]


def test_how_many_an_image_may_have(place: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attached, "_MAX_OF_IMAGE", 2)
    image = place.image(REPOSITORY)
    for number in range(4):
        place.bill(REPOSITORY, document(f"{DJANGO}.{number}"), subject=image)
    assert len(place.database.read(attached.inventories, REPOSITORY, [image])) == 2


def test_several_documents_in_one_manifest(place: Reading) -> None:
    image = place.image(REPOSITORY)
    contents = [document(DJANGO), b"{", document(SED), b"{}"]
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": SPDX,
        "config": descriptor(b"{}", "application/vnd.oci.empty.v1+json"),
        "layers": [descriptor(each, SPDX) for each in contents],
        "subject": {"mediaType": OCI_MANIFEST, "digest": image, "size": 1},
    }
    place.push(REPOSITORY, manifest, contents=contents)
    assert [each[0] for each in place.found(image)] == ["DSA-1", "PYSEC-1"]
