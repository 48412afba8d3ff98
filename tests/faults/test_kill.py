"""SIGKILL at random moments of a hundred pushes: what was acknowledged is there and whole."""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.faults.processes import kill, survivors, wait_until
from tests.faults.pushers import Ledger, Pusher, Reader, debian_image
from tests.faults.registry import Registry
from tests.support.images import Image, digest_of, noise
from tests.support.servers import customhouse_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.servers import CustomhouseServer

pytestmark = pytest.mark.xdist_group("faults-kill")

SOAK = int(os.environ.get("SOAK", "1"))
"""How many times as long as usual; `SOAK=20` makes 2,000 pushes through 200 kills."""

PUSHES = 100 * SOAK
KILLS = 10 * SOAK
CLIENTS = 4
READY_SECONDS = 10.0


@pytest.mark.slow
@pytest.mark.timeout(300 * SOAK)
def test_kills_in_a_hundred_pushes(tmp_path: Path) -> None:
    seed = int(os.environ.get("SEED") or random.randrange(10**6))
    print(f"SEED={seed}")
    choice = random.Random(seed)
    repositories = [f"faults/app-{n}" for n in range(CLIENTS)]
    images = {(repositories[n % CLIENTS], f"v{n}"): debian_image(n) for n in range(PUSHES)}
    with customhouse_server(tmp_path) as server:
        ledger, done = Ledger(), threading.Event()
        reader = Reader(server, images, random.Random(seed), done)
        with ThreadPoolExecutor(CLIENTS + 1) as threads:
            reading = threads.submit(reader.read_all)
            pushing = [
                threads.submit(
                    Pusher(server, ledger, name, random.Random(f"{seed} {name}"), done).push_all,
                    {
                        tag: image
                        for (repository, tag), image in images.items()
                        if repository == name
                    },
                )
                for name in repositories
            ]
            try:
                kill_at_random(server, choice, ledger, len(images))
                for each in pushing:
                    each.result(timeout=100 * SOAK)
            finally:
                done.set()
            reading.result(timeout=30)
        print(f"{ledger.broken} calls broke, {ledger.resumed} uploads were resumed")
        print(f"{reader.whole} pulls were whole, {reader.missing} images were not there yet")
        assert ledger.broken
        assert reader.whole
        # Once more, with the server quiet and the worker at whatever it does.
        with unfinished_upload(server):
            kill_and_start(server)
        assert_all_there(server, images, ledger)
        assert_analysed_once(server, images)
    assert '"a request failed"' not in server.log.read_text()
    assert '"a workflow failed"' not in server.log.read_text()


def kill_at_random(
    server: CustomhouseServer, choice: random.Random, ledger: Ledger, pushes: int
) -> None:
    """Kill the server at random moments, spread over all the pushes."""
    for moment in sorted(choice.sample(range(2, pushes * 9 // 10), KILLS)):
        wait_until(partial(has_tags, ledger, moment), 60, f"{moment} tags are acknowledged")
        time.sleep(choice.uniform(0, 0.15))
        kill_and_start(server)


def has_tags(ledger: Ledger, count: int) -> bool:
    """Whether so many tags were acknowledged."""
    return len(ledger.tags) >= count


def kill_and_start(server: CustomhouseServer) -> None:
    """Kill the main process alone, see that all others end with it, and start again."""
    assert server.program is not None
    group = server.pid
    kill(group)
    server.program.process.wait()
    wait_until(lambda: not survivors(group), 2, "no process is left behind")
    began = time.monotonic()
    server.start()
    assert time.monotonic() - began < READY_SECONDS, "it repaired something"


@contextmanager
def unfinished_upload(server: CustomhouseServer) -> Iterator[None]:
    """Begin an upload before the block and end it after: nothing acknowledged is sent twice."""
    content = noise(3 * 1024 * 1024, "unfinished")
    half = len(content) // 2
    with Registry(server) as registry:
        upload = registry.start_upload("faults/unfinished")
        assert registry.append(upload, content[:half]) == half
    yield
    with Registry(server) as registry:
        assert registry.offset(upload) == half
        registry.append(upload, content[half:-100])
        registry.finish(upload, digest_of(content), content[-100:])
        assert registry.blob("faults/unfinished", digest_of(content)) == content


def assert_all_there(
    server: CustomhouseServer, images: dict[tuple[str, str], Image], ledger: Ledger
) -> None:
    """Check that everything acknowledged comes whole, and that everything was acknowledged."""
    assert ledger.tags.keys() >= images.keys()
    blobs = {(name, digest_of(blob)) for (name, _), image in images.items() for blob in image.blobs}
    assert ledger.blobs == blobs
    with Registry(server) as registry:
        for (repository, tag), image in ledger.tags.items():
            assert registry.manifest(repository, tag) == image.manifest, (repository, tag)
            assert registry.manifest(repository, image.digest) == image.manifest
        for repository, digest in ledger.blobs:
            assert digest_of(registry.blob(repository, digest) or b"") == digest


def assert_analysed_once(server: CustomhouseServer, images: dict[tuple[str, str], Image]) -> None:
    """Check that every image has its analysis, by one run for each time that it was pushed."""
    with Registry(server) as registry:
        for (repository, _), image in images.items():
            found = registry.discovery(repository, image.digest)
            assert found["analysisStatus"] == "FINISHED_SUCCESS", found
            assert found["operatingSystem"] == "Debian GNU/Linux 12 (bookworm)"
    layers = {digest_of(layer) for image in images.values() for layer in image.layers}
    main, work = server.data / "customhouse.sqlite", server.data / "workflows.sqlite"
    wait_until(lambda: not rows(main, "SELECT id FROM event"), 10, "no event waits")
    unfinished = "SELECT status FROM workflow_status WHERE status <> 'SUCCESS'"
    wait_until(lambda: not rows(work, unfinished), 10, "every workflow ended well")
    # A workflow is called after its name and the number of its event.
    runs = [
        str(identifier).rsplit("-", 2)[:2]
        for (identifier,) in rows(work, "SELECT workflow_uuid FROM workflow_status")
    ]
    # Each push is one event and starts one; the other events say that an image is analysed.
    assert {name for name, _ in runs} == {"analyse"}
    assert len({number for _, number in runs}) == len(runs) >= len(images)
    ((events,),) = rows(main, "SELECT seq FROM sqlite_sequence WHERE name = 'event'")
    digests = {image.digest for image in images.values()}
    assert int(str(events)) >= len(runs) + len(digests)
    assert {digest for (digest,) in rows(main, "SELECT digest FROM layer_reading")} == layers
    assert rows(main, "SELECT count(*) FROM image_analysis") == [(len(images),)]
    assert rows(main, "SELECT count(*) FROM inventory") == [(len(images),)]


def rows(database: Path, statement: str) -> list[tuple[object, ...]]:
    """Read from a database of the running server."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return connection.execute(statement).fetchall()
