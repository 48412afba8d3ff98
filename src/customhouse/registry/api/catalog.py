"""The base of the API, and the catalog of repositories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from customhouse.http import Response, json_response
from customhouse.registry import repositories
from customhouse.registry.api.tags import next_link, page_of

if TYPE_CHECKING:
    from customhouse.registry.api.call import Call


async def base(call: Call) -> Response:
    """`GET /v2/`: this is a registry, and you are signed in to it."""
    del call
    return json_response(200, {})


async def catalog(call: Call) -> Response:
    """`GET /v2/_catalog`, with `n` and `last`."""
    count, last = page_of(call.request)
    names = await call.services.database.query(repositories.page, last, count + 1)
    page = names[:count]
    links = [next_link("/v2/_catalog", count, page[-1])] if page and len(names) > count else []
    return json_response(200, {"repositories": page}, *links)
