"""What an inventory tells of its system, for what is said of releases and their end of life.

Images are merged anew from the readings of their layers, which stay.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the columns, and have all images merged again."""
    # SQLite writes a column that is added into the last line of the table's text.
    with op.batch_alter_table(
        "inventory", recreate="always" if op.get_bind().dialect.name == "sqlite" else "never"
    ) as batch:
        batch.add_column(sa.Column("system_id", NAME, nullable=True))
        batch.add_column(sa.Column("system_version", sa.Text(), nullable=True))
        batch.add_column(sa.Column("system_also", sa.Text(), nullable=True))
        batch.add_column(sa.Column("caveat", sa.Text(), nullable=True))
        batch.add_column(sa.Column("has_database", sa.Boolean(), nullable=True))
    op.execute("UPDATE image_analysis SET reader = 0")
