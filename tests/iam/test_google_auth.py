"""The real google-auth, with key files that were made here."""

from __future__ import annotations

import http.server
import json
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
from google.auth import jwt as google_jwt
from google.auth.transport.requests import Request
from google.oauth2 import service_account

from customhouse.errors import Code
from customhouse.iam.assertions import CLOUD_PLATFORM, verify_assertion, verify_self_signed
from customhouse.iam.keyfiles import make_key
from tests.iam.test_assertions import ANALYSIS, AUDIENCES, BASE, encoded, key, verify
from tests.iam.test_service_accounts import CI
from tests.support.failures import failed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from customhouse.iam.keyfiles import NewKey

__all__ = ["key"]

# The library has no annotations.
Credentials: Any = service_account.Credentials
IDTokenCredentials: Any = service_account.IDTokenCredentials
SelfSigned: Any = google_jwt.Credentials


class TokenServer(http.server.ThreadingHTTPServer):
    """Notes what the token endpoint is sent, and answers with a token of no meaning."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.forms: list[dict[str, list[str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: TokenServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        self.server.forms.append(parse_qs(body))
        id_token = f"{encoded('{}')}.{encoded(json.dumps({'exp': time.time() + 3600}))}.AA"
        answer = {"access_token": "x", "id_token": id_token, "expires_in": 3600}
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  - its name there
        pass


@pytest.fixture
def token_server() -> Iterator[TokenServer]:
    """A token endpoint on loopback."""
    with TokenServer() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_asks_for_an_access_token(token_server: TokenServer) -> None:
    key = make_key(CI, "acme", 123456789012345678, token_server.url)
    credentials = Credentials.from_service_account_info(key.file, scopes=[CLOUD_PLATFORM])
    credentials.refresh(Request())
    [form] = token_server.forms
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    found = verify(key, form["assertion"][0], time.time())
    assert (found.iss, found.scope, found.target_audience) == (CI, CLOUD_PLATFORM, "")


def test_asks_for_an_id_token(token_server: TokenServer) -> None:
    key = make_key(CI, "acme", 123456789012345678, token_server.url)
    credentials = IDTokenCredentials.from_service_account_info(
        key.file, target_audience="32555940559.apps.googleusercontent.com"
    )
    credentials.refresh(Request())
    found = verify(key, token_server.forms[0]["assertion"][0], time.time())
    assert found.target_audience == "32555940559.apps.googleusercontent.com"


def test_for_somebody_else(token_server: TokenServer) -> None:
    key = make_key(CI, "acme", 123456789012345678, token_server.url)
    credentials = Credentials.from_service_account_info(
        key.file, scopes=[CLOUD_PLATFORM], subject="ana@example.com"
    )
    credentials.refresh(Request())
    with failed(Code.TOKEN_INVALID):
        verify(key, token_server.forms[0]["assertion"][0], time.time())


@pytest.mark.parametrize("audience", [ANALYSIS, f"{BASE}/", BASE])
def test_signs_a_token_itself(key: NewKey, audience: str) -> None:
    credentials = SelfSigned.from_service_account_info(key.file, audience=audience)
    credentials.refresh(None)
    token = credentials.token.decode()
    found = verify_self_signed(token, CI, key.public_pem, [BASE], time.time())
    assert (found.iss, found.sub, found.aud) == (CI, CI, audience)
    with failed(Code.TOKEN_INVALID):
        verify_assertion(token, CI, key.public_pem, AUDIENCES, time.time())


def test_signs_a_token_with_a_scope(key: NewKey) -> None:
    """As the clients of Google's APIs do with their default scopes."""
    credentials = Credentials.from_service_account_info(
        key.file, default_scopes=[CLOUD_PLATFORM], always_use_jwt_access=True
    )
    credentials.refresh(Request())
    found = verify_self_signed(credentials.token, CI, key.public_pem, [BASE], time.time())
    assert (found.sub, found.aud, found.scope) == (CI, None, CLOUD_PLATFORM)
