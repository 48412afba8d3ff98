"""What it costs to know who may do what: tokens a second, and reads among 50,000 bindings.

A system of 1,000 projects with 10,000 users and 50,000 bindings, whose users read the manifests of
their projects in turns, stands beside one with nothing but the benchmark's own image.
"""

import random
import urllib.parse
from statistics import median

from benchmarks.context import Context, signed_in
from benchmarks.image import TAG, Image, digest_of, push_image, small_image
from benchmarks.load import mixed_per_second
from benchmarks.results import Result, judge, judge_rounds
from benchmarks.servers import Server, running
from benchmarks.wire import REPOSITORY
from customhouse.database import Database, Transaction
from customhouse.iam import accounts, policies, projects
from customhouse.iam.permissions import Permission, Principal, Resource
from customhouse.iam.policies import Binding
from customhouse.iam.roles import ROLES
from customhouse.iam.tokens import Tokens
from customhouse.oci import parse_manifest
from customhouse.registry import blobs, manifests, tags
from customhouse.registry.manifests import ImageFacts
from customhouse.registry.repositories import REPOSITORY as REPOSITORY_TABLE

_PROJECTS, _USERS_EACH, _BINDINGS_EACH = 1000, 10, 50
_READERS = 200
_MANIFEST = f"manifests/{TAG}"


def run(context: Context) -> list[Result]:
    """Count tokens and reads of both systems, in turns."""
    image = small_image()
    with (
        running(context.ours.program, context.folder / "access-full") as full,
        running(context.ours.program, context.folder / "access-empty") as empty,
    ):
        for server in (full, empty):
            push_image(signed_in(server), image)
        with context.console.status("50,000 bindings"):
            crowd = _fill(context, image)
        found = []
        tokens: list[float] = []
        with context.console.status("reads among 50,000 bindings"):
            for _ in range(context.effort.rounds):
                rates = (
                    _reads(context, full, crowd, image),
                    _reads(context, empty, [_own(empty)], image),
                )
                found.append(rates)
                tokens.append(_tokens(context, full))
    name = "manifest GET among 50,000 bindings, to one without any"
    return [
        judge("tokens issued", "tokens/s", median(tokens)),
        judge_rounds(name, "requests/s", found),
    ]


def _own(server: Server) -> bytes:
    endpoint = signed_in(server)
    return _request(f"/v2/{REPOSITORY}/{_MANIFEST}", endpoint.authorization or "")


def _request(path: str, authorization: str) -> bytes:
    head = (f"GET {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: {authorization}")
    return "\r\n".join([*head, "", ""]).encode()


def _reads(context: Context, server: Server, requests: list[bytes], image: Image) -> float:
    return mixed_per_second(server.endpoint, requests, len(image.manifest), context.effort.seconds)


def _tokens(context: Context, server: Server) -> float:
    """Tokens for a repository, asked for as Docker does, with a password that was right before."""
    credentials = server.program.credentials
    query = {"service": "customhouse", "scope": f"repository:{REPOSITORY}:pull"}
    path = f"/token?{urllib.parse.urlencode(query)}"
    request = _request(path, credentials.basic() if credentials else "")
    return mixed_per_second(server.endpoint, [request], None, context.effort.seconds)


def _fill(context: Context, image: Image) -> list[bytes]:
    """Make the projects, users and bindings; the requests of some of the users."""
    database = Database(f"sqlite:///{context.folder}/access-full/data/customhouse.sqlite")
    chance = random.Random(1)
    try:
        for first in range(0, _PROJECTS, 100):
            database.write(_make, range(first, first + 100), image, chance)
        tokens = Tokens.load(database, access_seconds=3600, refresh_seconds=3600)
        requests = []
        for number in chance.sample(range(_PROJECTS), _READERS):
            principal, _ = database.read(accounts.find, f"user-{number}-0") or (Principal(""), "")
            token = tokens.issue(principal, None)
            path = f"/v2/project-{number}/app/{_MANIFEST}"
            requests.append(_request(path, f"Bearer {token}"))
        return requests
    finally:
        database.close()


def _make(tx: Transaction, numbers: range, image: Image, chance: random.Random) -> None:
    permissions = {role.name: role.permissions for role in ROLES.values()}
    for number in numbers:
        project = f"project-{number}"
        projects.create(tx, project, "user:admin")
        users = [f"user-{number}-{each}" for each in range(_USERS_EACH)]
        for user in users:
            accounts.create(tx, user)
        _bind(tx, project, [f"user:{user}" for user in users], permissions, chance)
        _store(tx, f"{project}/app", project, image)


def _bind(
    tx: Transaction,
    project: str,
    members: list[str],
    permissions: dict[str, frozenset[Permission]],
    chance: random.Random,
) -> None:
    roles = sorted(name for name in permissions if "customhouse" not in name)
    own = [Binding("roles/artifactregistry.reader", (members[0],))]
    others = ["app", "team-a/**", "team-b/**", "web/api"]
    per_place = (_BINDINGS_EACH - len(own)) // (1 + len(others))
    for place in ("", *others):
        chosen = [
            Binding(role, (chance.choice(members),)) for role in chance.sample(roles, per_place)
        ]
        resource = Resource(project, "repositories", place) if place else Resource(project)
        bindings = (*own, *chosen) if not place else tuple(chosen)
        policies.put(tx, resource, bindings, "", permissions)


def _store(tx: Transaction, name: str, project: str, image: Image) -> None:
    """Let a repository have the image, whose content is there already."""
    values = {"name": name, "project": project, "created_at": 0}
    tx.execute(REPOSITORY_TABLE.insert(), values)
    number = int(
        tx.exec_driver_sql("SELECT id FROM repository WHERE name = ?", (name,)).scalar() or 0
    )
    for blob in (image.config, image.layer):
        blobs.link(tx, number, digest_of(blob), len(blob))
    manifest = parse_manifest(image.manifest, "")
    found, _ = manifests.put(tx, number, manifest, image.manifest, ImageFacts(), "user:admin")
    tags.put(tx, number, TAG, found, "user:admin")
