"""Small requests a second: manifests by tag and by digest, the existence of a blob, a small blob.

Customhouse is asked with a bearer token that it checks, docker-registry without any.
"""

from dataclasses import dataclass

from benchmarks.context import Context, signed_in
from benchmarks.failure import BenchmarkError
from benchmarks.image import MANIFEST_TYPE, TAG, digest_of, push_image, small_image
from benchmarks.load import requests_per_second
from benchmarks.results import Result, judge_rounds
from benchmarks.servers import Server
from benchmarks.wire import REPOSITORY, Endpoint, expect

_WARM_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Case:
    name: str
    method: str
    path: str
    body: bytes


def run(context: Context) -> list[Result]:
    """Send each request for some seconds to both servers, in turns."""
    image = small_image()
    blob = f"blobs/{digest_of(image.layer)}"
    cases = (
        _Case("manifest GET by tag", "GET", f"manifests/{TAG}", image.manifest),
        _Case(
            "manifest GET by digest",
            "GET",
            f"manifests/{digest_of(image.manifest)}",
            image.manifest,
        ),
        _Case("blob HEAD", "HEAD", blob, image.layer),
        _Case("blob GET, 4 KiB", "GET", blob, image.layer),
    )
    for server in (context.ours, context.peer):
        push_image(signed_in(server), image)
    return [_measure(context, case) for case in cases]


def _measure(context: Context, case: _Case) -> Result:
    headers = {"Accept": MANIFEST_TYPE}
    path = f"/v2/{REPOSITORY}/{case.path}"

    def send(endpoint: Endpoint, seconds: float) -> float:
        return requests_per_second(endpoint, case.method, path, headers, len(case.body), seconds)

    def measure(_server: Server, endpoint: Endpoint) -> float:
        return send(endpoint, context.effort.seconds)

    for server in (context.ours, context.peer):
        endpoint = signed_in(server)
        answer = endpoint.ask(case.method, path, headers=headers)
        expect(answer.status, 200, case.name, answer.body)
        if case.method == "GET" and answer.body != case.body:
            raise BenchmarkError(f"{case.name}: {server.program.name} gave other bytes")
        send(endpoint, _WARM_SECONDS)
    return judge_rounds(case.name, "requests/s", context.rounds(case.name, measure))
