"""Who may do what: every operation there is, asked for by everybody there is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from customhouse.application import Application
from customhouse.iam.tokens import CATALOG
from customhouse.registry.api import ROUTES
from customhouse.server import prepare
from customhouse.settings import Settings
from tests.security.conftest import ADMINISTRATOR, WRONG_PASSWORD, token_without_rights
from tests.support.servers import PASSWORD, USER
from tests.wire.calls import BASIC, Call, Conversation, Registry, check_error
from tests.wire.contents import BLOBS, IMAGE, OCI_MANIFEST, digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx2

pytestmark = pytest.mark.xdist_group("security")

IDENTITIES = (
    "anonymous",
    "wrong password",
    "garbage token",
    "administrator's token for another repository",
    "administrator's token for nothing in particular",
    "token of someone without rights",
    "the same, for nothing in particular",
    "administrator's token",
    "administrator's password",
)

# The status that each of IDENTITIES gets, in their order. Where the token is for something else,
# 401 asks for one with the right scope; 403 is the last word.
OPERATIONS = {
    # The distribution API.
    "GET /v2/": (401, 401, 401, 200, 200, 200, 200, 200, 200),
    "GET /v2/_catalog": (401, 401, 401, 401, 401, 403, 401, 200, 200),
    "GET /v2/<name>/tags/list": (401, 401, 401, 401, 401, 403, 401, 200, 200),
    "GET /v2/<name>/manifests/<reference>": (401, 401, 401, 401, 401, 403, 401, 200, 200),
    "PUT /v2/<name>/manifests/<reference>": (401, 401, 401, 401, 401, 403, 401, 201, 201),
    "DELETE /v2/<name>/manifests/<reference>": (401, 401, 401, 401, 401, 403, 401, 202, 202),
    "GET /v2/<name>/referrers/<digest>": (401, 401, 401, 401, 401, 403, 401, 200, 200),
    "GET /v2/<name>/blobs/<digest>": (401, 401, 401, 401, 401, 403, 401, 200, 200),
    "DELETE /v2/<name>/blobs/<digest>": (401, 401, 401, 401, 401, 403, 401, 202, 202),
    "POST /v2/<name>/blobs/uploads/": (401, 401, 401, 401, 401, 403, 401, 202, 202),
    "GET /v2/<name>/blobs/uploads/<upload>": (401, 401, 401, 401, 401, 403, 401, 204, 204),
    "PATCH /v2/<name>/blobs/uploads/<upload>": (401, 401, 401, 401, 401, 403, 401, 202, 202),
    "PUT /v2/<name>/blobs/uploads/<upload>": (401, 401, 401, 401, 401, 403, 401, 201, 201),
    "DELETE /v2/<name>/blobs/uploads/<upload>": (401, 401, 401, 401, 401, 403, 401, 204, 204),
    # Signing in: tokens of the APIs are no credentials here.
    "GET /token": (401, 401, 401, 401, 401, 401, 401, 401, 200),
    "POST /token": (401, 401, 401, 401, 401, 401, 401, 401, 200),
    # For probes and monitoring.
    "GET /healthz": (200, 200, 200, 200, 200, 200, 200, 200, 200),
    "GET /readyz": (200, 200, 200, 200, 200, 200, 200, 200, 200),
    "GET /metrics": (200, 200, 200, 200, 200, 200, 200, 200, 200),
    # The control plane, which takes no token that is for some repositories alone.
    "GET /v1/openapi.json": (200, 200, 200, 200, 200, 200, 200, 200, 200),
    "GET /v1/feeds": (401, 401, 401, 401, 200, 401, 403, 401, 200),
    "POST /v1/feeds:import": (401, 401, 401, 401, 400, 401, 403, 401, 400),  # its body is none
    "POST /upload/v1/feeds:import": (401, 401, 401, 401, 400, 401, 403, 401, 400),  # nor its name
    "GET /v1/operations/{operation}": (401, 401, 401, 401, 404, 401, 403, 401, 404),  # unknown
    "GET /v1/projects/{project}/occurrences": (401, 401, 401, 401, 400, 401, 403, 401, 400),
}

# What a call of an operation needs beside its path.
QUERIES = {
    "PUT /v2/<name>/blobs/uploads/<upload>": f"digest={digest_of(BLOBS['alphabet'])}",
    "POST /upload/v1/feeds:import": "name=-",
    "GET /v1/projects/{project}/occurrences": "filter=x",
}
BODIES = {
    "PUT /v2/<name>/manifests/<reference>": IMAGE,
    "PUT /v2/<name>/blobs/uploads/<upload>": BLOBS["alphabet"],
    "PATCH /v2/<name>/blobs/uploads/<upload>": b"abc",
    "POST /v1/feeds:import": b"{}",
    "POST /upload/v1/feeds:import": b"{}",
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
        control = application._control
        assert control is not None
        return set(walk(control.routes))


def walk(routes: list[Any]) -> Iterator[str]:
    """The operations of routes, those of included routers as well."""
    for route in routes:
        if hasattr(route, "original_router"):
            yield from walk(route.original_router.routes)
        else:
            yield from (f"{method} {route.path_format}" for method in route.methods - {"HEAD"})


def test_every_operation_is_in_the_table(control_operations: set[str]) -> None:
    registry_operations = {f"{route.method} {route.path}" for route in ROUTES}
    others = {"GET /token", "POST /token", "GET /healthz", "GET /readyz", "GET /metrics"}
    assert set(OPERATIONS) == registry_operations | control_operations | others


def test_every_operation_is_described(registry: Registry, control_operations: set[str]) -> None:
    paths = registry.http.get("/v1/openapi.json").json()["paths"]
    described = {
        f"{method.upper()} {path}" for path, methods in paths.items() for method in methods
    }
    assert described == control_operations - {"GET /v1/openapi.json"}


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
def headers(talk: Conversation) -> dict[str, str | None]:
    """The Authorization header of each identity."""
    registry, name = talk.registry, talk.words["name"]
    values = (
        None,
        WRONG_PASSWORD,
        "Bearer garbage",
        f"Bearer {registry.token('repository:p/elsewhere:*')['token']}",
        f"Bearer {registry.token()['token']}",
        f"Bearer {token_without_rights(registry, name, CATALOG)}",
        f"Bearer {token_without_rights(registry)}",
        f"Bearer {registry.token(f'repository:{name}:*', 'registry:catalog:*')['token']}",
        ADMINISTRATOR,
    )
    return dict(zip(IDENTITIES, values, strict=True))


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
    path = path.format(project=talk.words["project"], operation="0" * 24)
    if operation in QUERIES:
        path += f"?{QUERIES[operation]}"
    headers = {"Content-Type": OCI_MANIFEST if "manifests" in path else "application/json"}
    if header is not None:
        headers["Authorization"] = header
    if operation == "POST /token":
        return talk.registry.http.post(path, data=form(header))
    return talk.registry.http.request(method, path, content=BODIES.get(operation), headers=headers)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_who_may_do_what(
    talk: Conversation, headers: dict[str, str | None], operation: str
) -> None:
    method = operation.partition(" ")[0]
    methods = (method, "HEAD") if method == "GET" and " /v2/" in operation else (method,)
    furnish(talk)
    before = state(talk)
    for identity, expected in zip(IDENTITIES, OPERATIONS[operation], strict=True):
        for way in methods:
            response = call(talk, operation, headers[identity], way)
            said = f"{way} {operation} by {identity}: {response.status_code} {response.text[:300]}"
            assert response.status_code == expected, said
            if response.status_code in {401, 403}:
                check_refusal(response, talk.words["name"])
        if method == "GET":
            continue
        if expected in {401, 403}:
            assert state(talk) == before, f"{operation} by {identity} was refused and yet done"
        else:
            furnish(talk)
            before = state(talk)


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
            answers.append((response.status_code, text.replace(place.words["name"], "<name>")))
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
