"""The log of who did what: what is noted, and the commands that show it."""

from __future__ import annotations

import csv
import io
import json
import time
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from tests.cli.program import CommandLine, signed_in
from tests.support.administration import Administration
from tests.support.images import make_image
from tests.support.servers import customhouse_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.servers import CustomhouseServer

IMAGE = make_image({"hello": b"hello"})
FLUSH_SECONDS = 1.0
"""More than twice as long as entries are gathered before they are written."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CustomhouseServer]:
    """A server on which something has happened in each of two projects."""
    with customhouse_server(tmp_path_factory.mktemp("server")) as running:
        admin = Administration(running)
        for project in ("acme", "other"):
            admin.project(project)
            admin.push(IMAGE, f"{project}/app")
        admin.user("ana", "correct horse")
        admin.bind("projects/acme", "roles/viewer", "user:ana")
        delete(running, ("admin", running.auth[1]), "acme/app", 202)
        delete(running, ("ana", "correct horse"), "other/app", 403)
        assert httpx2.get(f"{running.url}/token", auth=("ana", "wrong")).status_code == 401
        time.sleep(FLUSH_SECONDS)
        yield running


def delete(server: CustomhouseServer, auth: tuple[str, str], name: str, status: int) -> None:
    """Try to delete a tag."""
    answer = httpx2.delete(f"{server.url}/v2/{name}/manifests/1", auth=auth)
    assert answer.status_code == status


@pytest.fixture
def cli(server: CustomhouseServer, tmp_path: Path) -> CommandLine:
    """The command line, signed in as the administrator."""
    return signed_in(server, tmp_path)


def entries(cli: CommandLine, *arguments: str) -> list[dict[str, Any]]:
    """What the log says, the newest first."""
    out = cli("audit", "list", "--limit", "0", "--format", "json", *arguments).out
    return [json.loads(line) for line in out.splitlines()]


def told(found: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Who, what and on which, of each."""
    return [
        (
            entry["protoPayload"]["authenticationInfo"].get("principalSubject", ""),
            entry["protoPayload"]["methodName"],
            entry["protoPayload"]["resourceName"],
        )
        for entry in found
    ]


def test_what_is_noted(cli: CommandLine) -> None:
    found = told(entries(cli, "--project", "acme"))
    app = "projects/acme/repositories/app"
    assert found == [
        ("user:admin", "Docker-DeleteManifest", f"{app}:1"),
        ("user:admin", "SetIamPolicy", "projects/acme"),
        ("user:admin", "Docker-PutManifest", f"{app}:1"),
    ]
    (change,) = entries(cli, "--project", "acme", "--method", "SetIamPolicy")
    deltas = change["protoPayload"]["metadata"]["bindingDeltas"]
    assert deltas == [
        {"action": "ADD", "role": "roles/viewer", "member": "user:ana", "condition": ""}
    ]


def test_what_was_refused(cli: CommandLine) -> None:
    found = told(entries(cli, "--denied"))
    place = "projects/other/repositories/app:1"
    assert ("user:ana", "Docker-DeleteManifest", place) in found
    assert ("", "SignIn", "organizations/customhouse") in found
    assert "Docker-PutManifest" not in {method for _, method, _ in found}
    hers = told(entries(cli, "--denied", "--principal", "user:ana"))
    assert ("user:ana", "Docker-DeleteManifest", place) in hers
    assert {principal for principal, _, _ in hers} == {"user:ana"}


def test_table_and_csv(cli: CommandLine) -> None:
    table = cli("audit", "list", "--project", "acme", "--limit", "2").out
    assert "Docker-DeleteManifest" in table
    assert "PutManifest" not in table
    text = cli("audit", "list", "--project", "acme", "--format", "csv").out
    rows = list(csv.DictReader(io.StringIO(text)))
    assert rows[0]["method"] == "Docker-DeleteManifest"
    assert rows[0]["permission"] == "artifactregistry.repositories.deleteArtifacts"
    assert {row["granted"] for row in rows} == {"true"}


def test_time(cli: CommandLine) -> None:
    assert entries(cli, "--since", "2999-01-01") == []
    everything = entries(cli)
    assert entries(cli, "--until", "2999-01-01") == everything
    oldest = everything[-1]["timestamp"]
    assert entries(cli, "--since", oldest) == everything
    assert "RFC 3339" in cli("audit", "list", "--since", "yesterday", status=1).err


def test_it_is_not_for_everybody(server: CustomhouseServer) -> None:
    for path in ("/v1/auditLogs", "/v1/projects/other/auditLogs"):
        answer = httpx2.get(f"{server.url}{path}", auth=("ana", "correct horse"))
        assert answer.status_code == 403


def test_no_secret_is_in_it(server: CustomhouseServer, cli: CommandLine) -> None:
    admin = Administration(server)
    email = admin.service_account("other", "worker")
    key = admin.key(email)
    admin.user("bob")
    admin.call("POST", "/v1/users/bob:setPassword", {"password": "another one entirely"})
    time.sleep(FLUSH_SECONDS)
    text = json.dumps(entries(cli))
    for secret in ("another one entirely", "correct horse", key["private_key"][100:140]):
        assert secret not in text
    assert "CreateKey" in text
