"""Sign-in of terminals: codes, polling, and the whole way with the command line."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from sqlalchemy import select

from customhouse.database import METADATA, Database
from customhouse.errors import Code, Failure
from customhouse.iam import accounts, devices
from customhouse.iam.devices import DeviceError
from customhouse.iam.permissions import Principal
from tests.cli.program import CommandLine
from tests.support.oidc_provider import submit
from tests.support.processes import environment
from tests.support.servers import COMMAND, USER, customhouse_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.servers import CustomhouseServer

pytestmark = pytest.mark.xdist_group("device")

SECOND = 1_000_000
AT = 1_700_000_000 * SECOND
CLIENT, ADDRESS = "customhouse", "192.0.2.1"
ANA = Principal("user:ana", "1")


@pytest.fixture
def grants(database: Database) -> Database:
    """A database with one account and no grants."""
    METADATA.create_all(database.writers)
    database.write(accounts.create, "ana")
    return database


def begin(database: Database, address: str = ADDRESS, at: int = AT) -> devices.Codes:
    return database.write(devices.create, CLIENT, address, at)


def poll(
    database: Database, codes: devices.Codes, seconds: float, client: str = CLIENT
) -> Principal | DeviceError:
    at = AT + int(seconds * SECOND)
    return database.write(devices.exchange, codes.device_code, client, at)


def decide(database: Database, code: str, *, allowed: bool = True, seconds: float = 1) -> bool:
    at = AT + int(seconds * SECOND)
    return database.write(devices.decide, code, ANA, at, allowed=allowed)


def test_it_is_allowed_once(grants: Database) -> None:
    codes = begin(grants)
    assert re.fullmatch(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", codes.user_code)
    assert len(codes.device_code) >= 43
    assert poll(grants, codes, 0) is DeviceError.PENDING
    asked = grants.read(devices.find, codes.user_code, AT)
    assert asked == devices.Asked(CLIENT, ADDRESS, AT)
    assert decide(grants, codes.user_code)
    assert not decide(grants, codes.user_code, allowed=False)
    assert grants.read(devices.find, codes.user_code, AT) is None
    assert poll(grants, codes, 5, client="another") is DeviceError.UNKNOWN
    assert poll(grants, codes, 5) == ANA
    assert poll(grants, codes, 10) is DeviceError.UNKNOWN


def test_it_is_denied(grants: Database) -> None:
    codes = begin(grants)
    assert decide(grants, codes.user_code, allowed=False)
    assert poll(grants, codes, 5) is DeviceError.DENIED
    assert poll(grants, codes, 10) is DeviceError.UNKNOWN


def test_it_expires(grants: Database) -> None:
    codes, late = begin(grants), begin(grants)
    assert decide(grants, late.user_code, seconds=599)
    assert not decide(grants, codes.user_code, seconds=600)
    assert grants.read(devices.find, codes.user_code, AT + 600 * SECOND) is None
    assert poll(grants, codes, 600) is DeviceError.EXPIRED
    assert poll(grants, late, 600) is DeviceError.EXPIRED
    # Some time later nothing is left of it.
    begin(grants, at=AT + 1200 * SECOND)
    assert poll(grants, codes, 1201) is DeviceError.UNKNOWN


def test_who_polls_too_fast_has_to_slow_down(grants: Database) -> None:
    codes = begin(grants)
    pending, slow = DeviceError.PENDING, DeviceError.SLOW_DOWN
    # Seconds, and what is answered: each slow_down adds five to those that have to pass.
    for seconds, expected in [
        (0, pending),
        (4.9, pending),
        (6, slow),
        (14, slow),
        (29, pending),
        (39, slow),
        (60, pending),
    ]:
        assert poll(grants, codes, seconds) is expected, seconds
    assert decide(grants, codes.user_code)
    assert poll(grants, codes, 60.1) == ANA


@pytest.mark.parametrize("typed", ["{}", " {}  ", "lower", "nodash", "spaced"])
def test_a_code_may_be_typed_in_many_ways(grants: Database, typed: str) -> None:
    code = begin(grants).user_code
    forms = {"lower": code.lower(), "nodash": code.replace("-", ""), "spaced": " ".join(code)}
    assert grants.read(devices.find, forms.get(typed, typed.format(code)), AT) is not None


@pytest.mark.parametrize("code", ["", "-", "BCDF", "BCDF-GHJK-L", "\0", "ÄÖÜ", "B" * 10_000])
def test_no_code(grants: Database, code: str) -> None:
    begin(grants)
    assert grants.read(devices.find, code, AT) is None
    assert not decide(grants, code)
    assert grants.write(devices.exchange, code, CLIENT, AT) is DeviceError.UNKNOWN


@pytest.mark.parametrize("client", ["", "a b", "<b>", "x" * 101, "a\0"])
def test_no_client(grants: Database, client: str) -> None:
    with pytest.raises(Failure) as caught:
        grants.write(devices.create, client, ADDRESS, AT)
    assert caught.value.code is Code.THING_INVALID


def test_an_address_has_only_so_many(grants: Database) -> None:
    for number in range(20):
        begin(grants, f"2001:db8::{number:x}")
    with pytest.raises(Failure) as caught:
        begin(grants, "2001:db8::ffff")
    assert caught.value.code is Code.TOO_MANY_REQUESTS
    begin(grants, "2001:db8:0:1::1")
    begin(grants, "2001:db8::ffff", AT + 600 * SECOND)


def test_codes_are_stored_as_hashes(grants: Database) -> None:
    codes = begin(grants)
    row = str(grants.read(lambda tx: tx.execute(select(devices.DEVICE_GRANT)).one()))
    assert codes.device_code not in row
    assert codes.user_code not in row


def test_what_an_account_allowed_goes_with_it(grants: Database) -> None:
    codes = begin(grants)
    assert decide(grants, codes.user_code)
    grants.write(accounts.delete, "ana")
    assert poll(grants, codes, 5) is DeviceError.UNKNOWN


# Over HTTP.


@pytest.fixture
def browser(server: CustomhouseServer) -> Iterator[httpx2.Client]:
    """A browser with the administrator signed in."""
    with httpx2.Client(base_url=server.url, follow_redirects=True) as client:
        page = client.get("/auth/login")
        user, password = server.auth
        page = submit(client, page, {"username": user, "password": password})
        assert page.url.path == "/auth/"
        yield client


def ask(server: CustomhouseServer) -> dict[str, Any]:
    response = httpx2.post(f"{server.url}/auth/device/code", data={"client_id": "a-test"})
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    found: dict[str, Any] = response.json()
    return found


def get_token(server: CustomhouseServer, asked: dict[str, Any]) -> httpx2.Response:
    form = {
        "grant_type": devices.GRANT_TYPE,
        "device_code": asked["device_code"],
        "client_id": "a-test",
    }
    return httpx2.post(f"{server.url}/token", data=form)


def test_over_http(server: CustomhouseServer, browser: httpx2.Client) -> None:
    asked = ask(server)
    assert asked["verification_uri"] == f"{server.url}/auth/device"
    assert (asked["expires_in"], asked["interval"]) == (600, 5)
    answer = get_token(server, asked)
    assert (answer.status_code, answer.json()) == (400, {"error": "authorization_pending"})
    assert get_token(server, asked).json() == {"error": "slow_down"}
    # Looking at the page allows nothing; it asks, then says who asks, then is told.
    page = browser.get(asked["verification_uri_complete"])
    assert asked["user_code"] in page.text
    page = submit(browser, page, {"user_code": asked["user_code"]})
    for shown in (USER, "a-test", "127.0.0.1", asked["user_code"], "less than a minute ago"):
        assert shown in page.text
    assert get_token(server, asked).json() == {"error": "slow_down"}
    page = submit(browser, page, {"decision": "allow"})
    assert "Terminal signed in" in page.text
    tokens = get_token(server, asked).json()
    again = httpx2.post(
        f"{server.url}/token",
        data={"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]},
    )
    assert again.status_code == 200
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    assert httpx2.get(f"{server.url}/v1/users", headers=bearer).status_code == 200
    answer = get_token(server, asked)
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_grant"})


def test_denied_over_http(server: CustomhouseServer, browser: httpx2.Client) -> None:
    asked = ask(server)
    page = browser.get("/auth/device")
    page = submit(browser, page, {"user_code": asked["user_code"].lower()})
    page = submit(browser, page, {"decision": "deny"})
    assert "not signed in" in page.text
    assert get_token(server, asked).json() == {"error": "access_denied"}


def test_another_site_allows_nothing(server: CustomhouseServer, browser: httpx2.Client) -> None:
    asked = ask(server)
    form = {"user_code": asked["user_code"], "decision": "allow"}
    for headers in (
        {},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": server.url, "sec-fetch-site": "same-site"},
    ):
        answer = browser.post("/auth/device", data=form, headers=headers)
        assert answer.status_code == 403, headers
    assert get_token(server, asked).json() == {"error": "authorization_pending"}


def test_who_is_not_signed_in_signs_in_first(server: CustomhouseServer) -> None:
    asked = ask(server)
    with httpx2.Client(follow_redirects=True) as client:
        page = client.get(asked["verification_uri_complete"])
        assert page.url.path == "/auth/login"
        user, password = server.auth
        page = submit(client, page, {"username": user, "password": password})
        assert str(page.url) == asked["verification_uri_complete"]


def test_guesses_are_slowed(server: CustomhouseServer, browser: httpx2.Client) -> None:
    name = "guesser"
    auth = server.auth
    user = {"name": name, "password": "guess-guess"}
    assert httpx2.post(f"{server.url}/v1/users", json=user, auth=auth).status_code == 200
    browser.cookies.clear()
    page = browser.get("/auth/device")
    page = submit(browser, page, {"username": name, "password": "guess-guess"})
    for _ in range(5):
        page = submit(browser, page, {"user_code": "BCDF-GHJK"})
        assert page.status_code == 404
        assert "No sign-in waits for this code." in page.text
    # Now not even a right one is looked at.
    page = submit(browser, page, {"user_code": ask(server)["user_code"]})
    assert page.status_code == 429
    assert "Too many wrong codes." in page.text


@pytest.mark.parametrize("form", [b"", b"client_id=", b"client_id=a+b", b"client_id=%ff", b"\xff"])
def test_malformed_requests(server: CustomhouseServer, form: bytes) -> None:
    answer = httpx2.post(f"{server.url}/auth/device/code", content=form)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_the_command_line(
    server: CustomhouseServer, browser: httpx2.Client, tmp_path: Path
) -> None:
    cli = CommandLine(tmp_path)
    program = subprocess.Popen(
        [COMMAND, "auth", "login", server.url],
        env=environment({"HOME": str(tmp_path)}),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    try:
        said = ""
        while "Waiting" not in said:
            line = program.stdout.readline()
            assert line, said
            said += line
        found = re.search(r"http\S+", said)
        assert found is not None
        code = found[0][-9:]
        assert f"code {code}" in said
        page = browser.get(found[0])
        page = submit(browser, page, {"user_code": code})
        submit(browser, page, {"decision": "allow"})
        said = program.communicate(timeout=20)[0]
    finally:
        program.kill()
        program.wait()
    assert said == f"Signed in to {server.url} as {USER}.\n"
    assert cli("auth", "list").row(server.url, USER, "*")
    token = cli("auth", "print-access-token").out.strip()
    headers = {"authorization": f"Bearer {token}"}
    assert httpx2.get(f"{server.url}/v1/users", headers=headers).status_code == 200


def test_a_terminal_of_a_disabled_account(
    server: CustomhouseServer, browser: httpx2.Client
) -> None:
    name, auth = "leaver", server.auth
    user = {"name": name, "password": "leave-leave"}
    assert httpx2.post(f"{server.url}/v1/users", json=user, auth=auth).status_code == 200
    browser.cookies.clear()
    page = browser.get("/auth/device")
    page = submit(browser, page, {"username": name, "password": "leave-leave"})
    asked = ask(server)
    page = submit(browser, page, {"user_code": asked["user_code"]})
    submit(browser, page, {"decision": "allow"})
    disabled = httpx2.post(f"{server.url}/v1/users/{name}:disable", auth=auth)
    assert disabled.status_code == 200
    answer = get_token(server, asked)
    assert (answer.status_code, answer.json()) == (400, {"error": "access_denied"})
    assert browser.get("/auth/").url.path == "/auth/login"


def test_an_address_is_told_when_to_come_again(tmp_path: Path) -> None:
    with customhouse_server(tmp_path) as server:
        for _ in range(20):
            ask(server)
        answer = httpx2.post(f"{server.url}/auth/device/code", data={"client_id": "a-test"})
    assert (answer.status_code, answer.json()["error"]) == (429, "slow_down")
    assert answer.headers["retry-after"] == "60"
