"""buildah: `login`, `from`, `copy`, `commit`, `push`, `pull`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.support.engines import engine_folder, storage_driver
from tests.support.images import noise
from tests.support.processes import run
from tests.support.servers import PASSWORD, USER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.servers import CustomhouseServer

pytestmark = pytest.mark.client("buildah")


@dataclass(frozen=True, slots=True)
class Buildah:
    """buildah with storage and sign-ins of its own."""

    home: Path
    driver: str
    host: str

    def __call__(self, *arguments: str | Path, fails: bool = False) -> str:
        storage = ("--root", self.home / "root", "--runroot", self.home / "run")
        env = {"REGISTRY_AUTH_FILE": str(self.home / "auth.json")}
        driver = ("--storage-driver", self.driver)
        return run("buildah", *storage, *driver, *arguments, env=env, fails=fails)


@pytest.fixture(scope="module")
def buildah(server: CustomhouseServer) -> Iterator[Buildah]:
    """buildah, signed in to the server."""
    with engine_folder("buildah") as home:
        tool = Buildah(home, storage_driver(home).removesuffix("2"), server.host)
        said = tool("login", "--tls-verify=false", "-u", USER, "-p", PASSWORD, server.host)
        assert "Login Succeeded" in said
        yield tool


@pytest.fixture
def image(buildah: Buildah, tmp_path: Path) -> str:
    """The id of a new image of one layer, which no registry has."""
    tmp_path.joinpath("hello").write_bytes(noise(200_000, tmp_path))
    container = buildah("from", "scratch").strip()
    buildah("copy", "--quiet", container, tmp_path / "hello", "/hello")
    return buildah("commit", "--quiet", "--rm", container).strip()


def push(buildah: Buildah, image: str, name: str) -> str:
    """Push an image under a name and return the digest of the manifest."""
    buildah("push", "--tls-verify=false", "--digestfile", buildah.home / "id", image, name)
    return buildah.home.joinpath("id").read_text()


def test_sign_in_with_a_wrong_password(buildah: Buildah, tmp_path: Path) -> None:
    auth = ("--authfile", tmp_path / "auth.json")
    said = buildah(
        *("login", "--tls-verify=false", *auth, "-u", USER, "-p", "wrong", buildah.host), fails=True
    )
    assert "invalid username/password" in said


def test_pull_by_tag_and_by_digest(buildah: Buildah, image: str) -> None:
    name = f"{buildah.host}/acme/app"
    digest = push(buildah, image, f"{name}:1")
    for reference in (f"{name}:1", f"{name}@{digest}"):
        buildah("rmi", "--force", image)
        assert buildah("pull", "--quiet", "--tls-verify=false", reference).strip() == image


def test_second_push_sends_nothing(buildah: Buildah, server: CustomhouseServer, image: str) -> None:
    name = f"{buildah.host}/acme/twice"
    with server.traffic() as first:
        digest = push(buildah, image, f"{name}:1")
    with server.traffic() as second:
        assert push(buildah, image, f"{name}:2") == digest
    assert first.uploaded == 2  # the layer and the configuration
    assert second.uploaded == 0


def test_push_to_another_repository_mounts_the_layer(
    buildah: Buildah, server: CustomhouseServer, image: str
) -> None:
    push(buildah, image, f"{buildah.host}/acme/original:1")
    with server.traffic() as traffic:
        push(buildah, image, f"{buildah.host}/other/copy:1")
    assert traffic.mounted == 1
    assert traffic.uploaded == 1  # buildah always sends the configuration


def test_build_from_a_pulled_image(buildah: Buildah, image: str, tmp_path: Path) -> None:
    base, made = f"{buildah.host}/acme/base:1", f"{buildah.host}/acme/made:1"
    push(buildah, image, base)
    tmp_path.joinpath("Dockerfile").write_text(f"FROM {base}\nCOPY hello /again\n")
    buildah("rmi", "--force", image)
    buildah("build", "--tls-verify=false", "--layers", "--tag", made, tmp_path)
    push(buildah, made, made)
    layers = json.loads(buildah("inspect", "--type", "image", made))["OCIv1"]["rootfs"]["diff_ids"]
    assert len(layers) == 2
