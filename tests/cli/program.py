"""The command line as a person runs it: a program of its own."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support.processes import environment
from tests.support.servers import COMMAND

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.servers import CustomhouseServer


@dataclass(frozen=True, slots=True)
class Output:
    """What a command printed: results, and remarks and errors."""

    out: str
    err: str

    @property
    def document(self) -> Any:
        """The results as JSON."""
        return json.loads(self.out)

    def row(self, *words: str) -> bool:
        """Whether one line of the results has all of these words."""
        return any(set(words) <= set(line.split()) for line in self.out.splitlines())


@dataclass(frozen=True, slots=True)
class CommandLine:
    """Runs `customhouse` in a home folder of its own."""

    home: Path
    env: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str | Path, stdin: str = "", status: int = 0) -> Output:
        """Run a command whose exit status must be this one."""
        done = subprocess.run(
            [COMMAND, *arguments],
            input=stdin,
            env=environment({"HOME": str(self.home)}) | dict(self.env),
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        said = f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert done.returncode == status, said
        assert "Traceback" not in done.stderr, said
        return Output(done.stdout, done.stderr)


def signed_in(server: CustomhouseServer, home: Path) -> CommandLine:
    """A command line that is signed in as scripts are: by environment variables."""
    user, password = server.auth
    return CommandLine(
        home,
        {
            "CUSTOMHOUSE_SERVER": server.url,
            "CUSTOMHOUSE_USERNAME": user,
            "CUSTOMHOUSE_PASSWORD": password,
        },
    )
