"""A small client of the distribution API, for tests that break things around it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx2

from tests.support.images import Image, digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType
    from typing import Self

    from tests.support.servers import CustomhouseServer

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"

RUNNING = {"PENDING", "SCANNING"}


@dataclass(slots=True)
class Registry:
    """One connection pool to one server, signed in as the administrator.

    Every call raises `AssertionError` with the answer if its status is not the expected one, and
    `httpx2.TransportError` if there is no answer.
    """

    server: CustomhouseServer
    seconds: float = 30.0
    http: httpx2.Client = field(init=False)

    def __post_init__(self) -> None:
        """Connect, with a pool of its own."""
        self.http = httpx2.Client(
            base_url=self.server.url, auth=self.server.auth, timeout=self.seconds
        )

    def __enter__(self) -> Self:
        """Use it in a block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close its connections."""
        self.http.close()

    def call(
        self, method: str, path: str, status: int | tuple[int, ...] = 200, **options: Any
    ) -> httpx2.Response:
        """Make a request whose answer must have one of these statuses."""
        response = self.http.request(method, path, **options)
        expected = (status,) if isinstance(status, int) else status
        assert response.status_code in expected, (method, path, response, response.text[:2000])
        return response

    def start_upload(self, repository: str) -> str:
        """Begin an upload and return its path."""
        response = self.call("POST", f"/v2/{repository}/blobs/uploads/", 202)
        return response.headers["location"]

    def append(self, upload: str, content: bytes | Iterable[bytes]) -> int:
        """Send a chunk, or a stream of them, and return the offset that was acknowledged."""
        if not isinstance(content, bytes):
            content = iter(content)
        response = self.call("PATCH", upload, 202, content=content)
        return end_of(response)

    def offset(self, upload: str) -> int | None:
        """Where an upload stands; None if it is not known."""
        response = self.call("GET", upload, (204, 404))
        return end_of(response) if response.status_code == httpx2.codes.NO_CONTENT else None

    def finish(self, upload: str, digest: str, rest: bytes = b"") -> None:
        """End an upload."""
        self.call("PUT", upload, 201, params={"digest": digest}, content=rest)

    def upload(self, repository: str, content: bytes) -> str:
        """Upload a blob with one request and return its digest."""
        digest = digest_of(content)
        path = f"/v2/{repository}/blobs/uploads/"
        self.call("POST", path, 201, params={"digest": digest}, content=content)
        return digest

    def put_manifest(
        self, repository: str, reference: str, manifest: bytes, media_type: str = OCI_MANIFEST
    ) -> str:
        """Push a manifest alone and return its digest."""
        path = f"/v2/{repository}/manifests/{reference}"
        headers = {"content-type": media_type}
        response = self.call("PUT", path, 201, content=manifest, headers=headers)
        return response.headers["docker-content-digest"]

    def push(self, repository: str, image: Image, tag: str) -> str:
        """Push an image and return its digest."""
        for blob in image.blobs:
            self.upload(repository, blob)
        return self.put_manifest(repository, tag, image.manifest)

    def push_index(self, repository: str, tag: str, *children: bytes) -> str:
        """Push an index of manifests that are there and return its digest."""
        index = {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [
                {"mediaType": OCI_MANIFEST, "digest": digest_of(child), "size": len(child)}
                for child in children
            ],
        }
        return self.put_manifest(repository, tag, json.dumps(index).encode(), OCI_INDEX)

    def manifest(self, repository: str, reference: str) -> bytes | None:
        """The bytes of a manifest; None if it is not there."""
        path = f"/v2/{repository}/manifests/{reference}"
        response = self.call("GET", path, (200, 404), headers={"accept": OCI_MANIFEST})
        return response.content if response.status_code == httpx2.codes.OK else None

    def blob(self, repository: str, digest: str) -> bytes | None:
        """The bytes of a blob; None if it is not there."""
        response = self.call("GET", f"/v2/{repository}/blobs/{digest}", (200, 404))
        return response.content if response.status_code == httpx2.codes.OK else None

    def assert_pulls(self, repository: str, reference: str, image: Image) -> None:
        """Check that an image comes whole and byte for byte as it was pushed."""
        assert self.manifest(repository, reference) == image.manifest, (repository, reference)
        for digest in map(digest_of, image.blobs):
            assert digest_of(self.blob(repository, digest) or b"") == digest, (repository, digest)

    def occurrences(
        self, repository: str, digest: str, kind: str, page_size: int = 0
    ) -> Iterator[dict[str, Any]]:
        """The occurrences of an image, page after page."""
        project = repository.partition("/")[0]
        url = f"https://{self.server.host}/{repository}@{digest}"
        parameters = {"filter": f'kind="{kind}" AND resourceUrl="{url}"'}
        if page_size:
            parameters["pageSize"] = str(page_size)
        path = f"/v1/projects/{project}/occurrences"
        while True:
            document = self.call("GET", path, params=parameters).json()
            yield from document["occurrences"]
            if "nextPageToken" not in document:
                return
            parameters["pageToken"] = document["nextPageToken"]

    def discovery(self, repository: str, digest: str, seconds: float = 30) -> dict[str, Any]:
        """How the analysis of an image ended."""
        deadline = time.monotonic() + seconds
        while True:
            (occurrence,) = self.occurrences(repository, digest, "DISCOVERY")
            found: dict[str, Any] = occurrence["discovery"]
            if found["analysisStatus"] not in RUNNING:
                return found
            assert time.monotonic() < deadline, (repository, digest, found)
            time.sleep(0.1)

    def vulnerabilities(
        self, repository: str, digest: str, page_size: int = 0
    ) -> list[dict[str, Any]]:
        """The vulnerabilities of an image, of all pages."""
        return list(self.occurrences(repository, digest, "VULNERABILITY", page_size))


def end_of(response: httpx2.Response) -> int:
    """The offset that an upload's Range header tells (`0-99`: 100 bytes, `0-0`: perhaps none)."""
    last = int(response.headers["range"].partition("-")[2])
    return last + 1 if last else 0
