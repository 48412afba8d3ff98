"""Ways around a refusal: tags, digests, mounts, listings, numbers; none leads anywhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from customhouse.database import Database
from customhouse.iam import accounts, policies
from customhouse.iam.tokens import Tokens
from tests.support.administration import Administration
from tests.wire.calls import Call, Conversation, Registry
from tests.wire.contents import BLOBS, IMAGE, OCI_MANIFEST, digest_of

if TYPE_CHECKING:
    import httpx2

    from customhouse.iam.permissions import Principal

pytestmark = pytest.mark.xdist_group("security")

DEVELOPMENT = 'resource.tag == "" || resource.tag.startsWith("dev-")'
ADMINISTRATOR = "roles/artifactregistry.repoAdmin"
READER = "roles/artifactregistry.reader"


class Somebody:
    """A user with a token for everything that the user may do, and the server's administrator."""

    def __init__(self, registry: Registry, talk: Conversation, name: str) -> None:
        self.registry, self.talk = registry, talk
        self.name = talk.words["name"]
        self.project, _, self.image = self.name.partition("/")
        database = Database(registry.database_url)
        database.write(accounts.create, name)
        found = database.read(accounts.find, name)
        assert found is not None
        self.principal: Principal = found[0]
        tokens = Tokens.load(database, access_seconds=300, refresh_seconds=300)
        self.token = tokens.issue(self.principal, None)
        database.close()

    def ask(self, method: str, target: str, token: str = "", **content: Any) -> httpx2.Response:
        """Ask the server."""
        headers = {"Authorization": f"Bearer {token or self.token}"} | content.pop("headers", {})
        return self.registry.http.request(method, target, headers=headers, **content)

    def docker_token(self, actions: str) -> str:
        """A token for the repository, as Docker gets it."""
        scope = f"repository:{self.name}:{actions}"
        answer = self.registry.http.get(
            "/token", params={"scope": scope}, auth=("oauth2accesstoken", self.token)
        )
        token: str = answer.json()["token"]
        return token

    def give(self, where: str, role: str, condition: str = "") -> None:
        """Give the user a role."""
        binding: dict[str, object] = {"role": role, "members": [self.principal.name]}
        if condition:
            binding["condition"] = {"title": "a", "expression": condition}
        place = f"/v1/projects/{self.project}{where}"
        admin = self.registry.http.get(f"{place}:getIamPolicy", auth=self.registry.server.auth)
        if admin.status_code != 200:
            admin = self.registry.http.post(f"{place}:getIamPolicy", auth=self.registry.server.auth)
        policy = admin.json()
        policy["bindings"] = [*policy.get("bindings", []), binding]
        answer = self.registry.http.post(
            f"{place}:setIamPolicy", json={"policy": policy}, auth=self.registry.server.auth
        )
        assert answer.is_success, answer.text


@pytest.fixture
def somebody(registry: Registry) -> Somebody:
    """A user without any rights, and a repository that has something of everything."""
    talk = registry.conversation()
    talk.given("config", "layer", "hello", "prod=image")
    return Somebody(registry, talk, f"u{time.time_ns()}")


def test_tags_that_a_condition_keeps(somebody: Somebody) -> None:
    somebody.give(f"/repositories/{somebody.image}", ADMINISTRATOR, DEVELOPMENT)
    base, digest = f"/v2/{somebody.name}/manifests", digest_of(IMAGE)
    headers = {"Content-Type": OCI_MANIFEST}
    for token in (somebody.token, somebody.docker_token("pull,push,delete")):
        for method, target, status in (
            ("GET", f"{base}/prod", 403),
            ("HEAD", f"{base}/prod", 403),
            ("GET", f"{base}/{digest}", 200),
            ("PUT", f"{base}/dev-1", 201),
            ("GET", f"{base}/dev-1", 200),
            ("PUT", f"{base}/prod", 403),
            ("PUT", f"{base}/dev-2?tag=prod", 403),
            ("PUT", f"{base}/{digest}?tag=prod", 403),
            ("PUT", f"{base}/{digest}?tag=dev-3&tag=prod", 403),
            ("PUT", f"{base}/%70rod", 403),
            ("DELETE", f"{base}/prod", 403),
            # It would take `prod` with it.
            ("DELETE", f"{base}/{digest}", 403),
            ("DELETE", f"{base}/dev-1", 202),
        ):
            content = IMAGE if method == "PUT" else b""
            answer = somebody.ask(method, target, token, content=content, headers=headers)
            assert answer.status_code == status, (method, target, answer.text)
    shown = somebody.talk.make(Call("GET /v2/<name>/tags/list", 200)).json()["tags"]
    assert "prod" in shown
    assert "dev-2" not in shown
    assert "dev-3" not in shown
    somebody.talk.make(Call("DELETE /v2/<name>/manifests/prod", 202))
    assert somebody.ask("DELETE", f"{base}/{digest}").status_code == 202


def test_what_ended_shows_nothing(somebody: Somebody) -> None:
    ended = 'request.time < timestamp("2001-01-01T00:00:00Z")'
    for condition in (ended, 'inIpRange(origin.ip, "192.0.2.0/24")'):
        somebody.give("/repositories/**", READER, condition)
        somebody.give("", READER, condition)
    for target in (
        f"/v2/{somebody.name}/tags/list",
        f"/v2/{somebody.project}/tags/list",
        f"/v2/{somebody.name}/manifests/prod",
        f"/v2/{somebody.name}/blobs/{digest_of(BLOBS['hello'])}",
    ):
        for method in ("GET", "HEAD"):
            assert somebody.ask(method, target).status_code == 403, target
    assert somebody.ask("GET", "/v2/_catalog").json() == {"repositories": []}
    somebody.give("/repositories/**", READER, 'inIpRange(origin.ip, "127.0.0.0/8")')
    assert somebody.ask("GET", "/v2/_catalog").json() == {"repositories": [somebody.name]}
    shown = somebody.ask("GET", f"/v2/{somebody.project}/tags/list").json()["child"]
    assert shown == [somebody.image.partition("/")[0]]
    token = somebody.docker_token("pull")
    assert somebody.ask("GET", f"/v2/{somebody.name}/manifests/prod", token).status_code == 200


def test_an_upload_belongs_to_its_repository_and_to_who_may_push(somebody: Somebody) -> None:
    place = f"/repositories/{somebody.image}"
    somebody.give(place, "roles/artifactregistry.writer")
    begun = somebody.ask("POST", f"/v2/{somebody.name}/blobs/uploads/")
    assert begun.status_code == 202
    upload = begun.headers["location"].rpartition("/")[2]
    other = somebody.registry.conversation()
    other.given("hello")
    body = BLOBS["alphabet"]
    for name in (other.words["name"], f"{somebody.name}/x"):
        for method in ("GET", "PATCH", "PUT", "DELETE"):
            target = f"/v2/{name}/blobs/uploads/{upload}?digest={digest_of(body)}"
            assert somebody.ask(method, target, content=body).status_code == 403
            answer = somebody.registry.http.request(
                method, target, content=body, auth=somebody.registry.server.auth
            )
            assert answer.status_code == 404, (method, answer.text)
    # The right is asked for again at each step.
    somebody.registry.http.post(
        f"/v1/projects/{somebody.project}{place}:setIamPolicy",
        json={"policy": {"bindings": []}},
        auth=somebody.registry.server.auth,
    )
    target = f"/v2/{somebody.name}/blobs/uploads/{upload}"
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        assert somebody.ask(method, target, content=body).status_code == 403


def test_numbers_and_accounts_tell_nothing(somebody: Somebody) -> None:
    """What exists and what does not is refused in the same words, to strangers and to users."""
    http, auth = somebody.registry.http, somebody.registry.server.auth
    number = http.get(f"/v1/projects/{somebody.project}", auth=auth).json()["projectNumber"]
    email = f"{number}-compute@developer"
    accounts_of = http.get(f"/v1/projects/{somebody.project}/serviceAccounts", auth=auth).json()
    email = next(a["email"] for a in accounts_of["accounts"] if a["email"].startswith(email))
    unique = next(a["uniqueId"] for a in accounts_of["accounts"] if a["email"] == email)
    pairs = [
        (f"/v1/projects/{number}", "/v1/projects/999999999999"),
        (f"/v1/projects/{somebody.project}", "/v1/projects/no-such-project"),
        (f"/v1/projects/{number}/services", "/v1/projects/999999999999/services"),
        (f"/v1/projects/{number}/roles", "/v1/projects/999999999999/roles"),
        (f"/v1/projects/{number}/serviceAccounts", "/v1/projects/999999999999/serviceAccounts"),
        (f"/v1/operations/cp.{number}", "/v1/operations/cp.999999999999"),
    ]
    for known, unknown in ((email, "nobody@developer.iam.test"), (unique, "9" * len(unique))):
        for project in ("-", somebody.project):
            base = f"/v1/projects/{project}/serviceAccounts"
            pairs += [
                (f"{base}/{known}{tail}", f"{base}/{unknown}{tail}")
                for tail in ("", "/keys", ":getIamPolicy", ":generateAccessToken", ":disable")
            ]
    pairs += [(f"{a}:getIamPolicy", f"{b}:getIamPolicy") for a, b in pairs[:2]]
    for existing, missing in pairs:
        method = "POST" if ":" in existing else "GET"
        for token in (somebody.token, ""):
            answers = []
            for target in (existing, missing):
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                answer = http.request(method, target, headers=headers)
                about = target.removeprefix("/v1/").rpartition(":")[0] or target[4:]
                words = {part for part in about.split("/") if len(part) > 10} | {about}
                text = answer.text
                for word in sorted(words, key=len, reverse=True):
                    text = text.replace(word, "<it>")
                text = text.replace(number, "<n>").replace("999999999999", "<n>")
                answers.append((answer.status_code, text))
            assert answers[0][0] in {401, 403, 404}, (existing, answers)
            assert answers[0][0] == answers[1][0], (existing, answers)
            if somebody.project not in existing:
                assert somebody.project not in answers[0][1], (existing, answers)


def test_how_long_an_impersonation_lasts(somebody: Somebody) -> None:
    http, auth = somebody.registry.http, somebody.registry.server.auth
    base = f"/v1/projects/{somebody.project}/serviceAccounts"
    email = http.get(base, auth=auth).json()["accounts"][0]["email"]
    for lifetime, status in (
        ("43200s", 200),
        ("43201s", 400),
        ("000043200999999s", 400),
        ("000000001" + "9" * 5000, 400),
        ("0s", 400),
        ("-1s", 400),
    ):
        answer = http.post(
            f"{base}/{email}:generateAccessToken", json={"lifetime": lifetime}, auth=auth
        )
        assert answer.status_code == status, (lifetime, answer.text)


def test_a_domain_scoped_project(somebody: Somebody) -> None:
    http, auth = somebody.registry.http, somebody.registry.server.auth
    name = f"q{time.time_ns() % 10**9}"
    project = f"example.com:{name}"
    made = http.post("/v1/projects", json={"projectId": project}, auth=auth).json()
    number = made["response"]["projectNumber"]
    for place in (project, number):
        base = f"/v1/projects/{place}"
        assert http.get(base, auth=auth).json()["projectId"] == project
        listed = http.get(f"{base}/services?filter=state:ENABLED", auth=auth).json()["services"]
        assert listed
        build = f"{base}/services/cloudbuild.googleapis.com"
        assert http.post(f"{build}:enable", auth=auth).is_success
        assert http.get(build, auth=auth).json()["state"] == "ENABLED"
        assert http.post(f"{build}:disable", auth=auth).is_success
        assert http.get(build, auth=auth).json()["state"] == "DISABLED"
        role = {"roleId": f"role{place[-3:]}", "role": {"title": "x"}}
        made = http.post(f"{base}/roles", json=role, auth=auth).json()
        assert made["name"].startswith(f"projects/{project}/roles/")
        assert len(http.get(f"{base}/roles", auth=auth).json()["roles"]) >= 1
        policy = http.post(f"{base}:getIamPolicy", auth=auth).json()
        policy["bindings"].append({"role": READER, "members": [somebody.principal.name]})
        answer = http.post(f"{base}:setIamPolicy", json={"policy": policy}, auth=auth)
        assert answer.is_success, answer.text
        wanted = {"permissions": ["artifactregistry.repositories.downloadArtifacts"]}
        assert somebody.ask("POST", f"{base}:testIamPermissions", json=wanted).json() == wanted
        images = f"{base}/repositories/a/**"
        assert http.get(f"{images}:getIamPolicy", auth=auth).is_success
    accounts_of = f"/v1/projects/{project}/serviceAccounts"
    account = http.post(accounts_of, json={"accountId": "builder"}, auth=auth).json()
    assert account["email"].startswith(f"builder@{name}.example.com.")
    assert http.post(f"{accounts_of}/{account['email']}/keys", json={}, auth=auth).is_success
    pushed = http.post(f"/v2/example.com/{name}/a/blobs/uploads/", auth=auth)
    assert pushed.status_code == 202
    shown = somebody.ask("GET", f"/v2/example.com/{name}/tags/list").json()
    assert shown["child"] == ["a"]
    assert http.delete(f"/v1/projects/{project}", auth=auth).is_success
    assert http.get(f"/v2/example.com/{name}/a/tags/list", auth=auth).status_code == 404
    assert http.post(f"/v1/projects/{project}:undelete", auth=auth).is_success
    assert policies.parse_resource(f"projects/{project}").project == f"example.com/{name}"


def test_a_token_is_not_enough_for_a_password(registry: Registry) -> None:
    """Whoever stole one would have the account for good."""
    Administration(registry.server).user("zoe", "her own password")
    token = registry.http.get("/token", auth=("zoe", "her own password")).json()["token"]
    bearer = {"Authorization": f"Bearer {token}"}

    def change(**body: str) -> int:
        path = "/v1/users/zoe:setPassword"
        return registry.http.post(path, headers=bearer, json=body).status_code

    assert change(password="the thief's choice") == 412
    assert change(password="the thief's choice", currentPassword="a guess") == 401
    assert registry.http.get("/token", auth=("zoe", "her own password")).status_code == 200
    assert change(password="her new password", currentPassword="her own password") == 200
    assert registry.http.get("/token", auth=("zoe", "her new password")).status_code == 200
    assert registry.http.get("/v1/projects", headers=bearer).status_code == 401
