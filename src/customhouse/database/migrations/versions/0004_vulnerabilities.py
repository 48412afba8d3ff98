"""One vulnerability is one, by all its names; findings are of vulnerabilities and have a history.

An advisory that is there stands for a vulnerability of its own until its feed is loaded again.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_COPIED = ("feed", "advisory", "affected", "finding")


def upgrade() -> None:
    """Make the tables of advisories and findings anew, with what was in them."""
    op.execute("CREATE TABLE old_feed AS SELECT * FROM feed")
    op.execute("CREATE TABLE old_advisory AS SELECT * FROM advisory")
    op.execute("CREATE TABLE old_affected AS SELECT * FROM affected")
    op.execute("CREATE TABLE old_finding AS SELECT * FROM finding")
    for table in reversed(_COPIED):
        op.drop_table(table)
    _create()
    _copy()
    for table in _COPIED:
        op.drop_table(f"old_{table}")
    with op.batch_alter_table(
        "package", recreate="always" if op.get_bind().dialect.name == "sqlite" else "never"
    ) as batch:
        batch.add_column(sa.Column("matched_at", sa.BigInteger(), nullable=True))
    op.execute("UPDATE package SET matched_at = 0")


def _create() -> None:
    op.create_table(
        "feed",
        sa.Column("name", NAME, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("rejected", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.Column("advisories", sa.Integer(), nullable=False),
        sa.Column("ranges", sa.Integer(), nullable=False),
        sa.Column("ecosystems", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_feed"),
    )
    op.create_table(
        "epss",
        sa.Column("cve", NAME, nullable=False),
        sa.Column("probability", sa.Float(), nullable=False),
        sa.Column("percentile", sa.Float(), nullable=True),
        sa.Column("loaded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("cve", name="pk_epss"),
    )
    op.create_table(
        "kev",
        sa.Column("cve", NAME, nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("is_ransomware", sa.Boolean(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("loaded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("cve", name="pk_kev"),
    )
    op.create_table(
        "vulnerability",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_vulnerability"),
    )
    op.create_table(
        "vulnerability_name",
        sa.Column("name", NAME, nullable=False),
        sa.Column("vulnerability_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["vulnerability_id"],
            ["vulnerability.id"],
            name="fk_vulnerability_name_vulnerability_id",
        ),
        sa.PrimaryKeyConstraint("name", name="pk_vulnerability_name"),
    )
    op.create_index(
        "ix_vulnerability_name_vulnerability_id", "vulnerability_name", ["vulnerability_id"]
    )
    op.create_table(
        "advisory",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("feed", NAME, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_advisory"),
        sa.UniqueConstraint("feed", "name", name="uq_advisory_identity"),
    )
    op.create_index("ix_advisory_name", "advisory", ["name"])
    op.create_table(
        "advisory_vulnerability",
        sa.Column("advisory_id", sa.Integer(), nullable=False),
        sa.Column("vulnerability_id", sa.Integer(), nullable=False),
        sa.Column("is_alone", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["advisory_id"], ["advisory.id"], name="fk_advisory_vulnerability_advisory_id"
        ),
        sa.ForeignKeyConstraint(
            ["vulnerability_id"],
            ["vulnerability.id"],
            name="fk_advisory_vulnerability_vulnerability_id",
        ),
        sa.PrimaryKeyConstraint(
            "advisory_id", "vulnerability_id", name="pk_advisory_vulnerability"
        ),
    )
    op.create_index(
        "ix_advisory_vulnerability_vulnerability", "advisory_vulnerability", ["vulnerability_id"]
    )
    op.create_table(
        "affected",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("advisory_id", sa.Integer(), nullable=False),
        sa.Column("ecosystem", NAME, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("introduced", sa.LargeBinary(), nullable=False),
        sa.Column("fixed", sa.LargeBinary(), nullable=False),
        sa.Column("introduced_version", sa.Text(), nullable=False),
        sa.Column("fixed_version", sa.Text(), nullable=True),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("severity_source", sa.Text(), nullable=False),
        sa.Column("rating", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("arches", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["advisory_id"], ["advisory.id"], name="fk_affected_advisory_id"),
        sa.PrimaryKeyConstraint("id", name="pk_affected"),
    )
    op.create_index("ix_affected_advisory_id", "affected", ["advisory_id"])
    op.create_index("ix_affected_package", "affected", ["ecosystem", "name"])
    op.create_table(
        "unmatched",
        sa.Column("vulnerability_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["vulnerability_id"], ["vulnerability.id"], name="fk_unmatched_vulnerability_id"
        ),
        sa.PrimaryKeyConstraint("vulnerability_id", name="pk_unmatched"),
    )
    op.create_table(
        "finding",
        sa.Column("package_id", sa.Integer(), nullable=False),
        sa.Column("vulnerability_id", sa.Integer(), nullable=False),
        sa.Column("advisory_id", sa.Integer(), nullable=False),
        sa.Column("fixed_version", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("severity_source", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["package_id"], ["package.id"], name="fk_finding_package_id"),
        sa.ForeignKeyConstraint(
            ["vulnerability_id"], ["vulnerability.id"], name="fk_finding_vulnerability_id"
        ),
        sa.PrimaryKeyConstraint("package_id", "vulnerability_id", name="pk_finding"),
    )
    op.create_index("ix_finding_vulnerability", "finding", ["vulnerability_id"])
    op.create_table(
        "finding_change",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("package_id", sa.Integer(), nullable=False),
        sa.Column("vulnerability_id", sa.Integer(), nullable=False),
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("severity_before", sa.Integer(), nullable=True),
        sa.Column("severity_after", sa.Integer(), nullable=True),
        sa.Column("fixed_before", sa.Text(), nullable=True),
        sa.Column("fixed_after", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["package_id"], ["package.id"], name="fk_finding_change_package_id"
        ),
        sa.ForeignKeyConstraint(
            ["vulnerability_id"], ["vulnerability.id"], name="fk_finding_change_vulnerability_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_finding_change"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_finding_change_package", "finding_change", ["package_id", "id"])
    op.create_index("ix_finding_change_vulnerability", "finding_change", ["vulnerability_id"])


def _copy() -> None:
    op.execute(
        "INSERT INTO advisory SELECT id, feed, name, fingerprint, severity, body, published_at,"
        " modified_at FROM old_advisory"
    )
    op.execute("INSERT INTO vulnerability SELECT id, name FROM old_advisory")
    op.execute("INSERT INTO vulnerability_name SELECT name, id FROM old_advisory")
    op.execute("INSERT INTO advisory_vulnerability SELECT id, id, true FROM old_advisory")
    op.execute(
        "INSERT INTO affected SELECT r.id, r.advisory_id, r.ecosystem, r.name, r.introduced,"
        " r.fixed, r.introduced_version, r.fixed_version,"
        " CASE WHEN r.severity > 0 THEN r.severity ELSE a.severity END, r.severity_source,"
        " CASE WHEN r.severity > 0 THEN 24 + r.severity WHEN a.severity > 0 THEN 16 + a.severity"
        " ELSE 0 END, r.status, r.arches"
        " FROM old_affected r JOIN old_advisory a ON a.id = r.advisory_id"
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SELECT setval('affected_id_seq', (SELECT max(id) + 1 FROM affected), false)")
    op.execute(
        "INSERT INTO finding SELECT f.package_id, f.advisory_id, f.advisory_id, r.fixed_version,"
        " r.status, r.severity, r.severity_source, f.created_at, f.updated_at"
        " FROM old_finding f JOIN affected r ON r.id = f.affected_id"
    )
    op.execute(
        "INSERT INTO feed SELECT name, source, updated_at, rejected, skipped,"
        " (SELECT count(*) FROM advisory a WHERE a.feed = old_feed.name),"
        " (SELECT count(*) FROM affected r JOIN advisory a ON a.id = r.advisory_id"
        " WHERE a.feed = old_feed.name), '[]' FROM old_feed"
    )
