"""The README's commands, run as they stand there, with a real Debian image and a real engine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

from customhouse.analysis.ecosystems import dpkg
from tests.support.processes import free_port, start

if TYPE_CHECKING:
    from tests.support.engines import DockerEngine

TOP = Path(__file__).parents[2]
README = TOP / "README.md"
# What needs the network outside, is a matter for a person, or needs a port of the system's.
LEFT_OUT = ("curl ", "read -rs", "make run", "customhouse serve", "export PATH")

pytestmark = pytest.mark.client("docker")


def blocks(section: str) -> list[str]:
    """The command lines of a section of the README, in order."""
    text = README.read_text()
    body = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    found = "\n".join(re.findall(r"```sh\n(.*?)```", body, flags=re.DOTALL))
    lines = [line for line in found.replace("\\\n", " ").splitlines() if line.strip()]
    assert lines, f"the README has no commands under {section}"
    return lines


def write_feed(rootfs: Path, feed: Path) -> dict[str, str]:
    """Write advisories for what a root file system has installed, as osv.dev would.

    Returns:
        The severity that each advisory must be shown with.
    """
    with tarfile.open(rootfs) as tar:
        name = next(n for n in tar.getnames() if n.endswith("var/lib/dpkg/status"))
        status = tar.extractfile(name)
        assert status is not None
        installed = {package.source: package for package in dpkg.parse(status.read()).packages}
    expected: dict[str, str] = {}
    with zipfile.ZipFile(feed, "w") as archive:

        def add(number: int, source: str, fixed: str | None, urgency: str, shown: str) -> None:
            identifier = f"DEBIAN-CVE-2099-{number:04}"
            if shown:
                expected[identifier.removeprefix("DEBIAN-")] = shown
            events = [{"introduced": "0"}, *([{"fixed": fixed}] if fixed else [])]
            record = {
                "id": identifier,
                "upstream": [identifier.removeprefix("DEBIAN-")],
                "modified": "2026-01-01T00:00:00Z",
                "affected": [
                    {
                        "package": {"ecosystem": "Debian:12", "name": source},
                        "ranges": [{"type": "ECOSYSTEM", "events": events}],
                        "ecosystem_specific": {"urgency": urgency},
                    }
                ],
            }
            archive.writestr(f"{identifier}.json", json.dumps(record))

        add(1, "zlib", f"{installed['zlib'].source_version}.1", "high", "HIGH")
        add(2, "glibc", None, "low", "LOW")
        add(3, "tar", None, "unimportant", "MINIMAL")
        add(4, "bash", installed["bash"].source_version, "high", "")  # fixed already
        add(5, "not-installed", None, "high", "")
    return expected


@pytest.mark.timeout(600)
def test_readme_walk_through(
    docker_engine: DockerEngine, debian_rootfs: Path, tmp_path: Path
) -> None:
    port = free_port()
    expected = write_feed(debian_rootfs, tmp_path / "all.zip")
    docker_engine.docker("import", debian_rootfs, "debian:12")
    server = start(
        *("make", "-C", TOP, "run", f"PORT={port}", f"DATA={tmp_path / 'data'}"),
        log=tmp_path / "server.log",
    )
    try:
        server.wait_until(lambda: "Serving on" in (tmp_path / "server.log").read_text(), 300)
        told = re.search(r"admin with password (\S+)", (tmp_path / "server.log").read_text())
        assert told, "the first start tells the password"
        outputs = run_commands(port, told.group(1), docker_engine.env, tmp_path)
    finally:
        server.stop()
        docker_engine.docker("rmi", "--force", "debian:12", f"localhost:{port}/demo/debian:12")
    table = next(out for line, out in outputs.items() if line.endswith("vulnerability"))
    for cve, severity in expected.items():
        row = next(line for line in table.splitlines() if cve in line)
        assert row.startswith(severity)
    assert "CVE-2099-0004" not in table
    assert "CVE-2099-0005" not in table
    document = json.loads(next(out for line, out in outputs.items() if line.endswith("json")))
    summary = document["package_vulnerability_summary"]
    assert summary["total_vulnerability_found"] == len(expected)
    assert summary["not_fixed_vulnerability_count"] == 2
    issue = summary["vulnerabilities"]["HIGH"][0]["vulnerability"]["packageIssue"][0]
    assert issue["fixedVersion"]["fullName"] == f"{issue['affectedVersion']['fullName']}.1"


def run_commands(port: int, password: str, env: dict[str, str], folder: Path) -> dict[str, str]:
    """Run the commands of the sections, one shell for each line, and return what they print."""
    outputs: dict[str, str] = {}
    environment = os.environ | env
    environment |= {
        "PATH": f"{TOP / '.venv/bin'}:{os.environ['PATH']}",
        "PASSWORD": password,
        "XDG_CONFIG_HOME": str(folder / "config"),
    }
    sections = ("Push an image", "Read what is vulnerable in it", "Private and public")
    for line in [line for section in sections for line in blocks(section)]:
        if line.startswith(LEFT_OUT):
            continue
        command = line.replace("localhost:5000", f"localhost:{port}")
        if line.startswith("docker pull"):
            # What is here already would not be asked for.
            subprocess.run(
                ["docker", "rmi", "--force", f"localhost:{port}/demo/debian:12"],
                env=environment,
                check=False,
                capture_output=True,
            )
        if "make-private" in line:
            # Public it was, by the line before; private it must be after.
            check_anonymous(port, 200)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        outputs[command] = done.stdout
        if "make-private" in line:
            check_anonymous(port, 401)
    return outputs


def check_anonymous(port: int, status: int) -> None:
    """Check what somebody who has not signed in is answered."""
    url = f"http://localhost:{port}"
    scope = {"scope": "repository:demo/debian:pull"}
    token = httpx2.get(f"{url}/token", params=scope).json()["token"]
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx2.head(f"{url}/v2/demo/debian/manifests/12", headers=headers)
    assert answer.status_code == status
