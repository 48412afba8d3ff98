"""Limits of requests, and waiting after wrong passwords, on a running server."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.support.administration import Administration
from tests.support.servers import customhouse_server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers import CustomhouseServer

ONE_PROCESS = ("--workers", "1")  # each process counts for itself
RIGHT = "correct horse"


def statuses(server: CustomhouseServer, path: str, count: int, **options: object) -> list[int]:
    """What a number of requests in a row are answered."""
    with httpx2.Client(base_url=server.url) as http:
        return [http.get(path, **options).status_code for _ in range(count)]  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["/v2/", "/v1/projects", "/healthz", "/auth/login"])
def test_of_an_address(tmp_path: Path, path: str) -> None:
    env = {"CUSTOMHOUSE_LIMITS__PER_ADDRESS": "1", "CUSTOMHOUSE_LIMITS__BURST": "20"}
    with customhouse_server(tmp_path, env=env, arguments=ONE_PROCESS) as server:
        with httpx2.Client(base_url=server.url) as http:
            answers = [http.get(path) for _ in range(40)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert len(refused) >= 10
        assert answers[0].status_code != 429
        assert all(1 <= int(answer.headers["retry-after"]) <= 2 for answer in refused)
        time.sleep(2.5)
        assert httpx2.get(f"{server.url}{path}").status_code == answers[0].status_code


@pytest.mark.parametrize("path", ["/v2/", "/v1/projects"])
def test_of_a_principal(tmp_path: Path, path: str) -> None:
    env = {"CUSTOMHOUSE_LIMITS__PER_PRINCIPAL": "1", "CUSTOMHOUSE_LIMITS__BURST": "20"}
    with customhouse_server(tmp_path, env=env, arguments=ONE_PROCESS) as server:
        Administration(server).user("ana", RIGHT)
        found = statuses(server, path, 40, auth=server.auth)
        assert found[0] == 200
        assert found.count(429) >= 10
        # Others go on.
        assert statuses(server, path, 3, auth=("ana", RIGHT)) == [200] * 3


def test_wrong_passwords_have_to_wait(tmp_path: Path) -> None:
    with customhouse_server(tmp_path) as server:
        admin = Administration(server)
        admin.user("ana", RIGHT)
        admin.user("bob", RIGHT)
        found = statuses(server, "/token", 12, auth=("ana", "wrong"))
        assert found[:5] == [401] * 5
        assert 429 in found[5:]
        # The right one has to wait as well, or it could be told by that.
        answer = httpx2.get(f"{server.url}/token", auth=("ana", RIGHT))
        assert answer.status_code == 429
        wait = int(answer.headers["retry-after"])
        assert 1 <= wait <= 4
        assert "Retry-After" in answer.text
        # Nobody else has to.
        assert statuses(server, "/token", 1, auth=("bob", RIGHT)) == [200]
        assert statuses(server, "/token", 1, auth=server.auth) == [200]
        time.sleep(wait + 0.5)
        assert statuses(server, "/token", 6, auth=("ana", RIGHT)) == [200] * 6
