"""Manifests: what they must be made of, what uses what, and who refers to whom."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import literal, select

from customhouse.errors import Code, Failure
from customhouse.events import ManifestDeleted
from customhouse.oci import digest_of, parse_manifest
from customhouse.registry import blobs, manifests
from customhouse.registry.manifests import ImageFacts
from customhouse.workflows import outbox
from tests.registry.conftest import ANA, hold, make_repository, push
from tests.wire.contents import (
    BLOBS,
    DOCKER,
    IMAGE,
    INDEX,
    MANIFESTS,
    OCI_LAYER,
    SBOM,
    SIGNATURE,
    blob,
    image,
    index,
)

if TYPE_CHECKING:
    from customhouse.database import Database, Transaction

SPARSE = MANIFESTS["sparse"][1]
FOREIGN = MANIFESTS["foreign"][1]
ABSENT = MANIFESTS["absent"][1]
CONFIG, LAYER = BLOBS["config"], BLOBS["layer"]


@pytest.fixture
def repository(database: Database) -> int:
    """An empty repository."""
    return database.write(make_repository)


def check(
    database: Database, repository: int, content: bytes, *, sparse: bool = False
) -> Failure | None:
    """Check the parts of a manifest; the failure, if it is one."""
    try:
        database.read(
            manifests.check_parts, repository, parse_manifest(content, ""), sparse_indexes=sparse
        )
    except Failure as failure:
        return failure
    return None


def test_an_image_needs_its_blobs(database: Database, repository: int) -> None:
    failure = check(database, repository, IMAGE)
    assert failure is not None
    assert failure.code is Code.MANIFEST_BLOB_UNKNOWN
    assert failure.fields["digests"] == f"{digest_of(CONFIG)}, {digest_of(LAYER)}"
    database.write(hold, repository, [CONFIG])
    failure = check(database, repository, IMAGE)
    assert failure is not None
    assert failure.fields["digests"] == digest_of(LAYER)
    database.write(hold, repository, [LAYER])
    assert check(database, repository, IMAGE) is None


def test_a_part_is_named_once(database: Database, repository: int) -> None:
    layers = [blob(OCI_LAYER, "layer")] * 3
    failure = check(database, repository, image(*layers))
    assert failure is not None
    assert str(failure.fields["digests"]).count(digest_of(LAYER)) == 1


def test_a_size_must_be_right(database: Database, repository: int) -> None:
    database.write(hold, repository, [CONFIG, LAYER])
    failure = check(database, repository, image(blob(OCI_LAYER, "layer", size=7)))
    assert failure is not None
    assert failure.code is Code.MANIFEST_INVALID
    assert "5000" in failure.message


def test_layers_of_the_publisher_may_be_missing(database: Database, repository: int) -> None:
    database.write(hold, repository, [CONFIG])
    assert check(database, repository, FOREIGN) is None


def test_a_subject_may_be_missing(database: Database, repository: int) -> None:
    database.write(hold, repository, [BLOBS["brackets"], BLOBS["hello"]])
    assert check(database, repository, SIGNATURE) is None


def test_an_index_needs_its_children_unless_sparse(database: Database, repository: int) -> None:
    database.write(push, repository, IMAGE)
    failure = check(database, repository, SPARSE)
    assert failure is not None
    assert failure.fields["digests"] == digest_of(ABSENT)
    assert check(database, repository, SPARSE, sparse=True) is None
    assert check(database, repository, index(IMAGE)) is None


@pytest.mark.parametrize("sparse", [False, True])
def test_the_size_of_a_child_must_be_right(
    database: Database, repository: int, sparse: bool
) -> None:
    database.write(push, repository, IMAGE)
    database.write(hold, repository, [LAYER])
    child = json.loads(index(IMAGE))["manifests"][0]
    for right in (child, blob("application/x", "layer")):
        wrong = right | {"size": right["size"] + 1}
        assert check(database, repository, index(manifests=[right]), sparse=sparse) is None
        failure = check(database, repository, index(manifests=[right, wrong]), sparse=sparse)
        assert failure is not None
        assert failure.code is Code.MANIFEST_INVALID
        told = f"{right['digest']} has {right['size']} bytes, not {wrong['size']}"
        assert told in failure.message


def test_an_index_may_hold_blobs(database: Database, repository: int) -> None:
    database.write(hold, repository, [LAYER])
    content = index(manifests=[blob("application/x", "layer")])
    assert check(database, repository, content) is None


def test_parts_of_another_repository_do_not_count(database: Database, repository: int) -> None:
    other = database.write(make_repository, "p/b")
    database.write(hold, other, [CONFIG, LAYER])
    database.write(push, other, IMAGE)
    assert check(database, repository, IMAGE) is not None
    assert check(database, repository, index(IMAGE)) is not None


def hold_many(tx: Transaction, repository: int, parts: list[dict[str, Any]]) -> None:
    """Let a repository hold blobs that are not there yet."""
    rows = [{"digest": part["digest"], "size": part["size"], "created_at": 0} for part in parts]
    tx.execute(blobs.BLOB.insert(), rows)
    known = select(blobs.REPOSITORY_BLOB.c.blob_id)
    held = select(literal(repository), blobs.BLOB.c.id, literal(0)).where(
        blobs.BLOB.c.id.not_in(known)
    )
    tx.execute(blobs.REPOSITORY_BLOB.insert().from_select(list(blobs.REPOSITORY_BLOB.c), held))


def test_thousands_of_parts(database: Database, repository: int) -> None:
    layers = [
        {"mediaType": OCI_LAYER, "digest": digest_of(b"%d" % n), "size": len(b"%d" % n)}
        for n in range(12_000)
    ]
    content = image(*layers)
    database.write(hold, repository, [CONFIG])
    database.write(hold_many, repository, layers[:-1])
    failure = check(database, repository, content)
    assert failure is not None
    assert failure.fields["digests"] == digest_of(b"11999")
    children = index(manifests=layers)
    failure = check(database, repository, children)
    assert failure is not None
    assert failure.fields["digests"] == digest_of(b"11999")


def test_put_tells_what_is_new(database: Database, repository: int) -> None:
    def put(tx: Transaction, number: int) -> tuple[int, bool]:
        facts = ImageFacts(123, "linux/arm64")
        return manifests.put(tx, number, parse_manifest(IMAGE, ""), IMAGE, facts, ANA.name)

    first, is_new = database.write(put, repository)
    assert is_new
    assert database.write(put, repository) == (first, False)
    other = database.write(make_repository, "p/b")
    assert database.write(put, other) == (first, True)
    found = database.read(manifests.get, "p/b", digest_of(IMAGE))
    assert found is not None
    assert bytes(found[2]) == IMAGE
    assert database.read(manifests.get, "p/c", digest_of(IMAGE)) is None
    assert database.read(manifests.held, repository, digest_of(IMAGE)) == first


def test_what_uses_what(database: Database, repository: int) -> None:
    for content in (IMAGE, DOCKER, INDEX):
        database.write(push, repository, content)
    user = database.read(manifests.user, repository, digest_of(LAYER))
    assert user in {digest_of(IMAGE), digest_of(DOCKER)}
    assert database.read(manifests.user, repository, digest_of(IMAGE)) == digest_of(INDEX)
    assert database.read(manifests.user, repository, digest_of(INDEX)) is None
    other = database.write(make_repository, "p/b")
    assert database.read(manifests.user, other, digest_of(LAYER)) is None


def test_remove(database: Database, repository: int) -> None:
    database.write(push, repository, IMAGE)
    digest = digest_of(IMAGE)
    database.write(manifests.remove, repository, "p/a", digest, ["v1"], "user:bo")
    assert database.read(manifests.get, "p/a", digest) is None
    assert database.read(manifests.user, repository, digest_of(LAYER)) is None
    (event,) = [stored.event for stored in database.read(outbox.waiting, 10)]
    assert event == ManifestDeleted("p/a", digest, ["v1"], "user:bo")
    with pytest.raises(Failure) as caught:
        database.write(manifests.remove, repository, "p/a", digest, [], "user:bo")
    assert caught.value.code is Code.MANIFEST_UNKNOWN


def referrers(
    database: Database, repository: str = "p/a", kind: str = "", after: str = "", count: int = 10
) -> list[dict[str, Any]]:
    """What refers to the image."""
    return database.read(manifests.referrers, repository, digest_of(IMAGE), kind, after, count)


def test_referrers(database: Database, repository: int) -> None:
    assert referrers(database) == []
    for content in (SIGNATURE, SBOM):
        database.write(push, repository, content)
    by_digest = sorted((SIGNATURE, SBOM), key=digest_of)
    found = referrers(database)
    assert [item["digest"] for item in found] == [digest_of(content) for content in by_digest]
    assert [item["size"] for item in found] == [len(content) for content in by_digest]
    assert referrers(database, count=1) == found[:1]
    assert referrers(database, after=found[0]["digest"]) == found[1:]
    assert referrers(database, after=found[1]["digest"]) == []
    (signature,) = referrers(database, kind="application/vnd.example.signature")
    assert signature["annotations"] == {"by": "ana"}
    assert signature["mediaType"] == json.loads(SIGNATURE)["mediaType"]
    assert referrers(database, "p/b") == []


def test_blobs_are_held_by_repositories(database: Database, repository: int) -> None:
    other = database.write(make_repository, "p/b")
    digest = digest_of(LAYER)
    for number in (repository, repository, other):
        database.write(hold, number, [LAYER])
    assert database.read(blobs.size, "p/a", digest) == len(LAYER)
    assert sorted(database.read(blobs.holders, digest, 10)) == ["p/a", "p/b"]
    assert len(database.read(blobs.holders, digest, 1)) == 1
    database.write(blobs.unlink, repository, digest)
    assert database.read(blobs.size, "p/a", digest) is None
    assert database.read(blobs.size, "p/b", digest) == len(LAYER)
    for unknown in (digest, digest_of(b"unknown")):
        with pytest.raises(Failure) as caught:
            database.write(blobs.unlink, repository, unknown)
        assert caught.value.code is Code.BLOB_UNKNOWN
