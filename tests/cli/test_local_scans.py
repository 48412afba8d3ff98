"""`customhouse images scan --local`: what it shows, what it sends, and what stays."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.analysis.stored import advisory, affects
from tests.analysis.test_end_to_end import feed
from tests.analysis.test_saved import docker_save, written
from tests.cli.program import CommandLine, signed_in
from tests.faults.pushers import OS_RELEASE, dpkg_status
from tests.faults.registry import Registry
from tests.support.images import Image, make_image
from tests.support.servers import customhouse_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.servers import CustomhouseServer

pytestmark = pytest.mark.xdist_group("cli")

FROM_THE_FIRST = {"introduced": "0"}
DEBIAN = "Debian GNU/Linux 12 (bookworm)"
STATUS = dpkg_status("sed=4.9-1", "bash=5.2.15-2") + (
    b"Package: libssl3\nStatus: install ok installed\nArchitecture: amd64\nSource: openssl\n"
    b"Version: 3.0.8-1\n\n"
)
METADATA = b"Metadata-Version: 2.1\nName: Django\nVersion: 3.2\nLicense: BSD-3-Clause\n"


def image() -> Image:
    return make_image(
        {"etc/os-release": OS_RELEASE, "var/lib/dpkg/status": STATUS},
        {"usr/lib/python3/site-packages/Django-3.2.dist-info/METADATA": METADATA},
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CustomhouseServer]:
    """A server with advisories about OpenSSL, sed and Django."""
    folder = tmp_path_factory.mktemp("server")
    with customhouse_server(folder) as running:
        records = [
            advisory(
                "DSA-5417-1",
                affects("openssl", FROM_THE_FIRST, {"fixed": "3.0.9-1"}),
                aliases=["CVE-2023-0464"],
                database_specific={"severity": "HIGH"},
            ),
            advisory("DSA-1", affects("sed", FROM_THE_FIRST)),
            advisory("PYSEC-1", affects("django", FROM_THE_FIRST, ecosystem="PyPI")),
        ]
        cli = signed_in(running, folder)
        cli("feeds", "import", feed(folder, *records), "--name", "test")
        cli("projects", "create", "acme")
        yield running


@pytest.fixture
def cli(server: CustomhouseServer, tmp_path: Path) -> CommandLine:
    """The command line, signed in."""
    return signed_in(server, tmp_path)


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def rows(server: CustomhouseServer) -> dict[str, int]:
    """How many rows the tables of the analysis have."""
    with closing(sqlite3.connect(server.data / "customhouse.sqlite")) as connection:
        tables = ("package", "package_name", "inventory", "inventory_package", "finding")
        query = "SELECT count(*) FROM "
        return {name: connection.execute(query + name).fetchone()[0] for name in tables}


def test_what_it_shows(server: CustomhouseServer, cli: CommandLine, tmp_path: Path) -> None:
    path = written(docker_save(image(), "web:1"), tmp_path / "web.tar")
    before = rows(server)
    said = lines(cli("images", "scan", "--local", path, "--project", "acme").out)
    assert said[0] == f"file: {path}"
    assert said[1] == "image: web:1"
    assert said[2].startswith("digest: sha256:")
    assert said[3:7] == [
        "platform: linux/amd64",
        "analysis: FINISHED_SUCCESS",
        f"system: {DEBIAN}",
        f"warning: {DEBIAN} is past its end of life: it had security support until 2026-07-11",
    ]
    assert said[7] == "SEVERITY VULNERABILITY PACKAGE INSTALLED FIXED IN"
    assert said[9:] == [
        "HIGH CVE-2023-0464 libssl3 3.0.8-1 3.0.9-1",
        "UNSPECIFIED DSA-1 sed 4.9-1 not fixed",
        "UNSPECIFIED PYSEC-1 django 3.2 not fixed",
        "3 vulnerabilities: 1 high, 2 unspecified. 2 without a fix.",
    ]
    assert rows(server) == before


def issues(document: dict[str, Any]) -> dict[str, Any]:
    """What a description says of each vulnerability."""
    grouped = document["package_vulnerability_summary"]["vulnerabilities"]
    found = [each for group in grouped.values() for each in group]
    return {each["noteName"]: each["vulnerability"] for each in found}


def test_it_is_what_a_stored_image_has(
    server: CustomhouseServer, cli: CommandLine, tmp_path: Path
) -> None:
    made = image()
    folder = made.write_layout(tmp_path / "layout", "1.0")
    scan = ("images", "scan", "--project", "acme", "--format", "json", "--local", folder)
    local = issues(cli(*scan).document)
    with Registry(server) as registry:
        digest = registry.push("acme/web", made, "1")
        registry.discovery("acme/web", digest)
    describe = ("images", "describe", f"{server.host}/acme/web:1", "--show-package-vulnerability")
    assert local == issues(cli(*describe, "--format", "json").document)
    assert len(local) == 3


def test_exit_status(cli: CommandLine, tmp_path: Path) -> None:
    path = written(docker_save(image()), tmp_path / "web.tar")
    scan = ("images", "scan", "--project", "acme", "--local", path)
    cli(*scan, "--fail-on", "critical")
    cli(*scan, "--fail-on", "high", status=1)
    cli(*scan, "--fail-on", "LOW", status=1)
    unknown = written(docker_save(make_image({"motd": b"x"})), tmp_path / "unknown.tar")
    scan = ("images", "scan", "--project", "acme", "--local", unknown)
    said = cli(*scan).out
    assert "FINISHED_UNSUPPORTED" in said
    assert "those of dpkg, apk and rpm were looked for" in said
    cli(*scan, "--fail-on", "critical", status=1)


def test_what_is_refused(server: CustomhouseServer, cli: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "none.tar"
    scan = ("images", "scan", "--project", "acme")
    assert "there is no" in cli(*scan, "--local", path, status=1).err
    path.write_bytes(b"hello")
    assert "the saved image cannot be read" in cli(*scan, "--local", path, status=1).err
    assert "--local is by itself" in cli(*scan, "x/y:1", "--local", path, status=2).err
    assert "go with --local" in cli(*scan, "--all", "--fail-on", "low", status=2).err
    analyze = "/v1/projects/acme/locations/global/scans:analyzePackages"
    large = b'{"packages": []}'.ljust(2 * 1024 * 1024)
    with Registry(server) as registry:
        registry.call("POST", analyze, 400, content=large)
        registry.call("POST", f"/upload{analyze}", content=large)
        registry.call("POST", f"/upload{analyze}", 400, content=large * 33)


def test_requests_of_other_clients(server: CustomhouseServer) -> None:
    cpe = "cpe:/o:debian:debian_linux:12"
    request = {
        "resourceUri": "https://example.org/p/i@sha256:1",
        "packages": [{"package": "sed", "version": "4.9-1", "cpeUri": cpe, "packageType": "OS"}],
    }
    with Registry(server) as registry:
        path = "/v1/projects/acme/locations/us/scans:analyzePackages"
        operation = registry.call("POST", path, json=request).json()
    assert operation["done"] is True
    (found,) = operation["response"]["vulnerabilities"]
    assert found["resourceUri"] == request["resourceUri"]
    assert found["noteName"].endswith("/DSA-1")
    assert found["vulnerability"]["packageIssue"][0]["affectedPackage"] == "sed"
