"""The distribution API over HTTP: find the route, ask whether it is permitted, answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from customhouse.errors import Code, Failure
from customhouse.http import Header, Response, error_response
from customhouse.iam.docker import challenge
from customhouse.iam.permissions import ANONYMOUS, DOCKER_ACTIONS, Permission, may
from customhouse.iam.tokens import CATALOG
from customhouse.names import check_name, check_repository
from customhouse.registry.api.call import Call, Services
from customhouse.registry.api.routes import PATH, ROUTES, Route, by_shape

if TYPE_CHECKING:
    from customhouse.http import Request
    from customhouse.iam.authentication import Authenticator
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
            identity = await self._authenticator.identify(request.headers.get(b"authorization"))
            request.context["principal"] = identity.principal.name
            _permit(identity, route, name)
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

    def _challenge(self, request: Request, route: Route, name: str, failure: Failure) -> Header:
        base = self._services.settings.server.public_url or request.base_url
        error = "insufficient_scope" if failure.code is Code.SCOPE_INSUFFICIENT else ""
        if failure.code is Code.TOKEN_INVALID:
            error = "invalid_token"
        value = challenge(f"{base}/token", _scope(route, name), error)
        return (b"www-authenticate", value)


def _permit(identity: Identity, route: Route, name: str) -> None:
    """Check that the identity may use the route, and that its token was issued for it."""
    principal = identity.principal
    permission = route.permission
    if permission is None:
        if principal is ANONYMOUS:
            raise Failure(Code.UNAUTHORIZED)
        return
    allowed = may(principal, permission, name)
    if not allowed and principal is ANONYMOUS:
        raise Failure(Code.UNAUTHORIZED)
    # A token that was issued for something else steps up first, whatever it may then do.
    if not identity.covers(name or CATALOG, DOCKER_ACTIONS.get(permission, "*")):
        raise Failure(Code.SCOPE_INSUFFICIENT)
    if not allowed:
        resource = name or "this registry"
        raise Failure(Code.DENIED, permission=permission.value, resource=resource)


def _scope(route: Route, name: str) -> str:
    if route.permission is Permission.REPOSITORIES_LIST:
        return "registry:catalog:*"
    if not name or route.permission is None:
        return ""
    action = DOCKER_ACTIONS[route.permission]
    return f"repository:{name}:{'pull,push' if action == 'push' else action}"
