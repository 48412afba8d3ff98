"""The table of the audit log: what is kept, in pages, filtered, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from sqlalchemy import text

from customhouse.database import METADATA
from customhouse.iam import audit
from customhouse.iam.audit import EVERYTHING, Entry, Filter

if TYPE_CHECKING:
    from customhouse.database import Database

SECOND = 1_000_000
DAY = 24 * 3600 * SECOND
AT = 1_700_000_000 * SECOND
PULL = Entry(
    at=AT,
    project="acme",
    principal="user:ana",
    method="Docker-GetManifest",
    permission="artifactregistry.repositories.downloadArtifacts",
    resource="projects/acme/repositories/web/api",
    granted=True,
    status=200,
    address="192.0.2.1",
    agent="docker/28",
    request_id="abc-1",
)


@pytest.fixture(autouse=True)
def schema(database: Database) -> None:
    """The tables."""
    METADATA.create_all(database.writers)


def read(
    database: Database,
    wanted: Filter = EVERYTHING,
    project: str | None = None,
    after: int = 0,
    count: int = 100,
) -> list[Entry]:
    return database.read(audit.page, project, wanted, after, count)


def test_stored_as_given(database: Database) -> None:
    change = replace(PULL, method="SetIamPolicy", detail={"added": [["roles/viewer", "user:bo"]]})
    database.write(audit.add, [PULL, change])
    stored = read(database)
    assert [replace(entry, id=0) for entry in stored] == [change, PULL]
    assert stored[0].id > stored[1].id > 0


def test_nothing_to_add(database: Database) -> None:
    database.write(audit.add, [])
    assert read(database) == []


def test_pages(database: Database) -> None:
    database.write(audit.add, [replace(PULL, request_id=str(number)) for number in range(7)])
    seen, after = [], 0
    while found := read(database, project="acme", after=after, count=3):
        seen.append([entry.request_id for entry in found])
        after = found[-1].id
        # What comes in between is newer than the pages that follow.
        database.write(audit.add, [replace(PULL, request_id="new")])
    assert seen == [["6", "5", "4"], ["3", "2", "1"], ["0"]]


def test_projects_apart(database: Database) -> None:
    database.write(
        audit.add,
        [replace(PULL, project=name, request_id=name) for name in ("", "acme", "example.com/proj")],
    )

    def found(project: str | None) -> list[str]:
        return [entry.request_id for entry in read(database, project=project)]

    assert found("acme") == ["acme"]
    assert found("") == [""]
    assert found("example.com/proj") == ["example.com/proj"]
    assert found("ACME") == []
    assert found(None) == ["example.com/proj", "acme", ""]


ENTRIES = {
    "pull": PULL,
    "denied": replace(PULL, at=AT + 1, principal="user:bo", granted=False, status=404),
    "Push": replace(
        PULL, at=AT + 2, method="Docker-PutManifest", resource="projects/acme/repositories/Web"
    ),
    "old": replace(PULL, at=AT - DAY, resource="projects/acme/repositories/web_%"),
}


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (EVERYTHING, {"pull", "denied", "Push", "old"}),
        (Filter(principal="user:bo"), {"denied"}),
        (Filter(principal="user:b"), set()),
        (Filter(method="Docker-PutManifest"), {"Push"}),
        (Filter(granted=True), {"pull", "Push", "old"}),
        (Filter(granted=False), {"denied"}),
        (Filter(resource="projects/acme/repositories/web"), {"pull", "denied", "old"}),
        (Filter(resource="projects/acme/repositories/web/"), {"pull", "denied"}),
        (Filter(resource="projects/acme/repositories/web_%"), {"old"}),
        (Filter(resource="projects/acme/repositories/W"), {"Push"}),
        (Filter(resource="projects/acme/repositories/web/api"), {"pull", "denied"}),
        (Filter(since=AT), {"pull", "denied", "Push"}),
        (Filter(since=AT + 1), {"denied", "Push"}),
        (Filter(until=AT + 1), {"pull", "old"}),
        (Filter(until=AT), {"old"}),
        (Filter(since=AT - DAY, until=AT - DAY + 1), {"old"}),
        (Filter(since=AT + 3), set()),
        (Filter(principal="user:ana", granted=True, since=AT, until=AT + 2), {"pull"}),
        (Filter(principal="' OR 1=1 --"), set()),
    ],
)
def test_filters(database: Database, wanted: Filter, names: set[str]) -> None:
    database.write(
        audit.add,
        [replace(entry, request_id=name) for name, entry in sorted(ENTRIES.items())],
    )
    for project in ("acme", None):
        found = read(database, wanted, project)
        assert {entry.request_id for entry in found} == names
        assert len(found) == len(names)


def test_in_the_order_of_time(database: Database) -> None:
    """Processes write when they come to it, and clocks are set."""
    times = [3, 1, 2, 5, 4, 2]
    database.write(
        audit.add,
        [replace(PULL, at=AT + at, request_id=f"{at}.{n}") for n, at in enumerate(times)],
    )
    seen, after = [], 0
    while found := read(database, after=after, count=2):
        seen += [entry.request_id for entry in found]
        after = found[-1].id
    assert seen == ["5.3", "4.4", "3.0", "2.5", "2.2", "1.1"]


def test_a_page_after_one_that_was_pruned(database: Database) -> None:
    database.write(audit.add, [replace(PULL, at=AT + number) for number in range(4)])
    last = read(database, count=3)[-1]
    database.write(audit.prune, AT + 2, 10)
    assert read(database, after=last.id) == []


@pytest.mark.parametrize(
    ("project", "wanted", "index"),
    [
        ("acme", EVERYTHING, "ix_audit_entry_project (project=?"),
        ("acme", Filter(method="x", since=AT), "ix_audit_entry_project (project=?"),
        (None, Filter(principal="user:ana"), "ix_audit_entry_principal (principal=?"),
        (None, EVERYTHING, "ix_audit_entry_at (at<?"),
        (None, Filter(resource="x", granted=True), "ix_audit_entry_at (at<?"),
    ],
)
def test_read_in_the_order_of_an_index(
    database: Database, project: str | None, wanted: Filter, index: str
) -> None:
    if not database.is_sqlite:
        pytest.skip("on PostgreSQL the plan depends on how large the table is")
    query = audit.page_query(project, wanted, (AT, 7), 10)
    compiled = query.compile(database.readers, compile_kwargs={"literal_binds": True})
    with database.readers.connect() as tx:
        plan = str(tx.execute(text(f"EXPLAIN QUERY PLAN {compiled}")).all())
    assert index in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize("principal", ["user:ana", "user:ana\0", "user:\ud800", "user:ä"])
def test_any_text_is_stored(database: Database, principal: str) -> None:
    hostile = replace(
        PULL,
        principal=principal,
        agent="\0" * 10_000,
        resource="ä" * 10_000,
        detail={principal: "\0\ud800"},
    )
    database.write(audit.add, [hostile])
    (stored,) = read(database)
    assert stored.principal == principal.replace("\0", "\ufffd").replace("\ud800", "?")
    assert stored.agent == "\ufffd" * 512
    assert stored.resource == "ä" * 1024
    assert list(stored.detail.values()) == ["\0?"]


def test_a_detail_that_is_too_large(database: Database) -> None:
    fits = {"added": "x" * 250_000}
    database.write(audit.add, [replace(PULL, detail=fits)])
    database.write(audit.add, [replace(PULL, detail={"added": "x" * 300_000})])
    assert [entry.detail for entry in read(database)] == [{"omittedCharacters": 300_013}, fits]


def test_pruned_in_steps(database: Database) -> None:
    entries = [replace(PULL, at=AT + number, request_id=str(number)) for number in range(6)]
    database.write(audit.add, [*entries[3:], *entries[:3]])
    assert database.write(audit.prune, AT + 4, 3) == 3
    assert {entry.request_id for entry in read(database)} == {"3", "4", "5"}
    assert database.write(audit.prune, AT + 4, 3) == 1
    assert database.write(audit.prune, AT + 4, 3) == 0
    assert {entry.request_id for entry in read(database)} == {"4", "5"}


def test_ids_never_come_again(database: Database) -> None:
    database.write(audit.add, [PULL])
    first = read(database)[0].id
    database.write(audit.prune, AT + 1, 10)
    database.write(audit.add, [PULL])
    assert read(database)[0].id > first
