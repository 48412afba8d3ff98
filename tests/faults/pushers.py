"""Clients that push through kills of the server, and remember what was acknowledged."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import httpx2

from tests.faults.registry import Registry
from tests.support.images import Image, digest_of, make_image, noise

if TYPE_CHECKING:
    import random
    import threading
    from collections.abc import Callable, Iterator

    from tests.support.servers import CustomhouseServer

OS_RELEASE = b'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'
PIECE = 16 * 1024


def dpkg_status(*packages: str) -> bytes:
    """The status file of dpkg with these packages, each `NAME=VERSION`."""
    stanza = "Package: {}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {}\n\n"
    return "".join(stanza.format(*package.split("=")) for package in packages).encode()


def debian_image(number: int) -> Image:
    """An image with one package of its own; two of its three layers belong to it alone."""
    return make_image(
        {"etc/os-release": OS_RELEASE},
        {"var/lib/dpkg/status": dpkg_status(f"package-{number}=1.0-{number}")},
        {"usr/share/noise": noise(40_000 + number % 100 * 1500, number)},
    )


@dataclass(slots=True)
class Ledger:
    """What the server said it has."""

    blobs: set[tuple[str, str]] = field(default_factory=set)
    tags: dict[tuple[str, str], Image] = field(default_factory=dict)
    broken: int = 0
    resumed: int = 0


@dataclass(slots=True)
class Pusher:
    """Pushes images one after the other and goes on where a kill of the server stopped it."""

    server: CustomhouseServer
    ledger: Ledger
    repository: str
    choice: random.Random
    give_up: threading.Event

    def push_all(self, images: dict[str, Image]) -> None:
        """Push images by tag, moving the tag `latest` along."""
        with Registry(self.server, seconds=20) as registry:
            for tag, image in images.items():
                for blob in image.blobs:
                    self.keep_trying(partial(self._upload, registry, blob))
                    self.ledger.blobs.add((self.repository, digest_of(blob)))
                named = f"{tag}?tag=latest"
                self.keep_trying(
                    partial(registry.put_manifest, self.repository, named, image.manifest)
                )
                for name in (tag, "latest"):
                    self.ledger.tags[self.repository, name] = image

    def keep_trying(self, action: Callable[[], object]) -> None:
        """Do something again until the server answers it."""
        while not self.give_up.is_set():
            try:
                action()
            except httpx2.TransportError:
                self.ledger.broken += 1
                time.sleep(0.05)
            else:
                return

    def _upload(self, registry: Registry, content: bytes) -> None:
        """Upload a blob in one request, or in chunks, or as a stream that may break."""
        way = self.choice.choice(("whole", "chunks", "stream"))
        if way == "whole":
            registry.upload(self.repository, content)
            return
        upload = registry.start_upload(self.repository)
        acknowledged = 0
        while acknowledged < len(content):
            rest = content[acknowledged:]
            try:
                sent = rest[:PIECE] if way == "chunks" else pieces(rest)
                offset = registry.append(upload, sent)
            except httpx2.TransportError:
                if self.give_up.is_set():
                    raise
                offset = self._resume(registry, upload)
            assert offset >= acknowledged, "bytes that were acknowledged are gone"
            acknowledged = offset
        registry.finish(upload, digest_of(content))

    def _resume(self, registry: Registry, upload: str) -> int:
        """Where an upload stands after the server came back; it must be known there."""
        found: list[int | None] = []
        self.keep_trying(lambda: found.append(registry.offset(upload)))
        assert found, "the test gave up"
        assert found[0] is not None, "an upload that was begun is gone"
        self.ledger.resumed += 1
        # `Range: 0-0` says of no byte and of one byte the same.
        return found[0] if found[0] > 1 else 0


def pieces(content: bytes) -> Iterator[bytes]:
    """The content as a stream that takes a moment."""
    for start in range(0, len(content), PIECE):
        yield content[start : start + PIECE]
        time.sleep(0.002)


@dataclass(slots=True)
class Reader:
    """Pulls images while they are pushed: each must be whole or not there."""

    server: CustomhouseServer
    images: dict[tuple[str, str], Image] = field(repr=False)
    choice: random.Random
    done: threading.Event
    whole: int = 0
    missing: int = 0

    def read_all(self) -> None:
        """Pull until it is done."""
        names = list(self.images)
        with Registry(self.server, seconds=20) as registry:
            while not self.done.wait(0.01):
                repository, tag = self.choice.choice(names)
                image = self.images[repository, tag]
                try:
                    if registry.manifest(repository, tag) is None:
                        self.missing += 1
                        digest = digest_of(self.choice.choice(image.blobs))
                        content = registry.blob(repository, digest)
                        assert content is None or digest_of(content) == digest
                    else:
                        registry.assert_pulls(repository, tag, image)
                        self.whole += 1
                except httpx2.TransportError:
                    time.sleep(0.05)
