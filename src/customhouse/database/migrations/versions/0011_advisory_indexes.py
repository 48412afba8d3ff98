"""What a feed is loaded faster with.

Ranges of a package lie beside each other whatever the release, and nothing looks for an advisory by
its name in all feeds.

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Make the one index in another order, and drop the other."""
    op.drop_index("ix_advisory_name", "advisory")
    op.drop_index("ix_affected_package", "affected")
    op.create_index("ix_affected_package", "affected", ["name", "ecosystem"], unique=False)
