"""Tags: distribution spec, section "Listing Tags", with Google's extension.

The extension adds `child` (what lies below this name) and `manifest` (every manifest with its
size, type, times and tags, numbers as strings). gcloud, gcrane and this project's own command
line read it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from customhouse.errors import Code, Failure
from customhouse.http import Response, json_response
from customhouse.iam import projects
from customhouse.iam.permissions import Permission, repository
from customhouse.registry import repositories, tags

if TYPE_CHECKING:
    from customhouse.database import Transaction
    from customhouse.http import Header, Request
    from customhouse.registry.api.call import Call

MAX_PAGE = 10_000


async def list_tags(call: Call) -> Response:
    """`GET /v2/<name>/tags/list`, with `n` and `last`. A project alone lists its repositories."""
    count, last = page_of(call.request)
    document, more = await call.services.database.query(_list, call, count, last)
    if document is None:
        raise Failure(Code.NAME_UNKNOWN, name=call.repository)
    links = []
    if more and document["tags"]:
        links = [next_link(f"/v2/{call.repository}/tags/list", count, document["tags"][-1])]
    return json_response(200, document, *links)


def _list(tx: Transaction, call: Call, count: int, last: str) -> tuple[dict[str, Any] | None, bool]:
    access, principal, name = call.services.access, call.identity.principal, call.repository
    resource = repository(name)
    children = repositories.children(tx, name) if not last else []
    permission, circumstances = Permission.TAGS_LIST, call.circumstances
    if access.allows(tx, principal, permission, resource, circumstances):
        number = repositories.find(tx, name)
    else:
        # The caller may see something below this name.
        number = None
        folder = f"{resource.name}/" if resource.name else ""
        children = [
            child
            for child in children
            if access.sees(
                tx, principal, permission, resource.project, f"{folder}{child}", circumstances
            )
        ]
        if not children:
            raise access.refusal(tx, principal, permission, resource)
    if number is None:
        if not children and not projects.exists(tx, name):
            return None, False
        return {"name": name, "tags": [], "child": children, "manifest": {}}, False
    names = tags.page(tx, number, last, count + 1) if count else []
    more = len(names) > count
    names = names[:count]
    listed = tags.listed(tx, number, names, with_untagged=not more and count > 0)
    manifest = {
        item.digest: {
            "imageSizeBytes": str(item.image_size),
            "layerId": "",
            "mediaType": item.media_type,
            "tag": item.tags,
            "timeCreatedMs": str(item.image_created),
            "timeUploadedMs": str(item.pushed_at // 1000),
        }
        for item in listed
    }
    return {"name": name, "tags": names, "child": children, "manifest": manifest}, more


def page_of(request: Request) -> tuple[int, str]:
    """The page that a listing is asked for: how many, after which name.

    Raises:
        Failure: PAGINATION_INVALID.
    """
    last = request.parameter("last") or ""
    text = request.parameter("n")
    if text is None:
        return MAX_PAGE, last
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise Failure(Code.PAGINATION_INVALID, reason=f"n is {text[:40]!r}", limit=MAX_PAGE)
    return min(int(text), MAX_PAGE), last


def next_link(path: str, count: int, last: str) -> Header:
    """The Link header to the page after this one (RFC 8288), relative to the server."""
    query = urlencode({"last": last, "n": count})
    return (b"link", f'<{path}?{query}>; rel="next"'.encode())
