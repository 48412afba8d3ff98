"""The command line as a person runs it: a program of its own."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

from tests.support.processes import environment
from tests.support.servers import COMMAND

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.support.servers import CustomhouseServer

HELPER = COMMAND.with_name("docker-credential-customhouse")


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
        return self._run(COMMAND, *arguments, stdin=stdin, status=status)

    def helper(self, *arguments: str, stdin: str | bytes = "", status: int = 0) -> Output:
        """Run `docker-credential-customhouse`."""
        return self._run(HELPER, *arguments, stdin=stdin, status=status)

    def login(self, server: CustomhouseServer) -> None:
        """Sign in as a person does."""
        user, password = server.auth
        self(*("auth", "login", server.url, "--username", user, "--password-stdin"), stdin=password)

    def client(self, host: str) -> dict[str, str]:
        """The environment of a client of registries that asks the helper about a host."""
        folder = self.home / "docker"
        env = {"HOME": str(self.home), "DOCKER_CONFIG": str(folder)}
        CommandLine(self.home, env)("auth", "configure-docker", host)
        return env | {
            "PATH": f"{HELPER.parent}:{os.environ['PATH']}",
            "REGISTRY_AUTH_FILE": str(folder / "config.json"),
        }

    @property
    def kept(self) -> Path:
        """The file of sign-ins."""
        return self.home / ".config" / "customhouse" / "credentials.json"

    def _run(self, *arguments: str | Path, stdin: str | bytes, status: int) -> Output:
        done = subprocess.run(
            arguments,
            input=stdin if isinstance(stdin, bytes) else stdin.encode(),
            env=environment({"HOME": str(self.home)}) | dict(self.env),
            cwd=self.home,
            capture_output=True,
            timeout=60,
            check=False,
        )
        out, err = done.stdout.decode(), done.stderr.decode()
        said = f"{arguments}: {done.returncode}\n{out}\n{err}"
        assert done.returncode == status, said
        assert "Traceback" not in err, said
        return Output(out, err)


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


def claims_of(token: str) -> Any:
    """The claims of a token."""
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], **attributes: object) -> Iterator[str]:
    """The host of a web server on loopback, whose handler has these attributes."""
    served = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (handler,), attributes))
    thread = Thread(target=served.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{served.server_port}"
    finally:
        served.shutdown()
        thread.join()
        served.server_close()


class Stranger(BaseHTTPRequestHandler):
    """Another registry, or what is none: it answers all with one status and notes what it got."""

    status = 401
    seen: list[str]

    def do_GET(self) -> None:
        """Answer, and note the request."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.seen.append(f"{self.command} {self.path} {self.headers} {body.decode()}")
        self.send_response(self.status)
        self.send_header("location", f"http://{self.headers['host']}/elsewhere")
        self.send_header("www-authenticate", 'Bearer realm="http://x/token",service="other"')
        self.send_header("content-length", "0")
        self.end_headers()

    do_POST = do_GET  # noqa: N815 -- the base's name

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base's name
        """Say nothing."""
