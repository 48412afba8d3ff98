"""Who may do what: every operation there is, asked for by everybody there is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from customhouse.application import OPEN, Application
from customhouse.database import Database
from customhouse.registry.api import ROUTES
from customhouse.server import prepare
from customhouse.settings import Settings
from tests.security.cast import DOMAIN, THINGS, Cast
from tests.security.conftest import ADMINISTRATOR, WRONG_PASSWORD, token_without_rights
from tests.support.servers import PASSWORD, USER
from tests.wire.calls import BASIC, Call, Conversation, Registry, check_error
from tests.wire.contents import BLOBS, IMAGE, OCI_MANIFEST, digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx2

pytestmark = pytest.mark.xdist_group("security")

# Who calls. Where a token is for something else, 401 asks for one with the right scope; 403 is the
# last word.
IDENTITIES = {
    "anon": "nobody",
    "wrong": "a wrong password",
    "junk": "a token that is none",
    "other": "the administrator's token for another repository",
    "bare": "the administrator's token for nothing in particular",
    "none": "somebody without rights",
    "gone": "somebody whose account was disabled since",
    "pull": "a service account that may pull from the repository",
    "push": "somebody who may push in the project",
    "view": "a viewer of the project",
    "own": "an owner of the project",
    "away": "an owner of another project",
    "root": "the administrator's password",
}

TABLE = Path(__file__).with_name("operations.txt")


def read_table() -> dict[str, dict[str, int]]:
    """The status that each identity gets, by operation."""
    lines = [line for line in TABLE.read_text().splitlines() if line and line[0] != "#"]
    head, *lines = lines
    names = head.split()[1:]
    assert names == list(IDENTITIES)
    rows: dict[str, dict[str, int]] = {}
    for line in lines:
        method, path, *statuses = line.split()
        rows[f"{method} {path}"] = dict(zip(names, map(int, statuses), strict=True))
    return rows


OPERATIONS = read_table()

# What a call of an operation needs beside its path.
POOLS = "/v1/projects/{project}/locations/global/workloadIdentityPools"
QUERIES = {
    "PUT /v2/<name>/blobs/uploads/<upload>": f"digest={digest_of(BLOBS['alphabet'])}",
    "POST /upload/v1/feeds:import": "name=-",
    "GET /v1/projects/{project}/occurrences": "filter=x",
    "GET /v1/projects/{project}/images:history": "resourceUri=x",
    "GET /v1/images:search": "package=x",
    "GET /v1/images:summarize": "package=x",
    "GET /v1/projects/{project}/images:search": "package=x",
    "GET /v1/projects/{project}/images:summarize": "package=x",
    "GET /v1/projects/{project}/sboms": "resourceUri=x",
    f"POST {POOLS}": "workloadIdentityPoolId=-",
    f"POST {POOLS}/{{pool}}/providers": "workloadIdentityPoolProviderId=-",
}
# Where nothing is said the body is an empty object. A permitted call that would make something
# new has a body that is refused, so that it can be made again.
BODIES = {
    "PUT /v2/<name>/manifests/<reference>": IMAGE,
    "PUT /v2/<name>/blobs/uploads/<upload>": BLOBS["alphabet"],
    "PATCH /v2/<name>/blobs/uploads/<upload>": b"abc",
    "POST /v1/groups/{group}/members": b'{"member": "user:victim"}',
    "POST /v1/users/{user}:setPassword": b'{"password": "correct horse"}',
    "POST /v1/projects/{project}/serviceAccounts/{account}:generateIdToken": b'{"audience": "x"}',
    "POST /v1/iam:troubleshoot": b"""{"accessTuple": {
        "principal": "user:x", "permission": "iam.roles.get", "fullResourceName": "projects/pp"
    }}""",
}


@pytest.fixture(scope="module")
def control_operations(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Every operation of the control plane, also those that its description leaves out."""
    folder = tmp_path_factory.mktemp("control")
    return asyncio.run(find_control_operations(folder))


async def find_control_operations(folder: Path) -> set[str]:
    """Start the application in this process and look at its routes."""
    settings = Settings(data=folder / "data")
    prepare(settings, lambda _: None)
    application = Application(settings)
    async with application._running():
        assert application._control is not None
        return set(walk((await application._control).routes))


def walk(routes: list[Any]) -> Iterator[str]:
    """The operations of routes, those of included routers as well."""
    for route in routes:
        if hasattr(route, "original_router"):
            yield from walk(route.original_router.routes)
        else:
            yield from (f"{method} {route.path_format}" for method in route.methods - {"HEAD"})


def test_every_operation_is_in_the_table(control_operations: set[str]) -> None:
    registry_operations = {f"{route.method} {route.path}" for route in ROUTES}
    others = {"GET /token", "POST /token"} | {f"GET {path}" for path in OPEN}
    assert set(OPERATIONS) == registry_operations | control_operations | others


def test_every_operation_is_described(registry: Registry, control_operations: set[str]) -> None:
    paths = registry.http.get("/v1/openapi.json").json()["paths"]
    described = {
        f"{method.upper()} {path}" for path, methods in paths.items() for method in methods
    }
    pages = {name for name in control_operations if " /auth/" in name} - {"POST /auth/device/code"}
    assert described == control_operations - pages - {"GET /v1/openapi.json"}


@pytest.fixture(scope="module")
def talk(registry: Registry) -> Conversation:
    """A conversation about a repository that has something of everything."""
    return registry.conversation()


def furnish(talk: Conversation) -> None:
    """Put back what a permitted call has taken away, and begin an upload."""
    talk.given("config", "layer", "hello", "v1=image")
    talk.make(Call("POST /v2/<name>/blobs/uploads/", 202))


def state(talk: Conversation) -> list[object]:
    """What there is to see of the repository."""
    targets = (
        "tags/list",
        "blobs/<hello>",
        "manifests/v1",
        f"blobs/uploads/{talk.words['upload']}",
    )
    answers = [
        talk.make(Call(f"GET /v2/<name>/{target}", status, auth=BASIC))
        for target, status in zip(targets, (200, 200, 200, 204), strict=True)
    ]
    return [(answer.content, answer.headers.get("range")) for answer in answers]


@pytest.fixture(scope="module")
def cast(talk: Conversation) -> Iterator[Cast]:
    """The people and things of the conversation's project."""
    furnish(talk)
    database = Database(talk.registry.database_url)
    yield Cast(database, talk.words["project"], talk.words["name"])
    database.close()


@pytest.fixture(scope="module")
def headers(talk: Conversation, cast: Cast) -> dict[str, str | None]:
    """The Authorization header of each identity."""
    people = {name: f"Bearer {token}" for name, token in cast.tokens().items()}
    other = talk.registry.token("repository:p/elsewhere:*")["token"]
    found: dict[str, str | None] = {
        "anon": None,
        "wrong": WRONG_PASSWORD,
        "junk": "Bearer garbage",
        "other": f"Bearer {other}",
        "bare": f"Bearer {talk.registry.token()['token']}",
        **people,
        "root": ADMINISTRATOR,
    }
    assert set(found) == set(IDENTITIES)
    return found


def form(header: str | None) -> dict[str, str]:
    """The same credentials as a form of the token endpoint."""
    if header == ADMINISTRATOR:
        return {"grant_type": "password", "username": USER, "password": PASSWORD}
    if header == WRONG_PASSWORD:
        return {"grant_type": "password", "username": USER, "password": "wrong"}
    token = header.removeprefix("Bearer ") if header else ""
    return {"grant_type": "refresh_token", "refresh_token": token}


def call(talk: Conversation, operation: str, header: str | None, method: str) -> httpx2.Response:
    """Call an operation."""
    path = operation.partition(" ")[2]
    words = talk.words | {"reference": "v1", "digest": digest_of(BLOBS["hello"])}
    for word, value in words.items():
        path = path.replace(f"<{word}>", value)
    project = talk.words["project"]
    account = name = f"worker@{project}.{DOMAIN}"
    if "/repositories/{name}" in path:
        name = "app"
    path = path.format(
        project=project,
        operation="0" * 24,
        feed="-",
        number="1",
        account=account,
        name=name,
        **THINGS,
    )
    if operation in QUERIES:
        path += f"?{QUERIES[operation]}"
    headers = {"Content-Type": OCI_MANIFEST if "manifests" in path else "application/json"}
    if header is not None:
        headers["Authorization"] = header
    if operation == "POST /token":
        return talk.registry.http.post(path, data=form(header))
    body = BODIES.get(operation, b"{}" if method in {"POST", "PUT", "PATCH"} else None)
    if operation.startswith("POST /v1/projects/") and operation.endswith(":setIamPolicy"):
        body = b'{"policy": {"bindings": 1}}'
    return talk.registry.http.request(method, path, content=body, headers=headers)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_who_may_do_what(
    talk: Conversation, cast: Cast, headers: dict[str, str | None], operation: str
) -> None:
    method = operation.partition(" ")[0]
    on_repository, on_page = "<name>" in operation, " /auth/" in operation
    methods = (method, "HEAD") if method == "GET" and " /v2/" in operation else (method,)
    furnish(talk)
    cast.restore()
    before = state(talk) if on_repository else []
    found = {}
    for identity, header in headers.items():
        for way in methods:
            response = call(talk, operation, header, way)
            found[identity] = response.status_code
            if way == "HEAD":
                assert response.status_code == OPERATIONS[operation][identity]
            if response.status_code in {401, 403} and not on_page:
                check_refusal(response, talk.words["name"])
        if method == "GET":
            continue
        cast.restore()
        if on_repository and found[identity] in {401, 403}:
            assert state(talk) == before, f"{operation} by {identity} was refused and yet done"
        elif on_repository:
            furnish(talk)
            before = state(talk)
    assert found == OPERATIONS[operation]


def check_refusal(response: httpx2.Response, name: str) -> None:
    """Check that a refusal has the form that its clients know, and says what to do."""
    path = response.request.url.path
    challenge = response.headers.get("www-authenticate", "")
    if path.startswith(("/v1/", "/upload/")):
        error = response.json()["error"]
        assert error["code"] == response.status_code
        assert error["status"] in {"UNAUTHENTICATED", "PERMISSION_DENIED"}
    else:
        check_error(response, "DENIED" if response.status_code == 403 else "UNAUTHORIZED")
    if response.status_code == 403:
        # A challenge would make clients try again and hide the reason.
        assert not challenge
        return
    if path.startswith("/v2/"):
        assert challenge.startswith("Bearer realm=")
        assert ("scope=" in challenge) == (name in path or "_catalog" in path)
    else:
        assert challenge.startswith("Basic ")


@pytest.mark.parametrize("identity", ["anonymous", "token of someone without rights"])
def test_whether_something_exists_is_not_told(talk: Conversation, identity: str) -> None:
    furnish(talk)
    other = talk.registry.conversation()
    other.words["upload"] = "0" * 32
    names = talk.words["name"], other.words["name"]
    token = f"Bearer {token_without_rights(talk.registry, *names)}"
    header = None if identity == "anonymous" else token
    for operation in (route for route in OPERATIONS if "<name>" in route):
        answers = []
        for place in (talk, other):
            response = call(place, operation, header, operation.partition(" ")[0])
            text = response.text + response.headers.get("www-authenticate", "")
            text = text.replace(place.words["name"], "<name>").replace(
                place.words["project"], "<p>"
            )
            answers.append((response.status_code, text))
        assert answers[0] == answers[1], operation


def test_a_mount_needs_the_right_to_read(talk: Conversation) -> None:
    """The token for the target is enough (python-dxf has no other); the right to read counts."""
    furnish(talk)
    talk.given("alphabet", repository="<other>")
    name, other = talk.words["name"], talk.words["other"]
    push, pull = f"repository:{name}:push", f"repository:{other}:pull"
    for query in (f"&from={other}", ""):
        target = f"/v2/{name}/blobs/uploads/?mount={digest_of(BLOBS['alphabet'])}{query}"
        for token, status in (
            (token_without_rights(talk.registry, name, other), 403),
            (talk.registry.token(pull)["token"], 401),
            (talk.registry.token(push)["token"], 201),
            (talk.registry.token(push, pull)["token"], 201),
        ):
            headers = {"Authorization": f"Bearer {token}"}
            response = talk.registry.http.post(target, headers=headers)
            assert response.status_code == status
        talk.make(Call("DELETE /v2/<name>/blobs/<alphabet>", 202))
