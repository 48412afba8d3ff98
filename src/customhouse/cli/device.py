"""Signing in from a terminal with a browser on any machine: RFC 8628, the program's side."""

from __future__ import annotations

import base64
import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpx2

from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Callable

_GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"
_CLIENT_ID = "customhouse"
_SECONDS = 30.0
_SLOWER_SECONDS = 5
_LONGEST_INTERVAL, _LONGEST_WAIT = 120.0, 1800.0
_MAX_TEXT = 2000


def sign_in(
    url: str,
    show: Callable[[str, str], None],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[str, str]:
    """Get a refresh token for a person who allows it in a browser; waits until they do.

    Args:
        url: the server.
        show: called once with where to go and the code to type there.
        clock: seconds that only grow.
        sleep: waits for seconds.

    Returns:
        The user's name and the refresh token.

    Raises:
        Failure: SERVER_UNREACHABLE, SIGN_IN_REFUSED.
    """
    try:
        with httpx2.Client(base_url=url, timeout=_SECONDS) as http:
            response = http.post("/auth/device/code", data={"client_id": _CLIENT_ID})
            asked = _object(response)
            if not response.is_success:
                said = _text(asked, "error_description") or _answers(response)
                raise _refused(said.rstrip("."))
            code, shown = _text(asked, "device_code"), _text(asked, "user_code")
            page = _text(asked, "verification_uri")
            if not code or not shown or not page:
                raise _refused(_answers(response))
            show(_text(asked, "verification_uri_complete") or page, shown)
            until = clock() + min(_number(asked, "expires_in", 600), _LONGEST_WAIT)
            interval = _number(asked, "interval", 5)
            form = {"grant_type": _GRANT_TYPE, "device_code": code, "client_id": _CLIENT_ID}
            while clock() < until:
                sleep(interval)
                interval, tokens = _poll(http, form, interval)
                if tokens is not None:
                    return tokens
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        reason = str(error) or type(error).__name__
        raise Failure(Code.SERVER_UNREACHABLE, server=url, reason=reason) from error
    raise _refused("nobody allowed it in time")


def _poll(
    http: httpx2.Client, form: dict[str, str], interval: float
) -> tuple[float, tuple[str, str] | None]:
    """Ask once: how long to wait for the next time, and what there is."""
    try:
        response = http.post("/token", data=form)
    except httpx2.TransportError:
        # RFC 8628 section 3.5: at a time-out, come less often.
        return min(interval * 2, _LONGEST_INTERVAL), None
    answer = _object(response)
    if response.is_success:
        token = _text(answer, "refresh_token")
        if not token:
            raise _refused(_answers(response))
        return interval, (_user_of(_text(answer, "access_token")), token)
    match _text(answer, "error"):
        case "authorization_pending":
            return interval, None
        case "slow_down":
            return min(interval + _SLOWER_SECONDS, _LONGEST_INTERVAL), None
        case "access_denied":
            raise _refused("it was denied in the browser")
        case "expired_token":
            raise _refused("nobody allowed it in time")
    if response.status_code == httpx2.codes.TOO_MANY_REQUESTS or response.is_server_error:
        return min(interval * 2, _LONGEST_INTERVAL), None
    raise _refused(_answers(response))


def _user_of(token: str) -> str:
    """Whom the server's token is for; empty where it does not say. It is shown, not relied on."""
    claims: Any = None
    with suppress(ValueError, IndexError, RecursionError):
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(f"{payload}=="))
    name = _text(claims, "sub") if isinstance(claims, dict) else ""
    return name.removeprefix("user:")


def _object(response: httpx2.Response) -> dict[str, Any]:
    with suppress(ValueError, RecursionError):
        document = response.json()
        if isinstance(document, dict):
            return document
    return {}


def _text(document: dict[str, Any], name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) and len(value) <= _MAX_TEXT else ""


def _number(document: dict[str, Any], name: str, default: float) -> float:
    value = document.get(name, default)
    right = isinstance(value, int | float) and 1 <= value <= _LONGEST_WAIT
    return float(value) if right else default


def _answers(response: httpx2.Response) -> str:
    return f"the server answers {response.status_code} and nothing that is understood"


def _refused(reason: str) -> Failure:
    return Failure(Code.SIGN_IN_REFUSED, reason=reason)
