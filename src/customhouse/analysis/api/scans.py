"""Scans over HTTP: of stored images, and of others by their packages (On-Demand Scanning)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from customhouse.analysis import limits, package_data, scans, trials
from customhouse.analysis.analyse import unsupported
from customhouse.analysis.occurrences import Resource, head, vulnerability
from customhouse.database import now
from customhouse.errors import Code, Failure
from customhouse.iam.api.documents import Text
from customhouse.iam.api.guard import permitted
from customhouse.iam.permissions import Permission, Principal
from customhouse.names import project_id, project_name
from customhouse.times import rfc3339
from customhouse.workflows import operations

if TYPE_CHECKING:
    from customhouse.analysis.inventory import Inventory
    from customhouse.database import LoopDatabase

_MAY_SCAN = Depends(permitted(Permission.SCANS_SCAN, "project"))
_MAY_ANALYZE = Depends(permitted(Permission.SCANS_ANALYZE, "project"))
_MAY_FOLLOW = Depends(permitted(Permission.SCANS_OPERATIONS_GET, "project"))

HOUR = 3600 * 1_000_000
"""In microseconds."""

# google.rpc.Code
_FAILED_PRECONDITION, _UNIMPLEMENTED = 9, 12


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


def router(database: LoopDatabase, max_feed_age_hours: int) -> APIRouter:
    """The routes.

    Args:
        database: the database.
        max_feed_age_hours: from which age on a feed is said to be old; 0 for never.
    """
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

    # The same twice: what comes under /upload may be larger than other requests.
    @routes.post("/v1/projects/{project}/locations/{location}/scans:analyzePackages")
    @routes.post("/upload/v1/projects/{project}/locations/{location}/scans:analyzePackages")
    async def analyze_packages(
        request: Request,
        project: str,
        location: str,
        principal: Annotated[Principal, _MAY_ANALYZE],
    ) -> dict[str, Any]:
        """Tell what is vulnerable in an image that is not stored, by its packages.

        The body is On-Demand Scanning's `AnalyzePackagesRequest`. Nothing of it is kept; the answer
        is an operation that is done, with the findings in its response.
        """
        del location, principal
        name = project_name(project)
        asked = await asyncio.to_thread(package_data.decode, await _body(request))
        inventory = asked.inventory
        resource = Resource("", name, f"{name}/-", "")
        moment = rfc3339(now())
        found, is_whole = await trials.match(database, inventory)
        said = await database.query(limits.of_inventory, inventory, max_feed_age_hours * HOUR)
        if not is_whole:
            said.append(f"of its findings only the first {trials.MAX_FINDINGS:,} are told")
        told = {"resourceUri": asked.uri}
        identifier = operations.new_identifier()
        parent = f"projects/{project_id(name)}/locations/global"
        return {
            "name": f"{parent}/operations/{identifier}",
            "metadata": {"createTime": moment, **told},
            "done": True,
            "response": {
                "scan": f"{parent}/scans/{identifier}",
                "discovery": _discovery(resource, inventory, said, moment) | told,
                "vulnerabilities": [
                    vulnerability(resource, rows, asked.layers) | told for rows in found
                ],
            },
        }

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


def _discovery(
    resource: Resource, inventory: Inventory, said: list[str], moment: str
) -> dict[str, Any]:
    """The DISCOVERY occurrence of an image that is not stored."""
    reason = unsupported(inventory)
    found: dict[str, Any] = {
        "analysisStatus": "FINISHED_UNSUPPORTED" if reason else "FINISHED_SUCCESS",
        "analysisKind": "VULNERABILITY",
        "continuousAnalysis": "INACTIVE",
        "lastScanTime": moment,
    }
    if inventory.system:
        found["operatingSystem"] = inventory.system.name
    if reason:
        found["analysisStatusError"] = {"code": _UNIMPLEMENTED, "message": reason}
    if said:
        found["analysisError"] = [
            {"code": _FAILED_PRECONDITION, "message": message} for message in said
        ]
    note = "projects/customhouse-analysis/notes/PACKAGE_VULNERABILITY"
    return {**head(resource, note, "DISCOVERY"), "discovery": found}


async def _body(request: Request) -> bytes:
    """The body, which is bounded here where nothing else bounds it."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > package_data.MAX_BODY:
            reason = f"its body has more than {package_data.MAX_BODY} bytes"
            raise Failure(Code.REQUEST_INVALID, reason=reason)
    return bytes(body)
