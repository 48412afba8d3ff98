"""SIGKILL of the worker while it delivers: every message comes, none with another identifier."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.faults.processes import (
    api_workers,
    background_worker,
    children,
    kill,
    wait_until,
)
from tests.notifications.receiver import Received, Reply, receiving
from tests.support.administration import Administration
from tests.support.servers import customhouse_server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.images import Image
    from tests.support.servers import CustomhouseServer

pytestmark = pytest.mark.xdist_group("faults-kill")

TAGS = 60
KILLS = 4
# Short, so that what a killed worker had claimed is soon sent by the next.
SETTINGS = {"CUSTOMHOUSE_NOTIFICATIONS__TIMEOUT_SECONDS": "1"}


@pytest.mark.slow
def test_nothing_is_lost_when_the_worker_is_killed(tmp_path: Path, small_image: Image) -> None:
    with receiving() as receiver, customhouse_server(tmp_path, env=SETTINGS) as server:
        administration = Administration(server)
        administration.push(small_image, "killed/web", "first")
        subscribe(administration, receiver.url)
        receiver.usual = Reply(pause=0.2)
        tags = [f"v{number}" for number in range(TAGS)]
        push_tags(server, small_image, tags)
        for number in range(KILLS):
            receiver.wait_for(8 * number + 4)
            worker = background_worker(server)
            kill(worker)
            wait_until(partial(has_another, server, worker), 10, "the worker is started again")
        receiver.wait_until(lambda: tags_of(receiver.received) == set(tags), 60)
        wait_until(lambda: pending(administration) == 0, 20, "all is noted")
        by_id: dict[str, set[str]] = {}
        for each in receiver.received:
            by_id.setdefault(each.id, set()).add(each.event.get_data()["tag"])
    assert len(by_id) == TAGS
    assert all(len(told) == 1 for told in by_id.values())
    # At most those that were on their way when the worker was killed came twice.
    assert len(receiver.received) <= TAGS + KILLS * 8


def subscribe(administration: Administration, url: str) -> None:
    """Have what happens in the project told."""
    document = {"topic": "gcr", "pushConfig": {"pushEndpoint": url}}
    administration.call("PUT", "/v1/projects/killed/subscriptions/sub", document)


def push_tags(server: CustomhouseServer, image: Image, tags: list[str]) -> None:
    """Give an image that is there more tags, each in a request of its own."""
    scope = {"scope": "repository:killed/web:push,pull"}
    token = httpx2.get(f"{server.url}/token", params=scope, auth=server.auth).json()["token"]
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/vnd.oci.image.manifest.v1+json",
    }
    with httpx2.Client(base_url=server.url, headers=headers) as http:
        for tag in tags:
            path = f"/v2/killed/web/manifests/{tag}"
            http.put(path, content=image.manifest).raise_for_status()


def has_another(server: CustomhouseServer, worker: int) -> bool:
    """Whether there is a worker, and not this one."""
    workers = children(server) - api_workers(server)
    return len(workers) == 1 and worker not in workers


def tags_of(received: list[Received]) -> set[str]:
    """The tags that were told of."""
    return {each.event.get_data()["tag"].rpartition(":")[2] for each in received}


def pending(administration: Administration) -> int:
    """How many deliveries wait."""
    path = "/v1/projects/killed/subscriptions/sub/deliveries?state=PENDING"
    return len(administration.call("GET", path)["deliveries"])
