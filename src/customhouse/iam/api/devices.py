"""The device authorization grant over HTTP: where programs ask, and where people allow it."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from customhouse.database import now
from customhouse.errors import Code, Failure
from customhouse.iam import devices, failures
from customhouse.iam.api import signin_pages
from customhouse.iam.api.browser import Pages, check_origin, page, read_form, session_of
from customhouse.iam.api.guard import base_url

if TYPE_CHECKING:
    from customhouse.database import LoopDatabase

_PATH = "/auth/device"
_MAX_CODE = 20
_MINUTE = 60 * 1_000_000
_NO_STORE = {"Cache-Control": "no-store"}


def router(database: LoopDatabase) -> APIRouter:
    """The routes."""
    routes = APIRouter()
    _add_request(routes, database)
    pages = APIRouter(route_class=Pages, include_in_schema=False)
    _add_pages(pages, database)
    routes.include_router(pages)
    return routes


def _add_request(routes: APIRouter, database: LoopDatabase) -> None:
    @routes.post(f"{_PATH}/code", tags=["sign-in"])
    async def request_codes(request: Request) -> Response:
        """Begin a sign-in from a device (RFC 8628 section 3.1); the form has a `client_id`."""
        try:
            client = (await read_form(request)).get("client_id", "")
            codes = await database.write(devices.create, client, _address(request), now())
        except Failure as failure:
            if failure.code is Code.TOO_MANY_REQUESTS:
                return _refusal(429, "slow_down", failure, {"Retry-After": str(failure.wait)})
            if failure.code not in {Code.THING_INVALID, Code.REQUEST_INVALID}:
                raise
            return _refusal(400, "invalid_request", failure, {})
        page_url = f"{base_url(request)}{_PATH}"
        document = {
            "device_code": codes.device_code,
            "user_code": codes.user_code,
            "verification_uri": page_url,
            "verification_uri_complete": f"{page_url}?user_code={codes.user_code}",
            "expires_in": devices.EXPIRES_SECONDS,
            "interval": devices.INTERVAL_SECONDS,
        }
        return JSONResponse(document, headers=_NO_STORE)


def _add_pages(routes: APIRouter, database: LoopDatabase) -> None:
    @routes.get(_PATH)
    async def show_entry(request: Request) -> Response:
        """The page for the code; whoever is not signed in does that first."""
        user_code = request.query_params.get("user_code", "")[:_MAX_CODE]
        principal = await session_of(request)
        if principal is None:
            query = f"?user_code={quote(user_code, safe='')}" if user_code else ""
            target = quote(f"{_PATH}{query}", safe="")
            return RedirectResponse(f"/auth/login?next={target}", 303)
        return page(signin_pages.device_entry(principal.name.removeprefix("user:"), user_code))

    @routes.post(_PATH)
    async def decide(request: Request) -> Response:
        """Ask whether to allow a sign-in, then allow or deny it."""
        check_origin(request)
        principal = await session_of(request)
        if principal is None:
            return RedirectResponse(f"/auth/login?next={_PATH}", 303)
        form = await read_form(request)
        user_code, decision = form.get("user_code", "")[:_MAX_CODE], form.get("decision", "")
        name, address, at = principal.name.removeprefix("user:"), _address(request), now()
        # Guesses at codes are counted as those at passwords are. They are never forgotten for a
        # right one: whoever guesses could have one of their own.
        guesser = f"device code {name}"
        standing = await database.read(failures.standing, guesser, address, at)
        if standing.delay:
            wrong = f"Too many wrong codes. Try again in {ceil(standing.delay)} seconds."
            return page(signin_pages.device_entry(name, user_code, wrong), 429)
        asked = await database.read(devices.find, user_code, at)
        if asked is not None and decision in {"allow", "deny"}:
            allowed = decision == "allow"
            if await database.write(devices.decide, user_code, principal, at, allowed=allowed):
                return page(signin_pages.device_decided(allowed=allowed))
            asked = None
        if asked is None:
            await database.write(failures.note_failure, guesser, address, at)
            wrong = "No sign-in waits for this code. Codes are good for ten minutes, once."
            return page(signin_pages.device_entry(name, user_code, wrong), 404)
        minutes = (at - asked.created_at) // _MINUTE
        code = devices.normal(user_code)
        return page(signin_pages.device_confirmation(name, code, asked, minutes))


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _refusal(status: int, error: str, failure: Failure, headers: dict[str, str]) -> JSONResponse:
    """An error in the form of RFC 6749 section 5.2."""
    document = {"error": error, "error_description": f"{failure.message}. {failure.hint}"}
    return JSONResponse(document, status, _NO_STORE | headers)
