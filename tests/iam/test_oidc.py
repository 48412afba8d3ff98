"""Signing in with a browser through an identity provider, a real one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from tests.support.oidc_provider import CLIENT_ID, CLIENT_SECRET, oidc_provider, sign_in
from tests.support.processes import free_port
from tests.support.servers import customhouse_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.oidc_provider import OidcProvider
    from tests.support.servers import CustomhouseServer

pytestmark = pytest.mark.xdist_group("oidc")

ANA = {"email": "Ana@example.com", "email_verified": True, "groups": ["dev", "a b", 7]}


@pytest.fixture(scope="module")
def sites(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[CustomhouseServer, OidcProvider]]:
    """A server and the provider that it knows, which make accounts by themselves."""
    port = free_port()
    env = {
        "ISSUER": f"http://127.0.0.1:{port}",
        "CLIENT_ID": CLIENT_ID,
        "CLIENT_SECRET": CLIENT_SECRET,
        "NAME": "Ex & Co",
        "GROUPS_CLAIM": "groups",
        "ALLOWED_DOMAINS": '["example.com"]',
        "AUTO_CREATE": "true",
    }
    folder = tmp_path_factory.mktemp("oidc")
    with (
        customhouse_server(
            folder, env={f"CUSTOMHOUSE_OIDC__{name}": value for name, value in env.items()}
        ) as server,
        oidc_provider(folder, f"{server.url}/auth/callback", port=port) as provider,
    ):
        yield server, provider


@pytest.fixture
def server(sites: tuple[CustomhouseServer, OidcProvider]) -> CustomhouseServer:
    return sites[0]


@pytest.fixture
def provider(sites: tuple[CustomhouseServer, OidcProvider]) -> OidcProvider:
    return sites[1]


@pytest.fixture
def browser() -> Iterator[httpx2.Client]:
    with httpx2.Client(follow_redirects=True) as client:
        yield client


def come(browser: httpx2.Client, server: CustomhouseServer, login: str) -> httpx2.Response:
    return sign_in(browser, f"{server.url}/auth/oidc", login, f"{server.url}/auth/")


def as_administrator(
    server: CustomhouseServer, method: str, path: str, document: Any = None
) -> Any:
    response = httpx2.request(method, f"{server.url}/v1/{path}", auth=server.auth, json=document)
    assert response.status_code == 200, response.text
    return response.json()


def test_the_whole_way(
    server: CustomhouseServer, provider: OidcProvider, browser: httpx2.Client
) -> None:
    provider.know(ana=ANA)
    page = browser.get(f"{server.url}/auth/login?next=/auth/device?user_code=BCDF-GHJK")
    assert "Sign in with Ex &amp; Co" in page.text
    where = "/auth/oidc?next=%2Fauth%2Fdevice%3Fuser_code%3DBCDF-GHJK"
    assert f'href="{where}"' in page.text
    page = sign_in(browser, f"{server.url}{where}", "ana", server.url)
    assert str(page.url) == f"{server.url}/auth/device?user_code=BCDF-GHJK"
    assert 'value="BCDF-GHJK"' in page.text
    assert "ana@example.com" in page.text
    users = as_administrator(server, "GET", "users")["users"]
    assert [user["hasPassword"] for user in users if user["name"] == "ana@example.com"] == [False]
    members = as_administrator(server, "GET", "groups/oidc-dev/members")
    assert members == {"members": ["user:ana@example.com"]}


def test_groups_follow_the_provider(
    server: CustomhouseServer, provider: OidcProvider, browser: httpx2.Client
) -> None:
    email = {"email": "gus@example.com", "email_verified": True}
    as_administrator(server, "POST", "groups", {"name": "kept"})
    for groups in (["one", "two"], ["two", "three"], "three", None):
        provider.know(gus=email | {"groups": groups})
        browser.cookies.clear()
        assert come(browser, server, "gus").url.path == "/auth/"
        as_administrator(server, "POST", "groups/kept/members", {"member": "user:gus@example.com"})
        wanted = [groups] if isinstance(groups, str) else groups or []
        for name in ("oidc-one", "oidc-two", "oidc-three", "kept"):
            if name == "oidc-three" and groups == ["one", "two"]:
                continue
            members = as_administrator(server, "GET", f"groups/{name}/members")["members"]
            is_in = name == "kept" or name.removeprefix("oidc-") in wanted
            assert members == ["user:gus@example.com"] * is_in, (groups, name)


def test_people_keep_their_account(
    server: CustomhouseServer, provider: OidcProvider, browser: httpx2.Client
) -> None:
    provider.know(eva={"email": "eva@example.com", "email_verified": True})
    assert "eva@example.com" in come(browser, server, "eva").text
    # She marries; another person gets her old address.
    provider.know(
        eva={"email": "eve@example.com", "email_verified": True},
        ned={"email": "eva@example.com", "email_verified": True},
    )
    browser.cookies.clear()
    assert "eva@example.com" in come(browser, server, "eva").text
    browser.cookies.clear()
    page = come(browser, server, "ned")
    assert page.status_code == 403
    assert "The sign-in is refused: the account eva@example.com is somebody else" in page.text
    # With a password of her own, for Docker, she still comes in this way.
    new = {"password": "long enough"}
    as_administrator(server, "POST", "users/eva@example.com:setPassword", new)
    browser.cookies.clear()
    assert "eva@example.com" in come(browser, server, "eva").text


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "not verified": ({"email": "tom@example.com", "email_verified": False}, "no verified address"),
    "not said": ({"email": "tom@example.com"}, "no verified address"),
    "verified oddly": ({"email": "tom@example.com", "email_verified": [1]}, "no verified address"),
    "another domain": ({"email": "tom@evil.com", "email_verified": True}, "no verified address"),
    "below it": ({"email": "tom@x.example.com", "email_verified": True}, "no verified address"),
    "no address": ({}, "no verified address"),
    "no text": ({"email": {"a": 1}, "email_verified": True}, "no verified address"),
    "no name": ({"email": "a b@example.com", "email_verified": True}, "Invalid user"),
    "markup": ({"email": "<b>@example.com", "email_verified": True}, "Invalid user"),
    "control": ({"email": "a\n@example.com", "email_verified": True}, "no verified address"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_who_is_refused(
    server: CustomhouseServer, provider: OidcProvider, browser: httpx2.Client, name: str
) -> None:
    claims, said = REFUSED[name]
    provider.know(tom=claims)
    page = come(browser, server, "tom")
    assert page.status_code in {400, 403}
    assert said in page.text
    assert "<b>" not in page.text
    assert browser.get(f"{server.url}/auth/").url.path == "/auth/login"


def test_an_account_with_a_password_is_not_given_away(
    server: CustomhouseServer, provider: OidcProvider, browser: httpx2.Client
) -> None:
    user = {"name": "boss@example.com", "password": "very secret"}
    as_administrator(server, "POST", "users", user)
    provider.know(eve={"email": "boss@example.com", "email_verified": True})
    page = come(browser, server, "eve")
    assert page.status_code == 403
    assert "the account boss@example.com signs in with its password" in page.text


def test_disabling_an_account_ends_its_sessions(
    server: CustomhouseServer, provider: OidcProvider, browser: httpx2.Client
) -> None:
    provider.know(dan={"email": "dan@example.com", "email_verified": True})
    assert come(browser, server, "dan").url.path == "/auth/"
    as_administrator(server, "POST", "users/dan@example.com:disable")
    assert browser.get(f"{server.url}/auth/").url.path == "/auth/login"
    page = come(browser, server, "dan")
    assert "the account dan@example.com is disabled" in page.text
    # Nor does the old session count again afterwards.
    as_administrator(server, "POST", "users/dan@example.com:enable")
    assert browser.get(f"{server.url}/auth/").url.path == "/auth/login"
    assert come(browser, server, "dan").url.path == "/auth/"
    as_administrator(server, "DELETE", "users/dan@example.com")
    assert browser.get(f"{server.url}/auth/").url.path == "/auth/login"


def test_the_way_back_is_for_one_browser_once(
    server: CustomhouseServer, provider: OidcProvider, browser: httpx2.Client
) -> None:
    provider.know(ana=ANA)
    page = come(browser, server, "ana")
    back = next(str(each.url) for each in page.history if "/auth/callback" in str(each.url))
    for get in (browser.get, httpx2.get):
        answer = get(back)
        assert answer.status_code == 403
        assert "it took too long, or was begun in another browser" in answer.text
    # In a browser with a sign-in of its own under way.
    with httpx2.Client() as other:
        other.get(f"{server.url}/auth/oidc")
        answer = other.get(back)
        assert answer.status_code == 403
        assert "it was not begun in this browser" in answer.text
        assert "customhouse-session" not in other.cookies


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ("error=access_denied&error_description=%3Cb%3Eno", "access_denied &lt;b&gt;no"),
        ("error=access_denied&iss=http://evil.example", "another provider answered"),
        ("code=x&iss=http://evil.example", "another provider answered"),
        ("", "sent no code"),
        ("code=", "sent no code"),
        (f"code={'x' * 5000}", "sent no code"),
        ("code=made-up", "invalid_grant"),
        ("code=%00", ""),
        ("code=%FF", "sent no code"),
        ("code=%7E+%26%25%22%3C", "invalid_grant"),
    ],
)
def test_wrong_answers(
    server: CustomhouseServer, provider: OidcProvider, parameters: str, said: str
) -> None:
    with httpx2.Client() as client:
        there = client.get(f"{server.url}/auth/oidc").headers["location"]
        sent = parse_qs(urlsplit(there).query)
        assert sent["redirect_uri"] == [f"{server.url}/auth/callback"]
        assert sent["code_challenge_method"] == ["S256"]
        assert sent["scope"] == ["openid email profile"]
        assert len(sent["nonce"][0]) == len(sent["code_challenge"][0]) == 43
        url = f"{server.url}/auth/callback?state={sent['state'][0]}&{parameters}"
        answer = client.get(url)
        assert answer.status_code in {400, 403}
        assert said in answer.text
        assert "customhouse-session" not in client.cookies


def test_a_server_without_provider(tmp_path_factory: pytest.TempPathFactory) -> None:
    with customhouse_server(tmp_path_factory.mktemp("server")) as server:
        page = httpx2.get(f"{server.url}/auth/login")
        assert page.status_code == 200
        assert "Sign in with" not in page.text
        for path in ("oidc", "callback?state=x&code=y"):
            assert httpx2.get(f"{server.url}/auth/{path}").status_code == 404
