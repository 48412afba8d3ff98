"""Which projects subscribe to a topic is looked up each time that findings change.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make the index."""
    op.create_index("ix_subscription_topic", "subscription", ["topic", "project"], unique=False)
