"""Sending one request to an endpoint: to an address that was checked, bounded in time and size."""

from __future__ import annotations

import asyncio
import datetime
import email.utils
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import httpcore2

from customhouse.errors import Failure
from customhouse.notifications import addresses

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from httpcore2 import SOCKET_OPTION

    Resolve = Callable[[str, int], Awaitable[list[str]]]

_READ_BYTES = 4096
_READ_SECONDS = 1.0
_KEPT_CHARACTERS = 200
_LONGEST_WAIT = 24 * 3600
_RESOLVERS = 32


class Answer(NamedTuple):
    """What an endpoint answered.

    Attributes:
        status: the HTTP status; 0 if there was no answer.
        text: the beginning of what it said, printable; or why there was no answer.
        wait: seconds that it asks to be left alone (RFC 9110, section 10.2.3); 0 if it does not.
    """

    status: int
    text: str
    wait: int = 0


class Sender:
    """Sends requests, for one event loop. Redirects are not followed, proxies not used.

    Args:
        allow_private: whether private networks and the machine itself may be connected to.
        seconds: how long one request may take in all, its answer included.
        tls: whom to believe about certificates; the system's authorities by default.
        resolve: the addresses of a name, asked once for each connection.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        seconds: float,
        tls: ssl.SSLContext | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        self._seconds = seconds
        self._tls = tls or ssl.create_default_context()
        self._network = _CheckedNetwork(resolve or _Resolver().addresses, allow_private)

    async def post(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> Answer:
        """Send a request and hear what is answered, which is never an error."""
        try:
            async with asyncio.timeout(self._seconds):
                return await self._post(url, headers, body)
        except Failure as failure:
            text = failure.message
        except (TimeoutError, httpcore2.TimeoutException):
            text = f"no answer within {self._seconds:g} s"
        except ssl.SSLError as error:
            text = f"TLS failed: {error.reason or type(error).__name__}"
        except httpcore2.ConnectError as error:
            text = _reason(error)
        except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
            text = f"the connection broke ({type(error).__name__})"
        except (httpcore2.UnsupportedProtocol, ValueError) as error:
            text = f"it cannot be sent ({type(error).__name__})"
        return Answer(0, _printable(text))

    async def _post(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> Answer:
        # A connection for each request: one that is kept may have been closed at the other end.
        async with (
            httpcore2.AsyncConnectionPool(
                ssl_context=self._tls, network_backend=self._network, max_connections=1
            ) as pool,
            pool.stream(
                "POST", url, headers=[*headers, ("connection", "close")], content=body
            ) as response,
        ):
            said = await _beginning(response)
            answered = {name.lower(): value for name, value in response.headers}
            wait = _wait(answered.get(b"retry-after", b"").decode("latin-1"))
            return Answer(response.status, _printable(said.decode(errors="replace")), wait)


async def _beginning(response: httpcore2.Response) -> bytes:
    """The beginning of what was said. The status counts, whether or not more comes after it."""
    said = b""
    with suppress(TimeoutError, httpcore2.NetworkError, httpcore2.ProtocolError):
        async with asyncio.timeout(_READ_SECONDS):
            async for chunk in response.aiter_stream():
                said += chunk
                if len(said) >= _READ_BYTES:
                    break
    return said[:_READ_BYTES]


class _Resolver:
    """Resolves names in threads of its own: one that takes long holds up nobody else."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="resolver")

    async def addresses(self, host: str, port: int) -> list[str]:
        found = await asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return [str(address[0]) for *_, address in found]


class _CheckedNetwork(httpcore2.AsyncNetworkBackend):
    """Connects to addresses that were checked, not to names, which another answer may follow."""

    def __init__(self, resolve: Resolve, allow_private: bool) -> None:
        self._resolve = resolve
        self._allow_private = allow_private
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  - the base's signature
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to one of a host's addresses.

        Raises:
            Failure: ENDPOINT_INVALID.
        """
        try:
            texts = await self._resolve(host.strip("[]"), port)
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError("its name cannot be resolved") from error
        found = addresses.permitted(texts, allow_private=self._allow_private)
        for address in found[:-1]:
            with suppress(httpcore2.ConnectError):
                return await self._network.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
        return await self._network.connect_tcp(
            found[-1], port, timeout, local_address, socket_options
        )


def _reason(error: httpcore2.ConnectError) -> str:
    """Why a connection did not come to be."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted: {cause.verify_message}"
        cause = cause.__cause__ or cause.__context__
    return f"no connection: {error}"


def _wait(text: str) -> int:
    """The seconds of a Retry-After header, at most a day; 0 for one that says nothing."""
    if text.isascii() and text.isdigit():
        return min(int(text[:9]), _LONGEST_WAIT)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return 0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    seconds = (moment - datetime.datetime.now(datetime.UTC)).total_seconds()
    return max(0, min(int(seconds) + 1, _LONGEST_WAIT))


def _printable(text: str) -> str:
    """The beginning of a text on one line, without what a terminal or a database minds."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(shown.split())[:_KEPT_CHARACTERS]
