"""google-auth, unchanged, with the key files and settings that its users have."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from google.auth import jwt as google_jwt
from google.auth.transport.requests import AuthorizedSession, Request
from google.oauth2 import service_account

from tests.support.administration import Administration

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers import CustomhouseServer

SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]


@pytest.fixture(scope="module")
def key_file(server: CustomhouseServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key of a service account that may see its project."""
    admin = Administration(server)
    admin.project("acme-web")
    email = admin.service_account("acme-web", "reader")
    admin.bind("projects/acme-web", "roles/viewer", f"serviceAccount:{email}")
    file = tmp_path_factory.mktemp("keys") / "key.json"
    file.write_text(json.dumps(admin.key(email)))
    return file


def projects(server: CustomhouseServer, credentials: Any) -> list[str]:
    """The ids of the projects that credentials show."""
    with AuthorizedSession(credentials) as session:
        answer = session.get(f"{server.url}/v1/projects")
        answer.raise_for_status()
        return [project["projectId"] for project in answer.json()["projects"]]


def test_the_token_endpoint(server: CustomhouseServer, key_file: Path) -> None:
    credentials = service_account.Credentials.from_service_account_file(
        str(key_file), scopes=SCOPES
    )
    assert projects(server, credentials) == ["acme-web"]
    assert credentials.token


@pytest.mark.parametrize("service", ["containeranalysis", "artifactregistry", "cloudbuild"])
def test_what_clients_sign_themselves(
    server: CustomhouseServer, key_file: Path, service: str
) -> None:
    audience = f"https://{service}.googleapis.com/"
    credentials = google_jwt.Credentials.from_service_account_file(str(key_file), audience=audience)
    assert projects(server, credentials) == ["acme-web"]


def test_what_is_signed_for_another_server(server: CustomhouseServer, key_file: Path) -> None:
    credentials = google_jwt.Credentials.from_service_account_file(
        str(key_file), audience="https://registry.example.com/"
    )
    with AuthorizedSession(credentials, refresh_status_codes=()) as session:
        answer = session.get(f"{server.url}/v1/projects")
    assert answer.status_code == 401
    assert "audience" in answer.json()["error"]["message"]


def test_scope_in_place_of_an_audience(server: CustomhouseServer, key_file: Path) -> None:
    """As the client of Grafeas sends it."""
    credentials = service_account.Credentials.from_service_account_file(
        str(key_file), scopes=SCOPES, always_use_jwt_access=True
    )
    credentials._create_self_signed_jwt(None)
    assert projects(server, credentials) == ["acme-web"]


def test_id_tokens(server: CustomhouseServer, key_file: Path) -> None:
    credentials = service_account.IDTokenCredentials.from_service_account_file(
        str(key_file), target_audience="https://app.example.com"
    )
    credentials.refresh(Request())
    claims = google_jwt.decode(credentials.token, verify=False)
    assert claims["aud"] == "https://app.example.com"
    assert claims["email"] == json.loads(key_file.read_text())["client_email"]
    # It says who somebody is, to others; it opens nothing here.
    header = {"Authorization": f"Bearer {credentials.token}"}
    answer = AuthorizedSession(credentials).get(f"{server.url}/v1/projects", headers=header)
    assert answer.status_code == 401
