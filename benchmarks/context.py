"""What every measurement is given."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

from rich.console import Console

from benchmarks.servers import Program, Server
from benchmarks.wire import Endpoint, sign_in

Parameters = ParamSpec("Parameters")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure.

    Attributes:
        rounds: how often both servers are measured, in turns; medians are reported.
        seconds: how long many small requests are sent to one of them in one round.
        blob_size: the length of the large blobs, in bytes.
        share: how many times fewer images and records the fleet has than what is promised about.
    """

    rounds: int = 5
    seconds: float = 3.0
    blob_size: int = 256 << 20
    share: int = 1


@dataclass(frozen=True, slots=True)
class Context:
    """The servers and the means.

    Attributes:
        ours: customhouse, running.
        peer: docker-registry, running.
        effort: how long to measure.
        folder: a temporary folder for anything else.
        client: the process that plays the client, and whatever else must not be in this one.
        console: for progress.
    """

    ours: Server
    peer: Server
    effort: Effort
    folder: Path
    client: ProcessPoolExecutor
    console: Console

    def apart(
        self,
        function: Callable[Parameters, Value],
        /,
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Value:
        """Call a function of a module in the client's process."""
        return self.client.submit(function, *args, **kwargs).result()

    def rounds(
        self, name: str, measure: Callable[[Server, Endpoint], float], times: int = 1
    ) -> list[tuple[float, float]]:
        """Measure customhouse, the peer, customhouse, the peer ..., for all rounds.

        Args:
            name: for progress.
            measure: gives the value of a server; it may send requests with the endpoint.
            times: how many times as many rounds as are asked for, for what takes no time.
        """
        found: list[tuple[float, float]] = []
        count = self.effort.rounds * times
        with self.console.status(name) as status:
            for number in range(1, count + 1):
                status.update(f"{name}, round {number} of {count}")
                ours, peer = (
                    measure(server, signed_in(server)) for server in (self.ours, self.peer)
                )
                found.append((ours, peer))
        return found


def signed_in(server: Server) -> Endpoint:
    """The endpoint of a server with a new token; tokens of minutes outlive no whole benchmark."""
    return sign_in(server.endpoint, server.program.credentials)


def programs(context: Context) -> tuple[Program, Program]:
    """Customhouse and the peer, to start them again."""
    return context.ours.program, context.peer.program


def _ignore_interrupt() -> None:
    # Ctrl-C goes to the whole group; the parent ends the servers and this process with them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def client_process() -> Iterator[ProcessPoolExecutor]:
    """A process that plays the client, ended with the block."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, _ignore_interrupt) as executor:
        try:
            yield executor
        finally:
            executor.shutdown(wait=False, cancel_futures=True)
