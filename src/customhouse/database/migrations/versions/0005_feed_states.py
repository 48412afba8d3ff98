"""How the updates of feeds go.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table of states."""
    op.create_table(
        "feed_state",
        sa.Column("name", NAME, nullable=False),
        sa.Column("is_followed", sa.Boolean(), nullable=False),
        sa.Column("operation", NAME, nullable=False),
        sa.Column("tried_at", sa.BigInteger(), nullable=False),
        sa.Column("data_at", sa.BigInteger(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("alarmed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_feed_state"),
    )
