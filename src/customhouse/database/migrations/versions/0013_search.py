"""Which images hold a package, and which layers they begin with alike.

Images are merged anew from the readings of their layers, which stay: what their configurations
say of layers is noted at the end of an analysis.

Revision ID: 0013
Revises: 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables and the indexes, and have all images merged again."""
    op.create_table(
        "layer_chain",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("parent_id", sa.Integer(), nullable=False),
        sa.Column("first", NAME, nullable=False),
        sa.Column("layers", sa.Text(), nullable=False),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_layer_chain"),
        sa.UniqueConstraint("parent_id", "first", name="uq_layer_chain_parent_id_first"),
    )
    op.create_table(
        "image_content",
        sa.Column("manifest_id", sa.Integer(), nullable=False),
        sa.Column("inventory_id", sa.Integer(), nullable=False),
        sa.Column("chain_id", sa.Integer(), nullable=True),
        sa.Column("base_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["manifest_id"],
            ["manifest.id"],
            name="fk_image_content_manifest_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["inventory_id"], ["inventory.id"], name="fk_image_content_inventory_id"
        ),
        sa.ForeignKeyConstraint(["chain_id"], ["layer_chain.id"], name="fk_image_content_chain_id"),
        sa.PrimaryKeyConstraint("manifest_id", name="pk_image_content"),
    )
    op.create_index("ix_image_content_chain_id", "image_content", ["chain_id"], unique=False)
    op.create_index(
        "ix_image_content_inventory",
        "image_content",
        ["inventory_id", "manifest_id", "base_id"],
        unique=False,
    )
    # What is looked up by these is in them: a table is not read for it.
    for table, name, columns in (
        ("repository_manifest", "manifest", ["manifest_id", "repository_id"]),
        ("inventory_package", "package", ["package_id", "inventory_id"]),
    ):
        op.drop_index(f"ix_{table}_{name}", table)
        op.create_index(f"ix_{table}_{name}", table, columns, unique=False)
    op.create_index("ix_package_name", "package", ["name"], unique=False)
    op.create_index("ix_package_source", "package", ["source"], unique=False)
    op.execute("UPDATE image_analysis SET reader = 0")
