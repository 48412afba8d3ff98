"""The first schema.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "account",
        sa.Column("name", NAME, nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("is_administrator", sa.Boolean(), nullable=False),
        sa.Column("is_disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_account"),
    )
    op.create_table(
        "advisory",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("feed", NAME, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_advisory"),
        sa.UniqueConstraint("name", name="uq_advisory_name"),
    )
    op.create_index("ix_advisory_feed", "advisory", ["feed"], unique=False)
    op.create_table(
        "blob",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", NAME, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_blob"),
        sa.UniqueConstraint("digest", name="uq_blob_digest"),
    )
    op.create_table(
        "event",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_event"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "feed",
        sa.Column("name", NAME, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("rejected", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_feed"),
    )
    op.create_table(
        "inventory",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", NAME, nullable=False),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("ecosystem", NAME, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_inventory"),
        sa.UniqueConstraint("digest", name="uq_inventory_digest"),
    )
    op.create_table(
        "layer_reading",
        sa.Column("digest", NAME, nullable=False),
        sa.Column("reader", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("read_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_layer_reading"),
    )
    op.create_table(
        "manifest",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", NAME, nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("artifact_type", sa.Text(), nullable=False),
        sa.Column("subject", NAME, nullable=True),
        sa.Column("annotations", sa.Text(), nullable=False),
        sa.Column("image_size", sa.BigInteger(), nullable=False),
        sa.Column("image_created", sa.BigInteger(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_manifest"),
        sa.UniqueConstraint("digest", name="uq_manifest_digest"),
    )
    op.create_index("ix_manifest_subject", "manifest", ["subject"], unique=False)
    op.create_table(
        "operation",
        sa.Column("id", NAME, nullable=False),
        sa.Column("kind", NAME, nullable=False),
        sa.Column("created_by", NAME, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("response", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_operation"),
    )
    op.create_table(
        "package",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("ecosystem", NAME, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("version", NAME, nullable=False),
        sa.Column("arch", NAME, nullable=False),
        sa.Column("source", NAME, nullable=False),
        sa.Column("source_version", NAME, nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_package"),
        sa.UniqueConstraint(
            "ecosystem",
            "name",
            "version",
            "arch",
            "source",
            "source_version",
            name="uq_package_ecosystem_name_version_arch_source_source_version",
        ),
    )
    op.create_index("ix_package_source", "package", ["ecosystem", "source"], unique=False)
    op.create_table(
        "project",
        sa.Column("id", NAME, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", NAME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_project"),
    )
    op.create_table(
        "signing_key",
        sa.Column("id", NAME, nullable=False),
        sa.Column("private_key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_signing_key"),
    )
    op.create_table(
        "affected",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("advisory_id", sa.Integer(), nullable=False),
        sa.Column("ecosystem", NAME, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("introduced", sa.LargeBinary(), nullable=False),
        sa.Column("fixed", sa.LargeBinary(), nullable=False),
        sa.Column("introduced_version", sa.Text(), nullable=False),
        sa.Column("fixed_version", sa.Text(), nullable=True),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("severity_source", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["advisory_id"], ["advisory.id"], name="fk_affected_advisory_id"),
        sa.PrimaryKeyConstraint("id", name="pk_affected"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_affected_advisory_id", "affected", ["advisory_id"], unique=False)
    op.create_index("ix_affected_package", "affected", ["ecosystem", "name"], unique=False)
    op.create_table(
        "finding",
        sa.Column("package_id", sa.Integer(), nullable=False),
        sa.Column("advisory_id", sa.Integer(), nullable=False),
        sa.Column("affected_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["advisory_id"], ["advisory.id"], name="fk_finding_advisory_id"),
        sa.ForeignKeyConstraint(["package_id"], ["package.id"], name="fk_finding_package_id"),
        sa.PrimaryKeyConstraint("package_id", "advisory_id", name="pk_finding"),
    )
    op.create_index("ix_finding_advisory", "finding", ["advisory_id"], unique=False)
    op.create_table(
        "image_analysis",
        sa.Column("digest", NAME, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("reader", sa.Integer(), nullable=False),
        sa.Column("inventory_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["inventory_id"], ["inventory.id"], name="fk_image_analysis_inventory_id"
        ),
        sa.PrimaryKeyConstraint("digest", name="pk_image_analysis"),
    )
    op.create_index(
        "ix_image_analysis_inventory_id", "image_analysis", ["inventory_id"], unique=False
    )
    op.create_table(
        "inventory_package",
        sa.Column("inventory_id", sa.Integer(), nullable=False),
        sa.Column("package_id", sa.Integer(), nullable=False),
        sa.Column("layer", NAME, nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["inventory_id"], ["inventory.id"], name="fk_inventory_package_inventory_id"
        ),
        sa.ForeignKeyConstraint(
            ["package_id"], ["package.id"], name="fk_inventory_package_package_id"
        ),
        sa.PrimaryKeyConstraint("inventory_id", "package_id", name="pk_inventory_package"),
    )
    op.create_index(
        "ix_inventory_package_package", "inventory_package", ["package_id"], unique=False
    )
    op.create_table(
        "manifest_part",
        sa.Column("manifest_id", sa.Integer(), nullable=False),
        sa.Column("digest", NAME, nullable=False),
        sa.ForeignKeyConstraint(
            ["manifest_id"], ["manifest.id"], name="fk_manifest_part_manifest_id"
        ),
        sa.PrimaryKeyConstraint("manifest_id", "digest", name="pk_manifest_part"),
    )
    op.create_index("ix_manifest_part_digest", "manifest_part", ["digest"], unique=False)
    op.create_table(
        "repository",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("project", NAME, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["project.id"], name="fk_repository_project"),
        sa.PrimaryKeyConstraint("id", name="pk_repository"),
        sa.UniqueConstraint("name", name="uq_repository_name"),
    )
    op.create_index("ix_repository_project", "repository", ["project", "name"], unique=False)
    op.create_table(
        "repository_blob",
        sa.Column("repository_id", sa.Integer(), nullable=False),
        sa.Column("blob_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["blob_id"], ["blob.id"], name="fk_repository_blob_blob_id"),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name="fk_repository_blob_repository_id"
        ),
        sa.PrimaryKeyConstraint("repository_id", "blob_id", name="pk_repository_blob"),
    )
    op.create_index("ix_repository_blob_blob", "repository_blob", ["blob_id"], unique=False)
    op.create_table(
        "repository_manifest",
        sa.Column("repository_id", sa.Integer(), nullable=False),
        sa.Column("manifest_id", sa.Integer(), nullable=False),
        sa.Column("pushed_at", sa.BigInteger(), nullable=False),
        sa.Column("pushed_by", NAME, nullable=False),
        sa.ForeignKeyConstraint(
            ["manifest_id"], ["manifest.id"], name="fk_repository_manifest_manifest_id"
        ),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name="fk_repository_manifest_repository_id"
        ),
        sa.PrimaryKeyConstraint("repository_id", "manifest_id", name="pk_repository_manifest"),
    )
    op.create_index(
        "ix_repository_manifest_manifest", "repository_manifest", ["manifest_id"], unique=False
    )
    op.create_table(
        "tag_history",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("repository_id", sa.Integer(), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("digest", NAME, nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", NAME, nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name="fk_tag_history_repository_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_tag_history"),
    )
    op.create_index(
        "ix_tag_history_name", "tag_history", ["repository_id", "name", "id"], unique=False
    )
    op.create_table(
        "tag",
        sa.Column("repository_id", sa.Integer(), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("manifest_id", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id", "manifest_id"],
            ["repository_manifest.repository_id", "repository_manifest.manifest_id"],
            name="fk_tag_repository_id_manifest_id",
        ),
        sa.PrimaryKeyConstraint("repository_id", "name", name="pk_tag"),
    )
    op.create_index("ix_tag_manifest", "tag", ["repository_id", "manifest_id"], unique=False)
