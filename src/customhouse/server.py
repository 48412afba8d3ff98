"""`customhouse serve`: prepare the data folder, then start and stop everything together."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, NoReturn

import structlog
from granian.constants import HTTPModes, Interfaces, Loops, SSLProtocols
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from customhouse import logs, metrics
from customhouse.analysis.feeds import sources
from customhouse.application import Application
from customhouse.database import METADATA, Database
from customhouse.database.migrations import migrate
from customhouse.errors import Code, Failure
from customhouse.iam import accounts, tokens

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import IO

    from customhouse.settings import Settings

_log = structlog.get_logger()

_PR_SET_PDEATHSIG = 1
_WORKER_RESTART_SECONDS = 1.0
_STOP_SECONDS = 0.5
_SETTLE_SECONDS = 0.05
_READY_POLL_SECONDS = 0.05
_LOCK_SECONDS = 3.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def serve(settings: Settings, show: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        settings: the settings.
        show: tells the person who started the server what they need to know.

    Raises:
        Failure: SETTINGS_INVALID, ADDRESS_UNAVAILABLE, DATA_IN_USE, DATABASE_NEWER.
    """
    logs.configure(settings.log)
    _check(settings)
    address = _address(settings.server.host, settings.server.port)
    # What this and the processes started from here write is their owner's alone.
    os.umask(0o077)
    lock = _lock(settings.data)
    prepare(settings, show)
    # Imported here, the control plane's libraries are shared by all processes that are forked.
    parent = os.getpid()
    metrics.share(settings.data / "run" / "metrics")

    def load(_target: str) -> Application:
        _begin_process(parent)
        logs.configure(settings.log)
        return Application(settings, started=_heed_signals)

    server = _granian(settings, address)
    worker = _Worker(settings, parent)
    server.on_startup(worker.start)
    server.on_shutdown(worker.stop)
    # Blocked, here and in what is forked until it can heed them: a process that has just been
    # forked would otherwise swallow a signal in its parent's handler. One thread waits for them.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    threading.Thread(target=_await_signal, args=(server,), name="signals", daemon=True).start()
    threading.Thread(
        target=_tell_ready, args=(settings, address, show), name="ready", daemon=True
    ).start()
    server.serve(target_loader=load)
    lock.close()


def _lock(folder: Path) -> IO[str]:
    """Hold the data folder for this server and all its processes, until the last of them ends.

    Raises:
        Failure: DATA_IN_USE.
    """
    (folder / "run").mkdir(parents=True, exist_ok=True)
    file = (folder / "run" / "lock").open("w")
    deadline = time.monotonic() + _LOCK_SECONDS  # a killed server's processes take a moment to end
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise Failure(Code.DATA_IN_USE, folder=folder) from None
            time.sleep(_READY_POLL_SECONDS)
        else:
            return file


def _tell_ready(settings: Settings, address: str, show: Callable[[str], None]) -> None:
    """Say where the server is once it can be reached: a process listens when it is ready.

    That is all that is asked of it. TLS must not be spoken here: a process that is forked while
    another thread holds a lock of OpenSSL would wait for that lock for ever.
    """
    server = settings.server
    while True:
        try:
            socket.create_connection((address, server.port), timeout=5).close()
        except OSError:
            time.sleep(_READY_POLL_SECONDS)
        else:
            break
    scheme = "https" if server.tls_cert else "http"
    show(f"Serving on {scheme}://{server.host}:{server.port}")


def _await_signal(server: MPServer) -> None:
    """Stop the server when the process is asked to end.

    It is told again until it has ended: its loop may forget it while it starts a process anew.
    """
    signal.sigwait(_SIGNALS)
    while True:
        server.signal_handler_interrupt()  # type: ignore[no-untyped-call]  # it has no annotations
        time.sleep(_STOP_SECONDS)


def prepare(settings: Settings, show: Callable[[str], None]) -> None:
    """Make the data folder, the database, the signing key and the administrator as needed.

    Raises:
        Failure: DATABASE_NEWER.
    """
    old_mask = os.umask(0o077)
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
        database = Database(settings.database)
        try:
            migrate(database, settings.data / "backups", METADATA)
            tokens.create_key(database)
            password = os.environ.pop("CUSTOMHOUSE_ADMIN_PASSWORD", None)
            made_up = accounts.create_administrator(database, password)
        finally:
            # No connection may be open when the processes are forked.
            database.close()
    finally:
        os.umask(old_mask)
    if made_up:
        show(
            f"The administrator is {accounts.ADMINISTRATOR} with password {made_up}"
            " (shown this once)"
        )


def _check(settings: Settings) -> None:
    server = settings.server
    if (server.tls_cert is None) != (server.tls_key is None):
        reason = "server.tls_cert and server.tls_key are given together or not at all"
        raise Failure(Code.SETTINGS_INVALID, reason=reason)
    for path in (server.tls_cert, server.tls_key):
        if path is not None and not path.is_file():
            raise Failure(Code.SETTINGS_INVALID, reason=f"there is no file {path}")
    sources.configured(settings.feeds)


def _address(host: str, port: int) -> str:
    """The address of a host, on which the port must be free.

    The processes listen with SO_REUSEPORT, which shares the port among them, and would share it
    with a server that runs there already.

    Raises:
        Failure: ADDRESS_UNAVAILABLE.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the server itself: connections of an earlier run that linger are no obstacle.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        shown = f"{host}:{port}"
        raise Failure(Code.ADDRESS_UNAVAILABLE, address=shown, reason=error.strerror) from error
    return str(address[0])


def _granian(settings: Settings, address: str) -> MPServer:
    server = settings.server
    return MPServer(
        "customhouse",
        address=address,
        port=server.port,
        interface=Interfaces.ASGI,
        workers=server.workers,
        loop=Loops.uvloop,
        http=HTTPModes.auto,
        websockets=False,
        http1_settings=HTTP1Settings(header_read_timeout=30_000),
        ssl_cert=server.tls_cert,
        ssl_key=server.tls_key,
        ssl_protocol_min=SSLProtocols.tls12,
        workers_kill_timeout=server.drain_seconds,
        respawn_failed_workers=True,
        respawn_interval=0.5,
        log_level=LogLevels.warning,
        log_dictconfig={
            "version": 1,
            "disable_existing_loggers": False,
            "loggers": {"_granian": {"level": "WARNING", "propagate": True}},
        },
    )


class _Worker:
    """The background worker: a process that is started again when it ends unasked."""

    def __init__(self, settings: Settings, parent: int) -> None:
        self._settings = settings
        self._parent = parent
        self._stopping = threading.Event()
        self._process: multiprocessing.process.BaseProcess
        self._thread = threading.Thread(target=self._watch, name="worker-watch", daemon=True)

    def start(self) -> None:
        """Start the process, then watch it from a thread.

        It is forked here, not by the thread: a fork beside the server's own forks would hold ends
        of the pipes by which the server notices that its processes have ended.
        """
        self._fork()
        self._thread.start()

    def stop(self) -> None:
        """End the process, and wait until it has ended.

        It is not asked to end, which it could do only between two waits for its database: what
        it works at goes on at the next start, whatever ends it.
        """
        self._stopping.set()
        while self._thread.is_alive():
            pid = self._process.pid
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._thread.join(_STOP_SECONDS)

    def _watch(self) -> None:
        while True:
            process = self._process
            process.join()
            if self._stopping.is_set():
                return
            _log.error("the worker ended", exitcode=process.exitcode)
            if self._stopping.wait(_WORKER_RESTART_SECONDS):
                return
            self._fork()

    def _fork(self) -> None:
        self._process = multiprocessing.get_context("fork").Process(
            target=_work, args=(self._settings, self._parent), name="customhouse-worker"
        )
        self._process.start()


def _work(settings: Settings, parent: int) -> NoReturn:
    """The life of the worker's process, which its parent alone ends.

    SIGTERM stays blocked: sent to every process of a service, it must not end this one while
    others drain.
    """
    _begin_process(parent)
    logs.configure(settings.log)
    from customhouse.worker import work  # noqa: PLC0415  - only this process needs the engine

    work(settings)


def _begin_process(parent: int) -> None:
    """Let go of the signal handlers that a forked process has from its parent.

    Ctrl-C reaches every process of a terminal; the parent alone heeds it and stops the others.
    SIGTERM stays blocked until the process can heed it.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with(parent)


def _heed_signals() -> None:
    """Let SIGTERM through, in the event loop of a process that answers.

    The loop runs once to start the application and a second time to serve, and loses a signal that
    comes between: a timer does not end before the loop runs again.

    SIGINT stays blocked: the server's handler stops the process for ever at the third signal.
    """
    loop = asyncio.get_running_loop()
    unblocked = [signal.SIGTERM]
    loop.call_later(_SETTLE_SECONDS, signal.pthread_sigmask, signal.SIG_UNBLOCK, unblocked)


def _die_with(parent: int) -> None:
    """Let this process be killed when its parent is, however that ends (prctl(2)).

    A process that outlived a killed server would go on answering beside the next one.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
