"""Logs: one JSON object a line to standard error, for the application and for each request.

Access lines are gathered, and written by `flush` a few times a second: a write for each would cost
more than the request. Neither kind ever holds a credential: no headers are logged but the user
agent, and no query strings.
"""

from __future__ import annotations

import logging
import secrets
import sys
import time
from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

if TYPE_CHECKING:
    from customhouse.http import Request
    from customhouse.settings import LogSettings

_FLUSH_LINES = 1000


def configure(settings: LogSettings) -> None:
    """Set up the application's log for this process, the libraries' log included."""
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # As text, without the values of variables: credentials would be among them.
        structlog.processors.format_exc_info,
    ]
    renderer = structlog.processors.JSONRenderer(
        serializer=lambda value, **_: msgspec.json.encode(value, enc_hook=str).decode()
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processor=renderer)
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))


class _Line(msgspec.Struct, tag_field="event", tag="request"):
    time: float
    request: str
    client: str
    principal: str
    method: str
    path: str
    status: int
    bytes: int
    seconds: float
    agent: str


class AccessLog:
    """Gathers a line for each request of this process."""

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled
        self._lines: list[_Line] = []
        self._encoder = msgspec.json.Encoder()
        self._prefix = secrets.token_hex(3)
        self._numbers = count(1)

    def next_request(self) -> str:
        """An identifier for a request, which its lines in the log and its errors carry."""
        return f"{self._prefix}-{next(self._numbers)}"

    def note(self, request: Request, number: str, status: int, length: int, seconds: float) -> None:
        """Note a request that was answered.

        Args:
            request: the request.
            number: its identifier.
            status: what it was answered with; 499 when the client had gone.
            length: bytes of the answer's body.
            seconds: how long it took.
        """
        if not self._enabled:
            return
        line = _Line(
            time.time(),
            number,
            request.client,
            request.context.get("principal", ""),
            request.method,
            request.path,
            status,
            length,
            seconds,
            request.header(b"user-agent"),
        )
        self._lines.append(line)
        if len(self._lines) >= _FLUSH_LINES:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        if self._lines:
            lines, self._lines = self._lines, []
            sys.stderr.buffer.write(self._encoder.encode_lines(lines))
            sys.stderr.buffer.flush()
