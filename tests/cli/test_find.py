"""`customhouse analysis find`: tables and summaries, what is said of nothing, and wrong options."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.analysis.stored import advisory, affects
from tests.analysis.test_end_to_end import FROM_THE_FIRST, feed
from tests.cli.program import CommandLine, signed_in
from tests.cli.terminal import on_terminal
from tests.faults.pushers import OS_RELEASE, dpkg_status
from tests.faults.registry import Registry
from tests.support.images import make_image
from tests.support.servers import customhouse_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("cli")

BASE = {"etc/os-release": OS_RELEASE, "srv/base": b"base"}
FIND = ("analysis", "find")
CVE = ("--vulnerability", "CVE-2024-0001")


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """The command line, signed in to a server with a base image and two that stand on it."""
    folder = tmp_path_factory.mktemp("server")
    with customhouse_server(folder) as running:
        cli = signed_in(running, folder)
        fixed = affects("sed", FROM_THE_FIRST, {"fixed": "4.9-2"})
        other = affects("other", FROM_THE_FIRST)
        records = [
            advisory("CVE-2024-0001", fixed, database_specific={"severity": "HIGH"}),
            advisory("CVE-2024-0002", other),
        ]
        cli("feeds", "import", feed(folder, *records), "--name", "test")
        pushed = {
            "acme/base/debian": make_image(BASE),
            "acme/web": make_image(BASE, {"var/lib/dpkg/status": dpkg_status("sed=4.9-1")}),
            "beta/tool": make_image(BASE, {"var/lib/dpkg/status": dpkg_status("sed=4.9-2")}),
        }
        with Registry(running) as registry:
            digests = {name: registry.push(name, image, "1.0") for name, image in pushed.items()}
            for name, digest in digests.items():
                registry.discovery(name, digest)
        yield cli


def test_packages(cli: CommandLine) -> None:
    said = cli(*FIND, "--package", "sed", "--version", "<4.9-2")
    assert said.row("acme/web:1.0", "sed", "4.9-1")
    assert "beta/tool" not in said.out
    document = cli(*FIND, "--package", "sed", "--format", "json").document
    assert [image["tags"] for image in document["images"]] == [["1.0"], ["1.0"]]
    assert "acme/web" not in cli(*FIND, "--package", "sed", "--project", "beta").out
    limited = cli(*FIND, "--package", "sed", "--limit", "1")
    assert "beta/tool" not in limited.out
    assert "--limit 10" in limited.err


def test_vulnerabilities(cli: CommandLine) -> None:
    said = cli(*FIND, *CVE)
    assert said.row("HIGH", "acme/web:1.0", "sed", "4.9-1", "4.9-2")
    assert "beta/tool" not in said.out
    assert cli(*FIND, *CVE, "--fixable", "--severity", "high").out == said.out
    assert "no such image has it" in cli(*FIND, *CVE, "--severity", "critical").err
    assert "no such image has it" in cli(*FIND, "--vulnerability", "CVE-2024-0002").err
    assert "No feed tells of" in cli(*FIND, "--vulnerability", "CVE-2024-0003").err


def test_summaries(cli: CommandLine) -> None:
    said = cli(*FIND, "--package", "sed", "--summary")
    assert "2 images in 2 repositories of 2 projects hold sed." in said.out
    assert said.row("1", "sed", "4.9-1", "Debian:12")
    base = next(line.split() for line in said.out.splitlines() if "acme/base/debian:1.0" in line)
    assert base[:2] == ["2", "1"]
    said = cli(*FIND, *CVE, "--summary")
    assert "1 image in 1 repository of 1 project has CVE-2024-0001." in said.out
    assert "1 high." in said.out
    assert "No such image holds none." in cli(*FIND, "--package", "none", "--summary").err
    document = cli(*FIND, "--package", "sed", "--summary", "--format", "json").document
    assert document["imageCount"] == 2


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--package", "sed", *CVE),
        ("--version", "<1"),
        (*CVE, "--version", "<1"),
        (*CVE, "--ecosystem", "npm"),
        ("--package", "sed", "--fixable"),
        ("--package", "sed", "--severity", "HIGH"),
        (*CVE, "--severity", "bad"),
        ("--package", "sed", "--limit", "0"),
    ],
    ids=" ".join,
)
def test_options_that_do_not_go_together(tmp_path: Path, options: tuple[str, ...]) -> None:
    CommandLine(tmp_path)(*FIND, *options, status=2)


def test_what_is_no_version(cli: CommandLine) -> None:
    said = cli(*FIND, "--package", "sed", "--version", "<", status=1)
    assert "'<' is no version" in said.err


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize(
    "options", [("--package", "sed"), CVE, ("--package", "sed", "--summary"), (*CVE, "--summary")]
)
def test_on_a_terminal(cli: CommandLine, columns: int, options: tuple[str, ...]) -> None:
    lines = on_terminal(cli, *FIND, *options, columns=columns)
    assert max(map(len, lines)) <= columns
    # Nothing that is copied is broken.
    assert any("4.9-1" in line.split() for line in lines)
    name = "acme/base/debian:1.0" if "--summary" in options else "acme/web:1.0"
    assert any(name in line.split() for line in lines)
