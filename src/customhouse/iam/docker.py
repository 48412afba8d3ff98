"""Docker's token authentication: the challenge, the scopes, and the token endpoint.

CNCF distribution's documents "Token Authentication Specification" and "OAuth2 Token
Authentication"; what each client really sends was seen on the wire.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from customhouse.errors import Code, Failure
from customhouse.http import Request, Response, json_response, parse_form
from customhouse.iam.authentication import parse_basic
from customhouse.iam.permissions import DOCKER_ACTIONS, Permission, Principal, may
from customhouse.iam.tokens import CATALOG, SERVICE

if TYPE_CHECKING:
    from customhouse.iam.authentication import Authenticator
    from customhouse.iam.tokens import Access

_MAX_SCOPES = 100
_MAX_FORM = 64 * 1024
_BODY_PAUSE = 30.0


def challenge(realm: str, scope: str = "", error: str = "") -> bytes:
    """The WWW-Authenticate header of a 401."""
    text = f'Bearer realm="{realm}",service="{SERVICE}"'
    text += f',scope="{scope}"' if scope else ""
    text += f',error="{error}"' if error else ""
    return text.encode("latin-1")


def granted(principal: Principal, scopes: list[str]) -> Access:
    """What a token for these scopes carries.

    A repository that is named in a scope is granted with everything the principal may do there:
    there are clients that ask for `pull` and then push with the same token. What the principal
    may not do is left out, which is not an error (the specification's "access").
    """
    access: dict[str, frozenset[str]] = {}
    for scope in " ".join(scopes).split()[:_MAX_SCOPES]:
        kind, _, rest = scope.partition(":")
        name, _, _ = rest.rpartition(":")
        if kind.partition("(")[0] == "repository" and name:
            actions = {
                action
                for permission, action in DOCKER_ACTIONS.items()
                if may(principal, permission, name)
            }
            access[name] = frozenset(actions)
        elif kind == "registry" and may(principal, Permission.REPOSITORIES_LIST, ""):
            access[CATALOG] = frozenset({"*"})
    return access


async def token_endpoint(request: Request, authenticator: Authenticator) -> Response:
    """Answer `GET` and `POST /token`.

    Raises:
        Failure: CREDENTIALS_INVALID, TOKEN_INVALID, UNAUTHORIZED, REQUEST_INVALID,
            METHOD_UNSUPPORTED.
    """
    if request.method == "GET":
        return await _get(request, authenticator)
    if request.method == "POST":
        return await _post(request, authenticator)
    raise Failure(Code.METHOD_UNSUPPORTED, method=request.method, allowed="GET, POST")


async def _get(request: Request, authenticator: Authenticator) -> Response:
    scheme, _, value = request.header(b"authorization").partition(" ")
    if scheme.lower() != "basic":
        raise Failure(Code.UNAUTHORIZED)
    name, password = parse_basic(value.strip())
    principal, generation = await authenticator.sign_in(name, password)
    refresh = None
    if request.parameter("offline_token") == "true":
        refresh = authenticator.tokens.issue_refresh(name, generation)
    return _answer(authenticator, principal, request.query.get("scope", []), refresh)


async def _post(request: Request, authenticator: Authenticator) -> Response:
    too_large = Failure(Code.REQUEST_INVALID, reason=f"more than {_MAX_FORM} bytes")
    form = parse_form(await request.body(_MAX_FORM, too_large, _BODY_PAUSE))

    def one(key: str) -> str:
        return form.get(key, [""])[-1]

    refresh: str | None = None
    match one("grant_type"):
        case "password":
            name = one("username")
            principal, generation = await authenticator.sign_in(name, one("password"))
            if one("access_type") == "offline":
                refresh = authenticator.tokens.issue_refresh(name, generation)
        case "refresh_token":
            refresh = one("refresh_token")
            _, principal, _ = await authenticator.refresh(refresh)
        case other:
            raise Failure(
                Code.REQUEST_INVALID,
                reason=f"grant_type is {other[:40]!r}, not password or refresh_token",
            )
    return _answer(authenticator, principal, form.get("scope", []), refresh)


def _answer(
    authenticator: Authenticator, principal: Principal, scopes: list[str], refresh: str | None
) -> Response:
    tokens = authenticator.tokens
    token = tokens.issue(principal, granted(principal, scopes))
    issued = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    document: dict[str, object] = {
        "token": token,
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": tokens.access_seconds,
        "issued_at": issued,
        "scope": " ".join(scopes),
    }
    if refresh is not None:
        document["refresh_token"] = refresh
    return json_response(200, document, (b"cache-control", b"no-store"))
