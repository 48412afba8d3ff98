"""Many small requests on some connections that are kept alive: how many are answered a second.

`wrk` does it where it can. For HEAD, whose answers it takes for truncated, and where it is
missing, there is a client of our own: sockets of which each sends its next request when its
answer is there.
"""

import itertools
import re
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from benchmarks.failure import BenchmarkError
from benchmarks.wire import HOST, Endpoint

CONNECTIONS = 16
_SILENCE_SECONDS = 10.0
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


def requests_per_second(
    endpoint: Endpoint,
    method: str,
    path: str,
    headers: Mapping[str, str],
    length: int,
    seconds: float,
) -> float:
    """Send the same request again and again.

    Args:
        endpoint: the registry, signed in to.
        method: GET or HEAD.
        path: the path to ask for.
        headers: further headers.
        length: the length of the answer's body, in bytes.
        seconds: for how long.

    Raises:
        BenchmarkError: an answer was not 200, or there was none.
    """
    if method == "GET" and shutil.which("wrk"):
        return _wrk(endpoint, path, headers, seconds)
    return _sockets(endpoint, method, path, headers, length, seconds)


def _wrk(endpoint: Endpoint, path: str, headers: Mapping[str, str], seconds: float) -> float:
    duration = max(1, round(seconds))
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{duration}s"]
    for name, value in endpoint.headers(headers).items():
        command += ["-H", f"{name}: {value}"]
    command.append(f"http://{HOST}:{endpoint.port}{path}")
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"^Requests/sec:\s+([\d.]+)", run.stdout, re.MULTILINE)
    wrong = re.search(r"Socket errors.*|Non-2xx.*", run.stdout)
    if run.returncode or not found or wrong or not float(found[1]):
        raise BenchmarkError(f"wrk {path}: {wrong[0] if wrong else run.stdout + run.stderr}")
    return float(found[1])


def _sockets(
    endpoint: Endpoint,
    method: str,
    path: str,
    headers: Mapping[str, str],
    length: int,
    seconds: float,
) -> float:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}:{endpoint.port}"]
    lines += [f"{name}: {value}" for name, value in endpoint.headers(headers).items()]
    request = "\r\n".join([*lines, "", ""]).encode()
    return mixed_per_second(endpoint, [request], 0 if method == "HEAD" else length, seconds)


def mixed_per_second(
    endpoint: Endpoint, requests: Sequence[bytes], length: int | None, seconds: float
) -> float:
    """Send requests in turns, again and again.

    Args:
        endpoint: where to.
        requests: each with its head, as it is sent.
        length: the length of each answer's body, in bytes; None for what its head says.
        seconds: for how long.

    Raises:
        BenchmarkError: an answer was not 200, or there was none.
    """
    turns = itertools.cycle(requests)
    with ExitStack() as stack:
        poll = stack.enter_context(select.epoll())
        sockets: dict[int, socket.socket] = {}
        for _ in range(CONNECTIONS):
            connection = stack.enter_context(socket.create_connection((HOST, endpoint.port)))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sockets[connection.fileno()] = connection
            poll.register(connection, select.EPOLLIN)
            connection.sendall(next(turns))
        count = 0
        begun = time.perf_counter()
        while (elapsed := time.perf_counter() - begun) < seconds:
            ready = poll.poll(_SILENCE_SECONDS)
            if not ready:
                raise BenchmarkError(f"port {endpoint.port}: no answer")
            for descriptor, _ in ready:
                _receive(sockets[descriptor], length)
                sockets[descriptor].sendall(next(turns))
                count += 1
        return count / elapsed


def _receive(connection: socket.socket, body: int | None) -> None:
    answer = connection.recv(1 << 16)
    while True:
        head, end, rest = answer.partition(b"\r\n\r\n")
        if body is None and end and (said := _LENGTH.search(head)):
            body = int(said[1])
        if end and len(rest) == body and head.startswith(b"HTTP/1.1 200"):
            return
        more = connection.recv(1 << 16) if not end or len(rest) < (body or 0) else b""
        if not more:
            raise BenchmarkError(f"not the answer that was expected: {answer[:300]!r}")
        answer += more
