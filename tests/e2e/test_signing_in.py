"""Every way to sign in that clients of Google's registries have, with each client."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.support.administration import Administration
from tests.support.engines import engine_folder
from tests.support.images import make_image, noise
from tests.support.processes import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.administration import Key
    from tests.support.engines import Containerd, DockerEngine
    from tests.support.servers import CustomhouseServer

WAYS = (
    "a user's password",
    "_json_key",
    "_json_key_base64",
    "oauth2accesstoken",
    "_token",
    "_dcgcloud_token",
    "_dcgcr_1_5_0_token",
)
PRIVATE, PUBLIC = "acme/private/app", "acme/public/app"
PASSWORD = "correct horse battery staple"


@dataclass(frozen=True, slots=True)
class Office:
    """A server where a user and a service account may pull `PRIVATE`, and everybody `PUBLIC`."""

    server: CustomhouseServer
    key: Key
    token: str

    def credentials(self, way: str) -> tuple[str, str]:
        """The user name and the password of a way to sign in."""
        text = json.dumps(self.key)
        match way:
            case "a user's password":
                return "ana", PASSWORD
            case "_json_key":
                return way, text
            case "_json_key_base64":
                return way, base64.b64encode(text.encode()).decode()
        return way, self.token

    def name(self, repository: str) -> str:
        """The name of an image."""
        return f"{self.server.host}/{repository}:1"


@pytest.fixture(scope="module")
def office(server: CustomhouseServer) -> Office:
    """The server with its accounts and images."""
    admin = Administration(server)
    admin.project("acme")
    for repository in (PRIVATE, PUBLIC):
        admin.push(make_image({"hello": noise(50_000, repository)}), repository)
    admin.user("ana", PASSWORD)
    puller = admin.service_account("acme", "puller")
    place = "projects/acme/repositories/private/**"
    for member in ("user:ana", f"serviceAccount:{puller}"):
        admin.bind(place, "roles/artifactregistry.reader", member)
    public = "projects/acme/repositories/public/**"
    admin.bind(public, "roles/artifactregistry.reader", "allUsers")
    key = admin.key(puller)
    return Office(server, key, admin.access_token(key))


def check(office: Office, way: str, login: Callable[..., str], use: Callable[..., str]) -> None:
    """Sign in with a client, and do what is permitted and what is not.

    Args:
        office: the server.
        way: one of WAYS.
        login: signs in with a user name and a password.
        use: `pull` or `push`es an image, and may have to fail.
    """
    login(*office.credentials(way))
    use("pull", office.name(PRIVATE))
    said = use("push", office.name(PRIVATE), fails=True).lower()
    assert "denied" in said or "forbidden" in said or "403" in said


@pytest.mark.client("docker")
@pytest.mark.parametrize("way", WAYS)
def test_docker(office: Office, docker_engine: DockerEngine, way: str, tmp_path: Path) -> None:
    config = ("--config", tmp_path)

    def login(name: str, password: str) -> str:
        arguments = ("login", office.server.host, "-u", name, "--password-stdin")
        return docker_engine.docker(*config, *arguments, stdin=password)

    def use(verb: str, image: str, *, fails: bool = False) -> str:
        return docker_engine.docker(*config, verb, image, fails=fails)

    check(office, way, login, use)


@pytest.mark.client("docker")
def test_docker_without_signing_in(
    office: Office, docker_engine: DockerEngine, tmp_path: Path
) -> None:
    config = ("--config", tmp_path)
    docker_engine.docker(*config, "pull", office.name(PUBLIC))
    for verb, repository in (("pull", PRIVATE), ("pull", "acme/nothing"), ("push", PUBLIC)):
        name = office.name(repository)
        if verb == "push":
            docker_engine.docker("tag", office.name(PUBLIC), name)
        said = docker_engine.docker(*config, verb, name, fails=True)
        assert "unauthorized" in said or "denied" in said


def skopeo_like(program: str, folder: Path) -> Callable[..., str]:
    """Runs skopeo or podman with a file of sign-ins of its own."""

    def call(*arguments: str | Path, stdin: str = "", fails: bool = False) -> str:
        env = {"REGISTRY_AUTH_FILE": str(folder / "auth.json")}
        return run(program, *arguments, stdin=stdin, env=env, fails=fails)

    return call


@pytest.mark.client("skopeo")
@pytest.mark.parametrize("way", WAYS)
def test_skopeo(office: Office, way: str, tmp_path: Path) -> None:
    skopeo = skopeo_like("skopeo", tmp_path)

    def login(name: str, password: str) -> str:
        arguments = ("--tls-verify=false", "-u", name, "--password-stdin", office.server.host)
        return skopeo("login", *arguments, stdin=password)

    def use(verb: str, image: str, *, fails: bool = False) -> str:
        remote, local = f"docker://{image}", f"dir:{tmp_path / 'image'}"
        ends = (remote, local) if verb == "pull" else (local, f"{remote}-new")
        tls = ("--src-tls-verify=false", "--dest-tls-verify=false")
        return skopeo("--insecure-policy", "copy", *tls, *ends, fails=fails)

    check(office, way, login, use)


@pytest.mark.client("skopeo")
def test_skopeo_without_signing_in(office: Office, tmp_path: Path) -> None:
    skopeo = skopeo_like("skopeo", tmp_path)
    inspect = ("inspect", "--tls-verify=false")
    skopeo(*inspect, f"docker://{office.name(PUBLIC)}")
    said = [
        skopeo(*inspect, f"docker://{office.name(name)}", fails=True).replace(name, "<name>")
        for name in (PRIVATE, "acme/private/nothing")
    ]
    assert "unauthorized" in said[0]
    assert said[0].partition("msg=")[2] == said[1].partition("msg=")[2]


@pytest.fixture(scope="module")
def podman_home() -> Iterator[Path]:
    """A folder for podman's storage and sign-ins; its path must be short."""
    with engine_folder("podman") as home:
        yield home


@pytest.mark.client("podman")
@pytest.mark.parametrize("way", WAYS)
def test_podman(office: Office, podman_home: Path, way: str) -> None:
    podman = skopeo_like("podman", podman_home)
    store = ("--root", podman_home / "root", "--runroot", podman_home / "run")
    driver = ("--storage-driver", "vfs", "--events-backend", "none")
    tls = "--tls-verify=false"

    def login(name: str, password: str) -> str:
        return podman(
            "login", tls, "-u", name, "--password-stdin", office.server.host, stdin=password
        )

    def use(verb: str, image: str, *, fails: bool = False) -> str:
        return podman(*store, *driver, verb, tls, image, fails=fails)

    check(office, way, login, use)


@pytest.mark.client("ctr")
@pytest.mark.parametrize("way", WAYS)
def test_ctr(office: Office, containerd: Containerd, way: str) -> None:
    signed_in: list[str] = []

    def login(name: str, password: str) -> str:
        signed_in[:] = ["--plain-http", "--user", f"{name}:{password}"]
        return ""

    def use(verb: str, image: str, *, fails: bool = False) -> str:
        target = image if verb == "pull" else f"{image}-new"
        if verb == "push":
            containerd.ctr("images", "tag", "--force", image, target)
        return containerd.ctr("images", verb, *signed_in, target, fails=fails)

    check(office, way, login, use)


@pytest.mark.client("ctr")
def test_ctr_without_signing_in(office: Office, containerd: Containerd) -> None:
    containerd.ctr("images", "pull", "--plain-http", office.name(PUBLIC))
    containerd.ctr("images", "pull", "--plain-http", office.name(PRIVATE), fails=True)
