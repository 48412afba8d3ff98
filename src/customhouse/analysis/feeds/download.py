"""Getting one file over HTTP: bounded, conditional, and never half of it.

Only http and https are spoken; from https nothing leads to http. Sources: RFC 9110, sections 10.2.3
(Retry-After), 13 (conditional requests) and 15.4 (redirects).
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit

import httpx2

from customhouse.analysis.feeds import guard
from customhouse.analysis.feeds.kept import File
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MAX_REDIRECTS: Final = 5
MAX_WAIT: Final = 300.0
"""The longest wait, in seconds, that a mirror may ask for; one that asks for more is left out."""

_MAX_MARK: Final = 1000
_CHUNK: Final = 1 << 16
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
# Those of a busy or failing server; the others will be the same the next time.
_TEMPORARY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_PAGE: Final = re.compile(rb"\s*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE).match


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is fetched, and how patiently.

    Attributes:
        max_bytes: of all files together.
        seconds: for all of it, with all tries.
        pause: seconds without a byte after which a try is given up.
        attempts: how often a mirror is tried.
        back_off: seconds before the second try of a mirror; twice as long before each further one.
    """

    max_bytes: int
    seconds: float
    pause: float
    attempts: int
    back_off: float


class MirrorError(Exception):
    """A mirror cannot give a file; the text says why, without the address.

    Attributes:
        is_final: whether it is useless to try again.
        is_missing: whether it has no such file.
        wait: after how many seconds the mirror wants to be asked again; 0 if it does not say.
    """

    def __init__(
        self, reason: str, *, is_final: bool = False, is_missing: bool = False, wait: float = 0.0
    ) -> None:
        self.is_final = is_final or wait > MAX_WAIT
        self.is_missing = is_missing
        self.wait = wait
        super().__init__(reason)


@dataclass(slots=True)
class Downloader:
    """Gets files, all within the same limits.

    Args:
        client: speaks HTTP; follows no redirects by itself.
        limits: the limits.
        progress: told how many bytes came so far of how many; 0 if that is not known.
    """

    client: httpx2.Client
    limits: Limits
    progress: Callable[[int, int], None]
    _deadline: float = field(init=False)
    _taken: int = 0

    def __post_init__(self) -> None:
        self._deadline = time.monotonic() + self.limits.seconds

    @property
    def seconds_left(self) -> float:
        """How much of the time is left."""
        return self._deadline - time.monotonic()

    def begin(self) -> None:
        """Begin to count bytes anew: another try."""
        self._taken = 0

    def get(self, url: str, path: Path, name: str, known: File | None = None) -> File | None:
        """Get a file.

        Args:
            url: its address.
            path: where it goes; what is there is whole.
            name: by which it is kept.
            known: what it was the last time.

        Returns:
            What came; None if it is the same as the last time.

        Raises:
            MirrorError: it did not come, or not all of it.
            Failure: STORAGE_FULL.
        """
        origin = hashlib.sha256(url.encode()).hexdigest()[:32]
        headers = {}
        if known is not None and known.origin == origin:
            if known.etag:
                headers["if-none-match"] = known.etag
            elif known.modified:
                headers["if-modified-since"] = known.modified
        with self._answer(url, headers) as response:
            if response.status_code == httpx2.codes.NOT_MODIFIED:
                return None
            size, digest = self._save(response, path)
            return File(
                name=name,
                size=size,
                sha256=digest,
                origin=origin,
                etag=response.headers.get("etag", "")[:_MAX_MARK],
                modified=response.headers.get("last-modified", "")[:_MAX_MARK],
            )

    def read(self, url: str, limit: int) -> bytes:
        """Get a small file into memory.

        Raises:
            MirrorError: it did not come, or has more bytes than this.
        """
        content = b""
        with self._answer(url, {}) as response:
            for chunk in self._chunks(response):
                content += chunk
                if len(content) > limit:
                    raise MirrorError(f"{shown(url)} is larger than {limit} bytes", is_final=True)
        return content

    @contextmanager
    def _answer(self, url: str, headers: dict[str, str]) -> Iterator[httpx2.Response]:
        """The answer to a request, after what it redirects to.

        Raises:
            MirrorError: there is none of use, also while its body is read.
        """
        try:
            target = httpx2.URL(url)
            for _ in range(MAX_REDIRECTS + 1):
                if target.scheme not in {"http", "https"}:
                    raise MirrorError("it leads to what is neither http nor https", is_final=True)
                with self.client.stream("GET", target, headers=headers) as response:
                    following = self._redirect(target, response)
                    if following is None:
                        _check(response, is_conditional=bool(headers))
                        yield response
                        return
                target = following
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            raise MirrorError(_explained(error)) from None
        except guard.AddressError as error:
            raise MirrorError(str(error), is_final=True) from None
        except (httpx2.InvalidURL, ValueError):
            # Their texts may have the address with what is secret in it.
            raise MirrorError("it leads to an address that is none", is_final=True) from None
        raise MirrorError("it redirects too often", is_final=True)

    def _redirect(self, target: httpx2.URL, response: httpx2.Response) -> httpx2.URL | None:
        location = response.headers.get("location")
        if response.status_code not in _REDIRECTS or not location:
            return None
        following = target.join(location)
        if target.scheme == "https" and following.scheme != "https":
            raise MirrorError("it leads from https to something else", is_final=True)
        return following

    def _save(self, response: httpx2.Response, path: Path) -> tuple[int, str]:
        total = _number(response.headers.get("content-length", ""))
        digest = hashlib.sha256()
        part = path.with_name(f"{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                for chunk in self._chunks(response, total):
                    if not file.tell() and _PAGE(chunk):
                        raise MirrorError("it answers with a web page")
                    digest.update(chunk)
                    file.write(chunk)
                    self.progress(file.tell(), total)
                size = file.tell()
                file.flush()
                os.fsync(file.fileno())
            part.rename(path)
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise Failure(Code.STORAGE_FULL) from error
            raise
        finally:
            part.unlink(missing_ok=True)
        return size, digest.hexdigest()

    def _chunks(self, response: httpx2.Response, total: int = 0) -> Iterator[bytes]:
        """The body as it is sent, within the limits."""
        if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise MirrorError("it compresses what was asked for as it is", is_final=True)
        if self._taken + total > self.limits.max_bytes:
            raise self._too_large()
        for chunk in response.iter_raw(_CHUNK):
            self._taken += len(chunk)
            if self._taken > self.limits.max_bytes:
                raise self._too_large()
            if self.seconds_left < 0:
                reason = f"it takes longer than {self.limits.seconds:.0f} s"
                raise MirrorError(reason, is_final=True)
            yield chunk

    def _too_large(self) -> MirrorError:
        return MirrorError(f"it has more than {self.limits.max_bytes} bytes", is_final=True)


def client(limits: Limits) -> httpx2.Client:
    """A client for a downloader. It uses a proxy that the environment names.

    It connects to no address that clouds answer with a machine's credentials.
    """
    return httpx2.Client(
        timeout=limits.pause,
        follow_redirects=False,
        headers={"accept-encoding": "identity", "user-agent": "customhouse"},
        event_hooks=guard.hooks(),
    )


def shown(url: str) -> str:
    """An address without what is often secret in it: user, password, query and fragment."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _check(response: httpx2.Response, *, is_conditional: bool) -> None:
    status = response.status_code
    if status == httpx2.codes.OK or (is_conditional and status == httpx2.codes.NOT_MODIFIED):
        return
    raise MirrorError(
        f"it answers {status}",
        is_final=status not in _TEMPORARY,
        is_missing=status in {httpx2.codes.NOT_FOUND, httpx2.codes.GONE},
        wait=_wait(response.headers.get("retry-after", "")) if status in _TEMPORARY else 0.0,
    )


def _wait(text: str) -> float:
    """The seconds of a Retry-After, which is a number of them or a date."""
    if number := _number(text):
        return float(number)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0


def _number(text: str) -> int:
    text = text.strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 18 else 0


def _explained(error: httpx2.HTTPError | httpx2.StreamError) -> str:
    """Why a request failed: by its kind, for texts of errors may have addresses in them."""
    if isinstance(error, httpx2.ConnectTimeout):
        return "it does not answer"
    if isinstance(error, httpx2.TimeoutException):
        return "it stopped sending"
    if isinstance(error, httpx2.ConnectError):
        return "it cannot be connected to"
    if isinstance(error, httpx2.RemoteProtocolError):
        return "it broke off or does not speak HTTP"
    return f"it cannot be read ({type(error).__name__})"
