"""Software bills of materials over HTTP."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from customhouse.analysis.api.occurrences import resource_of
from customhouse.analysis.sbom import contents, cyclonedx, spdx
from customhouse.iam.api.guard import permitted
from customhouse.iam.permissions import Permission

if TYPE_CHECKING:
    from customhouse.database import LoopDatabase

_FORMATS = {"spdx": spdx, "cyclonedx": cyclonedx}


def router(database: LoopDatabase) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["sboms"])

    @routes.get(
        "/v1/projects/{project:path}/sboms",
        dependencies=[Depends(permitted(Permission.OCCURRENCES_LIST, "project"))],
        response_class=Response,
        responses={
            200: {
                "description": "The SBOM.",
                "content": {each.MEDIA_TYPE: {} for each in _FORMATS.values()},
            }
        },
    )
    async def get_sbom(
        request: Request,
        project: str,
        resource_uri: Annotated[str, Query(alias="resourceUri", max_length=1000)],
        format_: Annotated[Literal["spdx", "cyclonedx"], Query(alias="format")] = "spdx",
        platform: Annotated[str, Query(max_length=200)] = "",
    ) -> Response:
        """The SBOM of one image: SPDX 2.3 or CycloneDX 1.6, as JSON.

        The image is named as `https://HOST/P/I@sha256:...`; of an index the platform says which
        image, as `linux/amd64`.
        """
        resource = resource_of(request, project, resource_uri)
        found = await database.query(contents.of_image, resource, platform)
        form = _FORMATS[format_]
        return Response(await asyncio.to_thread(form.write, found), media_type=form.MEDIA_TYPE)

    return routes
