"""Secrets stay where they belong: not in the log, not in the database, not readable by others."""

from __future__ import annotations

import base64
import os
import stat
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import httpx2
import pytest

from tests.security.conftest import ADMINISTRATOR
from tests.support.servers import PASSWORD, USER, customhouse_server
from tests.wire.calls import BASIC, Call, Registry

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("security")


def use_every_secret(registry: Registry) -> dict[str, str]:
    """Sign in and push in every way, also in ways that fail; returns the secrets used."""
    document = registry.token("repository:p/a:push", offline_token="true", account=USER)
    token, refresh = document["token"], document["refresh_token"]
    talk = registry.conversation()
    talk.given("config", "layer", "v1=image")
    talk.make(Call("GET /v2/<name>/tags/list", 200, auth=BASIC))
    http = registry.http
    wrong = "a wrong password 4711"
    http.get("/v2/", auth=(USER, wrong))
    http.get("/v2/", headers={"Authorization": f"Bearer {token}garbage"})
    http.get("/v2/", headers={"Authorization": f"Digest {token}"})
    http.get("/v1/feeds", headers={"Authorization": f"Bearer {token}"})
    http.get("/v1/feeds", auth=(USER, wrong))
    http.get("/token", params={"password": PASSWORD, "refresh_token": refresh, "scope": token})
    for form in (
        {"grant_type": "refresh_token", "refresh_token": refresh},
        {"grant_type": "refresh_token", "refresh_token": f"{refresh}garbage"},
        {"grant_type": "password", "username": USER, "password": PASSWORD},
        {"grant_type": "password", "username": USER, "password": wrong},
        {"grant_type": PASSWORD},
    ):
        http.post("/token", data=form)
    return {
        "password": PASSWORD,
        "password in a URL": quote(PASSWORD),
        "password in a form": quote_plus(PASSWORD),
        "password in base64": base64.b64encode(PASSWORD.encode()).decode().rstrip("="),
        "Basic": ADMINISTRATOR.removeprefix("Basic ").rstrip("="),
        "wrong password": wrong,
        "wrong password in a form": quote_plus(wrong),
        "token": token,
        "signature of the token": token.rpartition(".")[2],
        "refresh token": refresh,
        "signature of the refresh token": refresh.rpartition(".")[2],
        "token of the push": talk.words["token"],
    }


def test_no_secret_is_logged(registry: Registry) -> None:
    secrets = use_every_secret(registry)
    registry.server.requests()  # waits until everything is written
    log = registry.server.log.read_text(errors="replace")
    assert '"path":"/token"' in log
    assert [name for name, secret in secrets.items() if secret in log] == []


def test_no_secret_is_answered_or_counted(registry: Registry) -> None:
    secrets = use_every_secret(registry)
    text = registry.http.get("/metrics").text
    text += registry.http.post("/token", data={"grant_type": PASSWORD[::-1]}).text
    text += registry.http.get("/v2/", auth=(USER, "a wrong password 4711")).text
    assert [name for name, secret in secrets.items() if secret in text] == []


def test_no_password_is_stored(registry: Registry) -> None:
    use_every_secret(registry)
    for path in files(registry.server.data):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue  # a journal that SQLite has done with
        assert PASSWORD.encode() not in content, path
        assert ADMINISTRATOR.removeprefix("Basic ").encode() not in content, path


def files(folder: Path) -> list[Path]:
    """Every file in a folder."""
    return [path for path in folder.rglob("*") if path.is_file()]


def open_to_others(folder: Path) -> list[str]:
    """What those who are not the owner may read or write, a folder's name with a slash."""
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith("lost+found")]
        for name in names:
            path = os.path.join(root, name)  # noqa: PTH118  -- os.walk gives texts
            if os.lstat(path).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                found.append(path)
    return found


def test_the_data_folder_is_its_owners(registry: Registry) -> None:
    use_every_secret(registry)
    assert stat.S_IMODE(registry.server.data.stat().st_mode) == 0o700


def test_a_data_folder_that_was_there_holds_nothing_for_others(tmp_path: Path) -> None:
    tmp_path.joinpath("data").mkdir(mode=0o755)
    tmp_path.joinpath("data").chmod(0o755)
    with customhouse_server(tmp_path) as server:
        with httpx2.Client(base_url=server.url, trust_env=False) as http:
            registry = Registry(server, "", http)
            registry.conversation().given("config", "layer", "v1=image")
            http.post("/upload/v1/feeds:import?name=x", content=b"{}", auth=server.auth)
        assert open_to_others(server.data) == []


def test_a_made_up_password_is_shown_once(tmp_path: Path) -> None:
    with customhouse_server(tmp_path, env={"CUSTOMHOUSE_ADMIN_PASSWORD": ""}) as server:
        shown = [line for line in server.log.read_text().splitlines() if "password" in line]
        assert len(shown) == 1
        password = shown[0].partition("password ")[2].split()[0]
        assert len(password) >= 20
        assert httpx2.get(f"{server.url}/v2/", auth=(USER, password)).is_success
        server.restart()
        log = server.log.read_text()
        assert log.count(password) == 1
        assert httpx2.get(f"{server.url}/v2/", auth=(USER, password)).is_success
