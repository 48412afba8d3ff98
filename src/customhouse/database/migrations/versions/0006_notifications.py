"""Subscriptions, messages and their deliveries.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables of notifications."""
    op.create_table(
        "subscription",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project", NAME, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("topic", NAME, nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("format", NAME, nullable=False),
        sa.Column("filter", sa.Text(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("min_backoff", sa.BigInteger(), nullable=False),
        sa.Column("max_backoff", sa.BigInteger(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("state", NAME, nullable=False),
        sa.Column("state_reason", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("old_secret", sa.Text(), nullable=True),
        sa.Column("old_secret_until", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_subscription"),
        sa.UniqueConstraint("project", "name", name="uq_subscription_project_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "message",
        sa.Column("id", NUMBER, nullable=False, autoincrement=True),
        sa.Column("identifier", NAME, nullable=False),
        sa.Column("project", NAME, nullable=False),
        sa.Column("topic", NAME, nullable=False),
        sa.Column("type", NAME, nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_message"),
        sa.UniqueConstraint("identifier", name="uq_message_identifier"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_message_published_at", "message", ["published_at"], unique=False)
    op.create_table(
        "delivery",
        sa.Column("id", NUMBER, nullable=False, autoincrement=True),
        sa.Column("subscription_id", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("state", NAME, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claim", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=True),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name="fk_delivery_subscription_id"
        ),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name="fk_delivery_message_id"),
        sa.PrimaryKeyConstraint("id", name="pk_delivery"),
        sa.UniqueConstraint(
            "message_id", "subscription_id", name="uq_delivery_message_id_subscription_id"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_delivery_next_at", "delivery", ["next_at"], unique=False)
    op.create_index("ix_delivery_due", "delivery", ["subscription_id", "next_at"], unique=False)
    op.create_index("ix_delivery_page", "delivery", ["subscription_id", "id"], unique=False)
    op.create_index(
        "ix_delivery_state", "delivery", ["subscription_id", "state", "id"], unique=False
    )
