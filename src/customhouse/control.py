"""The control plane: FastAPI, with errors and identities as the rest of the server has them."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from customhouse import __version__
from customhouse.errors import Code, Failure
from customhouse.iam.permissions import ANONYMOUS, Permission, Principal, may

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any

    from fastapi import APIRouter

    from customhouse.iam.authentication import Authenticator

# google.rpc.Code, by HTTP status (google/rpc/code.proto).
_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    412: "FAILED_PRECONDITION",
    413: "INVALID_ARGUMENT",
    416: "OUT_OF_RANGE",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    507: "RESOURCE_EXHAUSTED",
}


def create(routers: Sequence[APIRouter], authenticator: Authenticator) -> FastAPI:
    """The application that answers everything outside the data plane."""
    application = FastAPI(
        title="customhouse",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        redirect_slashes=False,
    )
    application.state.authenticator = authenticator
    for router in routers:
        application.include_router(router)

    @application.exception_handler(Failure)
    async def failed(request: Request, failure: Failure) -> JSONResponse:
        del request
        return _answer(failure.status, failure.message, failure.hint, failure.code.name)

    @application.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        del request
        reasons = "; ".join(
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()
        )
        return _answer(400, reasons, "", Code.REQUEST_INVALID.name)

    @application.exception_handler(HTTPException)
    async def unanswered(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == HTTPStatus.NOT_FOUND:
            failure = Failure(Code.PATH_UNKNOWN)
        elif error.status_code != HTTPStatus.METHOD_NOT_ALLOWED:
            failure = Failure(Code.REQUEST_INVALID, reason=str(error.detail))
        else:
            allowed = (error.headers or {}).get("Allow", "")
            failure = Failure(Code.METHOD_UNSUPPORTED, method=request.method, allowed=allowed)
        return _answer(error.status_code, failure.message, failure.hint, failure.code.name)

    return application


def _answer(status: int, message: str, hint: str, reason: str) -> JSONResponse:
    """An error in the form of Google's APIs (google.rpc.Status in JSON)."""
    details = [
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason},
        {
            "@type": "type.googleapis.com/google.rpc.Help",
            "links": [{"description": hint}] if hint else [],
        },
    ]
    error = {
        "code": status,
        "message": f"{message}. {hint}" if hint else message,
        "status": _STATUS.get(status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT"),
        "details": details,
    }
    headers = {"WWW-Authenticate": 'Basic realm="customhouse"'} if status == 401 else None
    return JSONResponse({"error": error}, status, headers)


def permitted(
    permission: Permission, resource: str = ""
) -> Callable[[Request], Coroutine[Any, Any, Principal]]:
    """A dependency that answers who calls, if they have the permission.

    Args:
        permission: what the operation needs.
        resource: the name of the path parameter that says which project it is about, if one does.

    Raises:
        Failure: UNAUTHORIZED, TOKEN_INVALID, CREDENTIALS_INVALID, DENIED.
    """

    async def check(request: Request) -> Principal:
        header = request.headers.get("authorization")
        authenticator: Authenticator = request.app.state.authenticator
        identity = await authenticator.identify(header.encode("latin-1") if header else None)
        principal = identity.principal
        about = request.path_params.get(resource, "") if resource else ""
        request.scope["customhouse.principal"] = principal.name
        if identity.access:
            # A token for some repositories, such as a build may have, is good for those alone.
            raise Failure(Code.SCOPE_INSUFFICIENT)
        if may(principal, permission, about):
            return principal
        if principal is ANONYMOUS:
            raise Failure(Code.UNAUTHORIZED)
        raise Failure(Code.DENIED, permission=permission.value, resource=about or "this registry")

    return check
