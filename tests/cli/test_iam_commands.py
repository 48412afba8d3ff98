"""The commands of IAM against a real server: what they change, print and exit with."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.cli.program import CommandLine, signed_in
from tests.faults.pushers import debian_image
from tests.faults.registry import Registry
from tests.support.servers import customhouse_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.servers import CustomhouseServer

pytestmark = pytest.mark.xdist_group("cli")

FAILED, USAGE, DENIED, NOT_FOUND = 1, 2, 3, 4
DOMAIN = "iam.customhouse.internal"
PASSWORD = "correct horse battery"
PULL = "artifactregistry.repositories.downloadArtifacts"
PUSH = "artifactregistry.repositories.uploadArtifacts"
READER, WRITER = "roles/artifactregistry.reader", "roles/artifactregistry.writer"
DEV_TAGS = 'resource.tag == "" || resource.tag.startsWith("dev-")'
IMAGE = debian_image(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CustomhouseServer]:
    """A server with the project acme, the user ana and the group devs, in which she is."""
    folder = tmp_path_factory.mktemp("server")
    with customhouse_server(folder) as running:
        cli = signed_in(running, folder)
        cli("projects", "create", "acme")
        cli("users", "create", "ana", "--password-stdin", stdin=PASSWORD)
        cli("groups", "create", "devs")
        cli("groups", "add-member", "devs", "user:ana")
        yield running


@pytest.fixture
def cli(server: CustomhouseServer, tmp_path: Path) -> CommandLine:
    """The command line, signed in as the administrator."""
    return signed_in(server, tmp_path)


def test_projects(cli: CommandLine) -> None:
    made = cli("projects", "create", "example.com:web", "--labels", "team=web,env=prod")
    assert made.out.startswith("Created project [example.com:web], number ")
    said = cli("projects", "create", "example.com/web", status=FAILED)
    assert "Choose another id" in said.err
    said = cli("projects", "create", "Bad", status=FAILED)
    assert said.err.startswith("Error: invalid project id: Bad.\nAn id is ")
    shown = cli("projects", "update", "example.com:web", "--name", "The Web", "--format", "json")
    assert shown.document["name"] == "The Web"
    assert shown.document["labels"] == {"team": "web", "env": "prod"}
    shown = cli("projects", "update", "example.com:web", "--labels", "env=test")
    assert shown.row("name:", "The", "Web")
    assert shown.row("labels:", "env=test")
    assert cli("projects", "list").row("example.com:web", "The", "Web", "env=test")
    assert cli("projects", "list", "--filter", "labels.env:prod").out == ""
    assert cli("projects", "describe", "example.com:web").row("lifecycleState:", "ACTIVE")

    assert "--quiet" in cli("projects", "delete", "example.com:web", status=FAILED).err
    told = cli("projects", "delete", "example.com:web", "--quiet").out
    assert "customhouse projects undelete example.com:web\n" in told
    assert not cli("projects", "list").row("example.com:web")
    gone = cli("projects", "list", "--filter", "lifecycleState:DELETE_REQUESTED")
    assert gone.row("example.com:web")
    why = cli("iam", "explain", "user:admin", PULL, "example.com/web/app", status=DENIED)
    assert "Why: project example.com/web is being deleted.\n" in why.out
    cli("projects", "undelete", "example.com:web")
    assert cli("projects", "list").row("example.com:web")
    cli("projects", "describe", "nothing", status=NOT_FOUND)


def test_bindings(cli: CommandLine) -> None:
    cli("projects", "create", "bound")
    add, remove = (
        ("projects", f"{verb}-iam-policy-binding", "bound") for verb in ("add", "remove")
    )
    ana = ("--member", "user:ana", "--role", WRITER)
    condition = ("--condition", f"expression={DEV_TAGS},title=dev, and no others")
    said = cli(*add, *ana, *condition)
    assert f"{WRITER}\n  if {DEV_TAGS}  (dev, and no others)\n  user:ana\n" in said.out
    assert said.err == "Updated the policy of project [bound].\n"
    assert "Nothing to change" in cli(*add, *ana, "--condition-expression", DEV_TAGS).err
    cli(*add, *ana)
    cli(*remove, *ana)
    said = cli(*remove, *ana, status=NOT_FOUND)
    assert said.err.endswith("It has it under a condition: add --condition-expression, or --all.\n")
    assert "user:ana" not in cli(*remove, *ana, "--all").out
    said = cli(*remove, *ana, status=NOT_FOUND)
    assert said.err.endswith("List what there is: customhouse projects get-iam-policy bound\n")
    for wrong, status in (
        (("--condition", "title=x"), USAGE),
        (("--condition", "resource.tag == 'x'"), USAGE),
        (("--condition-title", "x"), USAGE),
        (("--condition-expression", "1 +"), FAILED),
    ):
        cli(*add, *ana, *wrong, status=status)
    said = cli(*add, "--member", "ana", "--role", WRITER, status=FAILED)
    assert "'ana' is no member, such as user:ana" in said.err
    said = cli(*remove, "--member", "user:admin", "--role", "roles/owner", status=FAILED)
    assert "Give the role to somebody else first" in said.err


def test_policy_from_a_file(cli: CommandLine, tmp_path: Path) -> None:
    cli("projects", "create", "filed")
    path = tmp_path / "policy.json"
    before = cli("projects", "get-iam-policy", "filed", "--format", "json")
    policy = before.document
    policy["bindings"].append({"role": READER, "members": ["user:ana"]})
    path.write_text(json.dumps(policy))
    written = cli("projects", "set-iam-policy", "filed", path, "--format", "json").document
    assert written["bindings"] == policy["bindings"]
    said = cli("projects", "set-iam-policy", "filed", path, status=FAILED)
    assert "has been changed since it was read" in said.err
    for text in ("{", "[" * 100_000, "[]", '"x"', " " * 2_000_000):
        path.write_text(text)
        said = cli("projects", "set-iam-policy", "filed", path, status=FAILED)
        assert said.err.startswith("Error: the policy is not valid: ")
    cli("projects", "set-iam-policy", "filed", tmp_path / "none", status=FAILED)


def test_changes_at_once_all_count(cli: CommandLine) -> None:
    where = "acme/contended/**"
    members = [f"user:u{number}" for number in range(6)]

    def add(member: str) -> None:
        cli("repositories", "add-iam-policy-binding", where, "--member", member, "--role", READER)

    with ThreadPoolExecutor(len(members)) as pool:
        list(pool.map(add, members))
    policy = cli("repositories", "get-iam-policy", where, "--format", "json").document
    assert sorted(policy["bindings"][0]["members"]) == members


def test_public_and_private(cli: CommandLine, server: CustomhouseServer) -> None:
    with Registry(server) as registry:
        registry.push("acme/site", IMAGE, "1")

    def status() -> int:
        token = httpx2.get(
            f"{server.url}/token", params={"scope": "repository:acme/site:pull"}
        ).json()["token"]
        headers = {"authorization": f"Bearer {token}"}
        return httpx2.get(f"{server.url}/v2/acme/site/manifests/1", headers=headers).status_code

    assert status() != 200
    said = cli("repositories", "make-public", f"{server.host}/acme/site")
    assert said.out == "[acme/site] is public: everybody can pull.\n"
    assert status() == 200
    cli("repositories", "make-public", "acme/**")
    said = cli("repositories", "make-private", "acme/site", status=FAILED)
    command = "repositories remove-iam-policy-binding 'acme/**' --member allUsers --role"
    assert said.err.endswith(f"customhouse {command} {READER}\n")
    cli("repositories", "make-private", "acme/**")
    assert cli("repositories", "make-private", "acme/site").out == "[acme/site] is private.\n"
    assert status() != 200
    assert (
        "names a project but no image"
        in cli("repositories", "make-public", "acme", status=FAILED).err
    )


def test_condition_on_tags_holds_for_pushes(cli: CommandLine, server: CustomhouseServer) -> None:
    cli("projects", "create", "tagged")
    with Registry(server) as registry:
        registry.push("tagged/app", IMAGE, "prod")
        cli(
            *("projects", "add-iam-policy-binding", "tagged", "--member", "user:ana"),
            *("--role", WRITER, "--condition-expression", DEV_TAGS),
        )
        registry.http.auth = ("ana", PASSWORD)
        registry.push("tagged/app", debian_image(2), "dev-1")
        with pytest.raises(AssertionError, match="403"):
            registry.put_manifest("tagged/app", "prod", debian_image(2).manifest)
    explain = ("iam", "explain", "user:ana", PUSH, "tagged/app", "--tag")
    allowed = cli(*explain, "dev-2")
    assert allowed.out == (
        f"user:ana may {PUSH} on [tagged/app].\n"
        f"Allowed by {WRITER} of user:ana on project [tagged] if {DEV_TAGS}\n"
    )
    missing = cli(*explain, "prod", status=DENIED)
    assert f"on project [tagged] if {DEV_TAGS}: its condition is not met\n" in missing.out


def test_explain(cli: CommandLine, server: CustomhouseServer) -> None:
    explain = ("iam", "explain", "user:ana", PULL)
    said = cli(*explain, "acme/api", status=DENIED)
    assert said.out.startswith(f"user:ana may not {PULL} on [acme/api].\n")
    command = said.out.splitlines()[-1].split()
    assert command[0] == "customhouse"
    cli(*command[1:])
    for name in ("acme/api", f"{server.host}/acme/api", "projects/acme/repositories/api"):
        assert f"Allowed by {READER} of user:ana on [acme/api]\n" in cli(*explain, name).out
    asked = cli(*explain, "acme/other", "--format", "json", status=DENIED)
    assert asked.document["access"] == "NOT_GRANTED"
    cli(
        *("repositories", "add-iam-policy-binding", "acme/team/**"),
        *("--member", "group:devs", "--role", READER),
    )
    assert "of group:devs on [acme/team/**]" in cli(*explain, "acme/team/x").out
    on_project = cli(*explain, "acme", status=DENIED)
    assert "customhouse projects add-iam-policy-binding acme --member user:ana" in on_project.out
    create = ("resourcemanager.projects.create", "organizations/customhouse")
    assert "customhouse iam add-binding" in cli(*explain[:3], *create, status=DENIED).out
    said = cli("iam", "explain", "user:nobody", PULL, "acme/api", status=DENIED)
    assert said.out.endswith("Why: the account is disabled or gone.\n")
    cli("iam", "explain", "group:devs", PULL, "acme", status=FAILED)
    cli("iam", "explain", "user:ana", "pull", "acme", status=FAILED)
    cli("iam", "explain", "user:ana", PULL, "Acme/api", status=FAILED)


def test_what_one_may_oneself(cli: CommandLine, server: CustomhouseServer) -> None:
    ana = CommandLine(
        cli.home,
        {
            "CUSTOMHOUSE_SERVER": server.url,
            "CUSTOMHOUSE_USERNAME": "ana",
            "CUSTOMHOUSE_PASSWORD": PASSWORD,
        },
    )
    cli("projects", "create", "hers")
    cli("projects", "add-iam-policy-binding", "hers", "--member", "user:ana", "--role", READER)
    said = ana("iam", "test-permissions", "hers", PULL, PUSH, status=DENIED)
    assert said.row(PULL, "yes")
    assert said.row(PUSH, "no")
    assert ana("iam", "test-permissions", "hers/x", PULL, "--format", "json").document == {
        "permissions": [PULL]
    }
    said = ana("projects", "get-iam-policy", "hers", status=DENIED)
    assert "resourcemanager.projects.getIamPolicy is missing on projects/hers" in said.err


def test_roles(cli: CommandLine) -> None:
    assert cli("iam", "roles", "list").row(READER, "Reader")
    assert PULL in cli("iam", "roles", "describe", READER).out
    own = ("--project", "acme")
    made = cli("iam", "roles", "create", "puller", *own, "--permissions", PULL, "--title", "Puller")
    assert "projects/acme/roles/puller" in made.err
    assert cli("iam", "roles", "list", *own).row("projects/acme/roles/puller", "Puller")
    changed = cli("iam", "roles", "update", "puller", *own, "--permissions", f"{PULL},{PUSH}")
    assert PUSH in changed.out
    grant = ("--member", "user:ana", "--role", "projects/acme/roles/puller")
    cli("projects", "add-iam-policy-binding", "acme", *grant)
    cli("iam", "roles", "delete", "projects/acme/roles/puller", "--quiet")
    # It is still bound, and is in nobody's way.
    cli("projects", "add-iam-policy-binding", "acme", "--member", "user:bo", "--role", READER)
    cli("projects", "remove-iam-policy-binding", "acme", *grant)
    cli("iam", "roles", "create", "listers", "--server", "--permissions", PULL)
    assert cli("iam", "roles", "list", "--server").row("organizations/customhouse/roles/listers")
    said = cli("iam", "roles", "describe", "puller", status=USAGE)
    assert said.err == (
        "Error: no project was named.\nAdd --project PROJECT, or set CUSTOMHOUSE_PROJECT.\n"
    )
    cli("iam", "roles", "create", "bad", *own, "--permissions", "pull", status=FAILED)


def test_server_policy(cli: CommandLine) -> None:
    grant = ("--member", "group:devs", "--role", "roles/resourcemanager.projectCreator")
    assert "  group:devs\n" in cli("iam", "add-binding", *grant).out
    assert "group:devs" not in cli("iam", "remove-binding", *grant).out
    assert cli("iam", "get-policy").out == "roles/customhouse.admin\n  user:admin\n"


def test_service_accounts(cli: CommandLine, tmp_path: Path) -> None:
    email = f"ci-push@acme.{DOMAIN}"
    of = ("iam", "service-accounts")
    acme = CommandLine(tmp_path, dict(cli.env) | {"CUSTOMHOUSE_PROJECT": "acme"})
    assert acme(*of, "create", "ci-push", "--display-name", "CI").out == (
        f"Created service account [{email}].\n"
    )
    assert acme(*of, "list").row(email, "CI", "on")
    cli(*of, "list", status=USAGE)
    shown = cli(*of, "update", email, "--description", "pushes")
    assert shown.row("displayName:", "CI")
    assert shown.row("description:", "pushes")
    cli(*of, "disable", email)
    assert cli(*of, "describe", email).row("state:", "off")
    cli(*of, "enable", email)
    grant = ("--member", "user:ana", "--role", "roles/iam.serviceAccountTokenCreator")
    assert "  user:ana\n" in cli(*of, "add-iam-policy-binding", email, *grant).out
    assert cli(*of, "remove-iam-policy-binding", email, *grant).out == ""
    cli(*of, "delete", email, status=FAILED)
    command = cli(*of, "delete", email, "-q").out.split("back: customhouse ")[1].split()
    cli(*of, "describe", email, status=NOT_FOUND)
    cli(*command)
    assert cli(*of, "describe", email).row("email:", email)


def test_keys(cli: CommandLine, server: CustomhouseServer, tmp_path: Path) -> None:
    email = f"keyed-one@acme.{DOMAIN}"
    cli("iam", "service-accounts", "create", "keyed-one", "--project", "acme")
    of, account = ("iam", "service-accounts", "keys"), ("--iam-account", email)
    file = tmp_path / "key.json"
    made = cli(*of, "create", file, *account, "--expires-in", "90d")
    assert "It expires on 20" in made.out
    assert file.stat().st_mode & 0o777 == 0o600
    key = json.loads(file.read_text())["private_key_id"]
    assert cli(*of, "list", *account).row(key, "on")
    cli("auth", "login", server.url, "--key-file", file)

    before = file.read_bytes()
    said = cli(*of, "create", file, *account, status=FAILED)
    assert said.err.endswith("Name another file, or add --force to replace it.\n")
    assert file.read_bytes() == before
    cli(*of, "create", file, *account, "--force")
    assert file.read_bytes() != before
    assert file.stat().st_mode & 0o777 == 0o600
    cli(*of, "create", tmp_path / "x", "--iam-account", f"no@acme.{DOMAIN}", status=NOT_FOUND)
    cli(*of, "create", tmp_path / "x", *account, "--expires-in", "soon", status=USAGE)
    cli(*of, "create", tmp_path / "x", *account, "--expires-in", "99999999d", status=FAILED)
    assert [path.name for path in tmp_path.glob("*") if path.is_file()] == ["key.json"]

    cli(*of, "disable", key, *account)
    assert cli(*of, "list", *account).row(key, "off")
    cli(*of, "enable", key, *account)
    cli(*of, "delete", key, *account, "-q")
    assert not cli(*of, "list", *account).row(key)
    said = cli(*of, "upload", file, *account, status=FAILED)
    assert "has a private key; give the public half" in said.err
    private = json.loads(file.read_text())["private_key"]
    public = tmp_path / "public.pem"
    public.write_bytes(
        subprocess.run(
            ["openssl", "rsa", "-pubout"], input=private.encode(), capture_output=True, check=True
        ).stdout
    )
    uploaded = cli(*of, "upload", public, *account).out.split("[")[1].split("]")[0]
    assert cli(*of, "list", *account).row(uploaded, "never", "on")


def test_services(cli: CommandLine) -> None:
    acme = ("--project", "acme")
    assert cli("services", "list", *acme).row("cloudbuild.googleapis.com", "DISABLED")
    done = cli("services", "enable", "cloudbuild", *acme)
    assert done.out == "Enabled service [cloudbuild.googleapis.com] in project [acme].\n"
    assert "gcp-sa-cloudbuild" in cli("projects", "get-iam-policy", "acme").out
    cli("services", "disable", "cloudbuild", *acme)
    assert cli("services", "list", *acme).row("cloudbuild.googleapis.com", "DISABLED")
    cli("services", "enable", "nothing", *acme, status=NOT_FOUND)


def test_users_and_groups(cli: CommandLine, server: CustomhouseServer) -> None:
    def signs_in(password: str) -> bool:
        answer = httpx2.get(f"{server.url}/token", auth=("bo", password))
        return bool(answer.status_code == httpx2.codes.OK)

    assert "customhouse users set-password bo\n" in cli("users", "create", "bo").err
    cli("users", "create", "bo", status=FAILED)
    cli("users", "create", "cy", "--password-stdin", stdin="\n", status=FAILED)
    cli("users", "set-password", "bo", "--password-stdin", stdin="short", status=FAILED)
    cli("users", "set-password", "bo", "--password-stdin", stdin=PASSWORD)
    assert signs_in(PASSWORD)
    cli("users", "disable", "bo")
    assert cli("users", "list").row("bo", "yes")
    assert not signs_in(PASSWORD)
    cli("users", "enable", "bo")
    assert signs_in(PASSWORD)
    cli("groups", "create", "night/shift", status=FAILED)
    cli("groups", "create", "ops", "--description", "Night shift")
    assert cli("groups", "list").row("ops", "Night", "shift")
    assert "customhouse groups add-member ops" in cli("groups", "members", "ops").err
    for member in ("user:bo", "group:devs", f"serviceAccount:x@acme.{DOMAIN}"):
        cli("groups", "add-member", "ops", member)
        assert cli("groups", "members", "ops").row(member)
    cli("groups", "remove-member", "ops", "group:devs")
    assert not cli("groups", "members", "ops").row("group:devs")
    cli("groups", "add-member", "ops", "bo", status=FAILED)
    cli("groups", "delete", "ops", "-q")
    cli("groups", "members", "ops", status=NOT_FOUND)
    cli("users", "delete", "bo", "-q")
    cli("users", "disable", "bo", status=NOT_FOUND)
