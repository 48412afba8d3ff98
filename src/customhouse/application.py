"""The composition root: from the settings to a running application.

The one place that knows everyone. What exists is listed here in explicit tables.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy.exc import DBAPIError

from customhouse import control
from customhouse.analysis import feed_health
from customhouse.analysis.api import (
    exceptions,
    feed_updates,
    feeds,
    history,
    occurrences,
    sboms,
    scans,
    search,
)
from customhouse.blobstore import FileBlobStore
from customhouse.database import Database, LoopDatabase
from customhouse.errors import Code, Failure
from customhouse.http import ClientGone, Request, Response, Scope, error_response, json_response
from customhouse.iam.access import Access
from customhouse.iam.api import accounts as service_accounts
from customhouse.iam.api import (
    audit,
    devices,
    federation,
    people,
    policies,
    projects,
    roles,
    signin,
)
from customhouse.iam.api import services as services_api
from customhouse.iam.api.trail import Trail
from customhouse.iam.audit_log import AuditLog
from customhouse.iam.authentication import Authenticator
from customhouse.iam.docker import exchange_token, token_endpoint
from customhouse.iam.limits import Limiter, network
from customhouse.iam.provisioning import Provisioner
from customhouse.iam.tokens import Tokens
from customhouse.logs import AccessLog
from customhouse.metrics import CONTENT_TYPE, Metrics
from customhouse.notifications.api import deliveries
from customhouse.notifications.api import subscriptions as subscriptions_api
from customhouse.proxies import Proxies
from customhouse.registry.api import RegistryApi, Services
from customhouse.subscriptions import incoming, shelf

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, MutableMapping

    from fastapi import FastAPI

    from customhouse.http import Receive, Send
    from customhouse.iam.oidc import Provider
    from customhouse.settings import Settings

_log = structlog.get_logger()

_DAY = 24 * 3600
_THREADS = 16
_FLUSH_SECONDS = 0.25
_RELOAD_SECONDS = 60
_MAX_CONTROL_BODY = 1024 * 1024
_REFUSED = 400
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_ANNOUNCES_BODY = (b"content-length", b"transfer-encoding")
_DRAIN_BYTES = 32 * 1024 * 1024
_DRAIN_SECONDS = 5.0
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
# Older Docker clients take only this, on every answer and refusals too, for a registry.
_VERSION = (b"docker-distribution-api-version", b"registry/2.0")


class Application:
    """The ASGI application of one process.

    Args:
        settings: the settings.
        started: called in the event loop when it is ready to answer.
    """

    def __init__(self, settings: Settings, started: Callable[[], None] | None = None) -> None:
        self._settings = settings
        self._started = started
        self._access = AccessLog(enabled=settings.log.access)
        self._metrics = Metrics()
        self._proxies = Proxies(settings.server.trusted_proxies)
        self._registry: RegistryApi | None = None
        self._authenticator: Authenticator | None = None
        self._control: asyncio.Task[FastAPI] | None = None
        self._database: LoopDatabase | None = None
        self._audit_log: AuditLog | None = None
        self._trail: Trail | None = None
        limits = settings.limits
        self._addresses = Limiter(limits.per_address, limits.burst)
        self._is_limited = limits.per_address > 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI scope."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            self._proxies.apply(scope)
            path: str = scope["path"]
            if path.startswith(("/v1/", "/upload/", "/auth/")) and not _has_zero(scope):
                await self._answer_control(scope, receive, send)
            else:
                await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer on the data plane: find, answer, send, note."""
        started = time.perf_counter()
        request = Request(scope, receive)
        number = self._access.next_request()
        status, length = 499, 0
        try:
            try:
                response = await self._respond(request)
            except Failure as failure:
                response = _failed(failure)
            except ClientGone:
                # It may have closed only the half that it sends on.
                response = error_response(Failure(Code.SIZE_INVALID, reason="the body broke off"))
                await response.send(scope, send)
                return
            except Exception:  # noqa: BLE001  - it is logged and answered, whatever it is
                _log.exception("a request failed", request=number, path=request.path)
                response = error_response(Failure(Code.INTERNAL, request=number))
            if request.path.startswith("/v2"):
                response.headers.append(_VERSION)
            status = response.status
            length = 0 if request.method == "HEAD" else response.length
            await _hear_out(request, status)
            await response.send(scope, send)
        finally:
            self._note(request, number, status, length, started)
            if self._trail is not None:
                self._trail.note_docker(request, number, status)

    async def _respond(self, request: Request) -> Response:
        path = request.path
        if self._is_limited and (wait := self._addresses.take(network(request.client))):
            raise Failure(Code.TOO_MANY_REQUESTS, wait=wait)
        if _has_zero(request.scope):
            raise Failure(Code.REQUEST_INVALID, reason="there is a zero byte in its target")
        if self._registry is None or self._authenticator is None:
            raise Failure(Code.UNAVAILABLE, reason="it is starting or stopping")
        if path == "/v2" or path.startswith("/v2/"):
            return await self._registry.answer(request)
        if path == "/token":
            public_url = self._settings.server.public_url
            return await token_endpoint(request, self._authenticator, public_url)
        if path not in OPEN:
            raise Failure(Code.PATH_UNKNOWN)
        return await OPEN[path](self)

    async def _front(self) -> Response:
        return Response(303, [(b"location", b"/auth/")])

    async def _alive(self) -> Response:
        return Response(200, [(b"content-type", b"text/plain")], b"ok\n")

    async def _measures(self) -> Response:
        content = self._metrics.render()
        if self._database is not None:
            # What is counted is told also while the database cannot be asked.
            with contextlib.suppress(DBAPIError, Failure):
                content += await self._database.query(feed_health.measures)
        return Response(200, [(b"content-type", CONTENT_TYPE)], content)

    async def _public_keys(self) -> Response:
        if self._authenticator is None:
            raise Failure(Code.UNAVAILABLE, reason="it is starting or stopping")
        return json_response(200, self._authenticator.tokens.public_keys())

    async def _exchange(self, form: dict[str, str]) -> dict[str, Any]:
        if self._authenticator is None:
            raise Failure(Code.UNAVAILABLE, reason="it is starting or stopping")
        return await exchange_token(form, self._authenticator)

    async def _ready(self) -> Response:
        if self._database is None:
            raise Failure(Code.UNAVAILABLE, reason="it is starting or stopping")
        await self._database.read(lambda tx: tx.exec_driver_sql("SELECT 1").scalar())
        return json_response(200, {"ready": True})

    async def _answer_control(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer on the control plane, noting what was answered."""
        started = time.perf_counter()
        request = Request(scope, receive)
        number = self._access.next_request()
        status, length = 499, 0

        async def noting(message: MutableMapping[str, Any]) -> None:
            nonlocal status, length
            if message["type"] == "http.response.start":
                status = message["status"]
                await _hear_out(request, status)
                if self._trail is not None:
                    await self._trail.note_control(scope, request, number, status)
            elif message["type"] == "http.response.body":
                length += len(message.get("body", b""))
            await send(dict(message))

        try:
            if wait := self._addresses.take(network(request.client)):
                failure = Failure(Code.TOO_MANY_REQUESTS, wait=wait)
                await _failed(failure).send(scope, noting)
            elif self._control is None:
                failure = Failure(Code.UNAVAILABLE, reason="it is starting or stopping")
                await error_response(failure).send(scope, noting)
            else:
                is_upload = request.path.startswith("/upload/")
                answer = await asyncio.shield(self._control)
                await answer(
                    scope, request.receive if is_upload else _bounded(request.receive), noting
                )
        except Exception:  # noqa: BLE001  - it is logged; the answer may have begun
            _log.exception("a request failed", request=number, path=request.path)
        finally:
            request.context["principal"] = scope.get("customhouse.principal", "")
            self._note(request, number, status, length, started)

    def _create_control(
        self, database: LoopDatabase, authenticator: Authenticator, provisioner: Provisioner
    ) -> FastAPI:
        settings = self._settings
        routers = (
            feeds.router(database, incoming(settings), is_offline=settings.feeds.offline),
            feed_updates.router(database, shelf(settings), incoming(settings)),
            occurrences.router(
                database, FileBlobStore(settings.data), settings.analysis.max_feed_age_hours
            ),
            exceptions.router(database, settings.analysis.exception_days),
            sboms.router(database),
            history.router(database),
            search.router(database, FileBlobStore(settings.data), authenticator.access),
            scans.router(database, settings.analysis.max_feed_age_hours),
            policies.router(database, authenticator.access),
            projects.router(database, authenticator.access, provisioner),
            service_accounts.router(database, authenticator, settings.iam.domain),
            roles.router(database),
            services_api.router(database, settings.iam.domain),
            people.router(database),
            federation.router(database, self._exchange),
            audit.router(database),
            subscriptions_api.router(database, settings.notifications),
            deliveries.router(database),
            devices.router(database),
            signin.router(
                database,
                settings.oidc,
                _provider(settings),
                settings.tokens.session_hours * 3600,
            ),
        )
        public_url = settings.server.public_url
        return control.create(routers, authenticator, public_url)

    def _note(
        self, request: Request, number: str, status: int, length: int, started: float
    ) -> None:
        seconds = time.perf_counter() - started
        self._access.note(request, number, status, length, seconds)
        route = request.context.get("route", "control")
        # Clients may send any method; what is counted has a fixed set of names.
        method = request.method if request.method in _METHODS else "other"
        self._metrics.note(method, route, status, length, seconds)

    def _flush(self) -> None:
        self._access.flush()
        self._metrics.flush()

    async def _flush_regularly(self, tokens: Tokens) -> None:
        reload_at = time.monotonic() + _RELOAD_SECONDS
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            self._flush()
            if self._audit_log is not None:
                await self._audit_log.flush()
            if self._database is not None and time.monotonic() > reload_at:
                # Another process may have made a newer key.
                reload_at = time.monotonic() + _RELOAD_SECONDS
                await self._database.read(tokens.reload)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        async with contextlib.AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self._running())
            except Exception:  # noqa: BLE001  - the server ends the process and starts another
                _log.exception("a process cannot start")
                await send({"type": "lifespan.startup.failed", "message": "see the log"})
                return
            await send({"type": "lifespan.startup.complete"})
            if self._started is not None:
                self._started()
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    @contextlib.asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        settings = self._settings
        database = Database(settings.database)
        tokens = Tokens.load(
            database,
            access_seconds=settings.tokens.access_seconds,
            refresh_seconds=settings.tokens.refresh_days * _DAY,
            api_seconds=settings.tokens.api_seconds,
        )
        self._database = LoopDatabase(database)
        access = Access()
        limits = settings.limits
        self._authenticator = Authenticator(
            self._database,
            tokens,
            access,
            Limiter(limits.per_principal, limits.burst),
            settings.iam.failed_sign_ins,
        )
        audit_log = AuditLog(self._database)
        self._trail = Trail(audit_log, reads=settings.audit.reads)
        self._audit_log = audit_log
        provisioner = Provisioner(access, settings.iam.domain, settings.registry.create_projects)
        threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="store")
        store = FileBlobStore(settings.data)
        services = Services(settings, self._database, store, threads, access, provisioner)
        self._registry = RegistryApi(services, self._authenticator)
        # A hundred routes take as long as everything else here: images are served meanwhile.
        self._control = asyncio.create_task(
            asyncio.to_thread(
                self._create_control, self._database, self._authenticator, provisioner
            )
        )
        flushing = asyncio.create_task(self._flush_regularly(tokens))
        yield
        flushing.cancel()
        await self._control
        self._flush()
        self._registry = self._control = None
        threads.shutdown()
        await audit_log.close()
        await asyncio.to_thread(self._database.close)


def _provider(settings: Settings) -> Provider | None:
    if not settings.oidc.issuer:
        return None
    # Most installations have none, and the client takes a tenth of a second to import.
    from customhouse.iam.oidc import Provider  # noqa: PLC0415

    return Provider(settings.oidc)


# What is answered to everybody, by path.
OPEN: dict[str, Callable[[Application], Coroutine[Any, Any, Response]]] = {
    "/": Application._front,  # noqa: SLF001
    "/.well-known/jwks.json": Application._public_keys,  # noqa: SLF001  - this module's own
    "/healthz": Application._alive,  # noqa: SLF001
    "/metrics": Application._measures,  # noqa: SLF001
    "/readyz": Application._ready,  # noqa: SLF001
}


async def _hear_out(request: Request, status: int) -> None:
    """Read the rest of a body that was refused, or that nobody wanted, as that of a GET.

    Closing the connection on a client that sends cuts it off.
    """
    if request.method in _WITH_BODY:
        is_left = status >= _REFUSED
    else:
        is_left = any(map(request.header, _ANNOUNCES_BODY))
    if is_left:
        await request.drain(_DRAIN_BYTES, _DRAIN_SECONDS)


def _bounded(receive: Receive) -> Receive:
    """Let no more of a body be read than a request needs: FastAPI reads it before it asks who."""
    left = _MAX_CONTROL_BODY

    async def bounded() -> dict[str, Any]:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            reason = f"its body has more than {_MAX_CONTROL_BODY} bytes"
            raise Failure(Code.REQUEST_INVALID, reason=reason)
        return message

    return bounded


def _has_zero(scope: Scope) -> bool:
    """Whether the target has a zero byte, which PostgreSQL takes in no text."""
    return "\0" in scope["path"] or b"%00" in scope["query_string"]


def _failed(failure: Failure) -> Response:
    if failure.code is Code.METHOD_UNSUPPORTED:
        return error_response(failure, (b"allow", str(failure.fields["allowed"]).encode()))
    if failure.code is Code.TOO_MANY_REQUESTS:
        return error_response(failure, (b"retry-after", b"%d" % failure.wait))
    if failure.status == 401:
        return error_response(failure, (b"www-authenticate", b'Basic realm="customhouse"'))
    return error_response(failure)
