"""Bills of materials that were read from referrers of images, and those that were pushed as such.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "sbom_inventory",
        sa.Column("repository_id", sa.Integer(), nullable=False),
        sa.Column("image_digest", NAME, nullable=False),
        sa.Column("referrer_digest", NAME, nullable=False),
        sa.Column("tag", NAME, nullable=False),
        sa.Column("inventory_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["inventory_id"], ["inventory.id"], name="fk_sbom_inventory_inventory_id"
        ),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repository.id"],
            name="fk_sbom_inventory_repository_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "repository_id", "image_digest", "referrer_digest", name="pk_sbom_inventory"
        ),
    )
    op.create_index("ix_sbom_inventory_image", "sbom_inventory", ["image_digest"], unique=False)
    op.create_index(
        "ix_sbom_inventory_inventory_id", "sbom_inventory", ["inventory_id"], unique=False
    )
    op.create_index(
        "ix_sbom_inventory_referrer",
        "sbom_inventory",
        ["repository_id", "referrer_digest"],
        unique=False,
    )
    op.create_table(
        "sbom_referrer",
        sa.Column("repository_id", sa.Integer(), nullable=False),
        sa.Column("image_digest", NAME, nullable=False),
        sa.Column("referrer_digest", NAME, nullable=False),
        sa.Column("inventory_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["inventory_id"], ["inventory.id"], name="fk_sbom_referrer_inventory_id"
        ),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repository.id"],
            name="fk_sbom_referrer_repository_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("repository_id", "image_digest", name="pk_sbom_referrer"),
    )
    op.create_index(
        "ix_sbom_referrer_inventory_id", "sbom_referrer", ["inventory_id"], unique=False
    )
    op.create_index(
        "ix_sbom_referrer_referrer",
        "sbom_referrer",
        ["repository_id", "referrer_digest"],
        unique=False,
    )
