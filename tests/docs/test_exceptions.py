"""The commands of `docs/how-to/exceptions.md`, run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.analysis.stored import advisory, affects
from tests.analysis.vex.documents import encoded, openvex, says
from tests.cli.program import signed_in
from tests.faults.pushers import OS_RELEASE, dpkg_status
from tests.faults.registry import Registry
from tests.support.images import make_image
from tests.support.servers import COMMAND

if TYPE_CHECKING:
    from tests.support.servers import CustomhouseServer

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "exceptions.md"

pytestmark = pytest.mark.xdist_group("cli")


def test_every_command(server: CustomhouseServer, tmp_path: Path) -> None:
    found = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE.read_text(), flags=re.DOTALL))
    assert len(list(filter(None, found.splitlines()))) == 8
    cli = signed_in(server, tmp_path)
    (tmp_path / "vex.json").write_bytes(encoded(openvex(says("fixed"))))
    record = advisory("DEBIAN-CVE-2024-1234", affects("sed", {"introduced": "0"}))
    (tmp_path / "feed.json").write_bytes(record.replace(b"DEBIAN-", b""))
    cli("feeds", "import", tmp_path / "feed.json")
    image = make_image(
        {"etc/os-release": OS_RELEASE, "var/lib/dpkg/status": dpkg_status("sed=4.9-1")}
    )
    with Registry(server) as registry:
        registry.discovery("acme/web", registry.push("acme/web", image, "1.0"))
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", found],
        env=dict(cli.env)
        | {
            "HOME": str(tmp_path),
            "HOST": server.host,
            "PATH": f"{COMMAND.parent}:{os.environ['PATH']}",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = " ".join(done.stdout.split())
    assert "sed is not run; see ticket 17" in told
    assert "1 with an exception." in told
    assert "Revoked exception [1] for CVE-2024-1234." in told
    assert "1 exception by Example Inc." in told
