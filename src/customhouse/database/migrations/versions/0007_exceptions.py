"""Exceptions of vulnerabilities, by people and by VEX documents.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "exception",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("project", NAME, nullable=False),
        sa.Column("repository", NAME, nullable=False),
        sa.Column("digest", NAME, nullable=False),
        sa.Column("packages", sa.Text(), nullable=False),
        sa.Column("assessment", sa.Text(), nullable=False),
        sa.Column("justification", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("owner", NAME, nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("source", NAME, nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("stated_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_by", NAME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_exception"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_exception_project", "exception", ["project", "id"], unique=False)
    op.create_index("ix_exception_source", "exception", ["project", "source"], unique=False)
    op.create_table(
        "exception_name",
        sa.Column("project", NAME, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("exception_id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["exception_id"],
            ["exception.id"],
            name="fk_exception_name_exception_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project", "name", "exception_id", name="pk_exception_name"),
    )
    op.create_index("ix_exception_name_exception", "exception_name", ["exception_id"], unique=False)
