"""The schema's history: it leads to what the modules say, and is safe to walk."""

from __future__ import annotations

import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory

# It imports every module that has a table.
import customhouse.application
from customhouse.database import METADATA, Database, Transaction, migrations
from customhouse.database.migrations import HEAD, migrate, run
from customhouse.errors import Code, Failure
from customhouse.iam import accounts, projects, services
from customhouse.iam.access import Access
from customhouse.iam.permissions import ANONYMOUS, ROOT, Permission, Resource

if TYPE_CHECKING:
    from tests.support.postgres import Postgres

assert customhouse.application


def scripts() -> ScriptDirectory:
    """The scripts."""
    return ScriptDirectory(str(next(iter(migrations.__path__))))


def set_revision(database: Database, revision: str) -> None:
    """Pretend that the database was left by another version."""
    statement = sa.text("UPDATE alembic_version SET version_num = :revision")
    database.write(lambda tx: tx.execute(statement, {"revision": revision}) and None)


def revision_of(database: Database) -> str:
    """Which revision the database is at."""
    statement = sa.text("SELECT version_num FROM alembic_version")
    return str(database.read(lambda tx: tx.execute(statement).scalar_one()))


def copies(folder: Path) -> list[Path]:
    """The copies, the oldest first."""
    return sorted(folder.glob("*"), key=lambda path: path.stat().st_mtime_ns)


def test_head_is_the_newest_script() -> None:
    assert scripts().get_heads() == [HEAD]
    assert HEAD in run.known()


def test_there_is_one_way_to_the_head() -> None:
    walked = list(scripts().walk_revisions())
    assert [script.down_revision for script in walked] == [
        script.revision for script in walked[1:]
    ] + [None]


def test_it_leads_to_what_the_modules_say(database: Database, tmp_path: Path) -> None:
    migrate(database, tmp_path / "backups")

    def compare(tx: Transaction) -> list[object]:
        options = {"compare_type": True, "compare_server_default": True}
        return list(compare_metadata(MigrationContext.configure(tx, opts=options), METADATA))

    assert database.read(compare) == []


def test_it_leads_to_the_very_same_tables(tmp_path: Path) -> None:
    """Names of constraints, collations and counters too, which Alembic does not compare."""
    migrated = Database(f"sqlite:///{tmp_path / 'migrated.sqlite'}")
    created = Database(f"sqlite:///{tmp_path / 'created.sqlite'}")
    check_same(migrated, created, SQLITE_DEFINITIONS)


@pytest.mark.xdist_group("postgresql")
def test_it_leads_to_the_very_same_tables_on_postgresql(postgres: Postgres) -> None:
    migrated, created = (Database(postgres.database()) for _ in range(2))
    check_same(migrated, created, POSTGRESQL_DEFINITIONS)


SQLITE_DEFINITIONS = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
POSTGRESQL_DEFINITIONS = """
    SELECT table_name || '.' || column_name, concat_ws(
        ' ', data_type, collation_name, is_nullable, column_default, is_identity
    ) FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace
"""


def check_same(migrated: Database, created: Database, query: str) -> None:
    """Check that migrations and the modules make the same of an empty database."""
    migrate(migrated, Path("unused"))
    METADATA.create_all(created.writers)
    found, expected = (database.read(definitions, query) for database in (migrated, created))
    assert found == expected
    assert any(name.startswith("manifest") for name in found)
    migrated.close()
    created.close()


def definitions(tx: Transaction, query: str) -> dict[str, list[str]]:
    """What every table and index is made of, its lines in an order that means nothing.

    A table that was replaced by its copy has its name in quotes.
    """
    return {
        name: sorted(
            line.strip(" \t,") for line in text.replace('"', "").splitlines() if line.strip(" \t,")
        )
        for name, text in tx.exec_driver_sql(query)
        if "alembic_version" not in name
    }


def test_an_empty_database_is_made_at_once(database: Database, tmp_path: Path) -> None:
    for _ in range(2):
        migrate(database, tmp_path / "backups", METADATA)
        assert revision_of(database) == HEAD
    tables = set(database.read(lambda tx: sa.inspect(tx).get_table_names()))
    assert tables == {*METADATA.tables, "alembic_version"}
    # What the scripts leave to say where they are has the same form.
    set_revision(database, "9999")
    with pytest.raises(Failure):
        migrate(database, tmp_path / "backups", METADATA)


def test_again_changes_nothing(database: Database, tmp_path: Path) -> None:
    for _ in range(3):
        migrate(database, tmp_path / "backups")
        database.write(projects.create, "p", "user:admin")
    assert revision_of(database) == HEAD
    assert database.read(projects.exists, "p")
    assert not (tmp_path / "backups").exists()


def test_processes_that_start_together(database: Database, tmp_path: Path) -> None:
    url = database.url.render_as_string(hide_password=False)

    def one(_: int) -> None:
        own = Database(url)
        migrate(own, tmp_path / "backups", METADATA)
        own.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(4)))
    assert revision_of(database) == HEAD


def test_a_newer_database_is_refused_and_left_alone(database: Database, tmp_path: Path) -> None:
    migrate(database, tmp_path / "backups")
    database.write(projects.create, "p", "user:admin")
    set_revision(database, "9999")
    for _ in range(5):
        with pytest.raises(Failure) as caught:
            migrate(database, tmp_path / "backups")
        assert caught.value.code is Code.DATABASE_NEWER
        assert "9999" in caught.value.message
    assert revision_of(database) == "9999"
    assert database.read(projects.exists, "p")
    # Attempts that are bound to fail must not push out the copies that are worth keeping.
    assert copies(tmp_path / "backups") == []


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_copy_is_made_before_an_upgrade(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(database, tmp_path / "backups")
    # A connection that stays open keeps the newest rows in the write-ahead log.
    with database.newest.connect():
        database.write(projects.create, "p", "user:admin")
        monkeypatch.setattr(migrations, "HEAD", "a newer one")
        migrate(database, tmp_path / "backups")
    (copy,) = copies(tmp_path / "backups")
    assert HEAD in copy.name
    connection = sqlite3.connect(copy)
    assert connection.execute("SELECT id FROM project").fetchall() == [("p",)]
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    assert (tmp_path / "backups").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_newest_three_copies_are_kept(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backups = tmp_path / "backups"
    migrate(database, backups)
    monkeypatch.setattr(migrations, "HEAD", "a newer one")
    backups.mkdir()
    older = [backups / f"customhouse-0000-{hour}.sqlite" for hour in range(4)]
    for hour, path in enumerate(older):
        path.touch()
        os.utime(path, (hour, hour))
    (backups / "notes of mine.txt").touch()
    migrate(database, backups)
    kept = [path for path in copies(backups) if path.suffix == ".sqlite"]
    assert kept[:2] == older[2:]
    assert len(kept) == 3
    assert (backups / "notes of mine.txt").exists()


def test_from_the_first_schema_to_who_may_do_what(database: Database, tmp_path: Path) -> None:
    """Administrators keep everything, whoever created a project owns it, and the rest stays."""
    database.write(to_first)
    migrate(database, tmp_path / "backups")
    assert revision_of(database) == HEAD

    def names(tx: Transaction) -> list[tuple[str, str]]:
        query = "SELECT name, project FROM repository ORDER BY name"
        return [tuple(row) for row in tx.exec_driver_sql(query)]

    assert database.read(names) == [("example.com/q/a", "example.com/q"), ("p/a/b", "p")]
    found = database.read(projects.page, "", 10)
    assert [project.id for project in found] == ["example.com/q", "p"]
    assert len({project.number for project in found}) == 2
    assert {(len(str(project.number)), project.state) for project in found} == {(12, "ACTIVE")}
    access = Access()
    defaults = {service.name for service in services.SERVICES.values() if service.default}
    for project, owner in (("p", "admin"), ("example.com/q", "ben")):
        assert database.read(services.enabled, project) == defaults
        for name in ("admin", "ben", "shut"):
            account = database.read(accounts.find, name)
            if name == "shut":
                assert account is None
                continue
            assert account is not None
            assert account[1] == f"hash of {name}"
            # Tokens of before the upgrade still name the generation of the password.
            assert account[0].credential == "7"
            for permission in (Permission.UPLOAD, Permission.PROJECTS_SET_POLICY):
                about = Resource(project, "repositories" if project == "p" else "", "a/b")
                about = about if permission is Permission.UPLOAD else Resource(project)
                allowed = database.read(access.allows, account[0], permission, about)
                assert allowed is (name in {"admin", owner}), (name, permission, about)
    root, _ = database.read(accounts.find, "admin") or (ANONYMOUS, "")
    other, _ = database.read(accounts.find, "ben") or (ANONYMOUS, "")
    for permission in Permission:
        assert database.read(access.allows, root, permission, ROOT)
        assert not database.read(access.allows, other, permission, ROOT)
    # What refers to projects still does.
    for change in ("DELETE FROM project WHERE id = 'p'", "UPDATE project SET number = 1"):
        statement = sa.text(change)
        with pytest.raises(sa.exc.IntegrityError):
            database.write(sa.Connection.execute, statement)
    if database.is_sqlite:
        check = "PRAGMA foreign_key_check"
        assert database.read(lambda tx: tx.exec_driver_sql(check).fetchall()) == []


def to_first(tx: Transaction) -> None:
    """A database as the first version left it, with accounts, projects and repositories."""
    to_revision(tx, "0001")
    for name, is_administrator, is_disabled in (
        ("admin", True, False),
        ("ben", False, False),
        ("shut", True, True),
    ):
        values = {
            "name": name,
            "hash": f"hash of {name}",
            "administrator": is_administrator,
            "disabled": is_disabled,
        }
        statement = "INSERT INTO account VALUES (:name, :hash, 7, :administrator, :disabled, 1)"
        tx.execute(sa.text(statement), values)
    for project, owner in (("p", "admin"), ("example.com/q", "ben")):
        statement = "INSERT INTO project (id, created_at, created_by) VALUES (:id, 1, :by)"
        tx.execute(sa.text(statement), {"id": project, "by": f"user:{owner}"})
    for number, name, project in ((1, "p/a/b", "p"), (2, "example.com/q/a", "example.com/q")):
        statement = "INSERT INTO repository VALUES (:id, :name, :project, 1)"
        tx.execute(sa.text(statement), {"id": number, "name": name, "project": project})


def test_findings_of_before_are_kept(database: Database, tmp_path: Path) -> None:
    """Each advisory is a vulnerability at first; findings keep package, severity and fix."""
    database.write(to_third)
    migrate(database, tmp_path / "backups")
    assert revision_of(database) == HEAD

    def rows(query: str) -> list[tuple[object, ...]]:
        return database.read(lambda tx: [tuple(row) for row in tx.exec_driver_sql(query)])

    assert rows("SELECT name, id FROM vulnerability ORDER BY id") == [("CVE-1", 1), ("DSA-2", 2)]
    assert rows("SELECT name, vulnerability_id FROM vulnerability_name ORDER BY name") == [
        ("CVE-1", 1),
        ("DSA-2", 2),
    ]
    # The second range has no severity of its own: that of its advisory is the weaker source.
    assert rows("SELECT id, severity, rating, fixed_version FROM affected ORDER BY id") == [
        (7, 4, 28, "1.1"),
        (9, 3, 19, None),
    ]
    found = "SELECT package_id, vulnerability_id, advisory_id, fixed_version, created_at"
    assert rows(f"{found} FROM finding ORDER BY vulnerability_id") == [
        (1, 1, 1, "1.1", 5),
        (1, 2, 2, None, 6),
    ]
    assert rows("SELECT name, advisories, ranges FROM feed ORDER BY name") == [
        ("debian", 2, 2),
        ("empty", 0, 0),
    ]
    # It is matched already, and the next range gets a number that no other has.
    assert rows("SELECT matched_at FROM package") == [(0,)]
    statement = (
        "INSERT INTO affected (advisory_id, ecosystem, name, introduced, fixed,"
        " introduced_version, severity, severity_source, rating, status)"
        " SELECT advisory_id, ecosystem, name, introduced, fixed, introduced_version, severity,"
        " severity_source, rating, status FROM affected WHERE id = 9"
    )
    database.write(lambda tx: tx.exec_driver_sql(statement) and None)
    assert rows("SELECT max(id) FROM affected") == [(10,)]


def to_third(tx: Transaction) -> None:
    """A database as revision 0003 left it, with a package that has two findings."""
    to_revision(tx, "0003")
    for name in ("debian", "empty"):
        tx.execute(sa.text("INSERT INTO feed VALUES (:name, 'x', 1, 0, 0)"), {"name": name})
    for number, name, severity in ((1, "CVE-1", 2), (2, "DSA-2", 3)):
        values = {"id": number, "name": name, "mark": b"m", "severity": severity, "body": b"{}"}
        columns = "id, name, feed, fingerprint, severity, body, published_at, modified_at"
        statement = f"INSERT INTO advisory ({columns})"
        statement += " VALUES (:id, :name, 'debian', :mark, :severity, :body, 1, 1)"
        tx.execute(sa.text(statement), values)
    for number, advisory, severity, fixed in ((7, 1, 4, "1.1"), (9, 2, 0, None)):
        values = {"id": number, "advisory": advisory, "key": b"k", "severity": severity}
        statement = (
            "INSERT INTO affected (id, advisory_id, ecosystem, name, introduced, fixed,"
            " introduced_version, fixed_version, severity, severity_source, status)"
            " VALUES (:id, :advisory, 'Debian:12', 'a', :key, :key, '0', :fixed, :severity, '', '')"
        )
        tx.execute(sa.text(statement), values | {"fixed": fixed})
    statement = "INSERT INTO package VALUES (1, 'Debian:12', 'a', '1.0', '', 'a', '1.0', '', '')"
    tx.exec_driver_sql(statement)
    tx.exec_driver_sql("INSERT INTO finding VALUES (1, 1, 7, 5, 5), (1, 2, 9, 6, 6)")


def to_revision(tx: Transaction, wanted: str) -> None:
    """Run the scripts up to a revision."""
    script = scripts()

    def steps(revision: object, context: MigrationContext) -> object:
        del context
        return script._upgrade_revs(wanted, revision)  # type: ignore[arg-type]

    with EnvironmentContext(Config(), script, fn=steps, as_sql=False) as environment:
        environment.configure(connection=tx, transaction_per_migration=False)
        environment.run_migrations()
