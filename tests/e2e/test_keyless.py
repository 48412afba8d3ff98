"""Keyless CI: a token of another issuer becomes one of this server, by way of google-auth."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx2
import pytest
from google.auth import identity_pool
from google.auth.exceptions import OAuthError
from google.auth.transport.requests import AuthorizedSession, Request

from tests.iam.issuer import github, running
from tests.support.administration import Administration
from tests.support.images import make_image

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.iam.issuer import Issuer
    from tests.support.servers import CustomhouseServer

PROJECT, IMAGE = "acme-ci", "acme-ci/app"
SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
POOLS = f"/v1/projects/{PROJECT}/locations/global/workloadIdentityPools"


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    """What signs the tokens of CI jobs."""
    with running() as started:
        yield started


@pytest.fixture(scope="module")
def number(server: CustomhouseServer, issuer: Issuer) -> str:
    """The number of a project that takes tokens of one repository's main branch."""
    admin = Administration(server)
    admin.project(PROJECT)
    admin.push(make_image({"hello": b"hello"}), IMAGE)
    admin.call("POST", f"{POOLS}?workloadIdentityPoolId=github-pool", {"displayName": "CI"})
    provider = {
        "attributeMapping": {
            "google.subject": "assertion.sub",
            "attribute.repository": "assertion.repository",
        },
        "attributeCondition": "assertion.ref == 'refs/heads/main'",
        "oidc": {"issuerUri": issuer.url, "allowedAudiences": ["customhouse"]},
    }
    path = f"{POOLS}/github-pool/providers?workloadIdentityPoolProviderId=github"
    name = str(admin.call("POST", path, provider)["response"]["name"])
    number = name.split("/")[1]
    pool = f"principalSet://iam.googleapis.com/projects/{number}/locations/global"
    member = f"{pool}/workloadIdentityPools/github-pool/attribute.repository/acme/app"
    admin.bind(f"projects/{PROJECT}", "roles/viewer", member)
    deployer = admin.service_account(PROJECT, "deployer")
    admin.bind(f"projects/{PROJECT}", "roles/artifactregistry.writer", f"serviceAccount:{deployer}")
    resource = f"projects/{PROJECT}/serviceAccounts/{deployer}"
    admin.bind(resource, "roles/iam.workloadIdentityUser", member)
    return number


def write_credentials(
    folder: Path, server: CustomhouseServer, token: str, *, impersonate: str = ""
) -> Path:
    """The file that google-github-actions/auth writes."""
    (folder / "token").write_text(token)
    rest = f"{PROJECT}/github-pool/providers/github"
    document = {
        "type": "external_account",
        "audience": f"//iam.googleapis.com/locations/global/workloadIdentityPools/{rest}",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{server.url}/v1/token",
        "credential_source": {"file": str(folder / "token")},
    }
    if impersonate:
        path = f"v1/projects/-/serviceAccounts/{impersonate}:generateAccessToken"
        document["service_account_impersonation_url"] = f"{server.url}/{path}"
    file = folder / "credentials.json"
    file.write_text(json.dumps(document))
    return file


def test_a_job_reads(
    server: CustomhouseServer, issuer: Issuer, number: str, tmp_path: Path
) -> None:
    token = issuer.token(github(), "customhouse")
    file = write_credentials(tmp_path, server, token)
    credentials = identity_pool.Credentials.from_file(str(file), scopes=SCOPES)
    with AuthorizedSession(credentials) as session:
        project = session.get(f"{server.url}/v1/projects/{PROJECT}").json()
    assert project["projectNumber"] == number
    pull = {"scope": f"repository:{IMAGE}:pull"}
    auth = ("oauth2accesstoken", credentials.token)
    bearer = httpx2.get(f"{server.url}/token", params=pull, auth=auth).json()["token"]
    headers = {"Authorization": f"Bearer {bearer}"}
    manifest = httpx2.get(f"{server.url}/v2/{IMAGE}/manifests/1", headers=headers)
    assert manifest.status_code == 200
    pushed = httpx2.post(f"{server.url}/v2/{IMAGE}/blobs/uploads/", headers=headers)
    assert pushed.status_code == 403


def test_a_job_acts_as_a_service_account(
    server: CustomhouseServer, issuer: Issuer, number: str, tmp_path: Path
) -> None:
    email = f"deployer@{PROJECT}.iam.customhouse.internal"
    token = issuer.token(github(), "customhouse")
    file = write_credentials(tmp_path, server, token, impersonate=email)
    credentials = identity_pool.Credentials.from_file(str(file), scopes=SCOPES)
    credentials.refresh(Request())
    headers = {"Authorization": f"Bearer {credentials.token}"}
    pushed = httpx2.post(f"{server.url}/v2/{IMAGE}/blobs/uploads/", headers=headers)
    assert pushed.status_code == 202


@pytest.mark.parametrize(
    "claims",
    [
        {"ref": "refs/heads/mine"},
        {"aud": "another"},
        {"exp": 1},
        {"iss": "https://token.actions.githubusercontent.com"},
    ],
)
def test_another_job_is_refused(
    server: CustomhouseServer,
    issuer: Issuer,
    number: str,
    tmp_path: Path,
    claims: dict[str, object],
) -> None:
    file = write_credentials(tmp_path, server, issuer.token(github() | claims, "customhouse"))
    credentials = identity_pool.Credentials.from_file(str(file), scopes=SCOPES)
    with pytest.raises(OAuthError) as caught:
        credentials.refresh(Request())
    assert "invalid_grant" in str(caught.value)


def test_a_job_of_another_repository_may_nothing(
    server: CustomhouseServer, issuer: Issuer, number: str, tmp_path: Path
) -> None:
    token = issuer.token(github(repository="evil/app"), "customhouse")
    credentials = identity_pool.Credentials.from_file(
        str(write_credentials(tmp_path, server, token)), scopes=SCOPES
    )
    with AuthorizedSession(credentials) as session:
        assert session.get(f"{server.url}/v1/projects").json() == {"projects": []}
        assert session.get(f"{server.url}/v1/projects/{PROJECT}").status_code == 403


def test_a_pool_that_is_switched_off(
    server: CustomhouseServer, issuer: Issuer, number: str, tmp_path: Path
) -> None:
    """Tokens that it gave before are void as well."""
    admin = Administration(server)
    token = issuer.token(github(), "customhouse")
    credentials = identity_pool.Credentials.from_file(
        str(write_credentials(tmp_path, server, token)), scopes=SCOPES
    )
    with AuthorizedSession(credentials, refresh_status_codes=()) as session:
        assert session.get(f"{server.url}/v1/projects").status_code == 200
        admin.call("PATCH", f"{POOLS}/github-pool", {"disabled": True})
        assert session.get(f"{server.url}/v1/projects").status_code == 401
        admin.call("PATCH", f"{POOLS}/github-pool", {"disabled": False})
        assert session.get(f"{server.url}/v1/projects").status_code == 200
