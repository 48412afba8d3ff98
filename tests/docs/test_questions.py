"""The commands of `docs/how-to/questions.md`, run as they stand there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.analysis.stored import advisory, affects
from tests.analysis.test_end_to_end import FROM_THE_FIRST, feed
from tests.cli.program import signed_in
from tests.faults.pushers import OS_RELEASE
from tests.faults.registry import Registry
from tests.support.images import make_image

if TYPE_CHECKING:
    from tests.support.servers import CustomhouseServer

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "questions.md"
STATUS = (
    b"Package: libssl3\nStatus: install ok installed\nArchitecture: amd64\nSource: openssl\n"
    b"Version: 3.0.8-1\n\n"
)

pytestmark = pytest.mark.xdist_group("cli")


def test_every_command(server: CustomhouseServer, tmp_path: Path) -> None:
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE.read_text(), flags=re.DOTALL))
    commands = [shlex.split(line)[1:] for line in blocks.splitlines() if line]
    cli = signed_in(server, tmp_path)
    record = advisory(
        "DSA-5417-1",
        affects("openssl", FROM_THE_FIRST, {"fixed": "3.0.9-1"}),
        aliases=["CVE-2023-0464"],
        database_specific={"severity": "HIGH"},
    )
    cli("feeds", "import", feed(tmp_path, record), "--name", "questions")
    base = {"etc/os-release": OS_RELEASE}
    with Registry(server) as registry:
        for name, image in {
            "questions/base": make_image(base),
            "questions/web": make_image(base, {"var/lib/dpkg/status": STATUS}),
        }.items():
            registry.discovery(name, registry.push(name, image, "1.0"))
    package, by_name, severe, summary = (cli(*command) for command in commands)
    assert package.row("questions/web:1.0", "libssl3", "3.0.8-1")
    for said in (by_name, severe):
        assert said.row("HIGH", "questions/web:1.0", "libssl3", "3.0.8-1", "3.0.9-1")
    assert "questions/base:1.0" in summary.out
