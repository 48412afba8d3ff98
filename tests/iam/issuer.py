"""An OpenID Connect issuer on loopback, as CI systems run one."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from joserfc.jwk import Key, KeyParameters

DISCOVERY = "/.well-known/openid-configuration"
_REGISTRY = JWSRegistry(
    algorithms=["RS256", "PS256", "ES256", "ES384", "Ed25519"], strict_check_header=False
)


def make_key(kid: str, algorithm: str = "ES256") -> Key:
    """A private key for an algorithm."""
    parameters: KeyParameters = {"kid": kid, "use": "sig", "alg": algorithm}
    match algorithm[:2]:
        case "ES":
            return ECKey.generate_key(f"P-{algorithm[2:]}", parameters, private=True)
        case "RS" | "PS":
            return RSAKey.generate_key(2048, parameters, private=True)
    return OKPKey.generate_key("Ed25519", parameters, private=True)


def sign(claims: dict[str, Any], key: Key, **header: str) -> str:
    """A token of these claims."""
    algorithm = str(key.get("alg"))
    return jwt.encode(
        {"alg": algorithm, "kid": key.kid, "typ": "JWT"} | header, claims, key, registry=_REGISTRY
    )


def public(*keys: Key) -> dict[str, Any]:
    """Their public halves as a JWK Set."""
    return dict(KeySet(list(keys)).as_dict(private=False))


def times(seconds: int = 300) -> dict[str, int]:
    """Claims of a token issued now."""
    now = int(time.time())
    return {"iat": now, "nbf": now - 5, "exp": now + seconds}


def github(**claims: Any) -> dict[str, Any]:
    """The claims of a GitHub Actions token, but for iss and aud."""
    return {
        "jti": "example-id",
        "sub": "repo:acme/app:ref:refs/heads/main",
        "ref": "refs/heads/main",
        "sha": "3fbd8e7c0a4f8e2b9a6c1d5e7f0a2b4c6d8e0f1a",
        "repository": "acme/app",
        "repository_owner": "acme",
        "repository_owner_id": "65",
        "run_id": "1234567890",
        "event_name": "push",
        "ref_type": "branch",
        "ref_protected": "true",
        "job_workflow_ref": "acme/app/.github/workflows/build.yml@refs/heads/main",
        **times(),
        **claims,
    }


def gitlab(**claims: Any) -> dict[str, Any]:
    """The claims of a GitLab CI id_token, but for iss and aud."""
    return {
        "sub": "project_path:acme/app:ref_type:branch:ref:main",
        "namespace_id": "72",
        "namespace_path": "acme",
        "project_id": "20",
        "project_path": "acme/app",
        "user_login": "sample-user",
        "user_identities": [{"provider": "github", "extern_uid": "2435223452345"}],
        "groups_direct": ["acme/developers", "acme/release managers"],
        "pipeline_source": "push",
        "ref": "main",
        "ref_type": "branch",
        "ref_protected": "true",
        **times(),
        **claims,
    }


@dataclass
class Issuer:
    """A running issuer.

    Attributes:
        url: what its tokens have as `iss`.
        keys: what it publishes; change it to rotate.
        answers: by path, what to do instead of answering as it should.
        asked: the paths of requests.
    """

    url: str
    keys: list[Key] = field(default_factory=list)
    answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def token(self, claims: dict[str, Any], audience: str, key: Key | None = None) -> str:
        """A token signed with its last key."""
        return sign({"iss": self.url, "aud": audience} | claims, key or self.keys[-1])

    def document(self, path: str) -> object:
        """What it publishes at a path."""
        if path == DISCOVERY:
            return {"issuer": self.url, "jwks_uri": f"{self.url}/jwks"}
        return public(*self.keys) if path == "/jwks" else None


def answer(handler: BaseHTTPRequestHandler, status: int, content: bytes, **headers: str) -> None:
    """Send a whole answer."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("content-length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


@contextmanager
def running(tls: ssl.SSLContext | None = None) -> Iterator[Issuer]:
    """Run an issuer with one key."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            try:
                if self.path in issuer.answers:
                    issuer.answers[self.path](self)
                    return
                document = issuer.document(self.path)
                answer(self, 404 if document is None else 200, json.dumps(document).encode())
            except OSError:
                self.close_connection = True

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scheme = "http" if tls is None else "https"
    issuer = Issuer(f"{scheme}://127.0.0.1:{server.server_port}", [make_key("first")])
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
