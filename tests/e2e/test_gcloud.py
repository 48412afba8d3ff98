"""The real gcloud, pointed at this server by its endpoint overrides."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.iam.issuer import github, running
from tests.support.administration import Administration
from tests.support.processes import run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers import CustomhouseServer

pytestmark = [
    pytest.mark.client("gcloud"),
    # No Debian package brings it.
    pytest.mark.skipif(shutil.which("gcloud") is None, reason="the program gcloud is missing"),
]

APIS = (
    "ARTIFACTREGISTRY",
    "CLOUDRESOURCEMANAGER",
    "CONTAINERANALYSIS",
    "IAM",
    "IAMCREDENTIALS",
    "SERVICEUSAGE",
    "STS",
)


@dataclass(frozen=True, slots=True)
class Gcloud:
    """gcloud with a configuration of its own."""

    url: str
    config: Path

    def __call__(self, *arguments: str | Path, fails: bool = False) -> str:
        env = {f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api}": f"{self.url}/" for api in APIS}
        env |= {
            "CLOUDSDK_CONFIG": str(self.config),
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
            "CLOUDSDK_AUTH_TOKEN_INTROSPECTION_ENDPOINT": f"{self.url}/v1/introspect",
            "CLOUDSDK_CORE_PROJECT": "acme-web",
        }
        return run("gcloud", *arguments, env=env, fails=fails)

    def json(self, *arguments: str | Path) -> Any:
        """Run gcloud and read what it prints among its warnings about the endpoints."""
        said = self(*arguments, "--format", "json")
        begin = min(place for place in (said.find("["), said.find("{")) if place >= 0)
        return json.JSONDecoder().raw_decode(said[begin:])[0]


@pytest.fixture(scope="module")
def gcloud(server: CustomhouseServer, tmp_path_factory: pytest.TempPathFactory) -> Gcloud:
    """gcloud, signed in as a service account that owns the project `acme-web`."""
    folder = tmp_path_factory.mktemp("gcloud")
    admin = Administration(server)
    admin.project("acme-web")
    email = admin.service_account("acme-web", "operator")
    admin.bind("projects/acme-web", "roles/owner", f"serviceAccount:{email}")
    key = folder / "key.json"
    key.write_text(json.dumps(admin.key(email)))
    tool = Gcloud(server.url, folder / "config")
    said = tool("auth", "activate-service-account", "--key-file", key)
    assert f"Activated service account credentials for: [{email}]" in said
    return tool


def test_print_access_token(gcloud: Gcloud) -> None:
    token = [line for line in gcloud("auth", "print-access-token").splitlines() if "." in line]
    assert len(token[0].split(".")) == 3


def test_projects(gcloud: Gcloud) -> None:
    (project,) = gcloud.json("projects", "list")
    assert project["projectId"] == "acme-web"
    assert project["lifecycleState"] == "ACTIVE"
    assert gcloud.json("projects", "describe", "acme-web") == project


def test_policies(gcloud: Gcloud) -> None:
    binding = ("acme-web", "--member", "user:ana", "--role", "roles/browser")
    gcloud("projects", "add-iam-policy-binding", *binding)
    policy = gcloud.json("projects", "get-iam-policy", "acme-web")
    assert {"role": "roles/browser", "members": ["user:ana"]} in policy["bindings"]
    gcloud("projects", "remove-iam-policy-binding", *binding)
    policy = gcloud.json("projects", "get-iam-policy", "acme-web")
    assert "roles/browser" not in {entry["role"] for entry in policy["bindings"]}


def test_service_accounts_and_keys(gcloud: Gcloud, tmp_path: Path) -> None:
    gcloud("iam", "service-accounts", "create", "deployer", "--display-name", "Deploys")
    accounts = gcloud.json("iam", "service-accounts", "list")
    (email,) = [entry["email"] for entry in accounts if entry["email"].startswith("deployer@")]
    of = ("--iam-account", email)
    file = tmp_path / "key.json"
    gcloud("iam", "service-accounts", "keys", "create", file, *of)
    key = json.loads(file.read_text())
    assert key["client_email"] == email
    keys = gcloud.json("iam", "service-accounts", "keys", "list", *of)
    assert [entry["name"].rpartition("/")[2] for entry in keys] == [key["private_key_id"]]
    gcloud("iam", "service-accounts", "keys", "delete", key["private_key_id"], *of)
    assert gcloud.json("iam", "service-accounts", "keys", "list", *of) == []
    gcloud("auth", "activate-service-account", "--key-file", file, fails=True)


def test_services(gcloud: Gcloud) -> None:
    def enabled() -> set[str]:
        return {entry["config"]["name"] for entry in gcloud.json("services", "list")}

    scanning = "containerscanning.googleapis.com"
    assert scanning in enabled()
    gcloud("services", "disable", "containerscanning")
    assert scanning not in enabled()
    gcloud("services", "enable", "containerscanning")
    assert scanning in enabled()


def test_roles(gcloud: Gcloud) -> None:
    permissions = "artifactregistry.repositories.downloadArtifacts,artifactregistry.tags.list"
    gcloud(
        "iam", "roles", "create", "puller", "--project", "acme-web", "--permissions", permissions
    )
    roles = gcloud.json("iam", "roles", "list", "--project", "acme-web")
    assert [role["name"] for role in roles] == ["projects/acme-web/roles/puller"]


def test_what_is_not_permitted(gcloud: Gcloud) -> None:
    said = gcloud("projects", "create", "another-project", fails=True)
    assert "resourcemanager.projects.create" in said


def test_sign_in_from_another_issuer(
    server: CustomhouseServer, gcloud: Gcloud, tmp_path: Path
) -> None:
    """`auth login --cred-file`, as CI does."""
    pools = "/v1/projects/acme-web/locations/global/workloadIdentityPools"
    admin = Administration(server)
    with running() as issuer:
        admin.call("POST", f"{pools}?workloadIdentityPoolId=ci-pool", {})
        provider = {
            "attributeMapping": {"google.subject": "assertion.sub"},
            "oidc": {"issuerUri": issuer.url, "allowedAudiences": ["customhouse"]},
        }
        path = f"{pools}/ci-pool/providers?workloadIdentityPoolProviderId=github"
        name = admin.call("POST", path, provider)["response"]["name"]
        pool = name.partition("/providers/")[0]
        subject = "repo:acme/app:ref:refs/heads/main"
        member = f"principal://iam.googleapis.com/{pool}/subject/{subject}"
        admin.bind("projects/acme-web", "roles/viewer", member)
        (tmp_path / "token").write_text(issuer.token(github(), "customhouse"))
        file = tmp_path / "credentials.json"
        document = {
            "type": "external_account",
            "audience": "//iam.googleapis.com/locations/global/workloadIdentityPools"
            "/acme-web/ci-pool/providers/github",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": f"{server.url}/v1/token",
            "credential_source": {"file": str(tmp_path / "token")},
        }
        file.write_text(json.dumps(document))
        tool = Gcloud(server.url, tmp_path / "config")
        said = tool("auth", "login", "--cred-file", file)
        assert f"Authenticated with external account credentials for: [{member}]" in said
        (project,) = tool.json("projects", "list")
    assert project["projectId"] == "acme-web"
