"""Feeds over HTTP: hand one in, follow the import."""

from __future__ import annotations

import asyncio
import errno
import os
import re
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from customhouse.analysis import imports
from customhouse.analysis.loading import MAX_SHRINK, Plan
from customhouse.errors import Code, Failure
from customhouse.iam.api.guard import permitted
from customhouse.iam.permissions import Permission, Principal
from customhouse.workflows import operations

if TYPE_CHECKING:
    from pathlib import Path

    from customhouse.database import LoopDatabase

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")
_MAY_IMPORT = Depends(permitted(Permission.FEEDS_IMPORT))
_URI = re.compile(r"https?://[^\s]{1,2000}")


class ImportRequest(BaseModel):
    """Where to fetch a feed from.

    Attributes:
        name: the name under which it is listed.
        uri: an http or https address of it.
        add: whether what was loaded of the feed before stays.
        max_shrink: the share of its records that may be gone.
        ecosystem: what it is about, where it does not say so itself.
    """

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)

    name: str
    uri: str
    add: bool = False
    max_shrink: float = Field(MAX_SHRINK, ge=0, le=1)
    ecosystem: str = Field("", max_length=100)


def router(database: LoopDatabase, folder: Path, *, is_offline: bool) -> APIRouter:
    """The routes.

    Args:
        database: the database.
        folder: where files that are handed in wait to be loaded.
        is_offline: whether nothing is fetched.
    """
    routes = APIRouter(tags=["feeds"])

    @routes.post("/v1/feeds:import")
    async def import_from(
        body: ImportRequest, principal: Annotated[Principal, _MAY_IMPORT]
    ) -> dict[str, Any]:
        """Fetch a feed and load it; answers with the operation to follow."""
        if is_offline:
            raise Failure(Code.FEEDS_OFFLINE)
        if not _URI.fullmatch(body.uri):
            raise Failure(Code.FEED_INVALID, reason=f"{body.uri[:200]!r} is no http address")
        plan = Plan(
            _checked(body.name),
            is_whole=not body.add,
            max_shrink=body.max_shrink,
            ecosystem=body.ecosystem,
        )
        return await database.write(
            imports.request, operations.new_identifier(), plan, body.uri, body.uri, principal.name
        )

    @routes.post("/upload/v1/feeds:import")
    async def import_body(
        request: Request,
        name: Annotated[str, Query()],
        principal: Annotated[Principal, _MAY_IMPORT],
        source: Annotated[str, Query(max_length=2000)] = "",
        add: Annotated[bool, Query()] = False,
        max_shrink: Annotated[float, Query(alias="maxShrink", ge=0, le=1)] = MAX_SHRINK,
        ecosystem: Annotated[str, Query(max_length=100)] = "",
    ) -> dict[str, Any]:
        """Take a feed as the body, a file or a zip, and load it."""
        plan = Plan(_checked(name), is_whole=not add, max_shrink=max_shrink, ecosystem=ecosystem)
        identifier = operations.new_identifier()
        await receive(request, folder, identifier, imports.MAX_FEED)
        return await database.write(imports.request, identifier, plan, source, "", principal.name)

    @routes.get(
        "/v1/operations/{operation}",
        dependencies=[Depends(permitted(Permission.OPERATIONS_GET))],
    )
    async def get_operation(operation: str) -> dict[str, Any]:
        """How far an operation is."""
        return await database.read(operations.get, operation)

    return routes


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise Failure(
            Code.FEED_INVALID,
            reason=f"its name {name[:100]!r} is not made of letters, digits, dots and dashes",
        )
    return name


async def receive(request: Request, folder: Path, name: str, limit: int) -> None:
    """Write the body of a request to a file; it is on disk when this returns.

    Args:
        request: the request.
        folder: of the file; it is made if need be.
        name: of the file; there is none if this fails.
        limit: the most bytes.

    Raises:
        Failure: FEED_INVALID if there are more, STORAGE_FULL.
    """
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    path = folder / name
    file = await asyncio.to_thread(path.open, "wb")
    try:
        async for chunk in request.stream():
            await asyncio.to_thread(file.write, chunk)
            _check_size(file.tell(), limit)
        await asyncio.to_thread(file.flush)
        await asyncio.to_thread(os.fsync, file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise Failure(Code.STORAGE_FULL) from error
        raise
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        file.close()


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise Failure(Code.FEED_INVALID, reason=f"it is larger than {limit >> 30} GiB")
