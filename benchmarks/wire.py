"""Speaking to a registry: requests and sign-in.

Sources: the OCI distribution specification; "Token Authentication Specification" of the
Distribution project.
"""

import base64
import http.client
import json
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.failure import BenchmarkError

HOST = "127.0.0.1"
REPOSITORY = "bench/app"
_TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and a password."""

    username: str
    password: str

    def basic(self) -> str:
        """The value of an `Authorization` header."""
        pair = f"{self.username}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode()


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: its status, its headers (names in lower case), its whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A registry on a port of the loopback interface.

    Attributes:
        port: where it listens.
        authorization: the value of the `Authorization` header to send, if any.
    """

    port: int
    authorization: str | None = None

    def headers(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The headers of a request, with the authorization if there is one."""
        own = {} if self.authorization is None else {"Authorization": self.authorization}
        return own | dict(extra or {})

    @contextmanager
    def connection(self, timeout: float = _TIMEOUT_SECONDS) -> Iterator[http.client.HTTPConnection]:
        """A connection, closed with the block.

        Raises:
            BenchmarkError: the server broke it off, or did not answer in time.
        """
        connection = http.client.HTTPConnection(HOST, self.port, timeout=timeout)
        try:
            yield connection
        except (OSError, http.client.HTTPException) as error:
            raise BenchmarkError(f"port {self.port}: {type(error).__name__}: {error}") from error
        finally:
            connection.close()

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request on a connection of its own.

        Raises:
            BenchmarkError: there is no answer.
        """
        with self.connection() as connection:
            connection.request(method, path, body, self.headers(headers))
            response = connection.getresponse()
            received = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, received, response.read())

    def answers(self, path: str) -> bool:
        """Whether a GET is answered with 200 just now."""
        try:
            return self.ask("GET", path).status == http.HTTPStatus.OK
        except BenchmarkError:
            return False


def expect(status: int, wanted: int, what: str, body: bytes = b"") -> None:
    """Insist on a status.

    Raises:
        BenchmarkError: it is another one; the message has the beginning of the body.
    """
    if status != wanted:
        raise BenchmarkError(f"{what}: {status} in place of {wanted}: {body[:300]!r}")


def sign_in(
    endpoint: Endpoint, credentials: Credentials | None, repository: str = REPOSITORY
) -> Endpoint:
    """Fetch a bearer token for pulling from and pushing to a repository.

    The realm and the service are those of the challenge to `GET /v2/`.

    Args:
        endpoint: the registry.
        credentials: whom to sign in as; None for a registry that asks nobody.
        repository: the repository; none for a token for everything beside the registry's API.

    Returns:
        The endpoint with its authorization.

    Raises:
        BenchmarkError: the registry asks nobody, or gives no token.
    """
    if credentials is None:
        return endpoint
    challenge = endpoint.ask("GET", "/v2/")
    expect(challenge.status, http.HTTPStatus.UNAUTHORIZED, "GET /v2/", challenge.body)
    wanted = dict(re.findall(r'(\w+)="([^"]*)"', challenge.headers.get("www-authenticate", "")))
    query = {"service": wanted.get("service", "")}
    if repository:
        query["scope"] = f"repository:{repository}:pull,push"
    path = urllib.parse.urlsplit(wanted.get("realm", "/token")).path
    answer = endpoint.ask(
        "GET",
        f"{path}?{urllib.parse.urlencode(query)}",
        headers={"Authorization": credentials.basic()},
    )
    expect(answer.status, http.HTTPStatus.OK, f"GET {path}", answer.body)
    return Endpoint(endpoint.port, "Bearer " + json.loads(answer.body)["token"])


def relative(location: str | None) -> str:
    """The path and query of a `Location`, which may be absolute or not.

    Raises:
        BenchmarkError: there is none.
    """
    if not location:
        raise BenchmarkError("the answer has no Location")
    parts = urllib.parse.urlsplit(location)
    return urllib.parse.urlunsplit(("", "", parts.path, parts.query, ""))


def with_digest(location: str, digest: str) -> str:
    """The URL that ends an upload."""
    return f"{location}{'&' if '?' in location else '?'}digest={urllib.parse.quote(digest)}"
