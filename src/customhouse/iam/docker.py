"""Docker's token authentication: the challenge, the scopes, and the token endpoint.

CNCF distribution's documents "Token Authentication Specification" and "OAuth2 Token
Authentication"; what each client really sends was seen on the wire.
"""

from __future__ import annotations

import datetime
import math
import time
from typing import TYPE_CHECKING

from customhouse.database import now
from customhouse.errors import Code, Failure
from customhouse.http import Request, Response, json_response, parse_form
from customhouse.iam import assertions, devices, service_accounts
from customhouse.iam.authentication import NOBODY, parse_basic
from customhouse.iam.exchange import exchange
from customhouse.iam.permissions import DOCKER_ACTIONS, Principal, repository
from customhouse.iam.tokens import CATALOG, SERVICE, Identity

if TYPE_CHECKING:
    from customhouse.database import Transaction
    from customhouse.iam.access import Access
    from customhouse.iam.authentication import Authenticator
    from customhouse.iam.tokens import Limits

_MAX_SCOPES = 100
_MAX_FORM = 64 * 1024
_BODY_PAUSE = 30.0


def challenge(realm: str, scope: str = "", error: str = "") -> bytes:
    """The WWW-Authenticate header of a 401."""
    text = f'Bearer realm="{realm}",service="{SERVICE}"'
    text += f',scope="{scope}"' if scope else ""
    text += f',error="{error}"' if error else ""
    return text.encode("latin-1")


def granted(tx: Transaction, access: Access, identity: Identity, scopes: list[str]) -> Limits:
    """What a token for these scopes carries.

    A repository that is named in a scope is granted with everything the principal may do there:
    there are clients that ask for `pull` and then push with the same token. What the principal
    may not do is left out, which is not an error (the specification's "access").

    Raises:
        Failure: TOKEN_INVALID.
    """
    limits: dict[str, frozenset[str]] = {}
    for scope in " ".join(scopes).split()[:_MAX_SCOPES]:
        kind, _, rest = scope.partition(":")
        name, _, _ = rest.rpartition(":")
        if kind.partition("(")[0] == "repository" and name:
            resource = repository(name)
            # What a condition says is for each request to find out: it may look at the tag.
            actions = {
                action
                for permission, action in DOCKER_ACTIONS.items()
                if identity.covers(name, action)
                and access.sees(tx, identity.principal, permission, resource.project, resource.name)
            }
            limits[name] = frozenset(actions)
        elif kind == "registry" and identity.covers(CATALOG, "*"):
            limits[CATALOG] = frozenset({"*"})
    return limits


async def token_endpoint(
    request: Request, authenticator: Authenticator, public_url: str
) -> Response:
    """Answer `GET` and `POST /token`.

    Args:
        request: the request.
        authenticator: who knows everybody.
        public_url: where clients reach this server, if the settings say so.

    Raises:
        Failure: CREDENTIALS_INVALID, TOKEN_INVALID, REQUEST_INVALID, METHOD_UNSUPPORTED.
    """
    if request.method == "GET":
        return await _get(request, authenticator)
    if request.method == "POST":
        return await _post(request, authenticator, public_url)
    raise Failure(Code.METHOD_UNSUPPORTED, method=request.method, allowed="GET, POST")


async def _get(request: Request, authenticator: Authenticator) -> Response:
    scopes = request.query.get("scope", [])
    scheme, _, value = request.header(b"authorization").partition(" ")
    if not scheme:
        return await _answer(authenticator, NOBODY, scopes, offline=False)
    if scheme.lower() != "basic":
        raise Failure(Code.CREDENTIALS_INVALID)
    name, password = parse_basic(value.strip())
    identity = await authenticator.sign_in(name, password, request.client)
    offline = request.parameter("offline_token") == "true"
    return await _answer(authenticator, identity, scopes, offline=offline)


async def _post(request: Request, authenticator: Authenticator, public_url: str) -> Response:
    too_large = Failure(Code.REQUEST_INVALID, reason=f"more than {_MAX_FORM} bytes")
    form = parse_form(await request.body(_MAX_FORM, too_large, _BODY_PAUSE))

    def one(key: str) -> str:
        return form.get(key, [""])[-1]

    offline, refresh = False, ""
    match one("grant_type"):
        case "password":
            identity = await authenticator.sign_in(one("username"), one("password"), request.client)
            offline = one("access_type") == "offline"
        case "refresh_token":
            refresh = one("refresh_token")
            identity = Identity(await authenticator.refresh(refresh))
        case "urn:ietf:params:oauth:grant-type:jwt-bearer":
            return await _exchange_assertion(request, authenticator, one("assertion"), public_url)
        case "urn:ietf:params:oauth:grant-type:token-exchange":
            fields = {key: values[-1] for key, values in form.items()}
            document = await exchange_token(fields, authenticator)
            return json_response(200, document, (b"cache-control", b"no-store"))
        case devices.GRANT_TYPE:
            code, client = one("device_code"), one("client_id")
            return await _exchange_device(authenticator, code, client, form.get("scope", []))
        case other:
            raise Failure(
                Code.REQUEST_INVALID,
                reason=f"grant_type is {other[:60]!r}, not password, refresh_token, jwt-bearer"
                " or device_code",
            )
    scopes = form.get("scope", [])
    return await _answer(authenticator, identity, scopes, offline=offline, refresh=refresh)


async def _exchange_assertion(
    request: Request, authenticator: Authenticator, assertion: str, public_url: str
) -> Response:
    """A token for what a service account has signed (RFC 7523), as Google's endpoint answers."""
    base = public_url or request.base_url
    audiences = (assertions.GOOGLE_TOKEN_URL, f"{base}/token")
    principal, audience = await authenticator.exchange(assertion, audiences)
    tokens = authenticator.tokens
    await authenticator.check(principal)
    no_store = (b"cache-control", b"no-store")
    if audience:
        email = principal.name.partition(":")[2]
        account = await authenticator.database.read(service_accounts.get, email)
        token = tokens.issue_id(base, str(account.number), email, audience[:1000])
        return json_response(200, {"id_token": token}, no_store)
    document: dict[str, object] = {
        "access_token": tokens.issue(principal, None, tokens.api_seconds),
        "expires_in": tokens.api_seconds,
        "token_type": "Bearer",
    }
    return json_response(200, document, no_store)


async def _exchange_device(
    authenticator: Authenticator, code: str, client: str, scopes: list[str]
) -> Response:
    """Tokens for a sign-in that somebody allowed in a browser (RFC 8628 sections 3.4 and 3.5)."""
    outcome = await authenticator.database.write(devices.exchange, code, client, now())
    if isinstance(outcome, Principal):
        try:
            await authenticator.check(outcome)
        except Failure as failure:
            if failure.code is not Code.TOKEN_INVALID:
                raise
            # Disabled, or given another password, since.
            outcome = devices.DeviceError.DENIED
    if isinstance(outcome, devices.DeviceError):
        return json_response(400, {"error": outcome}, (b"cache-control", b"no-store"))
    return await _answer(authenticator, Identity(outcome), scopes, offline=True)


async def exchange_token(form: dict[str, str], authenticator: Authenticator) -> dict[str, object]:
    """A token for one of another issuer (RFC 8693), as Google's Security Token Service answers.

    Raises:
        Failure: THING_UNKNOWN, SUBJECT_TOKEN_INVALID, ISSUER_UNREACHABLE.
    """
    principal = await exchange(
        authenticator.database,
        authenticator.issuers,
        audience=form.get("audience", ""),
        subject_token=form.get("subject_token", ""),
        subject_token_type=form.get("subject_token_type", ""),
        now=time.time(),
    )
    await authenticator.check(principal)
    tokens = authenticator.tokens
    return {
        "access_token": tokens.issue(principal, None, tokens.api_seconds),
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "Bearer",
        "expires_in": tokens.api_seconds,
    }


async def _answer(
    authenticator: Authenticator,
    identity: Identity,
    scopes: list[str],
    *,
    offline: bool,
    refresh: str = "",
) -> Response:
    tokens = authenticator.tokens
    limits: Limits | None = None
    # A token for everything is for those alone who have not signed in with one for less.
    if identity.limits is not None or assertions.CLOUD_PLATFORM not in " ".join(scopes).split():
        limits = await authenticator.database.read(granted, authenticator.access, identity, scopes)
    seconds = int(min(tokens.access_seconds, identity.expires - time.time()))
    if seconds <= 0:  # it is taken for a while longer, and must not be made to last so
        raise Failure(Code.TOKEN_INVALID, reason="it has expired")
    token = tokens.issue(identity.principal, limits, seconds)
    issued = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    document: dict[str, object] = {
        "token": token,
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": seconds,
        "issued_at": issued,
        "scope": " ".join(scopes),
    }
    # Nothing that outlives it is given for what itself lasts only so long.
    if offline and identity.principal.credential and identity.expires == math.inf:
        refresh = tokens.issue_refresh(identity.principal)
    if refresh:
        document["refresh_token"] = refresh
    return json_response(200, document, (b"cache-control", b"no-store"))
