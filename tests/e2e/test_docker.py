"""Docker Engine and its command line: `docker login`, `push`, `pull`, `manifest`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.images import archive, noise
from tests.support.servers import PASSWORD, USER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.engines import DockerEngine
    from tests.support.servers import CustomhouseServer

pytestmark = pytest.mark.client("docker")


@pytest.fixture(scope="module")
def engine(docker_engine: DockerEngine, server: CustomhouseServer) -> Iterator[DockerEngine]:
    """The engine, signed in to the server."""
    said = docker_engine.docker(
        "login", server.host, "-u", USER, "--password-stdin", stdin=PASSWORD
    )
    assert "Login Succeeded" in said
    yield docker_engine
    docker_engine.docker("logout", server.host)


@pytest.fixture
def image(engine: DockerEngine, tmp_path: Path) -> str:
    """The id of a new image of two layers, which no registry has."""
    tmp_path.joinpath("base.tar").write_bytes(archive({"hello": noise(200_000, tmp_path)}))
    base = engine.docker("import", tmp_path / "base.tar").strip()
    tmp_path.joinpath("motd").write_bytes(noise(50_000, f"{tmp_path} 2"))
    tmp_path.joinpath("Dockerfile").write_text(f"FROM {base}\nCOPY motd /etc/\n")
    name = f"local/{tmp_path.name.replace('_', '-')}"
    engine.docker("build", "-q", "-t", name, tmp_path)
    return engine.docker("image", "inspect", "--format", "{{.Id}}", name).strip()


def push(engine: DockerEngine, image: str, name: str) -> str:
    """Push an image under a name and return the digest that Docker reports."""
    engine.docker("tag", image, name)
    found = re.search(r"digest: (sha256:[0-9a-f]{64})", engine.docker("push", name))
    assert found is not None
    return found[1]


def test_sign_in_with_a_wrong_password(
    docker_engine: DockerEngine, server: CustomhouseServer, tmp_path: Path
) -> None:
    login = ("--config", tmp_path, "login", server.host, "-u", USER, "--password-stdin")
    said = docker_engine.docker(*login, stdin="wrong", fails=True)
    assert "unauthorized" in said.lower()


def test_pull_by_tag_and_by_digest(
    engine: DockerEngine, server: CustomhouseServer, image: str
) -> None:
    name = f"{server.host}/acme/app"
    digest = push(engine, image, f"{name}:1")
    for reference in (f"{name}:1", f"{name}@{digest}"):
        engine.docker("image", "rm", "--force", image)
        engine.docker("pull", reference)
        assert engine.docker("image", "inspect", "--format", "{{.Id}}", reference).strip() == image


def test_second_push_sends_nothing(
    engine: DockerEngine, server: CustomhouseServer, image: str
) -> None:
    name = f"{server.host}/acme/twice"
    with server.traffic() as first:
        digest = push(engine, image, f"{name}:1")
    with server.traffic() as second:
        assert push(engine, image, f"{name}:2") == digest
    assert first.uploaded == 3  # two layers and the configuration
    assert second.uploaded == 0


def test_push_to_another_repository_mounts_the_layers(
    engine: DockerEngine, server: CustomhouseServer, image: str
) -> None:
    push(engine, image, f"{server.host}/acme/original:1")
    with server.traffic() as traffic:
        push(engine, image, f"{server.host}/other/copy:1")
    assert traffic.mounted == 2
    assert traffic.uploaded == 1  # Docker always sends the configuration


def test_manifest_list(engine: DockerEngine, server: CustomhouseServer, image: str) -> None:
    name = f"{server.host}/acme/multi"
    push(engine, image, f"{name}:amd64")
    engine.docker("manifest", "create", "--insecure", f"{name}:all", f"{name}:amd64")
    engine.docker("manifest", "annotate", f"{name}:all", f"{name}:amd64", "--arch", "amd64")
    engine.docker("manifest", "push", "--insecure", f"{name}:all")
    engine.docker("image", "rm", "--force", image)
    engine.docker("pull", f"{name}:all")
    assert engine.docker("image", "inspect", "--format", "{{.Id}}", f"{name}:all").strip() == image


def test_missing_tag_is_said_to_be_missing(
    engine: DockerEngine, server: CustomhouseServer, image: str
) -> None:
    push(engine, image, f"{server.host}/acme/some:1")
    said = engine.docker("pull", f"{server.host}/acme/some:2", fails=True)
    assert "not found" in said or "manifest unknown" in said


def test_anonymous_may_neither_pull_nor_push(
    engine: DockerEngine, server: CustomhouseServer, image: str, tmp_path: Path
) -> None:
    name = f"{server.host}/acme/private:1"
    push(engine, image, name)
    for command in ("pull", "push"):
        said = engine.docker("--config", tmp_path, command, name, fails=True)
        assert re.search("unauthorized|denied|no basic auth", said), said
