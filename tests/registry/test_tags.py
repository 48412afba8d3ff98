"""Tags: where they point, and where they pointed before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from customhouse.errors import Code, Failure
from customhouse.events import TagDeleted
from customhouse.oci import digest_of
from customhouse.registry import tags
from customhouse.registry.tags import TAG_HISTORY
from customhouse.workflows import outbox
from tests.registry.conftest import ANA, make_repository, push
from tests.wire.contents import DOCKER, IMAGE, INDEX

if TYPE_CHECKING:
    from customhouse.database import Database, Transaction

BY = ANA.name


def history(tx: Transaction, tag: str) -> list[tuple[str | None, str]]:
    """What a tag was set to and by whom, the oldest first."""
    rows = tx.execute(
        select(TAG_HISTORY.c.digest, TAG_HISTORY.c.changed_by)
        .where(TAG_HISTORY.c.name == tag)
        .order_by(TAG_HISTORY.c.id)
    )
    return [(row.digest, row.changed_by) for row in rows]


@pytest.fixture
def repository(database: Database) -> int:
    """A repository whose tags are v1, v2 (an image), all (an index), and an untagged manifest."""

    def fill(tx: Transaction) -> int:
        number = make_repository(tx)
        image, index = push(tx, number, IMAGE), push(tx, number, INDEX)
        push(tx, number, DOCKER)
        for name, manifest in (("v2", image), ("v1", image), ("all", index)):
            tags.put(tx, number, name, manifest, BY)
        return number

    return database.write(fill)


def test_get(database: Database, repository: int) -> None:
    found = database.read(tags.get, "p/a", "v1")
    assert found is not None
    assert found[0] == digest_of(IMAGE)
    assert bytes(found[2]) == IMAGE
    assert database.read(tags.get, "p/a", "V1") is None
    assert database.read(tags.get, "p/b", "v1") is None


def test_pages(database: Database, repository: int) -> None:
    assert database.read(tags.page, repository, "", 10) == ["all", "v1", "v2"]
    assert database.read(tags.page, repository, "", 2) == ["all", "v1"]
    assert database.read(tags.page, repository, "all", 2) == ["v1", "v2"]
    assert database.read(tags.page, repository, "v", 1) == ["v1"]
    assert database.read(tags.page, repository, "v2", 10) == []
    assert database.read(tags.page, repository + 1, "", 10) == []


def test_a_tag_remembers_where_it_pointed(database: Database, repository: int) -> None:
    def move(tx: Transaction, content: bytes, by: str) -> None:
        tags.put(tx, repository, "v1", push(tx, repository, content), by)

    database.write(move, DOCKER, "user:bo")
    database.write(move, DOCKER, "user:cy")  # it points there already
    database.write(tags.remove, repository, "p/a", "v1", "user:di")
    database.write(move, IMAGE, "user:ed")
    assert database.read(history, "v1") == [
        (digest_of(IMAGE), BY),
        (digest_of(DOCKER), "user:bo"),
        (None, "user:di"),
        (digest_of(IMAGE), "user:ed"),
    ]
    assert database.read(history, "v2") == [(digest_of(IMAGE), BY)]


def test_removing_a_tag_leaves_the_rest(database: Database, repository: int) -> None:
    database.write(tags.remove, repository, "p/a", "v1", BY)
    assert database.read(tags.page, repository, "", 10) == ["all", "v2"]
    (event,) = [stored.event for stored in database.read(outbox.waiting, 10)]
    assert event == TagDeleted("p/a", "v1", digest_of(IMAGE), BY)
    with pytest.raises(Failure) as caught:
        database.write(tags.remove, repository, "p/a", "v1", BY)
    assert caught.value.code is Code.MANIFEST_UNKNOWN
    assert len(database.read(outbox.waiting, 10)) == 1


def test_removing_all_tags_of_a_manifest(database: Database, repository: int) -> None:
    def remove(tx: Transaction, content: bytes) -> list[str]:
        return tags.remove_all_of(tx, repository, push(tx, repository, content), "user:bo")

    assert database.write(remove, IMAGE) == ["v1", "v2"]
    assert database.write(remove, IMAGE) == []
    assert database.write(remove, DOCKER) == []
    assert database.read(tags.page, repository, "", 10) == ["all"]
    assert database.read(history, "v2")[-1] == (None, "user:bo")


def test_the_same_tag_in_two_repositories(database: Database, repository: int) -> None:
    def fill(tx: Transaction) -> int:
        other = make_repository(tx, "p/b")
        tags.put(tx, other, "v1", push(tx, other, DOCKER), BY)
        return other

    other = database.write(fill)
    database.write(tags.remove, repository, "p/a", "v1", BY)
    found = database.read(tags.get, "p/b", "v1")
    assert found is not None
    assert found[0] == digest_of(DOCKER)
    assert database.read(tags.page, other, "", 10) == ["v1"]


def listed(database: Database, repository: int, names: list[str], untagged: bool) -> list[object]:
    """What a listing shows: digests and tags."""
    found = database.read(tags.listed, repository, names, with_untagged=untagged)
    return [(item.digest, item.tags) for item in found]


def test_listing(database: Database, repository: int) -> None:
    image, index, docker = map(digest_of, (IMAGE, INDEX, DOCKER))
    assert listed(database, repository, ["all", "v1", "v2"], untagged=True) == [
        (index, ["all"]),
        (image, ["v1", "v2"]),
        (docker, []),
    ]
    assert listed(database, repository, ["all", "v1"], untagged=False) == [
        (index, ["all"]),
        (image, ["v1"]),
    ]
    assert listed(database, repository, [], untagged=True) == [(docker, [])]
    assert listed(database, repository, [], untagged=False) == []
    assert listed(database, repository + 1, [], untagged=True) == []
