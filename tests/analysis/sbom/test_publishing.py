"""Bills that are pushed beside images."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from customhouse.analysis.sbom import attached, documents
from customhouse.analysis.sbom.publishing import Publisher, is_ours
from customhouse.analysis.sbom.reading import Reader
from customhouse.events import ManifestPushed
from customhouse.iam import projects, services
from customhouse.registry import blobs, manifests, purge
from customhouse.workflows import outbox
from tests.analysis.sbom.places import SPDX, Place, step, taken
from tests.analysis.sbom.test_attached import DEBIAN, REPOSITORY
from tests.analysis.tars import dpkg

if TYPE_CHECKING:
    from pathlib import Path

    from customhouse.database import Database

SBOMS = services.SERVICES[services.SBOMS]


class Publishing(Place):
    """A place where images get bills."""

    def __init__(self, database: Database, folder: Path) -> None:
        super().__init__(database, folder)
        self.publisher = Publisher(database, self.store, "https://cr.example.org", "iam.test")

    def switch_on(self, project: str = "acme") -> None:
        """Let a project have bills."""
        self.database.write(services.enable, project, SBOMS, "iam.test")

    def referrers(self, digest: str, repository: str = REPOSITORY) -> list[dict[str, Any]]:
        """The referrers of an image."""
        return self.database.read(manifests.referrers, repository, digest, "", "", 100)

    def pushes(self) -> int:
        """How many pushes were told of."""
        waiting = self.database.read(outbox.waiting, 1000)
        return sum(isinstance(each.event, ManifestPushed) for each in waiting)


@pytest.fixture
def place(database: Database, tmp_path: Path) -> Publishing:
    """A registry."""
    return Publishing(database, tmp_path / "store")


def test_an_image_gets_a_bill(place: Publishing) -> None:
    image = place.image(REPOSITORY)
    place.switch_on()
    place.publisher.analysed(step, image)
    assert place.referrers(image) == []  # it was not analysed
    place.analysed(image, taken(DEBIAN))
    before = place.pushes()
    for _ in range(3):
        place.publisher.analysed(step, image)
        place.publisher.pushed(step, REPOSITORY, image)
    (referrer,) = place.referrers(image)
    assert place.pushes() == before + 1
    assert referrer["artifactType"] == SPDX
    assert referrer["annotations"]["org.opencontainers.image.created"].endswith("Z")
    row = place.database.read(manifests.get, REPOSITORY, referrer["digest"])
    assert row
    manifest = json.loads(row[2])
    assert manifest["subject"]["digest"] == image
    for part in (manifest["config"], *manifest["layers"]):
        assert place.database.read(blobs.size, REPOSITORY, part["digest"]) == part["size"]
    with place.store.open(manifest["layers"][0]["digest"]) as file:
        content = file.read()
    assert f"pkg:oci/web@{image}?arch=amd64&repository_url=cr.example.org/acme/web" in (
        content.decode()
    )
    assert [str(each.purl) for each in documents.read(content).entries] == [
        "pkg:deb/debian/sed@4.9?arch=x&distro=debian-12"
    ]
    number = place.database.read(projects.get, "acme").number
    (event,) = (
        each.event
        for each in place.database.read(outbox.waiting, 1000)
        if isinstance(each.event, ManifestPushed) and each.event.digest == referrer["digest"]
    )
    agent = f"serviceAccount:service-{number}@gcp-sa-containerscanning.iam.test"
    assert event.principal == agent


def test_it_is_not_read_back(place: Publishing) -> None:
    image = place.image(REPOSITORY)
    place.switch_on()
    place.analysed(image, taken(DEBIAN))
    place.publisher.analysed(step, image)
    (referrer,) = place.referrers(image)
    assert place.database.read(is_ours, REPOSITORY, referrer["digest"])
    assert not place.database.read(is_ours, REPOSITORY, image)
    reader = Reader(place.database, place.store)
    reader.pushed(step, REPOSITORY, referrer["digest"], [])
    assert place.database.read(attached.inventories, REPOSITORY, [image]) == set()
    # Nor is it an image that wants one.
    place.publisher.pushed(step, REPOSITORY, referrer["digest"])
    assert place.referrers(referrer["digest"]) == []


def test_only_where_it_is_wanted(place: Publishing) -> None:
    image = place.image(REPOSITORY)
    place.image("quiet/web")
    place.image("acme/other")
    place.switch_on()
    place.analysed(image, taken(DEBIAN))
    place.publisher.analysed(step, image)
    assert len(place.referrers(image)) == len(place.referrers(image, "acme/other")) == 1
    assert place.referrers(image, "quiet/web") == []
    # What is pushed later, and was analysed elsewhere, has one too.
    place.image("acme/later")
    place.publisher.pushed(step, "acme/later", image)
    assert len(place.referrers(image, "acme/later")) == 1


def test_it_is_replaced(place: Publishing) -> None:
    image = place.image(REPOSITORY)
    place.switch_on()
    place.analysed(image, taken(DEBIAN))
    place.publisher.analysed(step, image)
    (old,) = place.referrers(image)
    place.analysed(image, taken(DEBIAN | {"var/lib/dpkg/status": dpkg("sed-5")}))
    place.publisher.analysed(step, image)
    (new,) = place.referrers(image)
    assert new["digest"] != old["digest"]
    assert place.database.read(manifests.get, REPOSITORY, old["digest"]) is None


def test_it_goes_with_its_image(place: Publishing) -> None:
    image = place.image(REPOSITORY)
    place.switch_on()
    place.analysed(image, taken(DEBIAN))
    place.publisher.analysed(step, image)
    place.delete(REPOSITORY, image)
    place.publisher.deleted(step, REPOSITORY, image)
    assert place.referrers(image) == []
    place.publisher.deleted(step, REPOSITORY, image)
    place.publisher.deleted(step, "no/where", image)
    # Pushed again it has one again.
    place.image(REPOSITORY)
    place.publisher.pushed(step, REPOSITORY, image)
    assert len(place.referrers(image)) == 1


def test_what_somebody_deleted_comes_with_the_next_push(place: Publishing) -> None:
    image = place.image(REPOSITORY)
    place.switch_on()
    place.analysed(image, taken(DEBIAN))
    place.publisher.analysed(step, image)
    (bill,) = place.referrers(image)
    place.delete(REPOSITORY, bill["digest"])
    place.publisher.deleted(step, REPOSITORY, bill["digest"])
    assert place.referrers(image) == []
    place.publisher.pushed(step, REPOSITORY, image)
    assert [each["digest"] for each in place.referrers(image)] == [bill["digest"]]


def test_a_project_that_ends_takes_everything_with_it(place: Publishing) -> None:
    image = place.image(REPOSITORY)
    place.switch_on()
    place.analysed(image, taken(DEBIAN))
    place.publisher.analysed(step, image)
    place.bill(REPOSITORY, b"{}", subject=image)
    while place.database.write(purge.step, "acme"):
        pass
    assert place.referrers(image) == []
