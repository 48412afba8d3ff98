"""A database with the schema, of each engine in turn, and who pushes to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import customhouse.application  # noqa: F401  # knows every table
from customhouse.database import METADATA
from customhouse.database.migrations import migrate
from customhouse.iam import accounts, policies
from customhouse.iam.access import Access
from customhouse.iam.permissions import ROOT, Principal
from customhouse.iam.provisioning import Provisioner
from customhouse.iam.roles import ADMINISTRATOR
from customhouse.oci import digest_of, parse_manifest
from customhouse.registry import blobs, manifests, repositories
from customhouse.registry.manifests import ImageFacts
from tests.contract.engines import database

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from customhouse.database import Database, Transaction

__all__ = ["ANA", "PROVISIONER", "database", "hold", "make_repository", "push", "schema"]

ANA = Principal("user:ana")
PROVISIONER = Provisioner(Access(), "iam.test", on_push=True)


@pytest.fixture(autouse=True)
def schema(database: Database, tmp_path: Path) -> None:
    """Every table."""
    migrate(database, tmp_path / "backups", METADATA)
    database.write(accounts.create, "ana")
    database.write(policies.grant, ROOT, ADMINISTRATOR, ANA.name)


def make_repository(tx: Transaction, name: str = "p/a") -> int:
    """A repository, and its project."""
    return repositories.ensure(tx, name, ANA, PROVISIONER)


def hold(tx: Transaction, repository: int, contents: Iterable[bytes]) -> None:
    """Let a repository hold blobs."""
    for content in contents:
        blobs.link(tx, repository, digest_of(content), len(content))


def push(tx: Transaction, repository: int, content: bytes, content_type: str = "") -> int:
    """Store a manifest without checking its parts; returns its number."""
    manifest = parse_manifest(content, content_type)
    number, _ = manifests.put(tx, repository, manifest, content, ImageFacts(), ANA.name)
    return number
