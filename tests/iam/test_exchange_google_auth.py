"""google-auth's credentials of an external account, against the exchange."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import pytest

from customhouse.errors import Failure
from tests.iam.issuer import answer, times
from tests.iam.setting import JWT, Setting, issuer, setting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["issuer", "setting"]


@contextmanager
def token_service(setting: Setting) -> Iterator[str]:
    """A token endpoint that does nothing but exchange, on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            form = {k: v[0] for k, v in parse_qs(self.rfile.read(length).decode()).items()}
            assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:token-exchange"
            try:
                made = setting.exchange(
                    form["subject_token"], form["audience"], form["subject_token_type"]
                )
            except Failure as failure:
                content = {"error": "invalid_grant", "error_description": failure.message}
                answer(self, 400, json.dumps(content).encode())
                return
            content = {
                "access_token": made.name,
                "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
                "token_type": "Bearer",
                "expires_in": "300",
            }
            answer(self, 200, json.dumps(content).encode())

        def log_message(self, *_arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/token"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("form", ["number", "id", "short"])
def test_google_auth(setting: Setting, tmp_path: Path, form: str) -> None:
    identity_pool = pytest.importorskip("google.auth.identity_pool")
    requests = pytest.importorskip("google.auth.transport.requests")
    rest = "locations/global/workloadIdentityPools"
    audience = {
        "number": setting.audience,
        "id": setting.audience.replace(f"/{setting.number}/", "/acme/"),
        "short": f"//iam.googleapis.com/{rest}/acme/ci-pool/providers/github",
    }[form]
    (tmp_path / "token").write_text(setting.token())
    with token_service(setting) as url:
        file = {
            "type": "external_account",
            "audience": audience,
            "subject_token_type": JWT,
            "token_url": url,
            "credential_source": {"file": str(tmp_path / "token")},
        }
        (tmp_path / "credentials.json").write_text(json.dumps(file))
        credentials = identity_pool.Credentials.from_file(
            str(tmp_path / "credentials.json"),
            scopes=["https://www.googleapis.com/auth/cloud-platform"],
        )
        request = requests.Request()
        credentials.refresh(request)
        assert credentials.token == (
            f"principal:{setting.root}/subject/repo:acme/app:ref:refs/heads/main"
        )
        (tmp_path / "token").write_text(setting.token(**times(-600)))
        with pytest.raises(Exception, match="it has expired"):
            credentials.refresh(request)
        request.session.close()
