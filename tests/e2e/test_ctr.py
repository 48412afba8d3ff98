"""containerd's `ctr`: `images push`, `pull`."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.support.images import digest_of
from tests.support.servers import PASSWORD, USER

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.engines import Containerd
    from tests.support.images import Image
    from tests.support.servers import CustomhouseServer

pytestmark = pytest.mark.client("ctr")

SIGNED_IN = ("--plain-http", "--user", f"{USER}:{PASSWORD}")


@pytest.fixture
def image(containerd: Containerd, small_image: Image, tmp_path: Path) -> Image:
    """A new image, which no registry has, in containerd as `local/new:1`."""
    layout = small_image.write_layout(tmp_path / "layout", "1")
    with tarfile.open(tmp_path / "image.tar", "w") as tar:
        tar.add(layout, arcname="")
    containerd.ctr("images", "import", "--base-name", "local/new", tmp_path / "image.tar")
    return small_image


def push(containerd: Containerd, image: Image, name: str) -> None:
    """Push `local/new:1`, which must be `image`, under a name."""
    containerd.ctr("images", "tag", "--force", "local/new:1", name)
    containerd.ctr("images", "push", *SIGNED_IN, name)


def forget(containerd: Containerd, image: Image) -> None:
    """Remove every local image and, with them, the content of `image`."""
    containerd.ctr("images", "rm", "--sync", *containerd.ctr("images", "ls", "-q").split())
    assert digest_of(image.layers[0]) not in containerd.ctr("content", "ls", "-q")


def test_pull_by_tag_and_by_digest(
    containerd: Containerd, server: CustomhouseServer, image: Image
) -> None:
    name = f"{server.host}/acme/app"
    push(containerd, image, f"{name}:1")
    for reference in (f"{name}:1", f"{name}@{image.digest}"):
        forget(containerd, image)
        containerd.ctr("images", "pull", *SIGNED_IN, reference)
        # containerd checks the bytes of each blob against its digest.
        assert {digest_of(blob) for blob in (*image.blobs, image.manifest)} <= set(
            containerd.ctr("content", "ls", "-q").split()
        )


def test_second_push_sends_nothing(
    containerd: Containerd, server: CustomhouseServer, image: Image
) -> None:
    with server.traffic() as first:
        push(containerd, image, f"{server.host}/acme/twice:1")
    with server.traffic() as second:
        push(containerd, image, f"{server.host}/acme/twice:2")
    assert first.uploaded == len(image.blobs)
    assert second.uploaded == 0


def test_push_to_another_repository_mounts(
    containerd: Containerd, server: CustomhouseServer, image: Image
) -> None:
    # containerd knows where it pulled a blob from, not where it pushed it to.
    push(containerd, image, f"{server.host}/acme/original:1")
    forget(containerd, image)
    containerd.ctr("images", "pull", *SIGNED_IN, f"{server.host}/acme/original:1")
    containerd.ctr("images", "tag", f"{server.host}/acme/original:1", f"{server.host}/acme/copy:1")
    with server.traffic() as traffic:
        containerd.ctr("images", "push", *SIGNED_IN, f"{server.host}/acme/copy:1")
    assert traffic.mounted == len(image.blobs)
    assert traffic.uploaded == 0


@pytest.mark.parametrize("user", [f"{USER}:wrong", f"nobody:{PASSWORD}", None])
def test_without_the_right_password(
    containerd: Containerd, server: CustomhouseServer, image: Image, user: str | None
) -> None:
    name = f"{server.host}/acme/private:1"
    push(containerd, image, name)
    refused = ("--plain-http", *(("--user", user) if user else ()))
    for command in ("pull", "push"):
        said = containerd.ctr("images", command, *refused, name, fails=True)
        assert "401" in said or "authorization failed" in said, said
