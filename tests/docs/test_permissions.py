"""The commands of `docs/permissions.md`, run as they stand there, in one shell."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from customhouse.iam.roles import ROLES
from tests.cli.program import signed_in
from tests.support.servers import COMMAND

if TYPE_CHECKING:
    from tests.support.engines import DockerEngine
    from tests.support.servers import CustomhouseServer

PAGE = Path(__file__).parents[2] / "docs" / "permissions.md"

pytestmark = pytest.mark.xdist_group("cli")


def commands() -> list[str]:
    """The lines in the blocks of commands, in order."""
    found = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE.read_text(), flags=re.DOTALL))
    return found.splitlines()


def run(server: CustomhouseServer, folder: Path, script: str, **env: str) -> str:
    """Run a script as somebody who is signed in; what it prints."""
    tools = folder / "bin"
    tools.mkdir()
    # What the page asks of jq, for machines without it.
    (tools / "jq").write_text(
        '#!/bin/sh\nsed -n "s/.*\\"${2#.}\\": \\"\\([^\\"]*\\)\\".*/\\1/p" $3\n'
    )
    (tools / "jq").chmod(0o755)
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", script],
        env=dict(signed_in(server, folder).env)
        | {"HOME": str(folder), "PATH": f"{COMMAND.parent}:{os.environ['PATH']}:{tools}"}
        | env,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_every_command(server: CustomhouseServer, tmp_path: Path) -> None:
    lines = [line for line in commands() if not line.startswith("docker ")]
    assert len(lines) > 30
    said = run(server, tmp_path, "\n".join(lines), ANAS_PASSWORD="correct horse battery")
    assert "user:ana may artifactregistry.repositories.uploadArtifacts on" in said
    assert json.loads((tmp_path / "policy.json").read_text())["etag"]
    assert (tmp_path / "new.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.client("docker")
def test_docker_signs_in_with_a_key(
    server: CustomhouseServer, docker_engine: DockerEngine, tmp_path: Path
) -> None:
    (login,) = (line for line in commands() if line.startswith("docker "))
    account = "ci-docker@docker-login.iam.customhouse.internal"
    script = f"""
    customhouse projects create docker-login
    customhouse iam service-accounts create ci-docker --project docker-login
    customhouse iam service-accounts keys create key.json --iam-account {account}
    {login.replace("HOST", server.host)}
    """
    assert "Login Succeeded" in run(server, tmp_path, script, **docker_engine.env)


def test_every_role_on_the_page_is_one() -> None:
    named = re.findall(r"(?<![\w/])roles/[A-Za-z]+(?:\.[A-Za-z]+)*", PAGE.read_text())
    assert len(named) > 10
    assert set(named) <= set(ROLES)
