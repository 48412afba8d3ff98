"""The audit log over REST, in the form of Cloud Logging's entries."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request

from customhouse.errors import Code, Failure
from customhouse.iam import audit
from customhouse.iam.api import guard
from customhouse.iam.api.pages import count_of
from customhouse.iam.log_entries import to_log_entry
from customhouse.iam.permissions import Permission, Resource
from customhouse.names import parse_project

if TYPE_CHECKING:
    from customhouse.database import LoopDatabase

Text = Annotated[str, Query(max_length=1000)]


def router(database: LoopDatabase) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["audit log"])

    async def page(
        request: Request,
        project: str | None,
        principal: str,
        resource: str,
        method: str,
        granted: bool | None,
        since: str,
        until: str,
        page_size: int,
        page_token: str,
    ) -> dict[str, Any]:
        place = Resource(project or "")
        await guard.require(request, Permission.AUDIT_LIST, place)
        if page_token and not (page_token.isascii() and page_token.isdigit()):
            reason = "pageToken is not one that was given out"
            raise Failure(Code.REQUEST_INVALID, reason=reason)
        wanted = audit.Filter(
            principal, resource, method, granted, _time("since", since), _time("until", until)
        )
        count = count_of(page_size)
        after = int(page_token[:18] or 0)
        found = await database.query(audit.page, project, wanted, after, count + 1)
        host = request.headers.get("host", "")
        answer: dict[str, Any] = {"entries": [to_log_entry(e, host) for e in found[:count]]}
        if len(found) > count:
            answer["nextPageToken"] = str(found[count - 1].id)
        return answer

    @routes.get("/v1/auditLogs")
    async def list_audit_log(
        request: Request,
        principal: Text = "",
        resource: Text = "",
        method: Text = "",
        granted: bool | None = None,
        since: Text = "",
        until: Text = "",
        page_size: Annotated[int, Query(alias="pageSize", ge=0)] = 0,
        page_token: Annotated[str, Query(alias="pageToken", max_length=20)] = "",
    ) -> dict[str, Any]:
        """Who did what on the whole server, the newest first."""
        return await page(
            request, None, principal, resource, method, granted, since, until, page_size, page_token
        )

    @routes.get("/v1/projects/{project}/auditLogs")
    async def list_project_audit_log(
        request: Request,
        project: str,
        principal: Text = "",
        resource: Text = "",
        method: Text = "",
        granted: bool | None = None,
        since: Text = "",
        until: Text = "",
        page_size: Annotated[int, Query(alias="pageSize", ge=0)] = 0,
        page_token: Annotated[str, Query(alias="pageToken", max_length=20)] = "",
    ) -> dict[str, Any]:
        """Who did what in a project, the newest first."""
        name = parse_project(project)
        return await page(
            request, name, principal, resource, method, granted, since, until, page_size, page_token
        )

    return routes


def _time(name: str, text: str) -> int | None:
    if not text:
        return None
    try:
        moment = datetime.datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.UTC)
        return int(moment.timestamp() * 1_000_000)
    except (ValueError, OverflowError) as error:
        reason = f"{name} is not a time as in RFC 3339"
        raise Failure(Code.REQUEST_INVALID, reason=reason) from error
