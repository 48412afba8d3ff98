"""One server, and everybody who may knock at its door."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import httpx2
import pytest

from customhouse.database import Database
from customhouse.iam import accounts
from customhouse.iam.permissions import ANONYMOUS
from customhouse.iam.tokens import Tokens
from tests.support.servers import PASSWORD, USER, customhouse_server
from tests.wire.calls import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A server that logs all it can."""
    with (
        customhouse_server(
            tmp_path_factory.mktemp("security"), env={"CUSTOMHOUSE_LOG__LEVEL": "debug"}
        ) as server,
        httpx2.Client(base_url=server.url, timeout=20, trust_env=False) as http,
    ):
        url = f"sqlite:///{server.data / 'customhouse.sqlite'}"
        yield Registry(server, url, http)


def basic(name: str, password: str) -> str:
    """An Authorization header."""
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


ADMINISTRATOR = basic(USER, PASSWORD)
WRONG_PASSWORD = basic(USER, "wrong")


def token_without_rights(registry: Registry, *names: str) -> str:
    """A token, signed by the server's own key, of someone whom no one has given any rights."""
    database = Database(registry.database_url)
    if database.read(accounts.find, "eve") is None:
        database.write(accounts.create, "eve")
    eve, _ = database.read(accounts.find, "eve") or (ANONYMOUS, "")
    tokens = Tokens.load(database, access_seconds=300, refresh_seconds=300)
    database.close()
    everything = frozenset({"pull", "push", "delete", "*"})
    return tokens.issue(eve, dict.fromkeys(names, everything))
