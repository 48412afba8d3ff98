"""What each advisory's CVSS score says, for vulnerabilities that a distribution does not rate.

It is filled as feeds are loaded, which they are anew (`advisories.ENCODING`).

Revision ID: 0012
Revises: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the columns."""
    # SQLite writes a column that is added into the last line of the table's text.
    with op.batch_alter_table(
        "advisory", recreate="always" if op.get_bind().dialect.name == "sqlite" else "never"
    ) as batch:
        batch.add_column(sa.Column("score", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("score_source", sa.Text(), nullable=True))
