"""Ranges of a package lie beside each other whatever the release: a feed is loaded faster so.

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Make the index in another order."""
    op.drop_index("ix_affected_package", "affected")
    op.create_index("ix_affected_package", "affected", ["name", "ecosystem"], unique=False)
