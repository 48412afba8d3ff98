"""One process of a running server is killed: the others go on and it comes back."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx2
import pytest
import zstandard

from tests.analysis import tars
from tests.faults.processes import api_workers, background_worker, children, kill, wait_until
from tests.faults.pushers import OS_RELEASE, debian_image, dpkg_status
from tests.faults.registry import OCI_CONFIG, OCI_LAYER, Registry
from tests.support.images import Image, descriptor
from tests.support.servers import customhouse_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.servers import CustomhouseServer

pytestmark = pytest.mark.xdist_group("faults-processes")

REPOSITORY = "faults/app"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CustomhouseServer]:
    """A server with two processes that answer."""
    folder = tmp_path_factory.mktemp("server")
    with customhouse_server(folder, arguments=("--workers", "2")) as running:
        wait_until(lambda: len(api_workers(running)) == 2, 10, "two processes listen")
        yield running


def slow_image(number: int) -> Image:
    """An image whose layer takes a second or two to read."""
    layer = zstandard.ZstdCompressor().compress(
        tars.file("etc/os-release", OS_RELEASE)
        + tars.file("var/lib/dpkg/status", dpkg_status(f"slow-{number}=1"))
        + tars.header(b"usr/share/many") * 80_000
        + tars.END
    )
    manifest = {
        "schemaVersion": 2,
        "config": descriptor(OCI_CONFIG, b"{}"),
        "layers": [descriptor(f"{OCI_LAYER}+zstd", layer)],
    }
    return Image((layer,), b"{}", json.dumps(manifest).encode())


def status(registry: Registry, digest: str) -> str:
    """Where the analysis of an image stands now."""
    (occurrence,) = registry.occurrences(REPOSITORY, digest, "DISCOVERY")
    return str(occurrence["discovery"]["analysisStatus"])


def test_the_worker_is_killed_while_it_reads_a_layer(server: CustomhouseServer) -> None:
    with Registry(server) as registry:
        digests = [registry.push(REPOSITORY, slow_image(n), f"slow-{n}") for n in range(3)]
        wait_until(lambda: status(registry, digests[0]) == "SCANNING", 10, "it reads the layer")
        killed = background_worker(server)
        kill(killed)
        # The registry does not notice.
        registry.assert_pulls(REPOSITORY, "slow-0", slow_image(0))
        registry.push(REPOSITORY, debian_image(1), "quick")
        wait_until(lambda: len(children(server)) == 3, 5, "the worker is started again")
        assert background_worker(server) != killed
        for digest in digests:
            assert registry.discovery(REPOSITORY, digest)["analysisStatus"] == "FINISHED_SUCCESS"
    assert '"the worker ended"' in server.log.read_text()


def test_a_process_that_answers_is_killed(server: CustomhouseServer) -> None:
    image = debian_image(2)
    before = api_workers(server)
    with Registry(server) as registry:
        registry.push(REPOSITORY, image, "kept")
    killed, survivor = sorted(before)
    kill(killed)
    wait_until(lambda: killed not in children(server), 5, "it is gone")
    # New connections reach the other one, and in its time the new one.
    deadline = time.monotonic() + 4
    while time.monotonic() < deadline:
        with Registry(server) as registry:
            registry.assert_pulls(REPOSITORY, "kept", image)
            registry.upload(REPOSITORY, b"%d" % time.monotonic_ns())
    wait_until(lambda: len(api_workers(server)) == 2, 5, "it is started again")
    assert survivor in api_workers(server)
    with ThreadPoolExecutor(8) as threads:
        answers = threads.map(lambda _: httpx2.get(f"{server.url}/readyz").status_code, range(32))
        assert set(answers) == {200}
