"""From the push of an image to its findings, beside Trivy listing the image's packages.

Each round has an image of its own, a distribution's layer of 80 MB, that nobody has seen before.
The clock starts when the manifest is acknowledged and stops when the findings can be read. Trivy
reads the same image from a folder, with an empty cache, and lists packages: it needs no database
for that.
"""

import json
import shutil
import subprocess
import sys
import time
import urllib.parse
from http import HTTPStatus
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.context import Context, signed_in
from benchmarks.failure import BenchmarkError
from benchmarks.image import TAG, Image, digest_of, image_of, push_image
from benchmarks.layer import PACKAGES, SOURCES, write_layer
from benchmarks.results import Result, judge, judge_rounds
from benchmarks.wire import HOST, REPOSITORY, Endpoint, expect, sign_in

_FEED = "benchmark"
_POLL_SECONDS = 0.01
_SECONDS = 60.0
_MAX_ROUNDS = 3  # each makes a layer, which takes its time
_RUNNING = frozenset({"PENDING", "SCANNING"})


def run(context: Context) -> list[Result]:
    """Load advisories, then push images and have Trivy list them, in turns."""
    reader = sign_in(context.ours.endpoint, context.ours.program.credentials, "")
    rounds: list[tuple[float, float]] = []
    with context.console.status("push to findings") as status:
        _load(reader)
        for edition in range(min(context.effort.rounds, _MAX_ROUNDS)):
            status.update(f"push to findings: making layer {edition + 1}")
            path = context.folder / f"layer-{edition}.tar.gz"
            context.apart(write_layer, path, edition)
            image = image_of(path)
            status.update(f"push to findings, round {edition + 1}")
            push_image(signed_in(context.ours), image)
            ours = _until_found(reader, image)
            rounds.append((1 / ours, 1 / _listed(image, context.folder / "trivy")))
            path.unlink()
    return [
        judge("push to findings", "s", median(1 / ours for ours, _ in rounds)),
        judge_rounds("push to findings, beside Trivy's list", "images/s", rounds),
    ]


def _load(reader: Endpoint) -> None:
    """Load advisories about all source packages of the layer."""
    lines = []
    for number in range(3 * SOURCES):
        events = [{"introduced": "0"}, {"fixed": f"{number % 10}.20-1"}]
        package = {"ecosystem": "Debian:12", "name": f"source-{number % SOURCES}"}
        record = {
            "id": f"BENCH-{number}",
            "modified": "2026-01-01T00:00:00Z",
            "affected": [{"package": package, "ranges": [{"type": "ECOSYSTEM", "events": events}]}],
        }
        lines.append(json.dumps(record))
    path = f"/upload/v1/feeds:import?name={_FEED}"
    answer = reader.ask("POST", path, "\n".join(lines).encode())
    expect(answer.status, HTTPStatus.OK, "import of the feed", answer.body)
    name = json.loads(answer.body)["name"]
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        operation = json.loads(reader.ask("GET", f"/v1/{name}").body)
        if operation.get("done"):
            if "error" in operation:
                raise BenchmarkError(f"import of the feed: {operation['error']}")
            return
        time.sleep(_POLL_SECONDS)
    raise BenchmarkError("the feed is not loaded")


def _until_found(reader: Endpoint, image: Image) -> float:
    """Seconds until the findings of an image that was just pushed can be read.

    Raises:
        BenchmarkError: the analysis failed, or found nothing.
    """
    started = time.monotonic()
    while time.monotonic() < started + _SECONDS:
        (occurrence,) = _occurrences(reader, image, "DISCOVERY")
        if occurrence["discovery"]["analysisStatus"] not in _RUNNING:
            found = _occurrences(reader, image, "VULNERABILITY")
            seconds = time.monotonic() - started
            if not found:
                raise BenchmarkError(f"nothing was found: {occurrence['discovery']}")
            return seconds
        time.sleep(_POLL_SECONDS)
    raise BenchmarkError("the analysis does not end")


def _occurrences(reader: Endpoint, image: Image, kind: str) -> list[dict[str, Any]]:
    url = f"https://{HOST}:{reader.port}/{REPOSITORY}@{digest_of(image.manifest)}"
    query = urllib.parse.urlencode({"filter": f'kind="{kind}" AND resourceUrl="{url}"'})
    project = REPOSITORY.partition("/")[0]
    answer = reader.ask("GET", f"/v1/projects/{project}/occurrences?{query}")
    expect(answer.status, HTTPStatus.OK, f"occurrences of {kind}", answer.body)
    found: list[dict[str, Any]] = json.loads(answer.body)["occurrences"]
    return found


def _listed(image: Image, folder: Path) -> float:
    """Seconds that Trivy takes to list the packages of an image in a folder.

    Raises:
        BenchmarkError: it fails, or lists other packages than there are.
    """
    shutil.rmtree(folder, ignore_errors=True)
    layout = folder / "image"
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for content in (image.config, image.layer, image.manifest):
        (blobs / digest_of(content).partition(":")[2]).write_bytes(content)
    manifest = {
        "mediaType": json.loads(image.manifest)["mediaType"],
        "digest": digest_of(image.manifest),
        "size": len(image.manifest),
        "annotations": {"org.opencontainers.image.ref.name": TAG},
    }
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    listing = folder / "listing.json"
    program = Path(sys.executable).with_name("trivy")
    command = (
        *(str(program), "image", "--quiet", "--input", str(layout), "--format", "cyclonedx"),
        *("--cache-dir", str(folder / "cache"), "--output", str(listing)),
    )
    started = time.monotonic()
    ended = subprocess.run(command, capture_output=True, check=False)
    seconds = time.monotonic() - started
    if ended.returncode:
        raise BenchmarkError(f"trivy: {ended.stderr[-500:].decode(errors='replace')}")
    components = json.loads(listing.read_text())["components"]
    libraries = [each for each in components if each["type"] == "library"]
    if len(libraries) != PACKAGES:
        raise BenchmarkError(f"trivy lists {len(libraries)} packages")
    return seconds
