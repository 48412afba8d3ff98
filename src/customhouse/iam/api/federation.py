"""Workload identity federation over REST: IAM v1's pools and providers, and STS v1's exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from customhouse.errors import Code, Failure
from customhouse.http import parse_form
from customhouse.iam import federation, projects
from customhouse.iam.api import guard
from customhouse.iam.api.documents import Document, checked
from customhouse.iam.api.pages import MAX_TOKEN, count_of, key_of, listing
from customhouse.iam.permissions import ANONYMOUS, Permission, Principal, Resource
from customhouse.iam.pools import (
    Pool,
    Provider,
    pool_changes,
    pool_to_json,
    provider_changes,
    provider_to_json,
)
from customhouse.names import parse_project

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from customhouse.database import LoopDatabase, Transaction
    from customhouse.iam.projects import Project

    Exchange = Callable[[dict[str, str]], Coroutine[Any, Any, dict[str, Any]]]

Size = Annotated[int, Query(alias="pageSize", ge=0)]
Token = Annotated[str, Query(alias="pageToken", max_length=MAX_TOKEN)]
Deleted = Annotated[bool, Query(alias="showDeleted")]
Mask = Annotated[str, Query(alias="updateMask", max_length=500)]

_POOLS = "/v1/projects/{project}/locations/global/workloadIdentityPools"
_POOL = f"{_POOLS}/{{pool}}"
_PROVIDERS = f"{_POOL}/providers"
_PROVIDER = f"{_PROVIDERS}/{{provider}}"


def router(database: LoopDatabase, exchange: Exchange) -> APIRouter:
    """The routes.

    Args:
        database: where pools are.
        exchange: answers an exchange of tokens.
    """
    routes = APIRouter(tags=["federation"])
    _add_pools(routes, database)
    _add_providers(routes, database)
    _add_exchange(routes, exchange)
    return routes


def _add_pools(routes: APIRouter, database: LoopDatabase) -> None:
    @routes.get(_POOLS)
    async def list_pools(
        request: Request,
        project: str,
        page_size: Size = 0,
        page_token: Token = "",
        show_deleted: Deleted = False,
    ) -> dict[str, Any]:
        """The pools of a project, in order of their ids."""
        owner = await _permitted(database, request, project, Permission.POOLS_LIST)
        count = count_of(page_size)
        found = await database.read(
            federation.page_pools, owner.id, key_of(page_token), count + 1, deleted=show_deleted
        )
        return listing(
            "workloadIdentityPools",
            found,
            count,
            lambda pool: pool_to_json(pool, owner.number),
            lambda pool: pool.id,
        )

    @routes.post(_POOLS)
    async def create_pool(
        request: Request,
        project: str,
        document: Document,
        pool: Annotated[str, Query(alias="workloadIdentityPoolId", max_length=100)],
    ) -> dict[str, Any]:
        """Create a pool."""
        owner = await _permitted(database, request, project, Permission.POOLS_CREATE)
        made = Pool(owner.id, pool, **pool_changes(document))
        created = await database.write(federation.create_pool, made)
        return _done(pool_to_json(created, owner.number))

    @routes.get(_POOL)
    async def get_pool(request: Request, project: str, pool: str) -> dict[str, Any]:
        """One pool."""
        owner = await _permitted(database, request, project, Permission.POOLS_GET)
        return pool_to_json(await database.read(federation.get_pool, owner.id, pool), owner.number)

    @routes.patch(_POOL)
    async def patch_pool(
        request: Request, project: str, pool: str, document: Document, mask: Mask = ""
    ) -> dict[str, Any]:
        """Change a pool."""
        owner = await _permitted(database, request, project, Permission.POOLS_UPDATE)
        changes = pool_changes(document, mask.split(",") if mask else None)
        changed = await database.write(federation.patch_pool, owner.id, pool, changes)
        return _done(pool_to_json(changed, owner.number))

    @routes.delete(_POOL)
    async def delete_pool(request: Request, project: str, pool: str) -> dict[str, Any]:
        """Delete a pool; its identities may do nothing then."""
        owner = await _permitted(database, request, project, Permission.POOLS_DELETE)
        gone = await database.write(federation.set_pool_deleted, owner.id, pool, deleted=True)
        return _done(pool_to_json(gone, owner.number))

    @routes.post(f"{_POOL}:undelete")
    async def undelete_pool(request: Request, project: str, pool: str) -> dict[str, Any]:
        """Have a deleted pool back."""
        owner = await _permitted(database, request, project, Permission.POOLS_UPDATE)
        back = await database.write(federation.set_pool_deleted, owner.id, pool, deleted=False)
        return _done(pool_to_json(back, owner.number))


def _add_providers(routes: APIRouter, database: LoopDatabase) -> None:
    @routes.get(_PROVIDERS)
    async def list_providers(
        request: Request,
        project: str,
        pool: str,
        page_size: Size = 0,
        page_token: Token = "",
        show_deleted: Deleted = False,
    ) -> dict[str, Any]:
        """The providers of a pool, in order of their ids."""
        owner = await _permitted(database, request, project, Permission.POOLS_LIST)
        count = count_of(page_size)
        found = await database.read(
            federation.page_providers,
            owner.id,
            pool,
            key_of(page_token),
            count + 1,
            deleted=show_deleted,
        )
        return listing(
            "workloadIdentityPoolProviders",
            found,
            count,
            lambda provider: provider_to_json(provider, owner.number),
            lambda provider: provider.id,
        )

    @routes.post(_PROVIDERS)
    async def create_provider(
        request: Request,
        project: str,
        pool: str,
        document: Document,
        provider: Annotated[str, Query(alias="workloadIdentityPoolProviderId", max_length=100)],
    ) -> dict[str, Any]:
        """Create a provider: an issuer whose tokens are taken, and what is made of their claims."""
        owner = await _permitted(database, request, project, Permission.POOLS_CREATE)
        made = Provider(owner.id, pool, provider, **provider_changes(document))
        created = await database.write(federation.create_provider, made)
        return _done(provider_to_json(created, owner.number))

    @routes.get(_PROVIDER)
    async def get_provider(
        request: Request, project: str, pool: str, provider: str
    ) -> dict[str, Any]:
        """One provider."""
        owner = await _permitted(database, request, project, Permission.POOLS_GET)
        found = await database.read(federation.get_provider, owner.id, pool, provider)
        return provider_to_json(found, owner.number)

    @routes.patch(_PROVIDER)
    async def patch_provider(
        request: Request,
        project: str,
        pool: str,
        provider: str,
        document: Document,
        mask: Mask = "",
    ) -> dict[str, Any]:
        """Change a provider."""
        owner = await _permitted(database, request, project, Permission.POOLS_UPDATE)
        changes = provider_changes(document, mask.split(",") if mask else None)
        changed = await database.write(federation.patch_provider, owner.id, pool, provider, changes)
        return _done(provider_to_json(changed, owner.number))

    @routes.delete(_PROVIDER)
    async def delete_provider(
        request: Request, project: str, pool: str, provider: str
    ) -> dict[str, Any]:
        """Delete a provider; its tokens are refused then."""
        owner = await _permitted(database, request, project, Permission.POOLS_DELETE)
        gone = await database.write(
            federation.set_provider_deleted, owner.id, pool, provider, deleted=True
        )
        return _done(provider_to_json(gone, owner.number))

    @routes.post(f"{_PROVIDER}:undelete")
    async def undelete_provider(
        request: Request, project: str, pool: str, provider: str
    ) -> dict[str, Any]:
        """Have a deleted provider back."""
        owner = await _permitted(database, request, project, Permission.POOLS_UPDATE)
        back = await database.write(
            federation.set_provider_deleted, owner.id, pool, provider, deleted=False
        )
        return _done(provider_to_json(back, owner.number))


# How RFC 8693, section 2.2.2, calls what can go wrong.
_ERRORS = {
    Code.THING_UNKNOWN: "invalid_target",
    Code.SUBJECT_TOKEN_INVALID: "invalid_grant",
    Code.TOKEN_INVALID: "invalid_grant",
    Code.ISSUER_UNREACHABLE: "temporarily_unavailable",
}


def _add_exchange(routes: APIRouter, exchange: Exchange) -> None:
    @routes.post("/v1/token", response_model=None)
    async def exchange_token(request: Request) -> JSONResponse:
        """Exchange a token of another issuer for one of this server (RFC 8693)."""
        form = await _fields(request)
        try:
            document = await exchange(form)
        except Failure as failure:
            if failure.code not in _ERRORS:
                raise
            status = 503 if failure.status == 503 else 400
            error = {"error": _ERRORS[failure.code], "error_description": failure.message}
            return JSONResponse(error, status)
        return JSONResponse(document, headers={"Cache-Control": "no-store"})

    @routes.post("/v1/introspect", response_model=None)
    async def introspect(request: Request) -> dict[str, Any]:
        """Whether a token is good, and whose it is (RFC 7662)."""
        form = await _fields(request)
        principal = await _principal(request, form.get("token", ""))
        if principal is None:
            return {"active": False}
        return {"active": True, "username": principal.name, "iss": guard.base_url(request)}


async def _fields(request: Request) -> dict[str, str]:
    body = await request.body()
    if request.headers.get("content-type", "").startswith("application/json"):
        try:
            document = await request.json()
            if not isinstance(document, dict):
                raise Failure(Code.REQUEST_INVALID, reason="its body is no object")
            checked(document)
        except (ValueError, RecursionError) as error:
            raise Failure(Code.REQUEST_INVALID, reason="its body is no JSON") from error
        # Google's own name for each is in the other style.
        return {
            "".join(f"_{c.lower()}" if c.isupper() else c for c in key): str(value)
            for key, value in document.items()
        }
    return {key: values[-1] for key, values in parse_form(body).items()}


async def _principal(request: Request, token: str) -> Principal | None:
    authenticator = request.app.state.authenticator
    try:
        principal: Principal = authenticator.tokens.verify(token).principal
        await authenticator.check(principal)
    except Failure:
        return None
    return None if principal == ANONYMOUS else principal


async def _permitted(
    database: LoopDatabase, request: Request, project: str, permission: Permission
) -> Project:
    found = await database.read(_find, project)
    name = found.id if found else "-" if project.isdigit() else parse_project(project)
    await guard.require(request, permission, Resource(name), f"projects/{project[:120]}")
    if found is None:
        raise Failure(Code.PROJECT_UNKNOWN, project=project)
    return found


def _find(tx: Transaction, project: str) -> Project | None:
    try:
        return projects.get(tx, project if project.isdigit() else parse_project(project))
    except Failure:
        return None


def _done(response: dict[str, Any]) -> dict[str, Any]:
    return {"name": f"{response['name']}/operations/done", "done": True, "response": response}
