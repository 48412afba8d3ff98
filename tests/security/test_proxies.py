"""What a proxy says of the client is believed only of the proxies that the settings name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.support.servers import CustomhouseServer, customhouse_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.wire.calls import Registry

pytestmark = pytest.mark.xdist_group("security")

FORWARDED = {
    "X-Forwarded-For": "198.51.100.7, 203.0.113.9",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "registry.example.com",
}


@pytest.fixture(scope="module")
def behind_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CustomhouseServer]:
    """A server that trusts a proxy on this machine."""
    env = {"CUSTOMHOUSE_SERVER__TRUSTED_PROXIES": '["127.0.0.0/8", "203.0.113.0/24"]'}
    with customhouse_server(tmp_path_factory.mktemp("proxied"), env=env) as server:
        yield server


def realm(server: CustomhouseServer, headers: dict[str, str]) -> str:
    """Where a challenge sends its client."""
    response = httpx2.get(f"{server.url}/v2/", headers=headers)
    assert response.status_code == httpx2.codes.UNAUTHORIZED, response.text
    return response.headers["www-authenticate"].partition('realm="')[2].partition('"')[0]


def clients(server: CustomhouseServer, agent: str) -> list[str]:
    """The addresses that the log has for a user agent."""
    server.requests()  # waits until everything is written
    lines = [line for line in server.log.read_text().splitlines() if line.startswith("{")]
    entries = [json.loads(line) for line in lines]
    return [entry["client"] for entry in entries if entry.get("agent") == agent]


def test_nobody_is_believed_by_default(registry: Registry) -> None:
    server = registry.server
    assert realm(server, FORWARDED | {"User-Agent": "liar"}) == f"{server.url}/token"
    assert clients(server, "liar") == ["127.0.0.1"]


def test_a_proxy_is_believed(behind_proxy: CustomhouseServer) -> None:
    headers = FORWARDED | {"User-Agent": "proxied"}
    assert realm(behind_proxy, headers) == "https://registry.example.com/token"
    # The last address that is no trusted proxy: what stands before it may be invented.
    assert clients(behind_proxy, "proxied") == ["198.51.100.7"]


def test_what_the_client_invented_is_passed_over(behind_proxy: CustomhouseServer) -> None:
    headers = {"X-Forwarded-For": "127.0.0.1, 10.0.0.1, 198.51.100.8", "User-Agent": "inventor"}
    assert realm(behind_proxy, headers) == f"{behind_proxy.url}/token"
    assert clients(behind_proxy, "inventor") == ["198.51.100.8"]


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-Proto": "gopher"},
        {"X-Forwarded-Proto": ""},
        {"X-Forwarded-For": "no address"},
        {"X-Forwarded-For": ",,,"},
        {"X-Forwarded-For": ",".join(["1.2.3.4"] * 500)},
        {"Forwarded": "for=1.2.3.4;host=evil.example;proto=https"},
    ],
)
def test_nonsense_is_passed_over(behind_proxy: CustomhouseServer, headers: dict[str, str]) -> None:
    assert realm(behind_proxy, headers) == f"{behind_proxy.url}/token"


@pytest.mark.parametrize("host", ['x"y', "a b", "a/b", "x\\y", "é", "a" * 300, "<script>"])
def test_a_host_that_is_none_is_refused(behind_proxy: CustomhouseServer, host: str) -> None:
    """It would end up inside the challenge."""
    url = f"{behind_proxy.url}/v2/"
    for name in ("X-Forwarded-Host", "Host"):
        response = httpx2.get(url, headers={name.encode(): host.encode("latin-1")})
        assert response.status_code == httpx2.codes.BAD_REQUEST
        assert host not in response.headers.get("www-authenticate", "")


def test_the_public_url_is_used_where_it_is_set(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    env = {"CUSTOMHOUSE_SERVER__PUBLIC_URL": "https://images.example.com"}
    with customhouse_server(tmp_path_factory.mktemp("public"), env=env) as server:
        assert realm(server, FORWARDED) == "https://images.example.com/token"
        assert realm(server, {"Host": "evil.example"}) == "https://images.example.com/token"
