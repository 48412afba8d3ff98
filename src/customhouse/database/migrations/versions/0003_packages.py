"""Packages of languages, and every name under which advisories know a package.

What was found in layers is read anew, because the reader finds more in them; advisories stay.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables of packages anew."""
    # SQLite writes a column that is added into the last line of the table's text.
    with op.batch_alter_table(
        "affected",
        recreate="always" if op.get_bind().dialect.name == "sqlite" else "never",
        table_kwargs={"sqlite_autoincrement": True},
    ) as batch:
        batch.add_column(sa.Column("arches", sa.Text(), nullable=True))
    op.execute(
        "UPDATE image_analysis SET inventory_id = NULL, reader = 0, error = '', status = 'PENDING'"
    )
    for table in ("finding", "inventory_package", "package"):
        op.drop_table(table)
    op.execute("DELETE FROM inventory")
    op.execute("DELETE FROM layer_reading")
    op.create_table(
        "package",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("ecosystem", NAME, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("version", NAME, nullable=False),
        sa.Column("arch", NAME, nullable=False),
        sa.Column("source", NAME, nullable=False),
        sa.Column("source_version", NAME, nullable=False),
        sa.Column("module", NAME, nullable=False),
        sa.Column("licence", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_package"),
        sa.UniqueConstraint(
            "ecosystem",
            "name",
            "version",
            "arch",
            "source",
            "source_version",
            "module",
            name="uq_package_identity",
        ),
    )
    op.create_table(
        "inventory_package",
        sa.Column("inventory_id", sa.Integer(), nullable=False),
        sa.Column("package_id", sa.Integer(), nullable=False),
        sa.Column("layer", NAME, nullable=False),
        sa.Column("layer_index", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["inventory_id"], ["inventory.id"], name="fk_inventory_package_inventory_id"
        ),
        sa.ForeignKeyConstraint(
            ["package_id"], ["package.id"], name="fk_inventory_package_package_id"
        ),
        sa.PrimaryKeyConstraint("inventory_id", "package_id", name="pk_inventory_package"),
    )
    op.create_index(
        "ix_inventory_package_package", "inventory_package", ["package_id"], unique=False
    )
    op.create_table(
        "package_name",
        sa.Column("package_id", sa.Integer(), nullable=False),
        sa.Column("ecosystem", NAME, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("arch", NAME, nullable=False),
        sa.ForeignKeyConstraint(["package_id"], ["package.id"], name="fk_package_name_package_id"),
        sa.PrimaryKeyConstraint("package_id", "ecosystem", "name", name="pk_package_name"),
    )
    op.create_index("ix_package_name_name", "package_name", ["ecosystem", "name"], unique=False)
    op.create_table(
        "finding",
        sa.Column("package_id", sa.Integer(), nullable=False),
        sa.Column("advisory_id", sa.Integer(), nullable=False),
        sa.Column("affected_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["advisory_id"], ["advisory.id"], name="fk_finding_advisory_id"),
        sa.ForeignKeyConstraint(["package_id"], ["package.id"], name="fk_finding_package_id"),
        sa.PrimaryKeyConstraint("package_id", "advisory_id", name="pk_finding"),
    )
    op.create_index("ix_finding_advisory", "finding", ["advisory_id"], unique=False)
