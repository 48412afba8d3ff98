"""What commands print where somebody looks: on a terminal of so many columns."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
from typing import TYPE_CHECKING

from tests.support.processes import environment
from tests.support.servers import COMMAND

if TYPE_CHECKING:
    from tests.cli.program import CommandLine


def on_terminal(cli: CommandLine, *command: str, columns: int = 80) -> list[str]:
    """The lines that a command prints on a terminal, without colours; it must end with 0."""
    ours, theirs = pty.openpty()
    env = environment({"HOME": str(cli.home)}) | dict(cli.env)
    env |= {"COLUMNS": str(columns), "TERM": "dumb"}
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
    return re.sub(r"\x1b\[[0-9;]*m", "", said.decode()).splitlines()
