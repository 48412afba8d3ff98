"""Images in files and folders: every form that tools write, and what is none."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
import zstandard

from customhouse.analysis import archives, inventory, saved
from customhouse.analysis.layers import read_layer
from customhouse.errors import Code, Failure
from tests.analysis import tars
from tests.faults.pushers import OS_RELEASE, dpkg_status
from tests.support.images import Image, archive, descriptor, digest_of, make_image

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from customhouse.analysis.saved import SavedImage

SYSTEM = {"etc/os-release": OS_RELEASE}
SED = {"var/lib/dpkg/status": dpkg_status("sed=4.9-1")}
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as entered:
        yield entered


def image() -> Image:
    return make_image(SYSTEM, SED)


def images(stack: ExitStack, path: Path) -> list[SavedImage]:
    files = stack.enter_context(archives.opened(path))
    return saved.images(files, path if path.is_dir() else None)


def only(stack: ExitStack, path: Path) -> SavedImage:
    return saved.choose(images(stack, path), "", "linux/amd64")


def packages(found: SavedImage) -> list[tuple[str, str, int]]:
    """Name, version and layer of the packages."""

    def readings() -> Iterator[tuple[str, object]]:
        for layer in found.layers:
            with layer.open() as stream:
                yield layer.digest, read_layer(stream, media_type=layer.media_type)

    taken = inventory.merge(readings())  # type: ignore[arg-type]  # object stands for a reading
    return [(each.package.name, each.package.version, each.layer_index) for each in taken.packages]


EXPECTED = [("sed", "4.9-1", 1)]


def packed(folder: Path, target: Path) -> Path:
    with tarfile.open(target, "w") as tar:
        tar.add(folder, ".")
    return target


def docker_save(made: Image, *tags: str, legacy: bool = False) -> dict[str, bytes]:
    """What `docker save` writes: uncompressed layers, and a manifest.json that names them."""
    layers = [gzip.decompress(layer) for layer in made.layers]
    if legacy:
        names = [f"{n}/layer.tar" for n, _ in enumerate(layers)]
    else:
        names = [f"blobs/sha256/{digest_of(layer)[7:]}" for layer in layers]
    config = f"{digest_of(made.config)[7:]}.json"
    entry = {"Config": config, "RepoTags": list(tags) or None, "Layers": names}
    files = dict(zip(names, layers, strict=True))
    return files | {config: made.config, "manifest.json": json.dumps([entry]).encode()}


def written(files: dict[str, bytes], path: Path) -> Path:
    path.write_bytes(archive(files))
    return path


def test_an_oci_layout(stack: ExitStack, tmp_path: Path) -> None:
    made = image()
    folder = made.write_layout(tmp_path / "layout", "1.0")
    for path in (folder, packed(folder, tmp_path / "layout.tar")):
        found = only(stack, path)
        assert (found.name, found.digest, found.platform) == ("1.0", made.digest, "linux/amd64")
        assert found.config == made.config
        assert packages(found) == EXPECTED
        assert [layer.digest for layer in found.layers] == list(map(digest_of, made.layers))


@pytest.mark.parametrize("legacy", [False, True], ids=["blobs", "folders"])
def test_docker_save(stack: ExitStack, tmp_path: Path, legacy: bool) -> None:
    made = image()
    found = only(stack, written(docker_save(made, "web:1", legacy=legacy), tmp_path / "x.tar"))
    assert (found.name, found.digest) == ("web:1", digest_of(made.config))
    assert packages(found) == EXPECTED
    diff_ids = json.loads(made.config)["rootfs"]["diff_ids"]
    assert [layer.digest for layer in found.layers] == diff_ids


def test_docker_save_with_an_index_too(stack: ExitStack, tmp_path: Path) -> None:
    made = image()
    folder = made.write_layout(tmp_path / "layout", "1.0")
    for name, content in docker_save(made, "web:1").items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    found = only(stack, packed(folder, tmp_path / "both.tar"))
    assert found.digest == made.digest
    # An index that leads nowhere, as when a platform was left out.
    (folder / "blobs" / "sha256" / made.digest[7:]).unlink()
    found = only(stack, packed(folder, tmp_path / "half.tar"))
    assert found.digest == digest_of(made.config)
    assert packages(found) == EXPECTED


def test_layers_that_are_links(stack: ExitStack, tmp_path: Path) -> None:
    """As older versions of Docker save a layer that two images share."""
    files = docker_save(image(), "web:1", legacy=True)
    path = tmp_path / "links.tar"
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if name == "1/layer.tar":
                info.type, info.linkname = tarfile.SYMTYPE, "../other/layer.tar"
                tar.addfile(info)
                info = tarfile.TarInfo("other/layer.tar")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    assert packages(only(stack, path)) == EXPECTED


@pytest.mark.parametrize("form", ["gzip", "zstd"])
def test_compressed_archives(stack: ExitStack, tmp_path: Path, form: str) -> None:
    content = archive(docker_save(image()))
    path = tmp_path / "image"
    packed = gzip.compress(content) if form == "gzip" else zstandard.compress(content)
    path.write_bytes(packed)
    assert packages(only(stack, path)) == EXPECTED


def test_layers_in_zstd(stack: ExitStack, tmp_path: Path) -> None:
    made = image()
    layers = tuple(zstandard.compress(gzip.decompress(layer)) for layer in made.layers)
    manifest = json.loads(made.manifest)
    kind = "application/vnd.oci.image.layer.v1.tar+zstd"
    manifest["layers"] = [descriptor(kind, layer) for layer in layers]
    made = Image(layers, made.config, json.dumps(manifest).encode())
    assert packages(only(stack, made.write_layout(tmp_path / "layout", "1"))) == EXPECTED


def test_a_folder_of_skopeo(stack: ExitStack, tmp_path: Path) -> None:
    made = image()
    for blob in made.blobs:
        tmp_path.joinpath(digest_of(blob)[7:]).write_bytes(blob)
    tmp_path.joinpath("manifest.json").write_bytes(made.manifest)
    tmp_path.joinpath("version").write_text("Directory Transport Version: 1.1\n")
    found = only(stack, tmp_path)
    assert found.digest == made.digest
    assert packages(found) == EXPECTED


def test_a_root_file_system(stack: ExitStack, tmp_path: Path) -> None:
    for name, content in (SYSTEM | SED | {"usr/bin/secret": b"x"}).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "bin").symlink_to("usr/bin")
    (tmp_path / "usr" / "bin" / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "usr/bin/secret").chmod(0)
    os.mkdir(os.fsencode(tmp_path) + b"/\xff")  # noqa: PTH102  - a name that is no text
    assert packages(only(stack, tmp_path)) == [("sed", "4.9-1", 0)]


def test_several_images(stack: ExitStack, tmp_path: Path) -> None:
    first, second = image(), make_image(SYSTEM)
    arm = json.dumps(json.loads(first.config) | {"architecture": "arm64"}).encode()
    manifest = json.loads(first.manifest)
    manifest["config"] = descriptor(manifest["config"]["mediaType"], arm)
    third = Image(first.layers, arm, json.dumps(manifest).encode())
    folder = first.write_layout(tmp_path / "layout", "x")
    blobs = folder / "blobs" / "sha256"
    for blob in (*second.blobs, second.manifest, *third.blobs, third.manifest):
        blobs.joinpath(digest_of(blob)[7:]).write_bytes(blob)
    kind = "application/vnd.oci.image.manifest.v1+json"
    entries = [descriptor(kind, each.manifest) for each in (first, third)]
    missing = descriptor(kind, b"missing")
    inner = json.dumps({"schemaVersion": 2, "manifests": [*entries, missing]}).encode()
    blobs.joinpath(digest_of(inner)[7:]).write_bytes(inner)
    names = [{"org.opencontainers.image.ref.name": name} for name in ("many", "one")]
    outer = [
        descriptor(INDEX_TYPE, inner) | {"annotations": names[0]},
        descriptor(kind, second.manifest) | {"annotations": names[1]},
    ]
    text = json.dumps({"schemaVersion": 2, "manifests": outer})
    folder.joinpath("index.json").write_text(text)
    found = images(stack, folder)
    assert [(each.name, each.platform) for each in found] == [
        ("one", "linux/amd64"),
        ("many", "linux/amd64"),
        ("many", "linux/arm64"),
    ]
    assert saved.choose(found, "many", "linux/arm64").digest == third.digest
    assert saved.choose(found, "many", "linux/amd64").digest == first.digest
    assert saved.choose(found, "one", "linux/s390x").digest == second.digest
    assert saved.choose(found, third.digest, "linux/s390x").digest == third.digest
    for name, platform, count in (("", "linux/amd64", 2), ("many", "linux", 2), ("none", "x", 0)):
        with pytest.raises(Failure) as caught:
            saved.choose(found, name, platform)
        assert caught.value.code is Code.SAVED_IMAGES
        assert caught.value.fields["count"] == count
        assert "many linux/arm64" in caught.value.message


def test_one_image_of_two_names(stack: ExitStack, tmp_path: Path) -> None:
    path = written(docker_save(image(), "web:1", "web:2"), tmp_path / "x.tar")
    assert only(stack, path).name == "web:1"


NONE = {
    "empty": b"",
    "text": b"hello world" * 100,
    "an empty tar": archive({}),
    "another tar": archive({"hello": b"world"}),
    "an index of nothing": archive({"index.json": b'{"schemaVersion": 2, "manifests": []}'}),
    "an index that is none": archive({"index.json": b"[1, 2"}),
    "a manifest that is none": archive({"manifest.json": b"[1, 2"}),
    "a deep manifest": archive({"manifest.json": b"[" * 100_000}),
    "a missing config": archive({"manifest.json": b'[{"Config": "../x", "Layers": []}]'}),
    "layers of no config": archive(
        {"manifest.json": b'[{"Config": "c", "Layers": ["a"]}]', "c": b"{}"}
    ),
    "a cut archive": archive(docker_save(image()))[:700],
    "a cut gzip": gzip.compress(archive(docker_save(image())))[:-30],
    "a large manifest": archive({"manifest.json": b" " * (4 * 1024**2 + 1)}),
}


@pytest.mark.parametrize("name", NONE)
def test_what_is_no_image(stack: ExitStack, tmp_path: Path, name: str) -> None:
    path = tmp_path / "image"
    path.write_bytes(NONE[name])
    with pytest.raises(Failure):
        only(stack, path)


def test_a_missing_layer(stack: ExitStack, tmp_path: Path) -> None:
    files = docker_save(image())
    del files[next(name for name in files if name.startswith("blobs/"))]
    found = only(stack, written(files, tmp_path / "x.tar"))
    with pytest.raises(Failure) as caught:
        packages(found)
    assert caught.value.code is Code.SAVED_IMAGE_CORRUPT


def test_links_do_not_lead_out_of_a_folder(stack: ExitStack, tmp_path: Path) -> None:
    outside = written(docker_save(image()), tmp_path / "outside.tar")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "manifest.json").symlink_to(outside)
    (folder / "index.json").symlink_to("index.json")
    files = stack.enter_context(archives.opened(folder))
    assert files.open("manifest.json") is None
    assert files.open("../outside.tar") is None


def test_too_many_entries(
    stack: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_ENTRIES", 2)
    with pytest.raises(Failure, match="more than 2 entries"):
        only(stack, written(docker_save(image()), tmp_path / "x.tar"))


@pytest.mark.parametrize("flag", [b"x", b"g", b"L", b"K"])
@pytest.mark.parametrize("size", [archives.MAX_HEADER + 1, 8**11 - 1])
def test_a_header_that_is_too_large(
    stack: ExitStack, tmp_path: Path, flag: bytes, size: int
) -> None:
    """It says so of itself; reading it would take as much memory."""
    (tmp_path / "x.tar").write_bytes(tars.header(b"x", size=size, flag=flag) + tars.END)
    with pytest.raises(Failure, match="headers are too large"):
        images(stack, tmp_path / "x.tar")


def test_headers_that_are_too_large_together(stack: ExitStack, tmp_path: Path) -> None:
    header = tars.pax(path=b"p/" * 2000) + tars.file("x")
    (tmp_path / "x.tar").write_bytes(header * (archives.MAX_HEADERS // 4096 + 1) + tars.END)
    with pytest.raises(Failure, match="headers are too large"):
        images(stack, tmp_path / "x.tar")
