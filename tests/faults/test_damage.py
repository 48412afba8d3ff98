"""Content that is lost or damaged on the server's disk: told in words, healed by a push."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.pushers import debian_image
from tests.faults.registry import Registry
from tests.support.images import digest_of, noise
from tests.support.servers import customhouse_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.servers import CustomhouseServer

pytestmark = pytest.mark.xdist_group("faults-processes")

REPOSITORY = "faults/damaged"
SIZES = {"small": 1000, "large": 300_000}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CustomhouseServer]:
    """A server whose disk loses things."""
    with customhouse_server(tmp_path_factory.mktemp("server")) as running:
        yield running


def file_of(server: CustomhouseServer, digest: str) -> Path:
    """The file that holds a blob."""
    (found,) = (server.data / "blobs").rglob(digest.partition(":")[2])
    return found


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("damage", ["lost", "cut short"])
def test_blob(server: CustomhouseServer, size: str, damage: str) -> None:
    content = noise(SIZES[size], f"{size} {damage}")
    other = noise(100_000, "other")
    path = f"/v2/{REPOSITORY}/blobs/{digest_of(content)}"
    with Registry(server) as registry:
        for blob in (content, other):
            registry.upload(REPOSITORY, blob)
        place = file_of(server, digest_of(content))
        if damage == "lost":
            place.unlink()
        else:
            place.chmod(0o600)
            with place.open("r+b") as file:
                file.truncate(SIZES[size] // 2)
        for headers in ({}, {"range": f"bytes={SIZES[size] - 100}-"}):
            response = registry.call("GET", path, 500, headers=headers)
            (error,) = response.json()["errors"]
            assert error["code"] == "UNKNOWN"
            assert digest_of(content) in error["message"]
            assert "Push the same content again" in error["detail"]["hint"]
        assert registry.blob(REPOSITORY, digest_of(other)) == other
        registry.upload(REPOSITORY, content)
        assert registry.blob(REPOSITORY, digest_of(content)) == content


def test_layer_that_is_lost_before_it_is_read(server: CustomhouseServer) -> None:
    image, folder = debian_image(1), debian_image(2)
    with Registry(server) as registry:
        for each in (image, folder):
            for blob in each.blobs:
                registry.upload(REPOSITORY, blob)
        file_of(server, digest_of(image.layers[1])).unlink()
        place = file_of(server, digest_of(folder.layers[1]))
        place.unlink()
        place.mkdir()  # to read it fails in another way
        for each in (image, folder):
            digest = registry.put_manifest(REPOSITORY, "latest", each.manifest)
            found = registry.discovery(REPOSITORY, digest)
            assert found["analysisStatus"] == "FINISHED_FAILED"
            message = found["analysisStatusError"]["message"]
            assert "cannot be read" in message
            assert digest_of(each.layers[1]) in message
