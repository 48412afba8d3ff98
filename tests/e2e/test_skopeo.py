"""skopeo: `login`, `copy`, `inspect`, `list-tags`, `delete`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import run
from tests.support.servers import PASSWORD, USER

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.images import Image
    from tests.support.servers import CustomhouseServer

pytestmark = pytest.mark.client("skopeo")


@dataclass(frozen=True, slots=True)
class Skopeo:
    """skopeo with a file of sign-ins of its own."""

    signed_in: Path
    host: str

    def __call__(self, command: str, *arguments: str | Path, fails: bool = False) -> str:
        auth = ("--authfile", self.signed_in)
        tls = (
            ("--src-tls-verify=false", "--dest-tls-verify=false")
            if command == "copy"
            else ("--tls-verify=false",)
        )
        return run("skopeo", "--insecure-policy", command, *auth, *tls, *arguments, fails=fails)

    def login(self, password: str, *, fails: bool = False) -> str:
        """Sign in to the server."""
        return self("login", "-u", USER, "-p", password, self.host, fails=fails)


@pytest.fixture(scope="module")
def skopeo(server: CustomhouseServer, tmp_path_factory: pytest.TempPathFactory) -> Skopeo:
    """skopeo, signed in to the server."""
    tool = Skopeo(tmp_path_factory.mktemp("skopeo") / "auth.json", server.host)
    assert "Login Succeeded" in tool.login(PASSWORD)
    return tool


@pytest.fixture
def image(small_image: Image, tmp_path: Path) -> Image:
    """A new image, which no registry has, also as a layout in `tmp_path/layout`."""
    small_image.write_layout(tmp_path / "layout", "1")
    return small_image


def test_sign_in_with_a_wrong_password(server: CustomhouseServer, tmp_path: Path) -> None:
    said = Skopeo(tmp_path / "auth.json", server.host).login("wrong", fails=True)
    assert "invalid username/password" in said


def test_pull_by_tag_and_by_digest(skopeo: Skopeo, image: Image, tmp_path: Path) -> None:
    name = f"docker://{skopeo.host}/acme/app"
    skopeo("copy", f"oci:{tmp_path}/layout:1", f"{name}:1")
    for n, reference in enumerate((f"{name}:1", f"{name}@{image.digest}")):
        assert skopeo("inspect", "--raw", reference).encode() == image.manifest
        skopeo("copy", reference, f"dir:{tmp_path}/pulled-{n}")
        pulled = tmp_path / f"pulled-{n}"
        assert {path.read_bytes() for path in pulled.iterdir()} >= set(image.blobs)


def test_second_push_sends_nothing(
    skopeo: Skopeo, server: CustomhouseServer, image: Image, tmp_path: Path
) -> None:
    name = f"docker://{skopeo.host}/acme/twice"
    with server.traffic() as first:
        skopeo("copy", f"oci:{tmp_path}/layout:1", f"{name}:1")
    with server.traffic() as second:
        skopeo("copy", f"oci:{tmp_path}/layout:1", f"{name}:2")
    assert first.uploaded == len(image.blobs)
    assert second.uploaded == 0


def test_push_to_another_repository_mounts_the_layers(
    skopeo: Skopeo, server: CustomhouseServer, image: Image, tmp_path: Path
) -> None:
    skopeo("copy", f"oci:{tmp_path}/layout:1", f"docker://{skopeo.host}/acme/original:1")
    with server.traffic() as traffic:
        skopeo("copy", f"oci:{tmp_path}/layout:1", f"docker://{skopeo.host}/other/copy:1")
    assert traffic.mounted == len(image.layers)
    assert traffic.uploaded == 1  # skopeo always sends the configuration


@pytest.mark.usefixtures("image")
def test_list_and_delete(skopeo: Skopeo, tmp_path: Path) -> None:
    name = f"docker://{skopeo.host}/acme/listed"
    for tag in ("b", "a"):
        skopeo("copy", f"oci:{tmp_path}/layout:1", f"{name}:{tag}")
    assert json.loads(skopeo("list-tags", name))["Tags"] == ["a", "b"]
    skopeo("delete", f"{name}:a")
    said = skopeo("inspect", "--raw", f"{name}:a", fails=True)
    assert "manifest unknown" in said
    said = skopeo("inspect", "--raw", f"{name}:b", fails=True)
    assert "manifest unknown" in said, "skopeo deletes the manifest, and so all of its tags"


@pytest.mark.usefixtures("image")
def test_other_manifest_forms(skopeo: Skopeo, tmp_path: Path) -> None:
    name = f"docker://{skopeo.host}/acme/forms"
    skopeo("copy", "--format", "v2s2", f"oci:{tmp_path}/layout:1", f"{name}:docker")
    manifest = json.loads(skopeo("inspect", "--raw", f"{name}:docker"))
    assert manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"


@pytest.mark.usefixtures("image")
def test_anonymous_may_neither_pull_nor_push(skopeo: Skopeo, tmp_path: Path) -> None:
    name = f"docker://{skopeo.host}/acme/private:1"
    skopeo("copy", f"oci:{tmp_path}/layout:1", name)
    anonymous = Skopeo(tmp_path / "none.json", skopeo.host)
    assert "unauthorized" in anonymous("inspect", name, fails=True)
    assert "unauthorized" in anonymous("copy", f"oci:{tmp_path}/layout:1", name, fails=True)
