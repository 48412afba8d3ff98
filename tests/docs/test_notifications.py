"""The how-to on notifications: its commands and its receiver, run as they stand there."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.program import CommandLine, signed_in
from tests.support.administration import Administration
from tests.support.processes import free_port, start

if TYPE_CHECKING:
    from tests.support.images import Image
    from tests.support.servers import CustomhouseServer

PAGE = (Path(__file__).parents[2] / "docs/how-to/notifications.md").read_text()


def blocks(language: str) -> list[str]:
    """The page's blocks in a language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def commands() -> list[list[str]]:
    """The words of the page's commands, in order."""
    text = "\n".join(blocks("sh")).replace("\\\n", " ")
    return [shlex.split(line)[1:] for line in text.splitlines() if line.strip()]


@pytest.fixture
def cli(server: CustomhouseServer, tmp_path: Path) -> CommandLine:
    """The command line, signed in as the administrator."""
    return signed_in(server, tmp_path)


def test_the_receiver_hears_of_a_push(
    server: CustomhouseServer, cli: CommandLine, small_image: Image, tmp_path: Path
) -> None:
    cli("projects", "create", "demo")
    create, test, *others = commands()
    port = free_port()
    create = [word.replace("127.0.0.1:8080", f"127.0.0.1:{port}") for word in create]
    secret = re.search(r"whsec_\S+", cli(*create).out)
    assert secret
    (tmp_path / "receiver.py").write_text(blocks("python")[0])
    log = tmp_path / "receiver.log"
    env = {"WEBHOOK_SECRET": secret.group(), "PORT": str(port)}
    receiver = start(sys.executable, tmp_path / "receiver.py", log=log, env=env)
    try:
        cli("projects", "list")  # which takes longer than the receiver takes to start
        assert "answered: 204" in cli(*test).out
        Administration(server).push(small_image, "demo/web", "1.0")
        heard = f"'tag': '{server.host}/demo/web:1.0'"
        receiver.wait_until(lambda: heard in log.read_text(), 20)
        for command in others:
            cli(*command)
        # Replayed, it is taken and not told again.
        assert log.read_text().count(heard) == 1
    finally:
        receiver.stop()
    cli(*("notifications", "subscriptions", "delete", "web-hook", "--quiet", "--project", "demo"))
