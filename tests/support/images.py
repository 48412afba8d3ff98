"""Images for tests: small ones made on the spot, and a real Debian made by mmdebstrap."""

from __future__ import annotations

import datetime
import fcntl
import gzip
import hashlib
import io
import json
import os
import random
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.clients import unavailable
from tests.support.processes import run

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "customhouse-tests"


def archive(files: dict[str, bytes]) -> bytes:
    """A tar archive with these files, the same bytes for the same files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def noise(size: int, seed: object) -> bytes:
    """Bytes that no compression makes smaller, the same for the same seed."""
    return random.Random(str(seed)).randbytes(size)


def digest_of(content: bytes) -> str:
    """The sha256 digest as the distribution spec writes it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Image:
    """An OCI image whose parts are in memory.

    Attributes:
        layers: The gzip layers, the lowest first.
        config: The image configuration.
        manifest: The manifest that names them.
    """

    layers: tuple[bytes, ...]
    config: bytes
    manifest: bytes

    @property
    def digest(self) -> str:
        """The digest of the manifest."""
        return digest_of(self.manifest)

    @property
    def blobs(self) -> tuple[bytes, ...]:
        """The layers and the configuration: what a push uploads before the manifest."""
        return (*self.layers, self.config)

    def write_layout(self, folder: Path, tag: str) -> Path:
        """Write an OCI image layout (image-spec, image-layout.md) to `folder` and return it."""
        blobs = folder / "blobs" / "sha256"
        blobs.mkdir(parents=True)
        for content in (*self.blobs, self.manifest):
            blobs.joinpath(digest_of(content).removeprefix("sha256:")).write_bytes(content)
        entry = descriptor("application/vnd.oci.image.manifest.v1+json", self.manifest)
        entry["annotations"] = {"org.opencontainers.image.ref.name": tag}
        index = {"schemaVersion": 2, "manifests": [entry]}
        folder.joinpath("index.json").write_text(json.dumps(index))
        folder.joinpath("oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        return folder


def descriptor(media_type: str, content: bytes) -> dict[str, object]:
    """An OCI content descriptor."""
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def make_image(*layers: dict[str, bytes]) -> Image:
    """An image with these files in its layers."""
    tars = [archive(files) for files in layers]
    blobs = tuple(gzip.compress(tar, 6, mtime=0) for tar in tars)
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/hello"]},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(tar) for tar in tars]},
        }
    ).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": [
                descriptor("application/vnd.oci.image.layer.v1.tar+gzip", blob) for blob in blobs
            ],
        }
    ).encode()
    return Image(blobs, config, manifest)


@pytest.fixture
def small_image(tmp_path: Path) -> Image:
    """An image of two layers, 200 kB and 50 kB, that no other test has."""
    return make_image({"hello": noise(200_000, tmp_path)}, {"motd": noise(50_000, f"{tmp_path} 2")})


@pytest.fixture(scope="session")
def debian_rootfs() -> Path:
    """A tar archive of a real Debian 12 root file system, made once a day and kept in a cache."""
    if shutil.which("mmdebstrap") is None:
        unavailable("the program mmdebstrap is missing")
    CACHE.mkdir(parents=True, exist_ok=True)
    today = datetime.datetime.now(datetime.UTC).date()
    wanted = CACHE / f"debian-bookworm-{today:%Y%m%d}.tar"
    with CACHE.joinpath("lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the workers of a parallel run make it once
        if not wanted.exists():
            for old in CACHE.glob("debian-bookworm-*.tar"):
                old.unlink()
            made = wanted.with_suffix(".new.tar")
            run("mmdebstrap", "--variant=minbase", "bookworm", made, seconds=600)
            made.rename(wanted)
    return wanted
