"""The history of an image over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from customhouse.analysis import history
from customhouse.analysis.api.occurrences import after, resource_of
from customhouse.analysis.occurrences import PROVIDER, version_parts
from customhouse.iam.api.guard import permitted
from customhouse.iam.api.pages import count_of
from customhouse.iam.permissions import Permission
from customhouse.times import rfc3339

if TYPE_CHECKING:
    from sqlalchemy import Row

    from customhouse.analysis.occurrences import Resource
    from customhouse.database import LoopDatabase, Transaction


def router(database: LoopDatabase) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["history"])

    @routes.get(
        "/v1/projects/{project:path}/images:history",
        dependencies=[Depends(permitted(Permission.OCCURRENCES_LIST, "project"))],
    )
    async def list_changes(
        request: Request,
        project: str,
        resource_uri: Annotated[str, Query(alias="resourceUri", max_length=1000)],
        page_size: Annotated[int, Query(alias="pageSize", ge=0)] = 0,
        page_token: Annotated[str, Query(alias="pageToken", max_length=100)] = "",
    ) -> dict[str, Any]:
        """What changes of feeds did to the findings of an image, the newest first.

        The image is named as `https://HOST/P/I@sha256:...`. The first page tells when it was
        analysed first, and with how many findings it began.
        """
        resource = resource_of(request, project, resource_uri)
        return await database.query(_page, resource, after(page_token), count_of(page_size))

    return routes


def _page(tx: Transaction, resource: Resource, before: int, count: int) -> dict[str, Any]:
    image = history.subject(tx, resource)
    rows = history.changes(tx, image, before, count + 1)
    answer: dict[str, Any] = {"changes": [_to_json(resource, row) for row in rows[:count]]}
    if len(rows) > count:
        answer["nextPageToken"] = str(rows[count - 1].id)
    if not before:
        began = history.beginning(tx, image)
        if began.at:
            answer["firstAnalysisTime"] = rfc3339(began.at)
            answer["firstFindingCount"] = began.findings
    return answer


def _to_json(resource: Resource, row: Row[Any]) -> dict[str, Any]:
    texts = {
        "severityBefore": history.severity_name(row.severity_before),
        "severityAfter": history.severity_name(row.severity_after),
        "fixedVersionBefore": row.fixed_before,
        "fixedVersionAfter": row.fixed_after,
    }
    return {
        "resourceUri": resource.uri,
        "noteName": f"projects/{PROVIDER}/notes/{row.vulnerability}",
        "createTime": rfc3339(row.created_at),
        "change": history.kinds(row),
        "affectedPackage": row.name,
        "affectedVersion": version_parts(row.version),
        **{name: text for name, text in texts.items() if text},
        "feed": row.feed,
    }
