"""podman: `login`, `push`, `pull`, `search`, `manifest push`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.support.engines import engine_folder, storage_driver
from tests.support.images import archive, noise
from tests.support.processes import run
from tests.support.servers import PASSWORD, USER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.servers import CustomhouseServer

pytestmark = pytest.mark.client("podman")


@dataclass(frozen=True, slots=True)
class Podman:
    """podman with storage and sign-ins of its own."""

    home: Path
    driver: str
    host: str

    def __call__(self, *arguments: str | Path, fails: bool = False) -> str:
        storage = ("--root", self.home / "root", "--runroot", self.home / "run")
        driver = ("--storage-driver", self.driver, "--events-backend", "none")
        env = {"REGISTRY_AUTH_FILE": str(self.home / "auth.json")}
        return run("podman", *storage, *driver, *arguments, env=env, fails=fails)

    def image_id(self, name: str) -> str:
        """The digest of a local image's configuration."""
        return self("image", "inspect", "--format", "{{.Id}}", name).strip()


@pytest.fixture(scope="module")
def podman(server: CustomhouseServer) -> Iterator[Podman]:
    """podman, signed in to the server."""
    with engine_folder("podman") as home:
        tool = Podman(home, storage_driver(home).removesuffix("2"), server.host)
        said = tool("login", "--tls-verify=false", "-u", USER, "-p", PASSWORD, server.host)
        assert "Login Succeeded" in said
        yield tool


@pytest.fixture
def image(podman: Podman, tmp_path: Path) -> str:
    """The id of a new image of one layer, which no registry has."""
    tmp_path.joinpath("root.tar").write_bytes(archive({"hello": noise(200_000, tmp_path)}))
    return podman("import", "--quiet", tmp_path / "root.tar").strip().removeprefix("sha256:")


def push(podman: Podman, image: str, name: str, *options: str) -> str:
    """Push an image under a name and return the digest of the manifest."""
    podman("push", "--tls-verify=false", *options, "--digestfile", podman.home / "id", image, name)
    return podman.home.joinpath("id").read_text()


def test_sign_in_with_a_wrong_password(podman: Podman, tmp_path: Path) -> None:
    auth = ("--authfile", tmp_path / "auth.json")
    said = podman(
        *("login", "--tls-verify=false", *auth, "-u", USER, "-p", "wrong", podman.host), fails=True
    )
    assert "invalid username/password" in said


@pytest.mark.parametrize("form", ["oci", "v2s2"])
def test_pull_by_tag_and_by_digest(podman: Podman, image: str, form: str) -> None:
    name = f"{podman.host}/acme/app-{form}"
    digest = push(podman, image, f"{name}:1", "--format", form)
    pushed = None
    for reference in (f"{name}:1", f"{name}@{digest}"):
        podman("pull", "--tls-verify=false", reference)
        pulled = podman.image_id(reference)
        assert pushed in {None, pulled}
        pushed = pulled
        podman("image", "rm", "--force", pulled)


def test_second_push_sends_nothing(podman: Podman, server: CustomhouseServer, image: str) -> None:
    name = f"{podman.host}/acme/twice"
    with server.traffic() as first:
        digest = push(podman, image, f"{name}:1")
    with server.traffic() as second:
        assert push(podman, image, f"{name}:2") == digest
    assert first.uploaded == 2  # the layer and the configuration
    assert second.uploaded == 0


def test_push_to_another_repository_mounts_the_layer(
    podman: Podman, server: CustomhouseServer, image: str
) -> None:
    push(podman, image, f"{podman.host}/acme/original:1")
    with server.traffic() as traffic:
        push(podman, image, f"{podman.host}/other/copy:1")
    assert traffic.mounted == 1
    assert traffic.uploaded == 1  # podman always sends the configuration


def test_index_with_all_its_images(podman: Podman, server: CustomhouseServer, image: str) -> None:
    name = f"{podman.host}/acme/multi:all"
    podman("manifest", "create", "multi", f"containers-storage:{image}")
    podman("manifest", "push", "--tls-verify=false", "--all", "multi", f"docker://{name}")
    podman("manifest", "rm", "multi")
    podman("image", "rm", image)
    assert podman("pull", "--quiet", "--tls-verify=false", name).strip() == image
    index = "application/vnd.oci.image.index.v1+json"
    url = f"{server.url}/v2/acme/multi/manifests/all"
    pushed = httpx2.get(url, auth=server.auth, headers={"Accept": index})
    assert pushed.headers["Content-Type"] == index


def test_search(podman: Podman, image: str) -> None:
    for tag in ("1", "2"):
        push(podman, image, f"{podman.host}/acme/found:{tag}")
    said = podman("search", "--tls-verify=false", f"{podman.host}/found")
    assert f"{podman.host}/acme/found" in said
    tags = podman("search", "--tls-verify=false", "--list-tags", f"{podman.host}/acme/found")
    assert [line.split()[1] for line in tags.splitlines()[1:]] == ["1", "2"]


def test_anonymous_may_neither_pull_nor_push(podman: Podman, image: str, tmp_path: Path) -> None:
    name = f"{podman.host}/acme/private:1"
    push(podman, image, name)
    nobody = ("--tls-verify=false", "--authfile", tmp_path / "none.json")
    tmp_path.joinpath("none.json").write_text("{}")
    assert "unauthorized" in podman("pull", *nobody, name, fails=True)
    assert "unauthorized" in podman("push", *nobody, image, name, fails=True)
