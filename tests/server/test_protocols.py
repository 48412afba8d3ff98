"""The same application over HTTP/1.1, HTTP/2 and TLS, and on another ASGI server."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.support.images import digest_of
from tests.support.processes import free_port, start
from tests.support.servers import PASSWORD, USER

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.images import Image
    from tests.support.servers import CustomhouseServer

UVICORN = """
import sys
from pathlib import Path
import uvicorn
from customhouse.application import Application
from customhouse.server import prepare
from customhouse.settings import load

settings = load(data=Path(sys.argv[1]))
prepare(settings, print)
uvicorn.run(Application(settings), port=int(sys.argv[2]), log_level="warning")
"""


@pytest.mark.parametrize(("option", "version"), [("--http1.1", "1.1"), ("--http2", "2")])
def test_tls(tls_server: CustomhouseServer, option: str, version: str) -> None:
    done = subprocess.run(
        [
            *("curl", "--silent", "--insecure", option, "--user", f"{USER}:{PASSWORD}"),
            *("--write-out", "%{http_version} %{http_code}", "--output", os.devnull),
            f"https://{tls_server.host}/v2/",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{version} 200"


def test_http2_without_tls(server: CustomhouseServer) -> None:
    done = subprocess.run(
        [
            *("curl", "--silent", "--http2-prior-knowledge", "--user", f"{USER}:{PASSWORD}"),
            *("--write-out", "%{http_version} %{http_code}", "--output", os.devnull),
            f"{server.url}/v2/",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "2 200"


def test_uvicorn(tmp_path: Path, small_image: Image) -> None:
    port = free_port()
    program = start(
        *(sys.executable, "-c", UVICORN, tmp_path / "data", str(port)),
        log=tmp_path / "log",
        env={"CUSTOMHOUSE_ADMIN_PASSWORD": PASSWORD},
    )

    def answers() -> bool:
        try:
            return httpx2.get(f"http://127.0.0.1:{port}/readyz").is_success
        except httpx2.TransportError:
            return False

    try:
        program.wait_until(answers, 20)
        url = f"http://127.0.0.1:{port}/v2/acme/app"
        with httpx2.Client(auth=(USER, PASSWORD)) as http:
            layer = small_image.layers[0]
            begun = http.post(f"{url}/blobs/uploads/")
            assert begun.status_code == 202
            digest = digest_of(layer)
            place = f"http://127.0.0.1:{port}{begun.headers['location']}"
            put = http.put(place, params={"digest": digest}, content=layer)
            assert put.status_code == 201
            assert http.get(f"{url}/blobs/{digest}").content == layer
            part = http.get(f"{url}/blobs/{digest}", headers={"range": "bytes=70000-180000"})
            assert part.status_code == 206
            assert part.content == layer[70000:180001]
    finally:
        program.stop()
