"""Signing in and out with a browser and a password, and what browsers are told."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from customhouse.database import METADATA, Database
from customhouse.iam import accounts, sessions
from customhouse.iam.api.browser import HOME, local_target
from customhouse.iam.permissions import Principal
from tests.support.oidc_provider import submit
from tests.support.servers import PASSWORD, USER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.servers import CustomhouseServer

pytestmark = pytest.mark.xdist_group("signin")

SESSION = "customhouse-session"
SECOND = 1_000_000
FORM = {"username": USER, "password": PASSWORD}


@pytest.fixture
def browser(server: CustomhouseServer) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.url) as client:
        yield client


def post(
    browser: httpx2.Client, path: str, form: dict[str, str], **headers: str
) -> httpx2.Response:
    """Send a form of one of the server's own pages."""
    origin = {"origin": str(browser.base_url).rstrip("/")}
    return browser.post(path, data=form, headers=origin | headers)


def test_sign_in_and_out(browser: httpx2.Client) -> None:
    answer = browser.get("/auth/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/auth/login")
    page = browser.get("/auth/login?next=/auth/device")
    assert "Sign in with" not in page.text
    answer = submit(browser, page, FORM)
    assert (answer.status_code, answer.headers["location"]) == (303, "/auth/device")
    kept = answer.headers["set-cookie"]
    assert re.fullmatch(
        rf"{SESSION}=[\w-]{{43}}; HttpOnly; Max-Age=43200; Path=/; SameSite=lax", kept
    )
    page = browser.get("/auth/")
    assert USER in page.text
    # No need to sign in twice.
    answer = browser.get("/auth/login?next=/auth/device")
    assert (answer.status_code, answer.headers["location"]) == (303, "/auth/device")
    value = browser.cookies[SESSION]
    answer = submit(browser, page)
    assert (answer.status_code, answer.headers["location"]) == (303, "/auth/login")
    assert SESSION not in browser.cookies
    # The value is worth nothing any more, to whoever has it.
    browser.cookies.set(SESSION, value)
    assert browser.get("/auth/").status_code == 303


def test_another_sign_in_ends_the_one_before(browser: httpx2.Client) -> None:
    post(browser, "/auth/login", FORM)
    first = browser.cookies[SESSION]
    post(browser, "/auth/login", FORM)
    assert browser.cookies[SESSION] != first
    assert browser.get("/auth/").status_code == 200
    browser.cookies.clear()
    browser.cookies.set(SESSION, first)
    assert browser.get("/auth/").status_code == 303


def test_another_password_ends_every_session(
    server: CustomhouseServer, browser: httpx2.Client
) -> None:
    auth = server.auth
    user = {"name": "uma", "password": "the-first-one"}
    assert httpx2.post(f"{server.url}/v1/users", json=user, auth=auth).status_code == 200
    post(browser, "/auth/login", {"username": "uma", "password": "the-first-one"})
    assert browser.get("/auth/").status_code == 200
    new = {"password": "the-second-one"}
    done = httpx2.post(f"{server.url}/v1/users/uma:setPassword", json=new, auth=auth)
    assert done.status_code == 200
    assert browser.get("/auth/").status_code == 303


WRONG = {
    "another password": {"username": USER, "password": "wrong"},
    "nobody": {"username": "nobody", "password": "x"},
    "no password": {"username": USER},
    "nothing": {},
    "markup": {"username": '"><script>alert(1)</script>', "password": "x"},
    "long": {"username": "x" * 9000, "password": "x"},
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong(browser: httpx2.Client, name: str) -> None:
    form = WRONG[name] | {"next": "/auth/device"}
    answer = post(browser, "/auth/login", form, **{"x-forwarded-for": name})
    assert answer.status_code in {403, 429}
    assert "www-authenticate" not in answer.headers
    assert "set-cookie" not in answer.headers
    assert 'role="alert"' in answer.text
    assert 'value="/auth/device"' in answer.text
    assert "<script" not in answer.text


def test_tokens_and_keys_are_no_passwords(
    server: CustomhouseServer, browser: httpx2.Client
) -> None:
    token = httpx2.get(f"{server.url}/token", auth=server.auth).json()["token"]
    for name in ("_token", "oauth2accesstoken", "_dcgcloud_token", "_json_key"):
        answer = post(browser, "/auth/login", {"username": name, "password": token})
        assert answer.status_code == 403, name
        assert "set-cookie" not in answer.headers


SENT_FROM = {
    "nowhere": ({}, 403),
    "another site": ({"origin": "https://evil.example"}, 403),
    "another port": ({"origin": "http://127.0.0.1:1"}, 403),
    "a file": ({"origin": "null"}, 403),
    "another site, as the browser says": ({"sec-fetch-site": "cross-site"}, 403),
    "a neighbour": ({"sec-fetch-site": "same-site"}, 403),
    "an address typed in": ({"sec-fetch-site": "none"}, 403),
    "here, as the browser says": ({"sec-fetch-site": "same-origin"}, 303),
}


@pytest.mark.parametrize("path", ["/auth/login", "/auth/logout", "/auth/device"])
@pytest.mark.parametrize("name", SENT_FROM)
def test_where_forms_come_from(browser: httpx2.Client, path: str, name: str) -> None:
    headers, status = SENT_FROM[name]
    answer = browser.post(path, data=FORM, headers=headers)
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    "path", ["/auth/login", "/auth/login?next=%00", "/auth/logout", "/auth/x", "/auth/oidc"]
)
def test_malformed(browser: httpx2.Client, path: str) -> None:
    for content in (b"", b"\xff", b"a=%00", b"a=%ff", b"x" * 20_000, b"&" * 15_000):
        headers = {"origin": str(browser.base_url).rstrip("/")}
        answer = browser.post(path, content=content, headers=headers)
        assert 300 <= answer.status_code < 500, (path, content[:9])


@pytest.mark.parametrize("value", ["", "x", "x" * 5000, "a b", '"', "\xff", "=;,"])
def test_cookies_that_are_none(browser: httpx2.Client, value: str) -> None:
    for name in (SESSION, "customhouse-sign-in"):
        headers = {b"cookie": f"{name}={value}".encode("latin-1")}
        assert browser.get("/auth/", headers=headers).status_code == 303


def test_what_pages_are_sent_with(server: CustomhouseServer, browser: httpx2.Client) -> None:
    post(browser, "/auth/login", FORM)
    pages = [browser.get("/auth/"), browser.get("/auth/device"), browser.post("/auth/login")]
    for page in [*pages, httpx2.get(f"{server.url}/auth/login?next=/%22%3E%3Cb%3E")]:
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "same-origin"
        policy = page.headers["content-security-policy"]
        styles = re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL)
        assert len(styles) == 1
        digest = base64.b64encode(hashlib.sha256(styles[0].encode()).digest()).decode()
        assert f"style-src 'sha256-{digest}'" in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        # Nothing comes from elsewhere, nothing runs.
        assert not re.search(r'style="|<script|javascript:|(?:src|href)="(?!/auth/)', page.text)
        assert 'name="viewport"' in page.text
        assert "<b>" not in page.text


def test_with_tls_the_cookie_is_for_this_host_alone(tls_server: CustomhouseServer) -> None:
    with httpx2.Client(base_url=tls_server.url, verify=False) as browser:
        answer = post(browser, "/auth/login", FORM)
        assert re.match(rf"__Host-{SESSION}=[\w-]+; ", answer.headers["set-cookie"])
        assert answer.headers["set-cookie"].endswith("; Path=/; SameSite=lax; Secure")
        assert browser.get("/auth/").status_code == 200
        value = browser.cookies[f"__Host-{SESSION}"]
        browser.cookies.clear()
        browser.cookies.set(SESSION, value)
        assert browser.get("/auth/").status_code == 303


TARGETS = {
    "/": "/",
    "/auth/device?user_code=A-B&x=%2F": "/auth/device?user_code=A-B&x=%2F",
    "/v1//x": "/v1//x",
    "": HOME,
    "x": HOME,
    "//evil.example": HOME,
    "///evil.example": HOME,
    "/\\evil.example": HOME,
    "/x\\evil.example": HOME,
    "\\\\evil.example": HOME,
    "https://evil.example/": HOME,
    "javascript:alert(1)": HOME,
    "/\t/evil.example": HOME,
    "/\n": HOME,
    " /x": HOME,
    "/x\r\nset-cookie: a=b": HOME,
    "/ä": HOME,
    "/" + "x" * 1000: HOME,
}


@pytest.mark.parametrize("text", TARGETS)
def test_where_to_go_afterwards(text: str) -> None:
    assert local_target(text) == TARGETS[text]


@given(st.text(st.sampled_from("/\\.:@?#%\t\nxä "), max_size=12))
def test_it_is_always_here(text: str) -> None:
    there = httpx2.URL("https://here.example/auth/login").join(local_target(text))
    assert (there.scheme, there.host) == ("https", "here.example")


def test_sessions(database: Database) -> None:
    METADATA.create_all(database.writers)
    for name in ("ana", "bob"):
        database.write(accounts.create, name)
    ana, bob = Principal("user:ana", "1"), Principal("user:bob", "4")
    first = database.write(sessions.create, ana, 60, SECOND)
    second = database.write(sessions.create, bob, 90, SECOND)
    assert database.read(sessions.find, first, 61 * SECOND - 1) == ana
    assert database.read(sessions.find, second, 61 * SECOND) == bob
    assert database.read(sessions.find, first, 61 * SECOND) is None
    for wrong in ("", first[:-1], first + "x", "\ud800", "x" * 10_000):
        assert database.read(sessions.find, wrong, SECOND) is None
    rows = str(database.read(lambda tx: tx.execute(select(sessions.BROWSER_SESSION)).all()))
    assert first not in rows
    # What is over goes when somebody else signs in.
    third = database.write(sessions.create, bob, 90, 61 * SECOND)
    assert database.read(sessions.find, first, SECOND) is None
    database.write(sessions.end, third)
    assert database.read(sessions.find, third, 61 * SECOND) is None
    assert database.read(sessions.find, second, 61 * SECOND) == bob
    database.write(accounts.delete, "bob")
    assert database.read(sessions.find, second, 61 * SECOND) is None
