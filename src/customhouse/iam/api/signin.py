"""Signing in and out with a browser: by password, and through the identity provider."""

from __future__ import annotations

import base64
import binascii
import secrets
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from customhouse.database import now
from customhouse.errors import Code, Failure
from customhouse.iam import identities, sessions
from customhouse.iam.api import signin_pages
from customhouse.iam.api.browser import (
    HOME,
    SESSION,
    Pages,
    check_origin,
    cookie,
    local_target,
    page,
    read_form,
    session_of,
    set_cookie,
)
from customhouse.iam.api.guard import base_url

if TYPE_CHECKING:
    from customhouse.database import LoopDatabase
    from customhouse.iam.authentication import Authenticator
    from customhouse.iam.oidc import Provider
    from customhouse.iam.permissions import Principal
    from customhouse.settings import OidcSettings

# What a browser has while it is at the provider: a secret, and where to go afterwards.
_ATTEMPT = "customhouse-sign-in"
_ATTEMPT_SECONDS = 600
_MAX_NAME = 255


def router(
    database: LoopDatabase, settings: OidcSettings, provider: Provider | None, seconds: int
) -> APIRouter:
    """The routes.

    Args:
        database: where accounts and sessions are.
        settings: of the identity provider.
        provider: the identity provider, if there is one.
        seconds: how long a browser stays signed in.
    """
    routes = APIRouter(route_class=Pages, include_in_schema=False)
    _add_password(routes, database, settings.name if provider else "", seconds)
    if provider is not None:
        _add_provider(routes, database, settings, provider, seconds)

    @routes.get(HOME)
    async def show_person(request: Request) -> Response:
        """Who is signed in."""
        principal = await session_of(request)
        if principal is None:
            return RedirectResponse("/auth/login", 303)
        return page(signin_pages.signed_in(principal.name.removeprefix("user:")))

    @routes.post("/auth/logout")
    async def sign_out(request: Request) -> Response:
        """End the session."""
        check_origin(request)
        if value := cookie(request, SESSION):
            await database.write(sessions.end, value)
        response = RedirectResponse("/auth/login", 303)
        set_cookie(request, response, SESSION, "", 0)
        return response

    return routes


def _add_password(
    routes: APIRouter, database: LoopDatabase, provider_name: str, seconds: int
) -> None:
    @routes.get("/auth/login")
    async def show_sign_in(request: Request) -> Response:
        """The page to sign in."""
        target = local_target(request.query_params.get("next", ""))
        if await session_of(request) is not None:
            return RedirectResponse(target, 303)
        return page(signin_pages.sign_in(target, provider_name))

    @routes.post("/auth/login")
    async def sign_in(request: Request) -> Response:
        """Sign in with a password."""
        check_origin(request)
        form = await read_form(request)
        name, target = form.get("username", "")[:_MAX_NAME], local_target(form.get("next", ""))
        authenticator: Authenticator = request.app.state.authenticator
        try:
            address = request.client.host if request.client else ""
            principal = await _check(authenticator, name, form.get("password", ""), address)
        except Failure as failure:
            if failure.code not in {Code.CREDENTIALS_INVALID, Code.TOO_MANY_REQUESTS}:
                raise
            wrong = "The user name or the password is wrong."
            if failure.code is Code.TOO_MANY_REQUESTS:
                wrong = f"Too many attempts failed. Try again in {failure.wait} seconds."
            return page(signin_pages.sign_in(target, provider_name, name, wrong), failure.status)
        return await _start(request, database, principal, target, seconds)


def _add_provider(
    routes: APIRouter,
    database: LoopDatabase,
    settings: OidcSettings,
    provider: Provider,
    seconds: int,
) -> None:
    @routes.get("/auth/oidc")
    async def go_to_provider(request: Request) -> Response:
        """Send the browser to the identity provider."""
        secret = secrets.token_urlsafe(32)
        target = local_target(request.query_params.get("next", ""))
        response = RedirectResponse(await provider.begin(_redirect_uri(request), secret), 303)
        # A cookie takes no semicolon, nor whatever else a path may have.
        value = f"{secret}.{base64.urlsafe_b64encode(target.encode()).decode().rstrip('=')}"
        set_cookie(request, response, _ATTEMPT, value, _ATTEMPT_SECONDS)
        response.headers["Cache-Control"] = "no-store"
        return response

    @routes.get("/auth/callback")
    async def come_back(request: Request) -> Response:
        """Take in whom the identity provider sends back."""
        try:
            response = await finish(request)
        except Failure as failure:
            response = page(signin_pages.failed(failure), failure.status)
        set_cookie(request, response, _ATTEMPT, "", 0)
        return response

    async def finish(request: Request) -> Response:
        secret, _, target = cookie(request, _ATTEMPT).partition(".")
        if not secret:
            reason = "it took too long, or was begun in another browser"
            raise Failure(Code.SIGN_IN_REFUSED, reason=reason)
        answer = dict(request.query_params)
        person = await provider.finish(_redirect_uri(request), secret, answer)
        principal = await database.write(identities.sign_in, settings, person, now())
        return await _start(request, database, principal, _decoded(target), seconds)


async def _check(authenticator: Authenticator, name: str, password: str, address: str) -> Principal:
    # Such names stand for tokens and keys, which are for less, or for a shorter time.
    if name.startswith("_") or name == "oauth2accesstoken":
        raise Failure(Code.CREDENTIALS_INVALID)
    return (await authenticator.sign_in(name, password, address)).principal


async def _start(
    request: Request, database: LoopDatabase, principal: Principal, target: str, seconds: int
) -> Response:
    """Begin a session in place of the one that the browser may have."""
    if value := cookie(request, SESSION):
        await database.write(sessions.end, value)
    value = await database.write(sessions.create, principal, seconds, now())
    request.scope["customhouse.principal"] = principal.name
    response = RedirectResponse(local_target(target), 303)
    set_cookie(request, response, SESSION, value, seconds)
    response.headers["Cache-Control"] = "no-store"
    return response


def _redirect_uri(request: Request) -> str:
    return f"{base_url(request)}/auth/callback"


def _decoded(target: str) -> str:
    try:
        return base64.urlsafe_b64decode(f"{target}==").decode("ascii")
    except (binascii.Error, ValueError):
        return HOME
