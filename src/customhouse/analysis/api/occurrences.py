"""Occurrences: what is known of an image, in the form of Grafeas v1 (Container Analysis)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from customhouse.analysis import occurrences, package_occurrences
from customhouse.analysis.occurrences import Resource
from customhouse.errors import Code, Failure
from customhouse.iam.api.guard import permitted
from customhouse.iam.permissions import Permission
from customhouse.names import parse_image, project_name, split_project

if TYPE_CHECKING:
    from customhouse.blobstore import BlobStore
    from customhouse.database import LoopDatabase

_MAX_FILTER = 4096
_MAX_PAGE = 1000
_HOUR = 3600 * 1_000_000
_TERM = re.compile(
    r'\s*(?P<field>kind|resourceUrl|resourceUri|resource_url)\s*=\s*"(?P<value>[^"]*)"\s*(?:AND\b|$)'
)


def router(database: LoopDatabase, store: BlobStore, max_feed_age_hours: int) -> APIRouter:
    """The routes.

    Args:
        database: the database.
        store: where images' configurations are.
        max_feed_age_hours: from which age on a feed is said to be old; 0 for never.
    """
    routes = APIRouter(tags=["occurrences"])

    @routes.get(
        "/v1/projects/{project:path}/occurrences",
        dependencies=[Depends(permitted(Permission.OCCURRENCES_LIST, "project"))],
        response_model=dict[str, Any],
    )
    async def list_occurrences(
        request: Request,
        project: str,
        filter_: Annotated[str, Query(alias="filter", max_length=_MAX_FILTER)],
        page_size: Annotated[int, Query(alias="pageSize", ge=0)] = 0,
        page_token: Annotated[str, Query(alias="pageToken", max_length=100)] = "",
    ) -> Response:
        """The occurrences of one kind of one image.

        The filter has the form `kind="VULNERABILITY" AND resourceUrl="https://HOST/P/I@sha256:..."`;
        the kinds are VULNERABILITY, PACKAGE and DISCOVERY.
        """
        kind, url = parse_filter(filter_)
        resource = resource_of(request, project, url)
        if kind == "DISCOVERY":
            age = max_feed_age_hours * _HOUR
            found = await database.query(occurrences.discovery, resource, age)
            return _json({"occurrences": found})
        count = min(page_size or _MAX_PAGE, _MAX_PAGE)
        of_kind = package_occurrences.of_image if kind == "PACKAGE" else occurrences.vulnerabilities
        found, last = await database.query(of_kind, store, resource, after(page_token), count)
        answer: dict[str, Any] = {"occurrences": found}
        if last:
            answer["nextPageToken"] = str(last)
        return _json(answer)

    return routes


def _json(answer: dict[str, Any]) -> Response:
    """An answer of half a megabyte at times: the framework's own way takes longer than the rest."""
    return Response(msgspec.json.encode(answer), media_type="application/json")


def resource_of(request: Request, project: str, url: str) -> Resource:
    """The image of a project that a resource URL names.

    Args:
        request: the request, whose host the image is named by.
        project: the project, as it stands in the path.
        url: as `https://HOST/PROJECT/IMAGE@DIGEST`; the scheme and the host may be left out.

    Raises:
        Failure: REQUEST_INVALID, REFERENCE_INVALID.
    """
    project = project_name(project)
    name = url.removeprefix("https://").removeprefix("http://")
    image = parse_image(name, has_host=name != url)
    if not image.digest or split_project(image.repository)[0] != project:
        reason = f"{url[:300]!r} is no image of project {project} with its digest"
        raise Failure(Code.REQUEST_INVALID, reason=reason)
    host = request.headers.get("host", "")
    return Resource(host, project, image.repository, image.digest)


def parse_filter(text: str) -> tuple[str, str]:
    """The kind and the image that a filter asks for.

    Raises:
        Failure: REQUEST_INVALID, with the position of what is not understood.
    """
    found: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _TERM.match(text, position)
        if match is None:
            reason = (
                f"the filter is not understood at character {position}: {text[position:][:40]!r}"
            )
            raise Failure(Code.REQUEST_INVALID, reason=reason)
        name = "kind" if match["field"] == "kind" else "resourceUrl"
        found[name] = match["value"]
        position = match.end()
    kind, url = found.get("kind"), found.get("resourceUrl")
    if kind not in {"VULNERABILITY", "PACKAGE", "DISCOVERY"} or url is None:
        reason = (
            "the filter must name a kind (VULNERABILITY, PACKAGE or DISCOVERY) and a resourceUrl"
        )
        raise Failure(Code.REQUEST_INVALID, reason=reason)
    return kind, url


def after(token: str) -> int:
    """The number that a page token gives out; 0 for the first page.

    Raises:
        Failure: REQUEST_INVALID.
    """
    if not token:
        return 0
    if not token.isascii() or not token.isdigit() or len(token) > 18:
        raise Failure(Code.REQUEST_INVALID, reason="pageToken is not one that was given out")
    return int(token)
