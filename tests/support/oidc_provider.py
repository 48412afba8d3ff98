"""A real identity provider, the npm package oidc-provider, and a browser to sign in at it with."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import httpx2

from tests.support.clients import unavailable
from tests.support.processes import free_port, start

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENT_ID, CLIENT_SECRET = "customhouse", "a+b %/:c"
"""The secret has what each way of sending it writes in another way."""

# As in tests/install-clients.
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
_PACKAGE = _CACHE / "customhouse-tests" / "oidc-provider"
_START_SECONDS = 30

People = dict[str, dict[str, Any]]


@dataclass
class OidcProvider:
    """A running provider.

    Attributes:
        port: of 127.0.0.1.
        config: its file.
        people: claims by login name; any password is right. Set it with `know`.
    """

    port: int
    config: Path
    people: People = field(default_factory=dict)

    @property
    def issuer(self) -> str:
        """What its tokens have as `iss`."""
        return f"http://127.0.0.1:{self.port}"

    def know(self, **people: dict[str, Any]) -> None:
        """Let these people be so from now on."""
        self.people |= people
        config = json.loads(self.config.read_text()) | {"people": self.people}
        self.config.write_text(json.dumps(config))


@contextmanager
def oidc_provider(
    folder: Path,
    redirect_uri: str,
    *,
    port: int = 0,
    method: str = "client_secret_post",
) -> Iterator[OidcProvider]:
    """Run a provider with one client.

    Args:
        folder: for its file and log.
        redirect_uri: of the client.
        port: to listen on; any by default.
        method: how the client signs in at the token endpoint, the only way that there is.
    """
    # Of its own where the system's is too old.
    node = shutil.which("node", path=_PACKAGE / "node_modules/.bin") or shutil.which("node")
    if node is None or not (_PACKAGE / "node_modules" / "oidc-provider").is_dir():
        unavailable("node or its package oidc-provider is missing: run tests/install-clients")
    provider = OidcProvider(port or free_port(), folder / "provider.json")
    client = {
        "client_id": CLIENT_ID,
        "redirect_uris": [redirect_uri],
        "token_endpoint_auth_method": method,
    }
    if method != "none":
        client["client_secret"] = CLIENT_SECRET
    provider.config.write_text(json.dumps({"clients": [client], "methods": [method]}))
    program = start(
        *(node, Path(__file__).with_suffix(".mjs"), str(provider.port), provider.config),
        log=folder / "provider.log",
        env={"OIDC_PROVIDER": str(_PACKAGE)},
    )

    def answers() -> bool:
        try:
            return httpx2.get(f"{provider.issuer}/jwks").status_code == httpx2.codes.OK
        except httpx2.TransportError:
            return False

    try:
        program.wait_until(answers, _START_SECONDS)
        yield provider
    finally:
        program.kill()


def submit(
    browser: httpx2.Client, page: httpx2.Response, fields: dict[str, str] | None = None
) -> httpx2.Response:
    """Send the last form of a page as a browser does, with its hidden fields and these.

    Raises:
        AssertionError: There is no form.
    """
    forms = re.findall(r'<form[^>]*action="([^"]*)"[^>]*>(.*?)</form>', page.text, re.DOTALL)
    assert forms, f"{page.url} {page.status_code}\n{page.text}"
    action, inner = forms[-1]
    hidden = {
        html.unescape(name): html.unescape(value)
        for name, value in re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', inner)
    }
    url = urljoin(str(page.url), html.unescape(action))
    origin = f"{page.url.scheme}://{page.url.netloc.decode()}"
    return browser.post(url, data=hidden | (fields or {}), headers={"origin": origin})


def sign_in(browser: httpx2.Client, url: str, login: str, until: str) -> httpx2.Response:
    """Go to a URL that leads to the provider, and sign in there.

    Args:
        browser: follows redirects.
        url: where to begin.
        login: the name of somebody that the provider knows.
        until: what the URL begins with that the provider sends back to.
    """
    page = browser.get(url)
    for _ in range(3):
        if str(page.url).startswith(until):
            return page
        # First who it is, then that the client may know it.
        page = submit(browser, page, {"login": login, "password": "x"})
    raise AssertionError(f"still at {page.url}\n{page.text}")
