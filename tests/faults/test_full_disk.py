"""A full disk: pushes are refused in words, pulls go on, and nothing is lost."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.faults.pushers import debian_image
from tests.faults.registry import Registry
from tests.support.images import digest_of, noise
from tests.support.processes import run
from tests.support.servers import customhouse_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.servers import CustomhouseServer

pytestmark = pytest.mark.xdist_group("faults-disk")

MIB = 1024 * 1024
REPOSITORY = "faults/app"
FULL = httpx2.codes.INSUFFICIENT_STORAGE


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A file system of its own in `folder`."""
    folder.mkdir()
    run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder)
    try:
        yield folder
    finally:
        run("umount", "--lazy", folder)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[CustomhouseServer]:
    """A server whose data lie on a disk of 24 MiB."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small disk")
    with small_disk(tmp_path / "data", 24 * MIB), customhouse_server(tmp_path) as running:
        yield running


def fill(server: CustomhouseServer, free: int = 0) -> Path:
    """Leave this many bytes free; returns the file that fills the disk."""
    filler = server.data / "filler"
    left = shutil.disk_usage(server.data).free - free
    with filler.open("ab", buffering=0) as file:
        while left > 0:
            try:
                left -= file.write(bytes(min(left, MIB)))
            except OSError:
                break
    return filler


def refused(response: httpx2.Response) -> None:
    """Check that an answer says in the spec's form that there is no space."""
    assert response.status_code == FULL, response.text
    (error,) = response.json()["errors"]
    assert error["code"] == "TOOMANYREQUESTS"
    assert error["message"] == "there is no space left to store this"
    assert "nothing stored was lost" in error["detail"]["hint"]


def refused_blob(registry: Registry, blob: bytes) -> None:
    """Check that there is no space for a blob."""
    path = f"/v2/{REPOSITORY}/blobs/uploads/"
    refused(registry.call("POST", path, FULL, params={"digest": digest_of(blob)}, content=blob))


def test_blobs_are_refused(server: CustomhouseServer) -> None:
    image = debian_image(1)
    blob = noise(4 * MIB, "large")
    with Registry(server) as registry:
        registry.push(REPOSITORY, image, "before")
        upload = registry.start_upload(REPOSITORY)
        assert registry.append(upload, blob[:MIB]) == MIB
        filler = fill(server, free=MIB)
        refused_blob(registry, blob)
        refused(registry.call("PATCH", upload, FULL, content=blob[MIB:]))
        registry.assert_pulls(REPOSITORY, "before", image)
        assert registry.blob(REPOSITORY, digest_of(blob)) is None
        filler.unlink()
        # What was acknowledged is there, perhaps with some of what was not.
        offset = registry.offset(upload)
        assert offset is not None
        assert MIB <= offset < len(blob)
        registry.finish(upload, digest_of(blob), blob[offset:])
        assert digest_of(registry.blob(REPOSITORY, digest_of(blob)) or b"") == digest_of(blob)


def test_rows_are_refused(server: CustomhouseServer) -> None:
    image, late = debian_image(1), debian_image(2)
    with Registry(server) as registry:
        registry.push(REPOSITORY, image, "before")
        for blob in late.blobs:
            registry.upload(REPOSITORY, blob)
        filler = fill(server)
        path = f"/v2/{REPOSITORY}/manifests"
        headers = {"content-type": "application/vnd.oci.image.manifest.v1+json"}
        for tag in [f"{'t' * 100}{n}" for n in range(200)]:
            # The first ones may still fit into what the database's file has left.
            response = registry.call(
                "PUT", f"{path}/{tag}", (201, FULL), content=late.manifest, headers=headers
            )
            if response.status_code == FULL:
                break
        refused(response)
        refused(registry.call("POST", "/v2/faults/other/blobs/uploads/", FULL))
        registry.assert_pulls(REPOSITORY, "before", image)
        assert registry.manifest(REPOSITORY, tag) is None
        assert registry.call("GET", "/readyz").json() == {"ready": True}
        assert registry.call("GET", "/metrics").text
        filler.unlink()
        registry.push(REPOSITORY, late, "after")
        registry.assert_pulls(REPOSITORY, "after", late)
        for each in (image, late):
            found = registry.discovery(REPOSITORY, each.digest)
            assert found["analysisStatus"] == "FINISHED_SUCCESS", found


def test_it_starts_on_a_full_disk(server: CustomhouseServer) -> None:
    image = debian_image(1)
    with Registry(server) as registry:
        registry.push(REPOSITORY, image, "before")
    filler = fill(server)
    server.kill()
    fill(server)
    server.start()
    with Registry(server) as registry:
        registry.assert_pulls(REPOSITORY, "before", image)
        refused_blob(registry, noise(4 * MIB, "large"))
        filler.unlink()
        found = registry.discovery(REPOSITORY, image.digest)
        assert found["analysisStatus"] == "FINISHED_SUCCESS", found
        registry.push(REPOSITORY, debian_image(2), "after")
