"""Memory of all processes of a server together, after its start and a few requests."""

import time

from benchmarks.context import Context, signed_in
from benchmarks.image import MANIFEST_TYPE, TAG, push_image, small_image
from benchmarks.memory import settled
from benchmarks.results import Result, judge
from benchmarks.servers import Server
from benchmarks.wire import REPOSITORY, expect

_REQUESTS = 20
_SETTLE_SECONDS = 3.0


def run(context: Context) -> list[Result]:
    """Push a small image, pull its manifest some times, wait, read the memory."""
    with context.console.status("memory when idle"):
        _use(context.ours)
        _use(context.peer)
        # What analyses the image in the background has ended by then.
        time.sleep(_SETTLE_SECONDS)
        ours, peer = (settled(server.pid) for server in (context.ours, context.peer))
    return [judge("memory when idle", "MiB", ours, peer)]


def _use(server: Server) -> None:
    endpoint = signed_in(server)
    image = small_image()
    push_image(endpoint, image)
    for _ in range(_REQUESTS):
        path = f"/v2/{REPOSITORY}/manifests/{TAG}"
        answer = endpoint.ask("GET", path, headers={"Accept": MANIFEST_TYPE})
        expect(answer.status, 200, "GET of the manifest", answer.body)
