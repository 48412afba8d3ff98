"""What VEX documents say, stored about what is here, on both engines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from customhouse.analysis import vex
from customhouse.analysis.exceptions import assessments, people, statements, table
from customhouse.analysis.exceptions.model import Origin, Place, Query
from customhouse.analysis.exceptions.statements import Outcome, Source
from customhouse.analysis.vex.statement import Assessment
from customhouse.errors import Code, Failure
from customhouse.iam import accounts, policies, projects
from customhouse.iam.access import Access
from customhouse.iam.permissions import Principal, Resource
from customhouse.iam.provisioning import Provisioner
from customhouse.iam.roles import OWNER
from customhouse.oci import OCI_INDEX, OCI_MANIFEST, parse_manifest
from customhouse.registry import manifests, repositories
from customhouse.registry.manifests import ImageFacts
from tests.analysis.vex.documents import CVE, LIBSSL, attestation, encoded, openvex, says
from tests.support.images import digest_of, make_image

if TYPE_CHECKING:
    from customhouse.analysis.exceptions.model import VulnerabilityException
    from customhouse.database import Database, Transaction

TODAY = 1_800_000_000_000_000
MAY_1 = 1_714_557_600_000_000
IMAGE = make_image({"a": b"a"}).manifest
TWIN = make_image({"b": b"b"}).manifest
INDEX = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [
            {"mediaType": OCI_MANIFEST, "digest": digest_of(each), "size": len(each)}
            for each in (IMAGE, TWIN)
        ],
    }
).encode()
DIGEST, OTHER, WHOLE = map(digest_of, (IMAGE, TWIN, INDEX))
STRANGE = "sha256:" + "f" * 64
HERE = Place("acme", "acme/web", DIGEST)


@pytest.fixture
def filled(database: Database) -> Database:
    """A database with two images and their index in one repository, one of them in another too."""

    ana, provisioner = Principal("user:ana"), Provisioner(Access(), "example.com", True)

    def fill(tx: Transaction) -> None:
        accounts.create(tx, "ana")
        projects.create(tx, "acme", ana.name)
        policies.grant(tx, Resource("acme"), OWNER, ana.name)
        for repository, contents in (
            ("acme/web", (IMAGE, TWIN, INDEX)),
            ("acme/copy", (IMAGE,)),
        ):
            number = repositories.ensure(tx, repository, ana, provisioner)
            for content in contents:
                manifest = parse_manifest(content, "")
                manifests.put(tx, number, manifest, content, ImageFacts(), "user:ana")

    database.write(fill)
    return database


def tell(
    database: Database,
    document: dict[str, Any],
    place: Place = HERE,
    origin: Origin = Origin.DOCUMENT,
) -> Outcome:
    """Store what a document says."""
    source = Source(place, origin, "user:ana", STRANGE if origin is Origin.REFERRER else "")
    return database.write(statements.replace, [vex.parse(encoded(document))], source, TODAY)


def stored(database: Database) -> list[VulnerabilityException]:
    """All exceptions of the project."""
    return database.read(table.page, "acme", Query(), 0, 1000)


PROJECT = Place("acme")
REPOSITORY = Place("acme", "acme/web")
INDEXED = Place("acme", "acme/web", WHOLE)
OCI = f"pkg:oci/web@{DIGEST}"
# What a product is, where the document belongs, and what is stored of it: image and package.
PRODUCTS: dict[str, tuple[object, Place, list[tuple[str, str]]]] = {
    "nothing in an image": (None, HERE, [(f"acme/web@{DIGEST}", "")]),
    "nothing in a repository": (None, REPOSITORY, [("acme/web", "")]),
    "nothing in a project": (None, PROJECT, []),
    "the image": (OCI, HERE, [(f"acme/web@{DIGEST}", "")]),
    "the image under another name": (f"pkg:oci/x@{DIGEST}", HERE, [(f"acme/web@{DIGEST}", "")]),
    "another image": (f"pkg:oci/web@{OTHER}", HERE, []),
    "by a hash": ({"hashes": {"sha-256": DIGEST[7:]}}, HERE, [(f"acme/web@{DIGEST}", "")]),
    "by another hash": ({"hashes": {"sha-256": OTHER[7:]}}, HERE, []),
    "by no hash": ({"hashes": {"sha-256": "x"}}, HERE, []),
    "by its name": ("pkg:oci/web", HERE, [(f"acme/web@{DIGEST}", "")]),
    "by its name and a tag": ("pkg:oci/web?tag=1", HERE, [(f"acme/web@{DIGEST}", "")]),
    "by Docker's name": ("pkg:docker/acme/web@1", HERE, [(f"acme/web@{DIGEST}", "")]),
    "by its address": (
        "pkg:oci/x?repository_url=registry.example.com/acme/web",
        HERE,
        [(f"acme/web@{DIGEST}", "")],
    ),
    "by another name": ("pkg:oci/api", HERE, []),
    "a package": (LIBSSL, HERE, [(f"acme/web@{DIGEST}", LIBSSL)]),
    "a package of the image": (
        {"@id": OCI, "subcomponents": [{"@id": LIBSSL}, {"@id": "pkg:npm/a"}]},
        HERE,
        [(f"acme/web@{DIGEST}", LIBSSL), (f"acme/web@{DIGEST}", "pkg:npm/a")],
    ),
    "a part of a package": ({"@id": "pkg:npm/a", "subcomponents": ["pkg:npm/b"]}, HERE, []),
    "an address": ("https://example.com/product", HERE, []),
    "an image of an index": (OCI, INDEXED, [(f"acme/web@{DIGEST}", "")]),
    "an image that is in no index": (f"pkg:oci/web@{STRANGE}", INDEXED, []),
    "the index": (f"pkg:oci/web@{WHOLE}", INDEXED, [(f"acme/web@{WHOLE}", "")]),
    "an image of a repository": (OCI, REPOSITORY, [(f"acme/web@{DIGEST}", "")]),
    "a repository": ("pkg:oci/web", REPOSITORY, [("acme/web", "")]),
    "a tag of a repository": ("pkg:oci/web?tag=1", REPOSITORY, []),
    "an image of a project": (
        OCI,
        PROJECT,
        [(f"acme/copy@{DIGEST}", ""), (f"acme/web@{DIGEST}", "")],
    ),
    "an image that the project has not": (f"pkg:oci/web@{STRANGE}", PROJECT, []),
    "a repository of a project": ("pkg:oci/web", PROJECT, [("acme/web", "")]),
    "a repository by its address": (
        "pkg:oci/web?repository_url=localhost:5000/acme/team/web",
        PROJECT,
        [("acme/team/web", "")],
    ),
    "a repository's folder": (
        "pkg:oci/web?repository_url=registry.example.com/acme/team",
        PROJECT,
        [("acme/team/web", "")],
    ),
    "a repository of somebody else": (
        "pkg:oci/web?repository_url=registry.example.com/other/web",
        PROJECT,
        [],
    ),
    "a copy of a repository of somebody else": (
        "pkg:oci/web?repository_url=registry.example.com/other/web",
        HERE,
        [(f"acme/web@{DIGEST}", "")],
    ),
    "a tag of a project": ("pkg:oci/web@1", PROJECT, []),
    "a package in a project": (LIBSSL, PROJECT, [("", LIBSSL)]),
}


@pytest.mark.parametrize("case", PRODUCTS)
def test_what_products_stand_for(filled: Database, case: str) -> None:
    product, place, expected = PRODUCTS[case]
    statement = says("fixed")
    if product is not None:
        statement["products"] = [product if isinstance(product, dict) else {"@id": product}]
    outcome = tell(filled, openvex(statement), place)
    found = stored(filled)
    told = [(str(each.place), text) for each in found for text in each.packages or ("",)]
    assert told == expected
    assert outcome == Outcome(len(found), 0 if expected else 1)


def test_what_is_stored(filled: Database) -> None:
    statement = says("not_affected", impact_statement="never run")
    statement["vulnerability"]["aliases"] = ["GHSA-abcd-2345-wxyz"]
    tell(filled, openvex(statement, says("affected", name="CVE-2", action_statement="upgrade")))
    first, second = stored(filled)
    assert first.names == (CVE, "GHSA-abcd-2345-wxyz")
    assert (first.assessment, first.reason) == (Assessment.NOT_AFFECTED, "never run")
    assert (first.origin, first.source) == (Origin.DOCUMENT, "https://example.com/vex/1")
    assert (first.owner, first.author) == ("user:ana", "Example Inc.")
    assert (first.stated_at, first.created_at, first.expires_at) == (MAY_1, TODAY, None)
    assert second.action == "upgrade"


def test_nothing_is_said_in_the_future(filled: Database) -> None:
    tell(filled, openvex(says("fixed", timestamp="2999-01-01T00:00:00Z")))
    assert stored(filled)[0].stated_at == TODAY


def test_a_document_replaces_what_it_said(filled: Database) -> None:
    mine = filled.write(people.create, HERE, CVE, owner="user:ana", reason="x", at=TODAY)
    tell(filled, openvex(says(), says(name="CVE-2024-2")))
    tell(filled, openvex(says("affected"), **{"@id": "https://example.com/other"}))
    tell(filled, openvex(says()), origin=Origin.REFERRER)
    tell(filled, openvex(says("fixed")))
    said = [(each.origin, each.source, each.assessment) for each in stored(filled)]
    assert said == [
        (Origin.USER, "", mine.assessment),
        (Origin.DOCUMENT, "https://example.com/other", Assessment.AFFECTED),
        (Origin.REFERRER, STRANGE, Assessment.NOT_AFFECTED),
        (Origin.DOCUMENT, "https://example.com/vex/1", Assessment.FIXED),
    ]
    # About another image it is another one.
    tell(filled, openvex(says()), HERE._replace(digest=OTHER))
    assert len(stored(filled)) == 5
    assert filled.read(statements.is_stored, "acme/web", STRANGE)
    assert not filled.read(statements.is_stored, "acme/copy", STRANGE)
    filled.write(statements.remove, Place("acme", "acme/copy"), Origin.REFERRER, STRANGE)
    assert filled.read(statements.is_stored, "acme/web", STRANGE)
    filled.write(statements.remove, REPOSITORY, Origin.REFERRER, STRANGE)
    assert not filled.read(statements.is_stored, "acme/web", STRANGE)
    assert len(stored(filled)) == 4


def test_attestations_are_about_their_subjects(filled: Database) -> None:
    tell(filled, attestation(openvex(says()), DIGEST))
    tell(filled, attestation(openvex(says(name="CVE-2")), DIGEST), INDEXED)
    tell(filled, attestation(openvex(says(), **{"@id": "x"}), OTHER), PROJECT)
    assert [str(each.place) for each in stored(filled)] == [
        f"acme/web@{DIGEST}",
        f"acme/web@{DIGEST}",
        f"acme/web@{OTHER}",
    ]
    with pytest.raises(Failure, match="another image") as caught:
        tell(filled, attestation(openvex(says("fixed")), OTHER))
    assert caught.value.code is Code.VEX_INVALID
    assert len(stored(filled)) == 3, "what was said before stays"


def test_a_document_that_says_too_much(filled: Database) -> None:
    document = openvex(says("fixed", *[{"@id": OCI, "subcomponents": [LIBSSL] * 6000}]))
    with pytest.raises(Failure, match="more than"):
        tell(filled, document, PROJECT)
    assert stored(filled) == []


def test_what_stands_for_an_image(filled: Database) -> None:
    def digests(repository: str, digest: str, *parts: str) -> tuple[str, ...]:
        return filled.read(assessments.image, "acme", repository, digest, parts).digests

    assert digests("acme/web", DIGEST, DIGEST) == (DIGEST, WHOLE)
    assert digests("acme/copy", DIGEST, DIGEST) == (DIGEST,)
    assert digests("acme/web", WHOLE, DIGEST, OTHER) == (WHOLE,)
    assert digests("acme/web", WHOLE, DIGEST) == (WHOLE, DIGEST)


def test_a_statement_about_many_packages_is_one(filled: Database) -> None:
    purls = [f"pkg:deb/debian/p{number}@1" for number in range(2000)]
    assert tell(filled, openvex(says("fixed", *purls, *purls[:5], OCI))) == Outcome(2, 0)
    listed, whole = stored(filled)
    assert listed.packages == tuple(purls)
    assert whole.packages == ()
