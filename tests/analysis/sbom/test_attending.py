"""When there is something to do about SBOMs, and when not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from customhouse.analysis.sbom.attending import Attendant
from customhouse.analysis.sbom.publishing import Publisher
from customhouse.analysis.sbom.reading import Reader
from customhouse.events import ImageAnalysed, ManifestDeleted, ManifestPushed, TagDeleted
from customhouse.iam import services
from customhouse.registry import manifests
from tests.analysis.sbom.places import Place, step, taken
from tests.analysis.sbom.test_attached import DEBIAN, DJANGO, REPOSITORY, document

if TYPE_CHECKING:
    from pathlib import Path

    from customhouse.database import Database


@pytest.fixture
def place(database: Database, tmp_path: Path) -> Place:
    """A registry."""
    return Place(database, tmp_path / "store")


@pytest.fixture
def attendant(database: Database, place: Place) -> Attendant:
    """Who attends to it."""
    publisher = Publisher(database, place.store, "", "iam.test")
    return Attendant(database, Reader(database, place.store), publisher)


def pushed(digest: str, *tags: str) -> ManifestPushed:
    """A push."""
    return ManifestPushed(REPOSITORY, digest, list(tags), "user:ana", is_new=True)


def deleted(digest: str) -> ManifestDeleted:
    """A deletion."""
    return ManifestDeleted(REPOSITORY, digest, [], "user:ana")


def test_an_image_that_wants_none(place: Place, attendant: Attendant) -> None:
    image = place.image(REPOSITORY)
    place.analysed(image, taken(DEBIAN))
    assert not attendant.is_about_push(pushed(image, "latest"))
    assert not attendant.is_about_image(ImageAnalysed(image))
    assert not attendant.is_about_removal(deleted(image))
    assert not attendant.is_about_removal(TagDeleted(REPOSITORY, "latest", image, "user:ana"))
    assert not attendant.is_about_push(pushed("sha256:" + "0" * 64))


def test_an_image_that_wants_one(place: Place, attendant: Attendant) -> None:
    image = place.image(REPOSITORY)
    service = services.SERVICES[services.SBOMS]
    place.database.write(services.enable, "acme", service, "iam.test")
    assert not attendant.is_about_push(pushed(image))  # its analysis will tell
    place.analysed(image, taken(DEBIAN))
    assert attendant.is_about_image(ImageAnalysed(image))
    assert attendant.is_about_push(pushed(image))
    attendant.analysed(step, image)
    assert not attendant.is_about_push(pushed(image))
    (bill,) = place.database.read(manifests.referrers, REPOSITORY, image, "", "", 100)
    assert not attendant.is_about_push(pushed(bill["digest"]))
    assert attendant.is_about_removal(deleted(image))
    assert attendant.is_about_removal(deleted(bill["digest"]))
    place.delete(REPOSITORY, image)
    attendant.removed(step, REPOSITORY, image, "")
    assert not attendant.is_about_removal(deleted(image))


def test_a_bill(place: Place, attendant: Attendant) -> None:
    image = place.image(REPOSITORY)
    bill = place.bill(REPOSITORY, document(DJANGO), subject=image)
    assert attendant.is_about_push(pushed(bill))
    assert not attendant.is_about_image(ImageAnalysed(image))
    attendant.pushed(step, REPOSITORY, bill, [])
    assert attendant.is_about_image(ImageAnalysed(image))
    assert attendant.is_about_removal(deleted(bill))
    assert not attendant.is_about_removal(deleted(image))
    assert not attendant.is_about_push(pushed(place.bill(REPOSITORY, document(DJANGO))))
    tag = image.replace(":", "-") + ".sbom"
    assert attendant.is_about_push(pushed(place.bill(REPOSITORY, document(DJANGO)), tag))
