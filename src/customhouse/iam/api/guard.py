"""What every operation of the control plane asks first: who calls, and whether they may."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import Request  # noqa: TC002  - FastAPI reads the annotations

from customhouse.errors import Code, Failure
from customhouse.iam import projects
from customhouse.iam.conditions import Circumstances
from customhouse.iam.permissions import ANONYMOUS, Permission, Principal, Resource
from customhouse.names import parse_project, project_id

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from customhouse.database import Transaction
    from customhouse.iam.authentication import Authenticator


def permitted(
    permission: Permission, resource: str = ""
) -> Callable[[Request], Coroutine[Any, Any, Principal]]:
    """A dependency that answers who calls, if they have the permission.

    Args:
        permission: what the operation needs.
        resource: the name of the path parameter that says which project it is about, if one does.

    Raises:
        Failure: UNAUTHORIZED, TOKEN_INVALID, CREDENTIALS_INVALID, DENIED, PROJECT_INVALID.
    """

    async def check(request: Request) -> Principal:
        if not resource:
            return await require(request, permission, Resource())
        named = request.path_params[resource]
        project = await project_of(request, named)
        principal = await require(request, permission, Resource(project), f"projects/{named}")
        # What answers, which is given it after this, need not know that a number stood there.
        request.path_params[resource] = project_id(project)
        return principal

    return check


async def project_of(request: Request, text: str) -> str:
    """The project of an id or a number; `-`, where nobody has rights, for a number of none.

    Raises:
        Failure: PROJECT_INVALID.
    """
    authenticator: Authenticator = request.app.state.authenticator
    return await authenticator.database.read(_project, text)


def _project(tx: Transaction, text: str) -> str:
    if not text.isdigit():
        return parse_project(text)
    try:
        return projects.get(tx, text).id
    except Failure:
        return "-"


async def signed_in(request: Request) -> Principal:
    """A dependency that answers who calls, if it is somebody; see `caller`.

    Raises:
        Failure: UNAUTHORIZED, TOKEN_INVALID, CREDENTIALS_INVALID, SCOPE_INSUFFICIENT.
    """
    principal = await caller(request)
    if principal == ANONYMOUS:
        raise Failure(Code.UNAUTHORIZED)
    authenticator: Authenticator = request.app.state.authenticator
    await authenticator.check(principal)
    return principal


async def require(
    request: Request, permission: Permission, resource: Resource, named: str = ""
) -> Principal:
    """Who calls, if they have a permission on a resource.

    Args:
        request: the request.
        permission: what the operation needs.
        resource: what it is about.
        named: what the caller called that, where a refusal must not tell what was found by it.

    Raises:
        Failure: UNAUTHORIZED, TOKEN_INVALID, CREDENTIALS_INVALID, DENIED.
    """
    request.scope["customhouse.asked"] = permission, resource
    principal = await caller(request)
    authenticator: Authenticator = request.app.state.authenticator
    try:
        await authenticator.database.read(
            authenticator.access.require, principal, permission, resource, circumstances(request)
        )
    except Failure as failure:
        if failure.code is Code.DENIED and named:
            raise Failure(Code.DENIED, permission=permission.value, resource=named) from failure
        raise
    return principal


async def allows(
    request: Request, principal: Principal, permission: Permission, resource: Resource
) -> bool:
    """Whether a caller who is known has a permission on a resource."""
    authenticator: Authenticator = request.app.state.authenticator
    return await authenticator.database.read(
        authenticator.access.allows, principal, permission, resource, circumstances(request)
    )


def base_url(request: Request) -> str:
    """Where the client reaches this server, without a slash at the end."""
    public: str = request.app.state.public_url
    return public or str(request.base_url).rstrip("/")


def circumstances(request: Request) -> Circumstances:
    """What conditions may look at."""
    return Circumstances(request.client.host if request.client else "")


async def caller(request: Request) -> Principal:
    """Who calls, whatever they may do.

    Raises:
        Failure: TOKEN_INVALID, CREDENTIALS_INVALID, SCOPE_INSUFFICIENT.
    """
    header = request.headers.get("authorization")
    authenticator: Authenticator = request.app.state.authenticator
    identity = await authenticator.identify(
        header.encode("latin-1") if header else None,
        lambda: base_url(request),
        request.client.host if request.client else "",
    )
    request.scope["customhouse.principal"] = identity.principal.name
    if identity.limits:
        # A token for some repositories, such as a build may have, is good for those alone.
        raise Failure(Code.SCOPE_INSUFFICIENT)
    return identity.principal
