"""Docker's token authentication: "Token Authentication Specification", "OAuth2 Token
Authentication", and what dockerd, containerd, skopeo and oras send.
"""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from customhouse.database import Database
from customhouse.iam.permissions import Principal
from customhouse.iam.tokens import Tokens
from tests.support.servers import PASSWORD, USER
from tests.wire.calls import Call, Registry, check_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ALL = frozenset({"pull", "push", "delete"})


def claims_of(token: str) -> dict[str, Any]:
    """What a token says, its signature not looked at."""
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


def access_of(token: str) -> dict[str, frozenset[str]]:
    """What a token is good for."""
    return {item["name"]: frozenset(item["actions"]) for item in claims_of(token)["access"]}


def works(registry: Registry, token: str) -> bool:
    """Whether the registry takes a token."""
    response = registry.http.get("/v2/", headers={"Authorization": f"Bearer {token}"})
    return response.status_code == httpx2.codes.OK


def post(registry: Registry, form: Mapping[str, str]) -> httpx2.Response:
    """Ask the token endpoint by POST."""
    return registry.http.post("/token", data=dict(form))


@pytest.fixture
def tokens(registry: Registry) -> Iterator[Tokens]:
    """What issues tokens with the server's own key, and with times of the test's choice."""
    database = Database(registry.database_url)
    yield Tokens.load(database, access_seconds=60, refresh_seconds=60)
    database.close()


def test_docker_login(registry: Registry) -> None:
    document = registry.token(account=USER, client_id="docker", offline_token="true")
    assert works(registry, document["token"])
    assert document["access_token"] == document["token"]
    assert document["refresh_token"]
    assert document["expires_in"] == 300
    assert time.strptime(document["issued_at"], "%Y-%m-%dT%H:%M:%SZ")


def test_docker_then_uses_the_refresh_token(registry: Registry) -> None:
    refresh = registry.token(offline_token="true")["refresh_token"]
    form = {
        "grant_type": "refresh_token",
        "refresh_token": refresh,
        "client_id": "docker",
        "service": "customhouse",
        "scope": "repository:p/a:pull,push",
    }
    document = post(registry, form).json()
    assert access_of(document["access_token"]) == {"p/a": ALL}
    assert document["refresh_token"] == refresh
    assert works(registry, document["access_token"])


def test_containerd_sends_the_password_in_a_form(registry: Registry) -> None:
    form = {
        "grant_type": "password",
        "username": USER,
        "password": PASSWORD,
        "client_id": "containerd-client",
        "service": "customhouse",
        "scope": "repository:p/a:pull repository:p/b:pull,push",
    }
    document = post(registry, form).json()
    assert access_of(document["access_token"]) == {"p/a": ALL, "p/b": ALL}
    assert "refresh_token" not in document
    assert "refresh_token" in post(registry, form | {"access_type": "offline"}).json()


def test_answer_is_not_stored(registry: Registry) -> None:
    response = registry.http.get("/token", auth=registry.server.auth)
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("scopes", "access"),
    [
        ((), {}),
        # oras pushes with the token that it got for pull.
        (("repository:p/a:pull",), {"p/a": ALL}),
        (("repository:p/a:push,pull", "repository:p/b:pull"), {"p/a": ALL, "p/b": ALL}),
        (("repository:p/a:pull repository:p/b:pull",), {"p/a": ALL, "p/b": ALL}),
        (("repository:p/a:*",), {"p/a": ALL}),
        (("repository:project:pull",), {"project": ALL}),
        (("repository(plugin):p/a:pull",), {"p/a": ALL}),
        (("registry:catalog:*",), {"catalog": frozenset({"*"})}),
        (("nonsense", "repository", "repository:", "repository::pull", ":::", ""), {}),
        (("repository:host:5000/p/a:pull",), {"host:5000/p/a": ALL}),
    ],
)
def test_scopes(
    registry: Registry, scopes: tuple[str, ...], access: dict[str, frozenset[str]]
) -> None:
    assert access_of(registry.token(*scopes)["token"]) == access


def test_many_scopes_are_bounded(registry: Registry) -> None:
    token = registry.token(*(f"repository:p/{n}:pull" for n in range(300)))["token"]
    assert 0 < len(access_of(token)) <= 100
    assert works(registry, token)


def test_get_without_credentials_is_for_nobody_in_particular(registry: Registry) -> None:
    scope = "repository:p/a:pull,push"
    document = registry.http.get("/token", params={"scope": scope, "offline_token": "true"}).json()
    assert access_of(document["token"]) == {"p/a": frozenset()}
    assert claims_of(document["token"])["sub"] == "allUsers"
    assert "refresh_token" not in document
    assert works(registry, document["token"])


def test_a_token_of_an_older_password_is_refused(registry: Registry, tokens: Tokens) -> None:
    admin = tokens.verify(registry.token()["token"]).principal
    assert works(registry, tokens.issue(admin, None))
    assert not works(registry, tokens.issue(Principal(f"user:{USER}", "0"), None))
    assert not works(registry, tokens.issue(Principal("user:nobody", "1"), None))


@pytest.mark.parametrize(
    "authorization",
    ["Basic YWRtaW46d3Jvbmc=", "Basic bm9ib2R5Ong=", "Basic x", "Basic", "Bearer x"],
)
def test_get_without_a_password_that_is_right(registry: Registry, authorization: str) -> None:
    headers = {"Authorization": authorization}
    response = registry.http.get("/token?service=customhouse", headers=headers)
    assert response.status_code == httpx2.codes.UNAUTHORIZED
    check_error(response, "UNAUTHORIZED")
    assert response.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        ({"grant_type": "password"}, 401, "UNAUTHORIZED"),
        ({"grant_type": "password", "username": USER, "password": "wrong"}, 401, "UNAUTHORIZED"),
        ({"grant_type": "password", "username": USER}, 401, "UNAUTHORIZED"),
        ({"grant_type": "password", "username": "x", "password": PASSWORD}, 401, "UNAUTHORIZED"),
        ({"grant_type": "password", "username": "x" * 5000, "password": "x"}, 401, "UNAUTHORIZED"),
        ({"grant_type": "password", "username": USER, "password": "x" * 9000}, 401, "UNAUTHORIZED"),
        ({"grant_type": "password", "username": "a\0b", "password": "x"}, 400, "UNSUPPORTED"),
        ({"grant_type": "password", "username": "é€", "password": "é€"}, 401, "UNAUTHORIZED"),
        ({"grant_type": "refresh_token"}, 401, "UNAUTHORIZED"),
        ({"grant_type": "refresh_token", "refresh_token": "a.b.c"}, 401, "UNAUTHORIZED"),
        ({"grant_type": "refresh_token", "refresh_token": "x" * 20_000}, 401, "UNAUTHORIZED"),
        ({"grant_type": "refresh_token", "refresh_token": "x" * 70_000}, 400, "UNSUPPORTED"),
        ({"grant_type": "client_credentials"}, 400, "UNSUPPORTED"),
        ({"username": USER, "password": PASSWORD}, 400, "UNSUPPORTED"),
        ({}, 400, "UNSUPPORTED"),
    ],
)
def test_post_that_is_refused(
    registry: Registry, form: dict[str, str], status: int, code: str
) -> None:
    response = post(registry, form)
    assert response.status_code == status, response.text
    check_error(response, code)


@pytest.mark.parametrize("body", [b"\xff\xfe", b"%zz", b"a=%ff", b"&" * 50_000, b"{}", b"=;=;"])
def test_post_of_what_is_no_form(registry: Registry, body: bytes) -> None:
    response = registry.http.post("/token", content=body)
    assert response.status_code == httpx2.codes.BAD_REQUEST
    check_error(response, "UNSUPPORTED")


def test_forged_tokens_are_refused(registry: Registry, tokens: Tokens) -> None:
    good = tokens.issue(Principal("user:admin"), None)
    assert works(registry, good)
    head, body, signature = good.split(".")
    claims = claims_of(good)
    header = json.loads(base64.urlsafe_b64decode(head + "=="))
    forged = {
        "no signature": f"{head}.{body}.",
        "cut": good[:-8],
        "other claims": f"{head}.{encode(claims | {'sub': 'user:eve'})}.{signature}",
        "alg none": f"{encode({'alg': 'none', 'typ': 'JWT'})}.{body}.",
        "alg None": f"{encode(header | {'alg': 'None'})}.{body}.{signature}",
        "alg HS256": f"{encode(header | {'alg': 'HS256'})}.{body}.{signature}",
        "other key": f"{encode(header | {'kid': 'other'})}.{body}.{signature}",
        "key in the header": f"{encode(header | {'jwk': {'kty': 'EC'}})}.{body}.{signature}",
        "critical": f"{encode(header | {'crit': ['exp']})}.{body}.{signature}",
        "flipped": f"{head}.{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}",
        "four parts": f"{good}.x",
        "two tokens": f"{good} {good}",
        "empty": "..",
    }
    assert [name for name, token in forged.items() if works(registry, token)] == []


def encode(document: dict[str, Any]) -> str:
    """A part of a JSON Web Token."""
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


def test_a_key_of_another_installation_is_refused(registry: Registry, tmp_path: Any) -> None:
    from customhouse.database.migrations import migrate
    from customhouse.iam.tokens import create_key

    database = Database(f"sqlite:///{tmp_path / 'other.sqlite'}")
    migrate(database, tmp_path)
    create_key(database)
    other = Tokens.load(database, access_seconds=60, refresh_seconds=60)
    database.close()
    assert not works(registry, other.issue(Principal("user:admin"), None))


def test_tokens_end(registry: Registry, tokens: Tokens) -> None:
    admin = tokens.verify(registry.token()["token"]).principal
    tokens.access_seconds = tokens.refresh_seconds = -3600
    assert not works(registry, tokens.issue(Principal("user:admin"), None))
    form = {"grant_type": "refresh_token", "refresh_token": tokens.issue_refresh(admin)}
    assert post(registry, form).status_code == httpx2.codes.UNAUTHORIZED


def test_a_refresh_token_is_good_for_nothing_else(registry: Registry) -> None:
    document = registry.token("repository:p/a:pull", offline_token="true")
    assert not works(registry, document["refresh_token"])
    form = {"grant_type": "refresh_token", "refresh_token": document["token"]}
    assert post(registry, form).status_code == httpx2.codes.UNAUTHORIZED


def test_a_refresh_token_of_an_older_password_is_refused(
    registry: Registry, tokens: Tokens
) -> None:
    for account, generation in ((USER, "0"), (USER, "2"), (USER, ""), ("nobody", "1")):
        refresh = tokens.issue_refresh(Principal(f"user:{account}", generation))
        response = post(registry, {"grant_type": "refresh_token", "refresh_token": refresh})
        assert response.status_code == httpx2.codes.UNAUTHORIZED


def test_a_token_is_for_the_repositories_it_names(registry: Registry) -> None:
    talk = registry.conversation()
    for name, status in (("<name>", 202), ("<other>", 202)):
        talk.make(Call(f"POST /v2/{name}/blobs/uploads/", status))
    talk.words["token"] = registry.token(f"repository:{talk.words['name']}:pull")["token"]
    talk.make(Call("GET /v2/<name>/tags/list", 200))
    talk.make(Call("GET /v2/<other>/tags/list", 401, "UNAUTHORIZED"))
    talk.make(Call("GET /v2/<project>/tags/list", 401, "UNAUTHORIZED"))
