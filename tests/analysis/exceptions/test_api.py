"""The API of exceptions on a running server: pages, filters, refusals, the longest."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from tests.analysis.vex.documents import CVE, encoded, openvex, says
from tests.faults.registry import Registry
from tests.support.servers import customhouse_server

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.xdist_group("analysis")

PATH = "/v1/projects/acme/exceptions"
IMPORT = f"/upload{PATH}:import"
FAR = "2099-01-01T00:00:00Z"
BODY = {"vulnerability": CVE, "reason": "not used", "image": "acme/web"}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A client of a server with a project."""
    with (
        customhouse_server(tmp_path_factory.mktemp("server")) as running,
        Registry(running) as client,
    ):
        client.call("POST", "/v1/projects", json={"projectId": "acme"})
        yield client


def test_pages_and_filters(registry: Registry) -> None:
    made = [
        registry.call(
            "POST", PATH, json=BODY | {"vulnerability": f"CVE-2020-{n}", "image": "acme/pages"}
        ).json()["name"]
        for n in range(5)
    ]
    asked: dict[str, Any] = {"pageSize": 2, "filter": 'image="acme/pages"'}
    pages = []
    while True:
        answer = registry.call("GET", PATH, params=asked).json()
        pages.append([each["name"] for each in answer["exceptions"]])
        if "nextPageToken" not in answer:
            break
        asked["pageToken"] = answer["nextPageToken"]
    assert pages == [made[:2], made[2:4], made[4:]]
    for filter_, count in (
        ('vulnerability="cve-2020-3"', 1),
        ('vulnerability="CVE-2020-3" AND state="ACTIVE" AND image="acme/pages"', 1),
        ('vulnerability="CVE-2020-3" AND state="EXPIRED"', 0),
        ('vulnerability="what is none"', 0),
        (f'image="acme/web@sha256:{"a" * 64}"', 0),
    ):
        answer = registry.call("GET", PATH, params={"filter": filter_}).json()
        assert len(answer["exceptions"]) == count, filter_


@pytest.mark.parametrize(
    "parameters",
    [
        {"filter": "x"},
        {"filter": 'state="OLD"'},
        {"filter": 'image="other/web"'},
        {"filter": 'image="acme/web:1"'},
        {"filter": 'vulnerability="a" OR state="ACTIVE"'},
        {"filter": "x" * 3000},
        {"pageToken": base64.urlsafe_b64encode(b"x").decode()},
        {"pageToken": base64.urlsafe_b64encode(b"9" * 30).decode()},
        {"pageSize": "-1"},
    ],
    ids=lambda value: "=".join(next(iter(value.items())))[:30],
)
def test_listings_that_are_refused(registry: Registry, parameters: dict[str, str]) -> None:
    registry.call("GET", PATH, 400, params=parameters)


@pytest.mark.parametrize(
    "change",
    [
        {"vulnerability": ""},
        {"vulnerability": 1},
        {"reason": ""},
        {"reason": None},
        {"reason": "x" * 5000},
        {"image": "other/web"},
        {"image": "acme/web:1"},
        {"image": "acme/web@sha256:1"},
        {"packages": "sed"},
        {"packages": [1]},
        {"packages": ["a b"]},
        {"justification": "because"},
        {"expireTime": "tomorrow"},
        {"expireTime": "2001-01-01T00:00:00Z"},
        {"expireTime": "9999-12-31T23:59:59-12:00"},
        {"expireTime": "2099-01-01T00:00:00+99:00"},
        {"expireTime": 1},
    ],
    ids=lambda value: "-".join(map(str, *value.items()))[:40],
)
def test_exceptions_that_are_refused(registry: Registry, change: dict[str, Any]) -> None:
    answer = registry.call("POST", PATH, 400, json=BODY | change).json()
    assert answer["error"]["message"]


def test_ends_are_written_in_utc(registry: Registry) -> None:
    body = BODY | {"expireTime": "2099-01-01T00:00:00+01:00", "packages": ["sed", "sed"]}
    made = registry.call("POST", PATH, json=body).json()
    assert made["expireTime"] == "2098-12-31T23:00:00.000000Z"
    assert (made["packages"], made["packageCount"]) == (["sed"], 1)
    path = f"/v1/{made['name']}"
    moved = registry.call("PATCH", path, json={"expireTime": FAR}).json()
    assert moved["expireTime"] == "2099-01-01T00:00:00.000000Z"
    assert "expireTime" not in registry.call("PATCH", path, json={"expireTime": None}).json()
    kept = registry.call("PATCH", path, json={}).json()
    assert kept["reason"] == BODY["reason"]
    registry.call("PATCH", path, 400, json={"reason": ""})
    for number in ("0", "x", "9" * 30, "-1"):
        for method in ("GET", "PATCH", "DELETE"):
            registry.call(method, f"{PATH}/{number}", 404, json={} if method == "PATCH" else None)


def test_what_a_document_says_is_revoked_and_not_changed(registry: Registry) -> None:
    document = encoded(openvex(says("fixed")))
    answer = registry.call("POST", IMPORT, params={"image": "acme/doc"}, content=document).json()
    assert answer == {
        "document": "https://example.com/vex/1",
        "author": "Example Inc.",
        "exceptions": 1,
        "skipped": 0,
    }
    (found,) = registry.call("GET", PATH, params={"filter": 'image="acme/doc"'}).json()[
        "exceptions"
    ]
    assert found["origin"] == "DOCUMENT"
    registry.call("PATCH", f"/v1/{found['name']}", 400, json={"reason": "x"})
    revoked = registry.call("DELETE", f"/v1/{found['name']}").json()
    assert (revoked["state"], revoked["revoker"]) == ("REVOKED", "user:admin")
    large = b'{"@context": "' + b"x" * (17 << 20)
    assert "larger than 16 MiB" in registry.call("POST", IMPORT, 400, content=large).text


def test_the_longest_of_the_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    env = {"CUSTOMHOUSE_ANALYSIS__EXCEPTION_DAYS": "30"}
    with (
        customhouse_server(tmp_path_factory.mktemp("server"), env=env) as running,
        Registry(running) as client,
    ):
        client.call("POST", "/v1/projects", json={"projectId": "acme"})
        assert "must have one within 30 days" in client.call("POST", PATH, 400, json=BODY).text
        answer = client.call("POST", PATH, 400, json=BODY | {"expireTime": FAR})
        assert "longer than 30 days" in answer.text
