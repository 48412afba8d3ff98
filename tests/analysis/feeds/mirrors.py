"""A web server on loopback that plays the mirrors of feeds."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

from tests.cli.program import serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered to a request.

    Attributes:
        body: the body.
        status: the status.
        headers: more headers.
        stated: the length that is stated, where it is not the body's.
        pause: seconds between the halves of the body.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    stated: int | None = None
    pause: float = 0.0


@dataclass(slots=True)
class Mirrors:
    """What is answered at each path, one after the other; the last is answered for ever."""

    host: str = ""
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def url(self, path: str) -> str:
        """The address of a path."""
        return f"http://{self.host}{path}"

    def put(self, path: str, *answers: Answer | bytes) -> str:
        """Set what is answered at a path; its address."""
        self.answers[path] = [
            answer if isinstance(answer, Answer) else Answer(answer) for answer in answers
        ]
        return self.url(path)

    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [path for path, _ in self.seen]


class _Handler(BaseHTTPRequestHandler):
    mirrors: Mirrors

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.mirrors.seen.append((self.path, headers))
        answers = self.mirrors.answers.get(self.path, [Answer(b"no", 404)])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        etag = answer.headers.get("etag")
        if etag is not None and headers.get("if-none-match") == etag:
            answer = Answer(status=304, headers={"etag": etag})
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 304:
            stated = len(answer.body) if answer.stated is None else answer.stated
            self.send_header("content-length", str(stated))
        self.end_headers()
        half = len(answer.body) // 2 if answer.pause else len(answer.body)
        try:
            self.wfile.write(answer.body[:half])
            self.wfile.flush()
            if answer.pause:
                time.sleep(answer.pause)
                self.wfile.write(answer.body[half:])
        except OSError:
            pass  # the client has gone
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base's name
        pass


@contextmanager
def mirrors() -> Iterator[Mirrors]:
    """A running server."""
    made = Mirrors()
    with serving(_Handler, mirrors=made) as host:
        made.host = host
        yield made
