"""Tables as they look on a terminal of 80 columns."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.cli.program import CommandLine, signed_in
from tests.support.processes import environment
from tests.support.servers import COMMAND, customhouse_server

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.xdist_group("cli")

EMAIL = "ci-push@acme.iam.customhouse.internal"
PULL = "artifactregistry.repositories.downloadArtifacts"


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """The command line, signed in to a server with one of each."""
    folder = tmp_path_factory.mktemp("server")
    with customhouse_server(folder) as running:
        cli = signed_in(running, folder)
        cli("projects", "create", "acme", "--labels", "team=web,env=prod")
        cli("groups", "create", "developers", "--description", "Who writes code " * 8)
        cli("iam", "service-accounts", "create", "ci-push", "--project", "acme")
        key = ("iam", "service-accounts", "keys", "create", folder / "key.json")
        cli(*key, "--iam-account", EMAIL)
        yield cli


# What stands there whole: it is copied from there.
TABLES = {
    ("projects", "list"): "acme",
    ("iam", "roles", "list"): "roles/containeranalysis.notes.occurrences.viewer",
    ("iam", "service-accounts", "list", "--project", "acme"): EMAIL,
    ("iam", "service-accounts", "keys", "list", "--iam-account", EMAIL): r"[0-9a-f]{40}",
    ("iam", "test-permissions", "acme", PULL): PULL,
    ("services", "list", "--project", "acme"): "containerscanning.googleapis.com",
    ("users", "list"): "admin",
    ("groups", "list"): "developers",
}


@pytest.mark.parametrize("command", TABLES, ids=" ".join)
def test_table_on_a_terminal(cli: CommandLine, command: tuple[str, ...]) -> None:
    ours, theirs = pty.openpty()
    env = environment({"HOME": str(cli.home)}) | dict(cli.env) | {"COLUMNS": "80", "TERM": "dumb"}
    program = subprocess.Popen([COMMAND, *command], stdout=theirs, env=env)
    os.close(theirs)
    said = b""
    while select.select([ours], [], [], 30)[0]:
        try:
            said += os.read(ours, 65536)
        except OSError:  # the program has ended
            break
    os.close(ours)
    assert program.wait(30) == 0
    lines = re.sub(r"\x1b\[[0-9;]*m", "", said.decode()).splitlines()
    assert max(map(len, lines)) <= 80
    assert any(re.match(rf"{TABLES[command]}\s", line) for line in lines), lines
