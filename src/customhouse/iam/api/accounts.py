"""Service accounts and their keys over REST, as Google's IAM v1 and IAM Credentials v1 do it."""

from __future__ import annotations

import asyncio
import base64
import datetime
import json
import time
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request

from customhouse.errors import Code, Failure
from customhouse.iam import keyfiles, projects, service_account_keys, service_accounts
from customhouse.iam.api import guard
from customhouse.iam.api.documents import Document  # noqa: TC001  - FastAPI reads it
from customhouse.iam.api.pages import MAX_TOKEN, count_of, key_of, listing
from customhouse.iam.permissions import ROOT, Permission, Principal, Resource
from customhouse.names import project_id
from customhouse.times import rfc3339

if TYPE_CHECKING:
    from customhouse.database import LoopDatabase, Transaction
    from customhouse.iam.authentication import Authenticator
    from customhouse.iam.service_account_keys import ServiceAccountKey
    from customhouse.iam.service_accounts import ServiceAccount
    from customhouse.iam.tokens import Tokens

Size = Annotated[int, Query(alias="pageSize", ge=0)]
Token = Annotated[str, Query(alias="pageToken", max_length=MAX_TOKEN)]

_ACCOUNTS = "/v1/projects/{project}/serviceAccounts"
_ACCOUNT = f"{_ACCOUNTS}/{{account}}"
_NEVER = "9999-12-31T23:59:59Z"
_MAX_LIFETIME = 12 * 3600


def router(database: LoopDatabase, authenticator: Authenticator, domain: str) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["service accounts"])
    _add_accounts(routes, database, domain)
    _add_keys(routes, database)
    _add_credentials(routes, database, authenticator.tokens)
    return routes


def _add_accounts(routes: APIRouter, database: LoopDatabase, domain: str) -> None:
    @routes.get(_ACCOUNTS)
    async def list_accounts(
        request: Request, project: str, page_size: Size = 0, page_token: Token = ""
    ) -> dict[str, Any]:
        """The service accounts of a project, in order of their addresses."""
        name = await guard.project_of(request, project)
        about = f"projects/{project}"
        await guard.require(request, Permission.ACCOUNTS_LIST, Resource(name), about)
        count = count_of(page_size)
        found = await database.read(service_accounts.list_page, name, key_of(page_token), count + 1)
        return listing("accounts", found, count, to_json, lambda account: account.email)

    @routes.post(_ACCOUNTS)
    async def create_account(request: Request, project: str, document: Document) -> dict[str, Any]:
        """Create a service account."""
        name = await guard.project_of(request, project)
        named = f"projects/{project}"
        await guard.require(request, Permission.ACCOUNTS_CREATE, Resource(name), named)
        await database.read(projects.get, name)
        email = service_accounts.email_of(_text(document, "accountId"), name, domain)
        about = document.get("serviceAccount") or {}
        if not isinstance(about, dict):
            raise Failure(Code.REQUEST_INVALID, reason="serviceAccount is an object")
        created = await database.write(
            service_accounts.create,
            email,
            name,
            display_name=_text(about, "displayName"),
            description=_text(about, "description"),
        )
        return to_json(created)

    @routes.get(_ACCOUNT)
    async def get_account(request: Request, project: str, account: str) -> dict[str, Any]:
        """One service account, by its address or number."""
        found = await find(database, request, project, account, Permission.ACCOUNTS_GET)
        return to_json(found)

    @routes.patch(_ACCOUNT)
    async def patch_account(
        request: Request, project: str, account: str, document: Document
    ) -> dict[str, Any]:
        """Change the texts of a service account that are given."""
        found = await find(database, request, project, account, Permission.ACCOUNTS_UPDATE)
        about = document.get("serviceAccount") or {}
        if not isinstance(about, dict):
            raise Failure(Code.REQUEST_INVALID, reason="serviceAccount is an object")
        changed = await database.write(
            service_accounts.patch,
            found.email,
            display_name=_text(about, "displayName") if "displayName" in about else None,
            description=_text(about, "description") if "description" in about else None,
        )
        return to_json(changed)

    @routes.delete(_ACCOUNT)
    async def delete_account(request: Request, project: str, account: str) -> dict[str, Any]:
        """Delete a service account, with every key and token of it."""
        found = await find(database, request, project, account, Permission.ACCOUNTS_DELETE)
        await database.write(service_accounts.delete, found.email)
        return {}

    @routes.post(f"{_ACCOUNT}:disable")
    async def disable_account(request: Request, project: str, account: str) -> dict[str, Any]:
        """Shut a service account, with every key and token of it."""
        found = await find(database, request, project, account, Permission.ACCOUNTS_DISABLE)
        await database.write(service_accounts.set_disabled, found.email, disabled=True)
        return {}

    @routes.post(f"{_ACCOUNT}:enable")
    async def enable_account(request: Request, project: str, account: str) -> dict[str, Any]:
        """Open a service account again."""
        found = await find(database, request, project, account, Permission.ACCOUNTS_ENABLE)
        await database.write(service_accounts.set_disabled, found.email, disabled=False)
        return {}

    @routes.post(f"{_ACCOUNT}:undelete")
    async def undelete_account(request: Request, project: str, account: str) -> dict[str, Any]:
        """Have a deleted service account back, by its number."""
        permission = Permission.ACCOUNTS_UNDELETE
        found = await find(database, request, project, account, permission, deleted=True)
        back = await database.write(service_accounts.undelete, str(found.number))
        return {"restoredAccount": to_json(back)}


def _add_keys(routes: APIRouter, database: LoopDatabase) -> None:
    @routes.get(f"{_ACCOUNT}/keys")
    async def list_keys(request: Request, project: str, account: str) -> dict[str, Any]:
        """The keys of a service account."""
        found = await find(database, request, project, account, Permission.KEYS_LIST, own=True)
        keys = await database.read(service_account_keys.of, found.email)
        return {"keys": [_key(found, key) for key in keys]} if keys else {}

    @routes.post(f"{_ACCOUNT}/keys")
    async def create_key(
        request: Request, project: str, account: str, document: Document
    ) -> dict[str, Any]:
        """Make a key. Its private half is in the answer and nowhere else.

        `validBeforeTime` in the body, a time as in RFC 3339, lets it expire.
        """
        found = await find(database, request, project, account, Permission.KEYS_CREATE, own=True)
        kind = _text(document, "privateKeyType") or _FILE
        if kind not in {_FILE, "TYPE_UNSPECIFIED"}:
            raise Failure(Code.REQUEST_INVALID, reason=f"privateKeyType is not {_FILE}")
        expires = _time(_text(document, "validBeforeTime"))
        base = guard.base_url(request)
        new = await asyncio.to_thread(
            keyfiles.make_key, found.email, found.project, found.number, base
        )
        key = await database.write(
            service_account_keys.create, found.email, new.id, new.public_pem, expires
        )
        text = json.dumps(new.file, indent=2) + "\n"
        return _key(found, key) | {
            "privateKeyType": _FILE,
            "privateKeyData": base64.b64encode(text.encode()).decode(),
        }

    @routes.post(f"{_ACCOUNT}/keys:upload")
    async def upload_key(
        request: Request, project: str, account: str, document: Document
    ) -> dict[str, Any]:
        """Register the public half of a key that was made elsewhere."""
        found = await find(database, request, project, account, Permission.KEYS_CREATE, own=True)
        try:
            pem = base64.b64decode(_text(document, "publicKeyData"), validate=True).decode("ascii")
        except ValueError as error:
            raise Failure(
                Code.REQUEST_INVALID, reason="publicKeyData is not a PEM file in base64"
            ) from error
        return _key(found, await database.write(service_account_keys.upload, found.email, pem))

    @routes.get(f"{_ACCOUNT}/keys/{{key}}")
    async def get_key(request: Request, project: str, account: str, key: str) -> dict[str, Any]:
        """One key."""
        found = await find(database, request, project, account, Permission.KEYS_GET, own=True)
        return _key(found, await database.read(service_account_keys.get, found.email, key))

    @routes.delete(f"{_ACCOUNT}/keys/{{key}}")
    async def delete_key(request: Request, project: str, account: str, key: str) -> dict[str, Any]:
        """Delete a key, with every token that it got."""
        found = await find(database, request, project, account, Permission.KEYS_DELETE, own=True)
        await database.write(service_account_keys.delete, found.email, key)
        return {}

    @routes.post(f"{_ACCOUNT}/keys/{{key}}:disable")
    async def disable_key(request: Request, project: str, account: str, key: str) -> dict[str, Any]:
        """Shut a key, with every token that it got."""
        found = await find(database, request, project, account, Permission.KEYS_DISABLE, own=True)
        await database.write(service_account_keys.set_disabled, found.email, key, disabled=True)
        return {}

    @routes.post(f"{_ACCOUNT}/keys/{{key}}:enable")
    async def enable_key(request: Request, project: str, account: str, key: str) -> dict[str, Any]:
        """Open a key again."""
        found = await find(database, request, project, account, Permission.KEYS_ENABLE, own=True)
        await database.write(service_account_keys.set_disabled, found.email, key, disabled=False)
        return {}


def _add_credentials(routes: APIRouter, database: LoopDatabase, tokens: Tokens) -> None:
    @routes.post(f"{_ACCOUNT}:generateAccessToken")
    async def generate_access_token(
        request: Request, project: str, account: str, document: Document
    ) -> dict[str, Any]:
        """A token of a service account, for one who may speak for it."""
        found = await find(database, request, project, account, Permission.ACCOUNTS_IMPERSONATE)
        seconds = _seconds(_text(document, "lifetime") or "3600s")
        token = tokens.issue(Principal(f"serviceAccount:{found.email}"), None, seconds)
        # Without a fraction of a second: google-auth reads no other form.
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
        return {"accessToken": token, "expireTime": until}

    @routes.post(f"{_ACCOUNT}:generateIdToken")
    async def generate_id_token(
        request: Request, project: str, account: str, document: Document
    ) -> dict[str, Any]:
        """An OpenID Connect token of a service account, for one who may speak for it."""
        found = await find(database, request, project, account, Permission.ACCOUNTS_IMPERSONATE)
        audience = _text(document, "audience")
        if not 0 < len(audience) <= 1000:
            raise Failure(Code.REQUEST_INVALID, reason="audience has 1 to 1000 characters")
        issuer = guard.base_url(request)
        return {"token": tokens.issue_id(issuer, str(found.number), found.email, audience)}


async def find(
    database: LoopDatabase,
    request: Request,
    project: str,
    account: str,
    permission: Permission,
    *,
    own: bool = False,
    deleted: bool = False,
) -> ServiceAccount:
    """A service account, if the caller has a permission on it.

    Args:
        database: where.
        request: who asks.
        project: the project in the path; `-` for the account's own.
        account: its address or number.
        permission: what is needed.
        own: whether the account itself may do it without the permission.
        deleted: whether one that was deleted is looked for.

    Raises:
        Failure: UNAUTHORIZED, DENIED; THING_UNKNOWN for those alone who may do it everywhere.
    """
    found = await database.read(_find, account, deleted=deleted)
    named = f"projects/{project}/serviceAccounts/{account}"[:500]
    owner = "" if project == "-" else await guard.project_of(request, project)
    if found is not None and owner and found.project != owner:
        found = None
    if found is None:
        place = Resource(owner) if owner else ROOT
        await guard.require(request, permission, place, named)
        raise Failure(Code.THING_UNKNOWN, kind="service account", name=account[:200])
    principal = await guard.caller(request)
    if not (own and principal.name == f"serviceAccount:{found.email}"):
        resource = Resource(found.project, "serviceAccounts", found.email)
        await guard.require(request, permission, resource, named)
    else:
        await guard.signed_in(request)
    return found


def _find(tx: Transaction, account: str, *, deleted: bool) -> ServiceAccount | None:
    try:
        return service_accounts.get(tx, account, deleted=deleted)
    except Failure:
        return None


def to_json(account: ServiceAccount) -> dict[str, Any]:
    """A service account as the API writes it."""
    project = project_id(account.project)
    document: dict[str, Any] = {
        "name": f"projects/{project}/serviceAccounts/{account.email}",
        "projectId": project,
        "uniqueId": str(account.number),
        "email": account.email,
        "oauth2ClientId": str(account.number),
        "etag": "MDEwMjE5MjA=",
    }
    texts = {"displayName": account.display_name, "description": account.description}
    document |= {key: text for key, text in texts.items() if text}
    return document | {"disabled": True} if account.is_disabled else document


_FILE = "TYPE_GOOGLE_CREDENTIALS_FILE"


def _key(account: ServiceAccount, key: ServiceAccountKey) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": f"{to_json(account)['name']}/keys/{key.id}",
        "keyAlgorithm": f"KEY_ALG_RSA_{key.bits}",
        "keyOrigin": key.origin,
        "keyType": "USER_MANAGED",
        "validAfterTime": rfc3339(key.created_at),
        "validBeforeTime": rfc3339(key.expires_at) if key.expires_at else _NEVER,
    }
    return document | {"disabled": True} if key.is_disabled else document


def _text(document: dict[str, Any], key: str) -> str:
    value = document.get(key, "")
    if not isinstance(value, str):
        raise Failure(Code.REQUEST_INVALID, reason=f"{key} is a text")
    return value


def _time(text: str) -> int | None:
    if not text:
        return None
    try:
        moment = datetime.datetime.fromisoformat(text)
        return int(moment.timestamp() * 1_000_000)
    except (ValueError, OverflowError) as error:
        raise Failure(
            Code.REQUEST_INVALID, reason="validBeforeTime is not a time as in RFC 3339"
        ) from error


def _seconds(text: str) -> int:
    digits = text.removesuffix("s")
    is_number = digits.isascii() and digits.isdigit() and len(digits) < 10
    if not is_number or not 0 < int(digits) <= _MAX_LIFETIME:
        reason = f"lifetime is 1s to {_MAX_LIFETIME}s"
        raise Failure(Code.REQUEST_INVALID, reason=reason)
    return int(digits)
