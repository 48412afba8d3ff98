"""What the analysis says of images of every kind, and how their occurrences are asked for."""

from __future__ import annotations

import gzip
import json
import sqlite3
import tarfile
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.analysis import tars
from tests.analysis.stored import advisory, affects
from tests.bad_input.layers import image_of
from tests.faults.processes import wait_until
from tests.faults.pushers import OS_RELEASE, dpkg_status
from tests.faults.registry import OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Registry
from tests.support.images import Image, descriptor, digest_of
from tests.support.servers import customhouse_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.servers import CustomhouseServer

pytestmark = pytest.mark.xdist_group("analysis")

FROM_THE_FIRST = {"introduced": "0"}
SUCCESS, FAILED, UNSUPPORTED = "FINISHED_SUCCESS", "FINISHED_FAILED", "FINISHED_UNSUPPORTED"
REPOSITORY = "kinds/image"

SYSTEM = tars.written({"etc/os-release": OS_RELEASE})
BASH = tars.written({"var/lib/dpkg/status": dpkg_status("bash=5.2-1")})
PACKAGES = tars.written({"var/lib/dpkg/status": dpkg_status("sed=4.9-1", "bash=5.2-1")})
ALPINE = tars.written(
    {
        "etc/os-release": b'ID=alpine\nVERSION_ID=3.19.1\nPRETTY_NAME="Alpine Linux v3.19"\n',
        "lib/apk/db/installed": b"P:libssl3\nV:3.1.4-r4\nA:x86_64\no:openssl\nL:Apache-2.0\n\n",
    }
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CustomhouseServer]:
    """A server that knows 21 advisories about sed, and one each about bash and Alpine's OpenSSL."""
    with customhouse_server(tmp_path_factory.mktemp("server")) as running:
        records = [
            *(advisory(f"DSA-{n}", affects("sed", FROM_THE_FIRST)) for n in range(21)),
            advisory("DLA-1", affects("bash", FROM_THE_FIRST)),
            advisory("ALPINE-CVE-1", affects("openssl", FROM_THE_FIRST, ecosystem="Alpine:v3.19")),
        ]
        with Registry(running) as client:
            assert load(client, b"[%s]" % b",".join(records)) == len(records)
        yield running


def load(client: Registry, feed: bytes) -> int:
    """Load a feed and return how many advisories it has."""
    path = "/upload/v1/feeds:import?name=test&add=true"
    name = client.call("POST", path, content=feed).json()["name"]

    def outcome() -> dict[str, Any]:
        operation: dict[str, Any] = client.call("GET", f"/v1/{name}").json()
        return operation

    wait_until(lambda: bool(outcome()["done"]), 20, "the feed is loaded")
    return int(outcome()["response"]["advisories"])


@pytest.fixture
def registry(server: CustomhouseServer) -> Iterator[Registry]:
    """A client of the server."""
    with Registry(server) as client:
        yield client


def advisories(registry: Registry, digest: str, repository: str = REPOSITORY) -> list[str]:
    """The advisories that an image is affected by, in order."""
    found = registry.vulnerabilities(repository, digest)
    return sorted(each["noteName"].rpartition("/")[2] for each in found)


# Layers, how the analysis ends, a part of the reason or the system, and how many advisories.
IMAGES = {
    "debian": (image_of(SYSTEM, PACKAGES), SUCCESS, "Debian GNU/Linux 12 (bookworm)", 22),
    "alpine": (image_of(ALPINE), SUCCESS, "Alpine Linux v3.19", 1),
    "distroless": (
        image_of(SYSTEM, tars.written({"var/lib/dpkg/status.d/sed": dpkg_status("sed=4.9-1")})),
        SUCCESS, "Debian GNU/Linux 12 (bookworm)", 21),
    "packages replaced": (
        image_of(SYSTEM, PACKAGES, BASH), SUCCESS, "Debian GNU/Linux 12 (bookworm)", 1),
    "no package database": (
        image_of(SYSTEM), UNSUPPORTED, "it has no package database that is known", 0),
    "from scratch": (
        image_of(tars.file("hello", b"world") + tars.END), UNSUPPORTED, "no package database", 0),
    "database deleted": (
        image_of(SYSTEM, PACKAGES, tars.file("var/lib/dpkg/.wh.status") + tars.END),
        UNSUPPORTED, "no package database", 0),
    "its folder deleted": (
        image_of(SYSTEM, PACKAGES, tars.file("var/lib/.wh.dpkg") + tars.END),
        UNSUPPORTED, "no package database", 0),
    "its folder emptied": (
        image_of(SYSTEM, PACKAGES, tars.file("var/.wh..wh..opq") + tars.END),
        UNSUPPORTED, "no package database", 0),
    "unknown system": (
        image_of(tars.written({"etc/os-release": b"ID=beos\nPRETTY_NAME=BeOS\n"}), PACKAGES),
        UNSUPPORTED, "there are no advisories for BeOS", 0),
    "no system": (image_of(PACKAGES), UNSUPPORTED, "nothing in it tells which system it is", 0),
    "layers of Docker": (
        image_of(gzip.compress(SYSTEM), PACKAGES, media_types=[
            "application/vnd.docker.image.rootfs.diff.tar.gzip", OCI_LAYER]),
        SUCCESS, "Debian GNU/Linux 12 (bookworm)", 22),
}  # fmt: skip


@pytest.mark.parametrize("name", IMAGES)
def test_image(registry: Registry, name: str) -> None:
    image, status, told, count = IMAGES[name]
    digest = registry.push(REPOSITORY, image, "latest")
    found = registry.discovery(REPOSITORY, digest)
    assert found["analysisStatus"] == status, found
    if status == SUCCESS:
        assert found["operatingSystem"] == told
        assert found["continuousAnalysis"] == "ACTIVE"
        errors = [each["message"] for each in found.get("analysisError", ())]
        assert all("past its end of life" in each for each in errors)
        assert "analysisStatusError" not in found
    else:
        assert told in found["analysisStatusError"]["message"]
        assert found["analysisStatusError"]["code"] == 12  # google.rpc.Code.UNIMPLEMENTED
    assert len(advisories(registry, digest)) == count


def test_each_package_knows_its_layer(registry: Registry) -> None:
    more = tars.written({"var/lib/dpkg/status": dpkg_status("sed=4.9-1", "bash=5.2-1", "bash=4-1")})
    digest = registry.push(REPOSITORY, image_of(SYSTEM, PACKAGES, more), "layers")
    registry.discovery(REPOSITORY, digest)
    brought = {
        (issue["affectedPackage"], issue["affectedVersion"]["fullName"]): place["layerDetails"]
        for each in registry.vulnerabilities(REPOSITORY, digest)
        for issue in each["vulnerability"]["packageIssue"]
        for place in issue["fileLocation"]
    }
    assert {key: layer["layerDigest"] for key, layer in brought.items()} == {
        ("sed", "4.9-1"): digest_of(PACKAGES),
        ("bash", "5.2-1"): digest_of(PACKAGES),
        ("bash", "4-1"): digest_of(more),
    }


def test_index_of_two_platforms(registry: Registry) -> None:
    debian, alpine = IMAGES["debian"][0], IMAGES["alpine"][0]
    for image in (debian, alpine):
        registry.push("kinds/index", image, "part")
    index = registry.push_index("kinds/index", "both", debian.manifest, alpine.manifest)
    content = registry.manifest("kinds/index", index)
    assert content is not None
    nested = registry.put_manifest("kinds/index", "nested", index_of(content), OCI_INDEX)
    for digest in (index, nested):
        assert registry.discovery("kinds/index", digest)["analysisStatus"] == SUCCESS
        found = advisories(registry, digest, "kinds/index")
        assert len(found) == 23
        assert {"CVE-1", "DLA-1", "DSA-0"} <= {each.removeprefix("ALPINE-") for each in found}
    # What is asked of the index is told of the index.
    (first, *_) = registry.vulnerabilities("kinds/index", index)
    assert first["resourceUri"] == f"https://{registry.server.host}/kinds/index@{index}"


def index_of(*indexes: bytes) -> bytes:
    """An index of indexes."""
    manifests = [descriptor(OCI_INDEX, index) for index in indexes]
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}
    return json.dumps(document).encode()


def test_what_is_no_image(registry: Registry) -> None:
    debian = IMAGES["debian"][0]
    registry.push("kinds/artifact", debian, "part")
    statement = b'{"_type":"https://in-toto.io/Statement/v0.1"}'
    attestation = image_of(statement, media_types=["application/vnd.in-toto+json"])
    signature = json.loads(image_of(b"sig", media_types=["application/x-signature"]).manifest)
    signature["config"]["mediaType"] = "application/vnd.example.config+json"
    artifacts = (
        attestation,
        Image((b"sig",), image_of().config, json.dumps(signature).encode()),
    )
    for number, artifact in enumerate(artifacts):
        digest = registry.push("kinds/artifact", artifact, f"artifact-{number}")
        found = registry.discovery("kinds/artifact", digest)
        assert found["analysisStatus"] == UNSUPPORTED
        assert "no image that runs" in found["analysisStatusError"]["message"]
        assert registry.vulnerabilities("kinds/artifact", digest) == []
    # Beside an image, as BuildKit puts it, it does not spoil the answer.
    index = registry.push_index("kinds/artifact", "both", debian.manifest, attestation.manifest)
    assert registry.discovery("kinds/artifact", index)["analysisStatus"] == SUCCESS
    assert len(advisories(registry, index, "kinds/artifact")) == 22
    alone = registry.push_index("kinds/artifact", "alone", attestation.manifest)
    assert registry.discovery("kinds/artifact", alone)["analysisStatus"] == UNSUPPORTED


def test_layer_that_stays_with_its_publisher(registry: Registry) -> None:
    foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    image = image_of(b"is not uploaded", PACKAGES, media_types=[foreign, OCI_LAYER])
    for blob in (PACKAGES, image.config):
        registry.upload("kinds/foreign", blob)
    digest = registry.put_manifest("kinds/foreign", "missing", image.manifest)
    found = registry.discovery("kinds/foreign", digest)
    assert found["analysisStatus"] == UNSUPPORTED
    assert "stays with its publisher" in found["analysisStatusError"]["message"]
    # Where somebody pushed it all the same, it is read.
    there = image_of(SYSTEM, PACKAGES, media_types=[foreign, OCI_LAYER])
    digest = registry.push("kinds/foreign", there, "there")
    assert registry.discovery("kinds/foreign", digest)["analysisStatus"] == SUCCESS


def test_a_layer_is_read_once(server: CustomhouseServer, registry: Registry) -> None:
    shared = tars.written({"etc/os-release": OS_RELEASE, "usr/share/shared": b"by two"})
    first = registry.push("kinds/first", image_of(shared, PACKAGES), "1")
    registry.discovery("kinds/first", first)
    before = readings(server, shared)
    top = tars.written({"usr/bin/second": b"only here"})
    second = registry.push("kinds/second", image_of(shared, top, PACKAGES, shared), "1")
    assert registry.discovery("kinds/second", second)["analysisStatus"] == SUCCESS
    assert readings(server, shared) == before
    assert len(readings(server, top)) == 1
    # Pushed again, also elsewhere, an image is not analysed again.
    last = registry.discovery("kinds/second", second)["lastScanTime"]
    for repository in ("kinds/second", "kinds/third"):
        registry.push(repository, image_of(shared, top, PACKAGES, shared), "2")
    after = registry.push("kinds/second", image_of(SYSTEM, shared), "after")
    registry.discovery("kinds/second", after)  # it was in line behind them
    assert registry.discovery("kinds/third", second)["lastScanTime"] == last


def readings(server: CustomhouseServer, layer: bytes) -> list[tuple[int]]:
    """When a layer was read."""
    path = server.data / "customhouse.sqlite"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(
            "SELECT read_at FROM layer_reading WHERE digest = ?", [digest_of(layer)]
        ).fetchall()


@pytest.mark.parametrize("size", [1, 5, 21, 22, 23, 1000])
def test_pages(registry: Registry, size: int) -> None:
    digest = registry.push(REPOSITORY, IMAGES["debian"][0], "pages")
    registry.discovery(REPOSITORY, digest)
    whole = registry.vulnerabilities(REPOSITORY, digest)
    assert len({each["name"] for each in whole}) == len(whole) == 22
    assert registry.vulnerabilities(REPOSITORY, digest, page_size=size) == whole


FILTERS = {
    "": "must name a kind",
    'kind="VULNERABILITY"': "must name a kind",
    'kind="BUILD" AND resourceUrl="https://h.example/kinds/image@{digest}"': "must name a kind",
    'kind="DISCOVERY" OR kind="VULNERABILITY"': "at character 0",
    'kind="DISCOVERY" AND severity="HIGH"': "at character 20",
    'kind="DISCOVERY" AND resourceUrl=https://h.example/p/i': "at character 20",
    'kind="DISCOVERY" AND resourceUrl="nonsense': "at character 20",
    'kind="DISCOVERY" AND resourceUrl="https://h.example/kinds/image:1"': "with its digest",
    'kind="DISCOVERY" AND resourceUrl="https://h.example/other/image@{digest}"': "project kinds",
    'kind="DISCOVERY" AND resourceUrl="https://h.example/Kinds/image@{digest}"': "lower-case",
}


@pytest.mark.parametrize("text", FILTERS)
def test_filter_that_is_refused(registry: Registry, text: str) -> None:
    parameters = {"filter": text.replace("{digest}", digest_of(b""))}
    path = "/v1/projects/kinds/occurrences"
    error = registry.call("GET", path, 400, params=parameters).json()["error"]
    assert error["status"] == "INVALID_ARGUMENT"
    assert FILTERS[text] in error["message"]


def test_occurrences_of_what_is_not_there(registry: Registry) -> None:
    for kind in ("DISCOVERY", "VULNERABILITY"):
        parameters = {
            "filter": f'kind="{kind}" AND resourceUrl="https://h.example/kinds/x@{digest_of(b"")}"'
        }
        path = "/v1/projects/kinds/occurrences"
        error = registry.call("GET", path, 404, params=parameters).json()["error"]
        assert error["status"] == "NOT_FOUND"
    for token in ("x", "-1", "9" * 40):
        query = {"filter": parameters["filter"], "pageToken": token}
        registry.call("GET", path, 400, params=query)


def test_project_with_a_domain(registry: Registry) -> None:
    image = IMAGES["alpine"][0]
    digest = registry.push("example.com/team/app", image, "1")
    url = f"https://{registry.server.host}/example.com/team/app@{digest}"
    for project in ("example.com/team", "example.com%2Fteam"):
        path = f"/v1/projects/{project}/occurrences"
        query = {"filter": f'kind="DISCOVERY" AND resourceUrl="{url}"'}
        (found,) = registry.call("GET", path, params=query).json()["occurrences"]
        assert found["resourceUri"] == url


@pytest.mark.parametrize("host", ["registry", "localhost", "h.example", "registry:5000", "[::1]"])
def test_a_url_has_a_host(registry: Registry, host: str) -> None:
    digest = registry.push(REPOSITORY, IMAGES["alpine"][0], "host")
    path = "/v1/projects/kinds/occurrences"
    for scheme in ("https://", "http://"):
        query = {
            "filter": f'kind="DISCOVERY" AND resourceUrl="{scheme}{host}/{REPOSITORY}@{digest}"'
        }
        (found,) = registry.call("GET", path, params=query).json()["occurrences"]
        assert found["resourceUri"] == f"https://{registry.server.host}/{REPOSITORY}@{digest}"
    query = {"filter": f'kind="DISCOVERY" AND resourceUrl="https://{REPOSITORY}@{digest}"'}
    registry.call("GET", path, 400, params=query)


def test_a_real_alpine(registry: Registry, shared_data: Path) -> None:
    """An image of March 2020 with Alpine's advisories of June 2020, and one that those lack."""
    path = shared_data / "layers" / "images" / "alpine-311.docker-save.tar.gz"
    with tarfile.open(path) as saved:

        def content(name: str) -> bytes:
            file = saved.extractfile(name)
            assert file is not None
            return file.read()

        (manifest,) = json.loads(content("manifest.json"))
        image = image_of(*map(content, manifest["Layers"]), config=content(manifest["Config"]))
    digest = registry.push("kinds/alpine", image, "3.11")
    assert registry.discovery("kinds/alpine", digest)["operatingSystem"] == "Alpine Linux v3.11"
    feed = shared_data / "alpine" / "osv-from-secdb-2020-06-08.all.zip"
    assert load(registry, feed.read_bytes()) == 2437
    # Every fix that those know of is in the image; the newest came with openssl 1.1.1d-r3.
    assert registry.vulnerabilities("kinds/alpine", digest) == []
    events = (FROM_THE_FIRST, {"fixed": "1.1.1g-r0"})
    openssl = affects("openssl", *events, ecosystem="Alpine:v3.11")
    load(registry, advisory("ALPINE-CVE-2020-1967", openssl))
    (found,) = registry.vulnerabilities("kinds/alpine", digest)
    assert found["noteName"].endswith("/CVE-2020-1967")
    assert [
        (issue["affectedPackage"], issue["affectedVersion"]["fullName"])
        for issue in found["vulnerability"]["packageIssue"]
    ] == [("libcrypto1.1", "1.1.1d-r3"), ("libssl1.1", "1.1.1d-r3")]


def test_manifest_type_is_of_no_consequence(registry: Registry) -> None:
    """Docker's own media types are analysed as OCI's."""
    document = json.loads(IMAGES["debian"][0].manifest)
    document["mediaType"] = "application/vnd.docker.distribution.manifest.v2+json"
    document["config"]["mediaType"] = "application/vnd.docker.container.image.v1+json"
    for blob in IMAGES["debian"][0].blobs:
        registry.upload("kinds/docker", blob)
    content = json.dumps(document).encode()
    digest = registry.put_manifest("kinds/docker", "1", content, document["mediaType"])
    assert digest != IMAGES["debian"][0].digest
    assert registry.discovery("kinds/docker", digest)["analysisStatus"] == SUCCESS
    assert len(advisories(registry, digest, "kinds/docker")) == 22
    assert descriptor(OCI_MANIFEST, content)["digest"] == digest
