"""Who may do what: policies, roles, groups, and projects with numbers, names and states.

Administrators keep everything through a binding on the server; whoever created a project owns it.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import json
import secrets
import time

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SERVICES = (
    "artifactregistry.googleapis.com",
    "containeranalysis.googleapis.com",
    "containerregistry.googleapis.com",
    "containerscanning.googleapis.com",
    "iam.googleapis.com",
)
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables, then bring over who was administrator and who created what."""
    create_tables()
    change_projects()
    change_accounts()


def create_tables() -> None:
    """Make every table that is new."""
    op.create_table(
        "custom_role",
        sa.Column("project", NAME, nullable=False),
        sa.Column("id", NAME, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("permissions", sa.Text(), nullable=False),
        sa.Column("is_deleted", sa.Boolean(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project", "id", name="pk_custom_role"),
    )
    op.create_table(
        "group_member",
        sa.Column("group", NAME, nullable=False),
        sa.Column("member", NAME, nullable=False),
        sa.PrimaryKeyConstraint("group", "member", name="pk_group_member"),
    )
    op.create_index("ix_group_member_member", "group_member", ["member"], unique=False)
    op.create_table(
        "iam_state",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_iam_state"),
    )
    op.create_table(
        "identity_group",
        sa.Column("name", NAME, nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_identity_group"),
    )
    op.create_table(
        "policy",
        sa.Column("project", NAME, nullable=False),
        sa.Column("resource", NAME, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("bindings", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("project", "resource", name="pk_policy"),
    )
    op.create_table(
        "project_service",
        sa.Column("project", NAME, nullable=False),
        sa.Column("service", NAME, nullable=False),
        sa.Column("enabled_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project", "service", name="pk_project_service"),
    )
    op.create_table(
        "service_account",
        sa.Column("email", NAME, nullable=False),
        sa.Column("project", NAME, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("is_disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("email", name="pk_service_account"),
        sa.UniqueConstraint("number", name="uq_service_account_number"),
    )
    op.create_index(
        "ix_service_account_deleted_at", "service_account", ["deleted_at"], unique=False
    )
    op.create_index("ix_service_account_project", "service_account", ["project"], unique=False)
    op.create_table(
        "service_account_key",
        sa.Column("id", NAME, nullable=False),
        sa.Column("account", NAME, nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("bits", sa.Integer(), nullable=False),
        sa.Column("origin", NAME, nullable=False),
        sa.Column("is_disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account"],
            ["service_account.email"],
            name="fk_service_account_key_account",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_service_account_key"),
    )
    op.create_index(
        "ix_service_account_key_account", "service_account_key", ["account"], unique=False
    )
    op.create_table(
        "browser_session",
        sa.Column("id", NAME, nullable=False),
        sa.Column("account", NAME, nullable=False),
        sa.Column("credential", NAME, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account"], ["account.name"], name="fk_browser_session_account", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_browser_session"),
    )
    op.create_index("ix_browser_session_account", "browser_session", ["account"], unique=False)
    op.create_index(
        "ix_browser_session_expires_at", "browser_session", ["expires_at"], unique=False
    )
    op.create_table(
        "device_grant",
        sa.Column("device_code", NAME, nullable=False),
        sa.Column("user_code", NAME, nullable=False),
        sa.Column("client", NAME, nullable=False),
        sa.Column("address", NAME, nullable=False),
        sa.Column("network", NAME, nullable=False),
        sa.Column("state", NAME, nullable=False),
        sa.Column("account", NAME, nullable=True),
        sa.Column("credential", NAME, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("polled_at", sa.BigInteger(), nullable=False),
        sa.Column("interval", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account"], ["account.name"], name="fk_device_grant_account", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("device_code", name="pk_device_grant"),
        sa.UniqueConstraint("user_code", name="uq_device_grant_user_code"),
    )
    op.create_index("ix_device_grant_account", "device_grant", ["account"], unique=False)
    op.create_index("ix_device_grant_expires_at", "device_grant", ["expires_at"], unique=False)
    op.create_index("ix_device_grant_network", "device_grant", ["network"], unique=False)
    op.create_table(
        "external_identity",
        sa.Column("issuer", NAME, nullable=False),
        sa.Column("subject", NAME, nullable=False),
        sa.Column("account", NAME, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account"], ["account.name"], name="fk_external_identity_account", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("issuer", "subject", name="pk_external_identity"),
        sa.UniqueConstraint("account", name="uq_external_identity_account"),
    )
    op.create_table(
        "audit_entry",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("project", NAME, nullable=False),
        sa.Column("principal", NAME, nullable=False),
        sa.Column("method", NAME, nullable=False),
        sa.Column("permission", NAME, nullable=False),
        sa.Column("resource", NAME, nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_entry"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_entry_at", "audit_entry", ["at"], unique=False)
    op.create_index("ix_audit_entry_principal", "audit_entry", ["principal", "at"], unique=False)
    op.create_index("ix_audit_entry_project", "audit_entry", ["project", "at"], unique=False)
    op.create_table(
        "identity_pool",
        sa.Column("project", NAME, nullable=False),
        sa.Column("id", NAME, nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("is_disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("project", "id", name="pk_identity_pool"),
    )
    op.create_index("ix_identity_pool_deleted_at", "identity_pool", ["deleted_at"], unique=False)
    op.create_table(
        "identity_provider",
        sa.Column("project", NAME, nullable=False),
        sa.Column("pool", NAME, nullable=False),
        sa.Column("id", NAME, nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("audiences", sa.Text(), nullable=False),
        sa.Column("attribute_mapping", sa.Text(), nullable=False),
        sa.Column("attribute_condition", sa.Text(), nullable=False),
        sa.Column("jwks", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("is_disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("project", "pool", "id", name="pk_identity_provider"),
    )
    op.create_index(
        "ix_identity_provider_deleted_at", "identity_provider", ["deleted_at"], unique=False
    )
    op.create_table(
        "sign_in_failure",
        sa.Column("key", NAME, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_sign_in_failure"),
    )
    op.create_index("ix_sign_in_failure_at", "sign_in_failure", ["at"], unique=False)


def change_projects() -> None:
    """Give each project a number, a name, a state and an owner."""
    added = (
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("labels", sa.Text(), nullable=True),
        sa.Column("state", NAME, nullable=True),
        sa.Column("policy_version", sa.BigInteger(), nullable=True),
    )
    for column in (*added, sa.Column("deleted_at", sa.BigInteger(), nullable=True)):
        op.add_column("project", column)
    project = sa.Table(
        "project",
        sa.MetaData(),
        sa.Column("id", NAME, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", NAME, nullable=False),
        *(sa.Column(column.name, column.type, nullable=True) for column in added),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_project"),
    )
    project_service = sa.table(
        "project_service", sa.column("project"), sa.column("service"), sa.column("enabled_at")
    )
    tx = op.get_bind()
    used: set[int] = set()
    for row in tx.execute(sa.select(project.c.id, project.c.created_by)).all():
        number = 10**11 + secrets.randbelow(9 * 10**11)
        while number in used:
            number += 1
        used.add(number)
        values = {
            "number": number,
            "name": row.id,
            "labels": "{}",
            "state": "ACTIVE",
            "policy_version": 1,
        }
        tx.execute(project.update().where(project.c.id == row.id).values(values))
        set_policy(row.id, "roles/owner", [row.created_by])
        for service in SERVICES:
            values = {"project": row.id, "service": service, "enabled_at": time.time_ns() // 1000}
            tx.execute(project_service.insert(), values)
    with op.batch_alter_table("project", copy_from=project) as batch:
        for column in added:
            batch.alter_column(column.name, existing_type=column.type, nullable=False)
        batch.create_unique_constraint("uq_project_number", ["number"])


def change_accounts() -> None:
    """Let administrators be those whom a binding on the server makes so."""
    account = sa.Table(
        "account",
        sa.MetaData(),
        sa.Column("name", NAME, nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("is_administrator", sa.Boolean(), nullable=False),
        sa.Column("is_disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_account"),
    )
    administrators = (
        op.get_bind()
        .scalars(
            sa.select(account.c.name).where(account.c.is_administrator).order_by(account.c.name)
        )
        .all()
    )
    if administrators:
        set_policy("", "roles/customhouse.admin", [f"user:{name}" for name in administrators])
    with op.batch_alter_table("account", copy_from=account) as batch:
        batch.drop_column("is_administrator")


def set_policy(project: str, role: str, members: list[str]) -> None:
    """Write a policy of one binding."""
    policy = sa.table(
        "policy",
        sa.column("project"),
        sa.column("resource"),
        sa.column("version"),
        sa.column("bindings"),
    )
    values = {
        "project": project,
        "resource": "",
        "version": time.time_ns() // 1000,
        "bindings": json.dumps([[role, members]]),
    }
    op.get_bind().execute(policy.insert(), values)
