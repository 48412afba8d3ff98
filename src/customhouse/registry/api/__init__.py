"""The distribution API over HTTP: find the route, ask whether it is permitted, answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from customhouse.errors import Code, Failure
from customhouse.http import Header, Response, error_response
from customhouse.iam.authentication import NOBODY
from customhouse.iam.conditions import Circumstances
from customhouse.iam.docker import challenge
from customhouse.iam.permissions import DOCKER_ACTIONS, Permission, repository
from customhouse.iam.tokens import CATALOG
from customhouse.names import check_name, check_repository
from customhouse.registry.api.call import Call, Services
from customhouse.registry.api.routes import PATH, ROUTES, Route, by_shape

if TYPE_CHECKING:
    from customhouse.database import Transaction
    from customhouse.http import Request
    from customhouse.iam.authentication import Authenticator
    from customhouse.iam.permissions import Principal, Resource
    from customhouse.iam.tokens import Identity

__all__ = ["ROUTES", "RegistryApi", "Services"]


class RegistryApi:
    """Answers everything under `/v2`."""

    def __init__(self, services: Services, authenticator: Authenticator) -> None:
        self._services = services
        self._authenticator = authenticator
        self._table = by_shape()

    async def answer(self, request: Request) -> Response:
        """Answer one request.

        Raises:
            Failure: any of the table; those with status 401 are answered here, because the
                challenge depends on the route.
        """
        route, name, argument = self._find(request)
        request.context["route"] = route.shape
        try:
            identity = await self._authenticator.identify(
                request.headers.get(b"authorization"),
                lambda: self._base_url(request),
                request.client,
            )
            request.context["principal"] = identity.principal.name
            await self._permit(request, identity, route, name, argument)
            return await route.handler(Call(self._services, request, identity, name, argument))
        except Failure as failure:
            if failure.status != 401:
                raise
            return error_response(failure, self._challenge(request, route, name, failure))

    def _find(self, request: Request) -> tuple[Route, str, str]:
        match = PATH.fullmatch(request.path)
        shape = match.lastgroup if match else None
        if match is None or shape == "name":
            raise Failure(Code.PATH_UNKNOWN)
        shape = shape or "base"
        methods = self._table[shape]
        route = methods.get(request.method)
        if route is None:
            raise Failure(
                Code.METHOD_UNSUPPORTED, method=request.method[:20], allowed=", ".join(methods)
            )
        name = match.group("name") or ""
        if name:
            # A project alone has a listing and nothing else.
            name = check_name(name) if shape == "tags" else check_repository(name)
        return route, name, match.group(shape) or ""

    async def _permit(
        self, request: Request, identity: Identity, route: Route, name: str, argument: str
    ) -> None:
        """Check that the identity may use the route, and that its token was issued for it."""
        principal, permission = identity.principal, route.permission
        if not name or permission is None:
            # Everybody may ask, and is shown what they may see; who has not said who they are is
            # asked first.
            if identity is NOBODY:
                raise Failure(Code.UNAUTHORIZED)
            await self._authenticator.check(principal)
            if permission is not None and not identity.covers(CATALOG, "*"):
                raise Failure(Code.SCOPE_INSUFFICIENT)
            return
        resource = repository(name)
        request.context["asked"] = permission, resource
        request.context["argument"] = argument
        tag = argument if route.shape == "manifest" and ":" not in argument else ""
        refusal = await self._services.database.read(
            self._refusal, principal, route, resource, Circumstances(request.client, tag)
        )
        if refusal is not None:
            raise refusal
        if not identity.covers(name, DOCKER_ACTIONS.get(permission, "*")):
            raise Failure(Code.SCOPE_INSUFFICIENT)

    def _refusal(
        self,
        tx: Transaction,
        principal: Principal,
        route: Route,
        resource: Resource,
        circumstances: Circumstances,
    ) -> Failure | None:
        access, permission = self._services.access, route.permission
        if permission is None or access.allows(tx, principal, permission, resource, circumstances):
            return None
        # What lies below a name may be seen by those who may see nothing of the name itself.
        if route.shape == "tags" and access.sees(
            tx, principal, permission, resource.project, resource.name
        ):
            return None
        return access.refusal(tx, principal, permission, resource)

    def _base_url(self, request: Request) -> str:
        return self._services.settings.server.public_url or request.base_url

    def _challenge(self, request: Request, route: Route, name: str, failure: Failure) -> Header:
        base = self._base_url(request)
        error = "insufficient_scope" if failure.code is Code.SCOPE_INSUFFICIENT else ""
        if failure.code is Code.TOKEN_INVALID:
            error = "invalid_token"
        value = challenge(f"{base}/token", _scope(route, name), error)
        return (b"www-authenticate", value)


def _scope(route: Route, name: str) -> str:
    if route.permission is Permission.REPOSITORIES_LIST:
        return "registry:catalog:*"
    if not name or route.permission is None:
        return ""
    action = DOCKER_ACTIONS[route.permission]
    return f"repository:{name}:{'pull,push' if action == 'push' else action}"
