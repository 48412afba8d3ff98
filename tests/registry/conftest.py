"""A database with the schema, of each engine in turn, and who pushes to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from customhouse.iam import accounts, policies
from customhouse.iam.access import Access
from customhouse.iam.permissions import ROOT, Principal
from customhouse.iam.provisioning import Provisioner
from customhouse.iam.roles import ADMINISTRATOR
from customhouse.oci import digest_of, parse_manifest
from customhouse.registry import blobs, manifests, repositories
from customhouse.registry.manifests import ImageFacts
from tests.contract.engines import ENGINES
from tests.support.databases import with_all_tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from customhouse.database import Database, Transaction

__all__ = ["ANA", "PROVISIONER", "database", "hold", "make_repository", "push"]

ANA = Principal("user:ana")
PROVISIONER = Provisioner(Access(), "iam.test", on_push=True)


@pytest.fixture(params=ENGINES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database of each engine in turn, with an administrator."""
    made = with_all_tables(request, request.param, tmp_path)
    made.write(accounts.create, "ana")
    made.write(policies.grant, ROOT, ADMINISTRATOR, ANA.name)
    yield made
    made.close()


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
