"""Hostile bodies, queries and paths, at every route of the control plane: none is a crash."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx2
import pytest

from tests.support.servers import customhouse_server
from tests.wire.calls import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.postgres import Postgres

VALUES: dict[str, object] = {
    "null": None,
    "true": True,
    "zero": 0,
    "huge number": 2**70,
    "not a number": float("nan"),
    "list": [],
    "list of null": [None],
    "list of lists": [[["x"]]],
    "list of objects": [{"a": {}}],
    "object": {},
    "object of lists": {"a": ["x"]},
    "empty text": "",
    "zero character": "a\0b",
    "half a surrogate pair": "\ud800",
    "list of half a pair": ["\udfff"],
    "long text": "x" * 60_000,
    "path": "../../../etc/passwd",
    "wildcards": "**",
    "quotes": "'\"; DROP TABLE policy; --",
    "right to left": "\u202e\u0000".rstrip("\0"),
    "digits": "9" * 5000,
    "seconds": "000000001" + "9" * 50 + "s",
    "time": "9999-12-31T23:59:59-23:59",
}
FIELDS = (
    *("projectId", "name", "labels", "policy", "permissions", "accessTuple", "principal"),
    *("permission", "fullResourceName", "accountId", "serviceAccount", "displayName"),
    *("description", "privateKeyType", "validBeforeTime", "publicKeyData", "lifetime", "audience"),
    *("roleId", "role", "title", "includedPermissions", "password", "member", "scope"),
    *("attributeMapping", "attributeCondition", "oidc", "disabled", "state", "delegates"),
    *("subjectToken", "subject_token", "audience", "grant_type", "user_code", "device_code"),
    *("filter", "pageSize", "pageToken", "orderBy", "resourceNames", "user", "code"),
)


def everywhere(value: object) -> dict[str, object]:
    """A document with a value for every field that some route reads."""
    return {
        **dict.fromkeys(FIELDS, value),
        "updateMask": value,
    }


def nested(value: object) -> dict[str, object]:
    """The same, one level down."""
    condition = {"expression": value, "title": value, "description": value}
    return {
        "policy": {
            "etag": value,
            "bindings": [{"role": value, "members": value}, {"condition": condition}, value],
        },
        "accessTuple": everywhere(value),
        "permissions": [value],
        "projectId": "p-1",
        "labels": {"a": value},
        "accountId": "account-1",
        "serviceAccount": everywhere(value),
        "roleId": "role",
        "role": everywhere(value),
        "includedPermissions": [value],
        "oidc": {"issuerUri": value, "allowedAudiences": value, "jwksJson": value},
        "attributeMapping": {"google.subject": value},
        "name": "somebody",
        "password": "long enough",
        "member": "user:ana",
        "description": value,
        "displayName": value,
    }


def valid(expression: object) -> dict[str, object]:
    """A policy that would be one but for its condition."""
    condition = {"expression": expression, "title": "a"}
    binding = {"role": "roles/viewer", "members": ["user:ana"], "condition": condition}
    return {"policy": {"bindings": [binding]}}


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "half": b"{",
    "null": b"null",
    "list": b"[]",
    "text": b'"x"',
    "deep list": b"[" * 50_000,
    "deep object": b'{"a":' * 900 + b"1" + b"}" * 900,
    "deep field": b'{"policy":' + b"[" * 900 + b"]" * 900 + b"}",
    "no text": b"\xff\xfe\x00",
    "half a pair as a key": b'{"\\ud800": "\\ud800"}',
    "many bindings": json.dumps(
        {"policy": {"bindings": [{"role": "roles/viewer", "members": ["user:a"]}] * 5000}}
    ).encode(),
    "deep condition": json.dumps(valid("(" * 500 + "true" + ")" * 500)).encode(),
    "index": json.dumps(valid("[true][9]")).encode(),
    "loop": json.dumps(valid("[1].all(x, [1].all(y, true))")).encode(),
    **{
        f"everywhere {name}": json.dumps(everywhere(value)).encode()
        for name, value in VALUES.items()
    },
    **{f"nested {name}": json.dumps(nested(value)).encode() for name, value in VALUES.items()},
}
NAMES = (
    *("-", "%", "%ff", "%ed%a0%80", "..", "%2e%2e", "%2F", "%00", "a%0d%0ab", "*", "**", "%2A%2A"),
    *(
        "9" * 12,
        "9" * 400,
        "%C2%B2",
        "%D9%A3",
        "x" * 3000,
        "example.com:proj",
        "example.com%2Fproj",
    ),
    *("a:b:c", ":getIamPolicy", "user@", "%F0%9F%98%80", "p:setIamPolicy", "'", "projects"),
)
QUERIES = (
    *("pageToken=%ff", "pageToken=====", "pageToken=AA==", "pageToken=7aCA", "pageSize=-1"),
    *("pageSize=99999999999999999999", "pageSize=x", "filter=%ed%a0%80", "filter=labels.:", "%"),
    *(
        "filter=" + "(" * 1000,
        "filter=name%3D%22",
        "updateMask=%00",
        "updateMask=a.b.c",
        "view=\u202e",
    ),
    *("pageToken=" + "A" * 900, "showDeleted=x", "a[]=1", "&&&==", "filter=timestamp>x"),
)
# What the others are asked about.
LEFT_ALONE = {"/v1/projects/{project}"}


@pytest.fixture(
    scope="module",
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.xdist_group("postgresql"))],
)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Registry]:
    """A server of this module's own: what is done to it is not undone."""
    env = {"CUSTOMHOUSE_LIMITS__PER_ADDRESS": "0", "CUSTOMHOUSE_LIMITS__PER_PRINCIPAL": "0"}
    if request.param == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        env["CUSTOMHOUSE_DATABASE_URL"] = postgres.database()
    with (
        customhouse_server(tmp_path_factory.mktemp("bodies"), env=env) as made,
        httpx2.Client(base_url=made.url, timeout=30, trust_env=False) as http,
    ):
        registry = Registry(made, "", http)
        http.headers["Authorization"] = f"Bearer {registry.token()['token']}"
        for project in ("p", "example.com:proj"):
            assert http.post("/v1/projects", json={"projectId": project}).is_success
        yield registry


def operations(server: Registry) -> list[tuple[str, str]]:
    """Every method and path that there is."""
    paths = server.http.get("/v1/openapi.json").json()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


def fill(path: str, name: str) -> str:
    """A path whose parameters are all this name, but for the project."""
    while "{" in path:
        head, _, rest = path.partition("{")
        parameter, _, rest = rest.partition("}")
        value = "p" if parameter == "project" and name.isidentifier() else name
        path = f"{head}{value}{rest}"
    return path


def check(said: str, response: httpx2.Response) -> None:
    """Check that an answer is one of those that clients know."""
    assert response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR, f"{said}: {response.text[:500]}"
    if response.status_code >= HTTPStatus.BAD_REQUEST and not response.text.startswith("<"):
        error: dict[str, Any] = response.json()
        assert error.get("error") or error.get("errors"), said
        assert len(response.content) < 5000, said


def send(server: Registry, method: str, target: str, **content: Any) -> httpx2.Response:
    """Send a request, again if the connection was closed because of the last one's body."""
    headers = {"Content-Type": "application/json"}
    for _ in range(3):
        try:
            return server.http.request(method, target, headers=headers, **content)
        except httpx2.RemoteProtocolError:
            continue
    raise AssertionError(f"{method} {target} is not answered")


def test_hostile_bodies(server: Registry) -> None:
    for method, path in operations(server):
        if method == "GET":
            continue
        target = fill(path, "nobody")
        for name, body in BODIES.items():
            if method == "DELETE" and path in LEFT_ALONE:
                continue
            check(f"{method} {target} with {name}", send(server, method, target, content=body))


def test_hostile_forms(server: Registry) -> None:
    for value in ("a\0b", "x" * 60_000, "\u202e", "%", "**", "9" * 5000):
        form = dict.fromkeys(FIELDS, value)
        for method, path in operations(server):
            if method == "POST":
                target = fill(path, "nobody")
                check(f"{target} with {value[:20]!r}", server.http.post(target, data=form))
        for grant in ("password", "refresh_token", "urn:ietf:params:oauth:grant-type:jwt-bearer"):
            answer = server.http.post(
                "/token",
                data=form
                | {"grant_type": grant, "username": value, "refresh_token": value}
                | {"assertion": value, "scope": f"repository:{value}:pull"},
            )
            check(f"/token {grant} with {value[:20]!r}", answer)


@pytest.mark.parametrize("signed_in", [True, False])
def test_hostile_paths(server: Registry, signed_in: bool) -> None:
    headers = dict(server.http.headers) if signed_in else {}
    with httpx2.Client(base_url=server.server.url, timeout=30, trust_env=False) as http:
        for method, path in operations(server):
            for name in NAMES:
                target = path
                while "{" in target:
                    head, _, rest = target.partition("{")
                    target = f"{head}{name}{rest.partition('}')[2]}"
                response = http.request(method, target, headers=headers)
                check(f"{method} {target[:200]}", response)
                if not signed_in and "{" in path and "testIamPermissions" not in path:
                    assert not response.is_success, f"{method} {target[:200]}"


def test_hostile_queries(server: Registry) -> None:
    for method, path in operations(server):
        if method in {"GET", "PATCH"}:
            for query in QUERIES:
                target = f"{fill(path, 'p')}?{quote(query, safe='%=&[]')}"
                check(f"{method} {target}", send(server, method, target, content=b"{}"))


def test_hostile_names_of_repositories(server: Registry) -> None:
    tails = ("tags/list", "manifests/v1", f"blobs/sha256:{'0' * 64}", "blobs/uploads/x")
    for name in NAMES:
        for tail in tails:
            for target in (f"/v2/{name}/{tail}", f"/v2/p/{name}/{tail}", f"/v2/p/a/{tail}{name}"):
                check(target[:200], server.http.get(target))
