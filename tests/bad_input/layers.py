"""Layers that are not what they say, and images made of them."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
import zlib
from typing import TYPE_CHECKING

import zstandard

from tests.analysis import tars
from tests.faults.pushers import OS_RELEASE, dpkg_status
from tests.faults.registry import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST
from tests.support.images import Image, descriptor, noise

if TYPE_CHECKING:
    from collections.abc import Sequence

MIB = 1024 * 1024
DEBIAN = tars.written(
    {"etc/os-release": OS_RELEASE, "var/lib/dpkg/status": dpkg_status("sed=4.9-1")}
)
NOISE = noise(300_000, "a layer")


def image_of(
    *layers: bytes,
    media_types: Sequence[str] = (),
    config: bytes = b'{"architecture":"amd64","os":"linux"}',
) -> Image:
    """An image of these layers as they are, bottom first."""
    types = media_types or [f"{OCI_LAYER}+gzip"] * len(layers)
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(OCI_CONFIG, config),
        "layers": [descriptor(kind, layer) for kind, layer in zip(types, layers, strict=True)],
    }
    return Image(tuple(dict.fromkeys(layers)), config, json.dumps(manifest).encode())


def flipped(content: bytes) -> bytes:
    """The content with some bytes in its middle changed."""
    middle = len(content) // 2
    return (
        content[:middle]
        + bytes(255 - byte for byte in content[middle:][:20])
        + content[middle + 20 :]
    )


def gzip_bomb(start: bytes, size: int) -> bytes:
    """A valid gzip file that starts with `start` and goes on with `size` zeros.

    One piece of deflate data that ends at a byte's border stands for 10 MiB, again and again.
    """
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = squeeze.compress(start) + squeeze.flush(zlib.Z_FULL_FLUSH)
    piece = squeeze.compress(bytes(10 * MIB)) + squeeze.flush(zlib.Z_FULL_FLUSH)
    count, rest = divmod(size, 10 * MIB)
    last = squeeze.compress(bytes(rest)) + squeeze.flush(zlib.Z_FINISH)
    # The checksum would be found wrong only after everything was read.
    tail = struct.pack("<II", 0, (len(start) + size) & 0xFFFFFFFF)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + first + piece * count + last + tail


def with_links() -> bytes:
    """An archive whose names lead out of it, with links and devices, and a package database."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind, target in (
            ("../../etc/passwd", tarfile.REGTYPE, ""),
            ("/etc/shadow", tarfile.REGTYPE, ""),
            ("usr/../../../root/.ssh/authorized_keys", tarfile.REGTYPE, ""),
            ("dev/sda", tarfile.BLKTYPE, ""),
            ("dev/null", tarfile.CHRTYPE, ""),
            ("run/fifo", tarfile.FIFOTYPE, ""),
            ("lib", tarfile.SYMTYPE, "/usr/lib"),
            ("usr/lib", tarfile.SYMTYPE, "/lib"),
            ("etc/loop", tarfile.SYMTYPE, "loop"),
            ("etc/out", tarfile.SYMTYPE, "../../../../../etc/passwd"),
            ("etc/hard", tarfile.LNKTYPE, "../../../etc/passwd"),
            ("etc/self", tarfile.LNKTYPE, "etc/self"),
            ("\udcff\udcfe", tarfile.REGTYPE, ""),
            ("n" * 4000, tarfile.REGTYPE, ""),
        ):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, target
            archive.addfile(entry)
        for name, content in (
            ("/etc/os-release", OS_RELEASE),
            ("./var/lib/../lib/dpkg/status", b"not this one"),
            ("///var//lib/./dpkg/status", dpkg_status("sed=4.9-1")),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


SUCCESS, FAILED, UNSUPPORTED = "FINISHED_SUCCESS", "FINISHED_FAILED", "FINISHED_UNSUPPORTED"
NEGATIVE = b"\xff" * 12  # base-256, GNU
HUGE = b"\x80" + b"\0" * 3 + b"\x7f" * 8

# The image, how its analysis ends, and a part of the reason.
IMAGES: dict[str, tuple[Image, str, str]] = {
    "truncated gzip": (image_of(gzip.compress(DEBIAN + NOISE)[:-1000]), FAILED, "ends early"),
    "corrupt gzip": (image_of(flipped(gzip.compress(DEBIAN))), FAILED, "cannot be read"),
    "gzip with a wrong checksum": (
        image_of(gzip.compress(DEBIAN)[:-8] + b"\0" * 8), FAILED, "cannot be read"),
    "gzip of gzip": (image_of(gzip.compress(gzip.compress(DEBIAN))), FAILED, "cannot be read"),
    "gzip bomb": (
        image_of(gzip_bomb(tars.header(b"zeros", size=8 * 1024**3 - 1), 10 * 1024**3)),
        FAILED, "grows more than 200 times"),
    "bomb of nothing but zeros": (image_of(gzip_bomb(b"", 3 * 1024**3)), FAILED, "grows more than"),
    "zstd bomb": (
        image_of(zstandard.compress(bytes(128 * MIB), 3) * 10, media_types=[f"{OCI_LAYER}+zstd"]),
        FAILED, "grows more than"),
    "truncated zstd": (image_of(zstandard.compress(DEBIAN + NOISE)[:-1000]), FAILED, "ends early"),
    "corrupt zstd": (image_of(flipped(zstandard.compress(DEBIAN))), FAILED, "cannot be read"),
    "truncated tar": (image_of(DEBIAN[:1560]), FAILED, "ends within"),
    "size below zero": (image_of(tars.header(b"x", size=NEGATIVE) + tars.END), FAILED, "size"),
    "huge size": (image_of(tars.header(b"x", size=HUGE) + tars.END), FAILED, "bytes"),
    "size of letters": (image_of(tars.header(b"x", size=b"abcdefghijk\0")), FAILED, "cannot be"),
    "path of 5,000 characters": (
        image_of(tars.pax(path=b"p" * 5000) + tars.file("x")), FAILED, "a path has more than"),
    "pax header of 2 MiB": (image_of(tars.pax(path=b"p" * (2 * MIB))), FAILED, "pax header"),
    "no archive": (image_of(noise(100_000, "none")), FAILED, "cannot be read"),
    "a text": (image_of(b"This is not the layer you are looking for.\n" * 100), FAILED, "cannot"),
    "one byte": (image_of(b"\x1f"), FAILED, "cannot be read"),
    "another compression": (image_of(b"\xfd7zXZ\0" + NOISE), FAILED, "cannot be read"),
    "dpkg status of garbage": (
        image_of(tars.written({"etc/os-release": OS_RELEASE, "var/lib/dpkg/status": NOISE})),
        FAILED, "dpkg"),
    "apk database of garbage": (
        image_of(tars.written({"etc/alpine-release": b"3.19.1", "lib/apk/db/installed": NOISE})),
        FAILED, "apk"),
    "dpkg status of 70 MiB": (
        image_of(gzip.compress(tars.written({"var/lib/dpkg/status": b"\n" * (70 * MIB)}), 1)),
        FAILED, "exceeds a limit"),
    "os-release of garbage": (
        image_of(tars.written({"etc/os-release": NOISE, "var/lib/dpkg/status": b""})),
        UNSUPPORTED, "which system"),
    "encrypted": (
        image_of(NOISE, media_types=[f"{OCI_LAYER}+gzip+encrypted"]), UNSUPPORTED, "encrypted"),
    "names that lead out": (image_of(gzip.compress(with_links())), SUCCESS, ""),
    "zstd": (image_of(zstandard.compress(DEBIAN)), SUCCESS, ""),
    "plain tar": (image_of(DEBIAN), SUCCESS, ""),
    "plain tar that says gzip": (image_of(DEBIAN, media_types=[f"{OCI_LAYER}+gzip"]), SUCCESS, ""),
    "two gzip members": (
        image_of(gzip.compress(DEBIAN[:700]) + gzip.compress(DEBIAN[700:])), SUCCESS, ""),
    "empty layers": (
        image_of(b"", gzip.compress(b""), tars.END, gzip.compress(tars.END), DEBIAN), SUCCESS, ""),
    "nothing but an empty layer": (image_of(b""), UNSUPPORTED, "no package database"),
    "no layers": (image_of(), UNSUPPORTED, "no package database"),
    "repeated layers": (image_of(DEBIAN, tars.END, DEBIAN, DEBIAN, tars.END), SUCCESS, ""),
    "127 layers": (
        image_of(DEBIAN, *(tars.written({f"f{n}": b"%d" % n}) for n in range(126))), SUCCESS, ""),
    "config of garbage": (image_of(DEBIAN, config=NOISE), SUCCESS, ""),
    "config of brackets": (image_of(DEBIAN, config=b"[" * 100_000), SUCCESS, ""),
    "config of the year 999999": (
        image_of(DEBIAN, config=b'{"created":"999999-01-01T00:00:00Z"}'), SUCCESS, ""),
}  # fmt: skip
