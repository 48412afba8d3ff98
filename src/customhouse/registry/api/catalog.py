"""The base of the API, and the catalog of repositories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from customhouse.http import Response, json_response
from customhouse.iam.permissions import ROOT, Permission, repository
from customhouse.registry import repositories
from customhouse.registry.api.tags import next_link, page_of

if TYPE_CHECKING:
    from customhouse.database import Transaction
    from customhouse.registry.api.call import Call

_STEP = 500


async def base(call: Call) -> Response:
    """`GET /v2/`: this is a registry, and you are signed in to it."""
    del call
    return json_response(200, {})


async def catalog(call: Call) -> Response:
    """`GET /v2/_catalog`, with `n` and `last`."""
    count, last = page_of(call.request)
    names = await call.services.database.query(_visible, call, last, count + 1)
    page = names[:count]
    links = [next_link("/v2/_catalog", count, page[-1])] if page and len(names) > count else []
    return json_response(200, {"repositories": page}, *links)


def _visible(tx: Transaction, call: Call, last: str, count: int) -> list[str]:
    """The first `count` names after `last` that the caller may see."""
    access, principal = call.services.access, call.identity.principal
    permission, circumstances = Permission.REPOSITORIES_LIST, call.circumstances
    if access.allows(tx, principal, permission, ROOT, circumstances):
        return repositories.page(tx, last, count)
    found: list[str] = []
    hidden = ""
    while len(found) < count and (names := repositories.page(tx, last, _STEP)):
        for name in names:
            resource = repository(name)
            if resource.project == hidden:
                continue
            if not access.sees(tx, principal, permission, resource.project):
                hidden = resource.project
            elif access.allows(tx, principal, permission, resource, circumstances):
                found.append(name)
        # Where nothing of a project is to be seen, the rest of it is passed over.
        last = f"{hidden}/{repositories.END}" if resource.project == hidden else name
    return found[:count]
