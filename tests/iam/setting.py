"""A project that trusts an issuer on loopback."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from customhouse.database import METADATA, LoopDatabase
from customhouse.iam import exchange, federation, projects
from customhouse.iam.issuers import IssuerKeys
from customhouse.iam.pools import Pool, Provider
from tests.iam.issuer import github, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from customhouse.database import Database
    from customhouse.iam.permissions import Principal
    from tests.iam.issuer import Issuer

JWT = "urn:ietf:params:oauth:token-type:jwt"
MAPPING = {
    "google.subject": "assertion.sub",
    "attribute.repository": "assertion.repository",
    "attribute.ref": "assertion.ref",
}


class Setting:
    """A project with a pool and a provider for an issuer."""

    def __init__(self, database: Database, issuer: Issuer, project: str = "acme") -> None:
        METADATA.create_all(database.writers)
        database.write(projects.create, project, "user:ana")
        self.database = database
        self.loop_database = LoopDatabase(database)
        self.issuer = issuer
        self.project = project
        self.number = database.read(projects.get, project).number
        self.keys = IssuerKeys(seconds=1)
        database.write(federation.create_pool, Pool(project, "ci-pool"))
        database.write(
            federation.create_provider,
            Provider(
                project,
                "ci-pool",
                "github",
                issuer=issuer.url,
                attribute_mapping=MAPPING,
                attribute_condition="assertion.repository_owner == 'acme'",
            ),
        )
        self.root = (
            f"//iam.googleapis.com/projects/{self.number}/locations/global"
            "/workloadIdentityPools/ci-pool"
        )
        self.audience = f"{self.root}/providers/github"

    def change(self, **changes: Any) -> None:
        self.database.write(federation.patch_provider, self.project, "ci-pool", "github", changes)

    def exchange(self, token: str, audience: str = "", token_type: str = JWT) -> Principal:
        return asyncio.run(
            exchange.exchange(
                self.loop_database,
                self.keys,
                audience=audience or self.audience,
                subject_token=token,
                subject_token_type=token_type,
                now=time.time(),
            )
        )

    def token(self, **claims: Any) -> str:
        return self.issuer.token(github(**claims), f"https:{self.audience}")


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with running() as made:
        yield made


@pytest.fixture
def setting(database: Database, issuer: Issuer) -> Iterator[Setting]:
    made = Setting(database, issuer)
    yield made
    made.loop_database.close()
