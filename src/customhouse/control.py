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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi import APIRouter

    from customhouse.iam.authentication import Authenticator

# google.rpc.Code, by HTTP status (google/rpc/code.proto).
_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    412: "FAILED_PRECONDITION",
    413: "INVALID_ARGUMENT",
    416: "OUT_OF_RANGE",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    507: "RESOURCE_EXHAUSTED",
}


def create(routers: Sequence[APIRouter], authenticator: Authenticator, public_url: str) -> FastAPI:
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
    application.state.public_url = public_url
    for router in routers:
        application.include_router(router)

    @application.exception_handler(Failure)
    async def failed(request: Request, failure: Failure) -> JSONResponse:
        del request
        wait = failure.wait if failure.code is Code.TOO_MANY_REQUESTS else 0
        return _answer(failure.status, failure.message, failure.hint, failure.code.name, wait)

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


def _answer(status: int, message: str, hint: str, reason: str, wait: int = 0) -> JSONResponse:
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
        "status": "ALREADY_EXISTS" if reason.endswith("_EXISTS") else _status(status),
        "details": details,
    }
    headers = {"WWW-Authenticate": 'Basic realm="customhouse"'} if status == 401 else {}
    if wait:
        headers["Retry-After"] = str(wait)
    return JSONResponse({"error": error}, status, headers)


def _status(status: int) -> str:
    return _STATUS.get(status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT")
