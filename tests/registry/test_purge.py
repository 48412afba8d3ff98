"""What is left of a project after its thirty days: nothing, and nothing of others is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from customhouse.database import METADATA, now
from customhouse.iam import custom_roles, policies, projects, services
from customhouse.iam.permissions import Resource, repository
from customhouse.iam.projects import PROJECT
from customhouse.registry import purge, repositories, tags
from tests.registry.conftest import ANA, PROVISIONER, hold, push
from tests.support.images import make_image

if TYPE_CHECKING:
    from customhouse.database import Database, Transaction

IMAGE = make_image({"hello": b"hello"})
DAY = 24 * 3600 * 1_000_000


def furnish(tx: Transaction, project: str) -> None:
    """Give a project something of everything."""
    for name in (f"{project}/a", f"{project}/b/c"):
        number = repositories.ensure(tx, name, ANA, PROVISIONER)
        hold(tx, number, IMAGE.blobs)
        manifest = push(tx, number, IMAGE.manifest)
        tags.put(tx, number, "v1", manifest, ANA.name)
    policies.grant(tx, repository(f"{project}/a"), "roles/viewer", "user:bob")
    custom_roles.put(tx, project, "helper", title="", description="", permissions=[], create=True)


def count(tx: Transaction, project: str) -> dict[str, int]:
    """How many rows name a project, by table."""
    found = {}
    for table in METADATA.sorted_tables:
        column = table.c.id if table is PROJECT else table.c.get("project")
        if column is not None:
            rows = tx.execute(select(func.count()).where(column == project)).scalar_one()
            found[table.name] = int(rows)
    return found


def test_nothing_is_left(database: Database) -> None:
    for project in ("gone", "gone-not"):
        database.write(furnish, project)
    before = database.read(count, "gone-not")
    assert before["service_account"] > 0
    database.write(projects.delete, "gone")
    assert database.read(projects.expired, 10) == []
    longest = now() - (projects.UNDELETE_DAYS + 1) * DAY
    statement = update(PROJECT).where(PROJECT.c.id == "gone").values(deleted_at=longest)
    database.write(lambda tx: tx.execute(statement) and None)
    assert database.read(projects.expired, 10) == ["gone"]
    steps = 1
    while database.write(purge.step, "gone"):
        steps += 1
    assert steps == 3
    assert set(database.read(count, "gone").values()) == {0}
    assert database.read(count, "gone-not") == before
    assert database.read(repositories.page, "", 10) == ["gone-not/a", "gone-not/b/c"]


def test_the_id_is_free_again(database: Database) -> None:
    database.write(furnish, "gone")
    database.write(projects.delete, "gone")
    while database.write(purge.step, "gone"):
        pass
    database.write(furnish, "gone")
    assert database.read(services.is_enabled, "gone", services.SCANNING)
    holders = database.read(policies.get, Resource("gone")).bindings
    assert "user:bob" not in {member for binding in holders for member in binding.members}
