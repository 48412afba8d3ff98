"""What the pages for browsers share: forms, who is signed in, where a form came from, failures."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute

from customhouse.database import now
from customhouse.errors import Code, Failure
from customhouse.http import parse_form
from customhouse.iam import sessions
from customhouse.iam.api import signin_pages
from customhouse.iam.api.guard import base_url

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from fastapi import Request, Response

    from customhouse.iam.authentication import Authenticator
    from customhouse.iam.permissions import Principal

SESSION = "customhouse-session"

_MAX_FORM = 16 * 1024
_MAX_TARGET = 1000
# A path of this server. Browsers read `//` and `/\` as the beginning of another host, and leave
# out tabs and line ends.
_TARGET = re.compile(r"/(?![/\\])[!-\[\]-~]*")
HOME = "/auth/"


class Pages(APIRoute):
    """A route whose failures are pages."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of the route, with failures turned into pages."""
        handler = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handler(request)
            except Failure as failure:
                return page(signin_pages.failed(failure), failure.status)

        return answer


def page(html: str, status: int = 200) -> HTMLResponse:
    """A page with the headers that pages have.

    Args:
        html: the page.
        status: the HTTP status. 401 becomes 403: that would be a challenge for the browser.
    """
    return HTMLResponse(html, 403 if status == 401 else status, signin_pages.HEADERS)


def local_target(text: str) -> str:
    """Where to go after the sign-in: a path of this server, whatever was asked for."""
    return text if len(text) <= _MAX_TARGET and _TARGET.fullmatch(text) else HOME


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form, of each the last value.

    Raises:
        Failure: REQUEST_INVALID.
    """
    body = await request.body()
    if len(body) > _MAX_FORM:
        raise Failure(Code.REQUEST_INVALID, reason=f"its form has more than {_MAX_FORM} bytes")
    return {name: values[-1] for name, values in parse_form(body).items()}


def check_origin(request: Request) -> None:
    """Refuse a form that another site had a browser send.

    Browsers say where a form stands: in Sec-Fetch-Site (W3C Fetch Metadata) to hosts that they
    trust, in Origin (RFC 6454) always.

    Raises:
        Failure: SIGN_IN_REFUSED.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin", "")
    if site != "same-origin" if site else origin.lower() != base_url(request).lower():
        raise Failure(
            Code.SIGN_IN_REFUSED, reason="the form does not come from a page of this server"
        )


def cookie(request: Request, name: str) -> str:
    """The value of a cookie, or the empty string."""
    return request.cookies.get(_full_name(request, name), "")


def set_cookie(request: Request, response: Response, name: str, value: str, seconds: int) -> None:
    """Keep a value in the browser, for this server alone; with no seconds, forget it."""
    response.set_cookie(
        _full_name(request, name),
        value,
        max_age=seconds,
        path="/",
        secure=_is_secure(request),
        httponly=True,
        samesite="lax",
    )


async def session_of(request: Request) -> Principal | None:
    """Who is signed in with this browser, if the account still stands."""
    value = cookie(request, SESSION)
    if not value:
        return None
    authenticator: Authenticator = request.app.state.authenticator
    principal = await authenticator.database.read(sessions.find, value, now())
    if principal is None:
        return None
    try:
        await authenticator.check(principal)
    except Failure as failure:
        if failure.code is not Code.TOKEN_INVALID:
            raise
        return None
    request.scope["customhouse.principal"] = principal.name
    return principal


def _is_secure(request: Request) -> bool:
    return base_url(request).startswith("https:")


def _full_name(request: Request, name: str) -> str:
    # RFC 6265bis section 4.1.3.2: no other host, and nothing without TLS, can set such a cookie.
    return f"__Host-{name}" if _is_secure(request) else name
