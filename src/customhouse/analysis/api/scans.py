"""Scans over HTTP: of stored images, and of others by their packages (On-Demand Scanning)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from customhouse.analysis import scans
from customhouse.errors import Code, Failure
from customhouse.iam.api.documents import Text
from customhouse.iam.api.guard import permitted
from customhouse.iam.permissions import Permission, Principal
from customhouse.names import project_id, project_name

if TYPE_CHECKING:
    from customhouse.database import LoopDatabase

_MAY_SCAN = Depends(permitted(Permission.SCANS_SCAN, "project"))
_MAY_FOLLOW = Depends(permitted(Permission.SCANS_OPERATIONS_GET, "project"))


class ScanRequest(BaseModel):
    """Which images to scan.

    Attributes:
        resource_uris: the images, each `https://HOST/PROJECT/IMAGE@DIGEST`.
        all: all of the project instead.
        force: read images again that have been read.
    """

    model_config = ConfigDict(extra="forbid")

    resource_uris: list[Text] = Field([], alias="resourceUris", max_length=scans.MAX_IMAGES)
    all: bool = False
    force: bool = False


def router(database: LoopDatabase) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["scans"])

    @routes.post("/v1/projects/{project}/images:scan")
    async def scan_images(
        project: str, body: ScanRequest, principal: Annotated[Principal, _MAY_SCAN]
    ) -> dict[str, Any]:
        """Have stored images analysed; answers with the operation to follow.

        It is done where the project's scanning is switched off too. An image that has been
        analysed is not read again.
        """
        if body.all == bool(body.resource_uris):
            reason = "it names either resourceUris or all"
            raise Failure(Code.REQUEST_INVALID, reason=reason)
        name = project_name(project)
        identifier = await database.write(
            scans.request, name, body.resource_uris, principal.name, is_forced=body.force
        )
        return await _operation(name, identifier)

    @routes.get(
        "/v1/projects/{project}/locations/{location}/operations/{operation}",
        dependencies=[_MAY_FOLLOW],
    )
    async def get_scan(project: str, location: str, operation: str) -> dict[str, Any]:
        """How far a scan is."""
        del location
        return await _operation(project_name(project), operation)

    async def _operation(project: str, identifier: str) -> dict[str, Any]:
        found = await database.read(scans.get, project, identifier)
        name = f"projects/{project_id(project)}/locations/global/operations/{identifier}"
        return found | {"name": name}

    return routes
