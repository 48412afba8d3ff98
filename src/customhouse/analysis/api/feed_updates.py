"""Sources of feeds over HTTP: how they are, updates, bundles."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from customhouse.analysis import advisories, bundles, feed_health, feed_states, updates
from customhouse.analysis.api.feeds import receive
from customhouse.analysis.feeds import bundle, download, kept
from customhouse.database import now
from customhouse.errors import Code, Failure
from customhouse.iam.api.guard import permitted
from customhouse.iam.api.pages import MAX_TOKEN, count_of, key_of, listing
from customhouse.iam.permissions import Permission, Principal
from customhouse.times import rfc3339
from customhouse.workflows import operations

if TYPE_CHECKING:
    from pathlib import Path

    from customhouse.analysis.feed_states import State
    from customhouse.analysis.feeds.sources import Source
    from customhouse.analysis.shelf import Shelf
    from customhouse.database import LoopDatabase, Transaction

_MAY_UPDATE = Depends(permitted(Permission.FEEDS_UPDATE))
_MAY_IMPORT = Depends(permitted(Permission.FEEDS_IMPORT))
_MAY_LIST = [Depends(permitted(Permission.FEEDS_LIST))]
_MAY_EXPORT = [Depends(permitted(Permission.FEEDS_EXPORT))]
_MAX_NAMES = 1000
_DOCUMENTS = {"content": {"application/x-tar": {"schema": {"type": "string"}}}}


class UpdateRequest(BaseModel):
    """Which feeds to update.

    Attributes:
        names: their names; those that are followed if it is empty.
        all: whether to update every source that is on instead.
        allow_shrink: whether they may lose any number of their advisories this time.
    """

    model_config = ConfigDict(extra="forbid")

    names: list[Annotated[str, Field(max_length=100)]] = Field([], max_length=_MAX_NAMES)
    all: bool = False
    allow_shrink: bool = Field(False, alias="allowShrink")


def router(database: LoopDatabase, shelf: Shelf, folder: Path) -> APIRouter:
    """The routes.

    Args:
        database: the database.
        shelf: the sources and what is kept of them.
        folder: where files that are handed in wait to be loaded.
    """
    routes = APIRouter(tags=["feeds"])

    @routes.get("/v1/feeds", dependencies=_MAY_LIST)
    async def list_feeds(
        page_size: Annotated[int, Query(alias="pageSize", ge=0)] = 0,
        page_token: Annotated[str, Query(alias="pageToken", max_length=MAX_TOKEN)] = "",
    ) -> dict[str, Any]:
        """The feeds that are loaded and the sources there are, by name, and how each is."""
        count, key = count_of(page_size), key_of(page_token)
        found = [feed for feed in await database.query(_feeds, shelf) if feed["name"] > key]
        return listing("feeds", found[: count + 1], count, dict, lambda feed: feed["name"]) | {
            "offline": shelf.settings.offline,
            "automatic": shelf.settings.automatic,
        }

    @routes.get("/v1/feeds/{feed}", dependencies=_MAY_LIST)
    async def get_feed(feed: str) -> dict[str, Any]:
        """One feed or source, and how it is."""
        for found in await database.query(_feeds, shelf):
            if found["name"] == feed:
                return found
        raise Failure(Code.FEED_UNKNOWN, feed=feed[:100])

    @routes.post("/v1/feeds:update")
    async def update_feeds(
        body: UpdateRequest, principal: Annotated[Principal, _MAY_UPDATE]
    ) -> dict[str, Any]:
        """Fetch feeds from their sources; answers with an operation for each."""
        return {"operations": await database.write(_update, shelf, body, principal.name)}

    @routes.get("/v1/feeds:export", dependencies=_MAY_EXPORT, responses={200: _DOCUMENTS})
    async def export_feeds(
        names: Annotated[list[str] | None, Query(max_length=_MAX_NAMES)] = None,
    ) -> StreamingResponse:
        """The files of feeds, of all if none is named, as a bundle to be imported elsewhere."""
        wanted = names or await asyncio.to_thread(kept.names, shelf.root)
        if not wanted:
            raise Failure(Code.FEEDS_NOT_KEPT)
        content = await asyncio.to_thread(bundle.write, shelf.root, list(dict.fromkeys(wanted)))
        return StreamingResponse(content, media_type="application/x-tar")

    @routes.post("/upload/v1/feeds:importBundle")
    async def import_bundle(
        request: Request,
        principal: Annotated[Principal, _MAY_IMPORT],
        source: Annotated[str, Query(max_length=2000)] = "",
        allow_shrink: Annotated[bool, Query(alias="allowShrink")] = False,
    ) -> dict[str, Any]:
        """Take a bundle as the body and load the feeds in it."""
        identifier = operations.new_identifier()
        await receive(request, folder, identifier, bundle.MAX_BUNDLE)
        await asyncio.to_thread(_check_bundle, folder / identifier)
        return await database.write(
            bundles.request, identifier, source, principal.name, allow_shrink=allow_shrink
        )

    return routes


def _check_bundle(path: Path) -> None:
    with path.open("rb") as stream:
        if bundle.recognises(stream):
            return
    path.unlink()
    raise Failure(Code.FEED_BUNDLE_INVALID, reason="it is none")


def _update(
    tx: Transaction, shelf: Shelf, body: UpdateRequest, principal: str
) -> list[dict[str, Any]]:
    names = body.names
    if body.all:
        names = [source.name for source in shelf.sources.values() if source.is_on]
    elif not names:
        known = feed_states.states(tx)
        names = [
            source.name
            for source in shelf.sources.values()
            if source.is_on and source.name in known and known[source.name].is_followed
        ]
    sources = [shelf.source(name) for name in dict.fromkeys(names)]
    return [
        updates.request(tx, source.name, principal, allow_shrink=body.allow_shrink)
        for source in sources
    ]


def _feeds(tx: Transaction, shelf: Shelf) -> list[dict[str, Any]]:
    loaded = {row["name"]: row for row in advisories.feeds(tx)}
    states = feed_states.states(tx)
    moment = now()
    return [
        _shown(
            name,
            loaded.get(name),
            shelf.sources.get(name),
            states.get(name, feed_states.State(name)),
            moment,
        )
        for name in sorted({*loaded, *states, *shelf.sources})
    ]


def _shown(
    name: str, row: dict[str, Any] | None, source: Source | None, state: State, moment: int
) -> dict[str, Any]:
    condition, is_alarming, _, age = feed_health.health(source, state, moment)
    document: dict[str, Any] = {
        "name": name,
        "condition": condition.name,
        "description": condition.value,
        "alarming": is_alarming,
        "failures": state.failures,
        "error": state.error,
    }
    if source is not None:
        document |= {
            "title": source.title,
            "covers": source.covers,
            "on": source.is_on,
            "mirrors": [download.shown(url) for url in source.mirrors],
            "intervalSeconds": source.interval,
            "maxAgeSeconds": source.max_age,
        }
    if age is not None:
        document |= {"ageSeconds": age, "dataTime": rfc3339(state.data_at, "seconds")}
    if state.tried_at:
        document["tryTime"] = rfc3339(state.tried_at, "seconds")
    if state.operation:
        document["operation"] = f"operations/{state.operation}"
    if row is not None:
        document |= {
            "source": row["source"],
            "updateTime": rfc3339(row["updated_at"], "seconds"),
            "advisories": row["advisories"],
            "ranges": row["ranges"],
            "ecosystems": row["ecosystems"],
            "rejected": row["rejected"],
            "skipped": row["skipped"],
        }
    return document
