"""The table of the distribution API's routes, each with the permission that it needs."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from customhouse.iam.permissions import Permission
from customhouse.registry.api import blobs, catalog, manifests, tags, uploads

if TYPE_CHECKING:
    from customhouse.http import Response
    from customhouse.registry.api.call import Call

Handler = Callable[["Call"], Awaitable["Response"]]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation.

    Attributes:
        method: its HTTP method; GET answers HEAD as well.
        path: its path, as the specification writes it.
        shape: the name of the path's form in `PATH`.
        permission: what the caller needs; None where being signed in is enough.
        handler: what answers.
    """

    method: str
    path: str
    shape: str
    permission: Permission | None
    handler: Handler


ROUTES: tuple[Route, ...] = (
    Route("GET", "/v2/", "base", None, catalog.base),
    Route("GET", "/v2/_catalog", "catalog", Permission.REPOSITORIES_LIST, catalog.catalog),
    Route("GET", "/v2/<name>/tags/list", "tags", Permission.TAGS_LIST, tags.list_tags),
    Route(
        "GET", "/v2/<name>/manifests/<reference>", "manifest", Permission.DOWNLOAD, manifests.get
    ),
    Route("PUT", "/v2/<name>/manifests/<reference>", "manifest", Permission.UPLOAD, manifests.put),
    Route(
        "DELETE",
        "/v2/<name>/manifests/<reference>",
        "manifest",
        Permission.DELETE,
        manifests.delete,
    ),
    Route(
        "GET",
        "/v2/<name>/referrers/<digest>",
        "referrers",
        Permission.DOWNLOAD,
        manifests.referrers,
    ),
    Route("GET", "/v2/<name>/blobs/<digest>", "blob", Permission.DOWNLOAD, blobs.get),
    Route("DELETE", "/v2/<name>/blobs/<digest>", "blob", Permission.DELETE, blobs.delete),
    Route("POST", "/v2/<name>/blobs/uploads/", "uploads", Permission.UPLOAD, uploads.start),
    Route("GET", "/v2/<name>/blobs/uploads/<upload>", "upload", Permission.UPLOAD, uploads.status),
    Route("PATCH", "/v2/<name>/blobs/uploads/<upload>", "upload", Permission.UPLOAD, uploads.patch),
    Route("PUT", "/v2/<name>/blobs/uploads/<upload>", "upload", Permission.UPLOAD, uploads.finish),
    Route(
        "DELETE", "/v2/<name>/blobs/uploads/<upload>", "upload", Permission.UPLOAD, uploads.cancel
    ),
)

# The last group that took part in the match names the path's form. A repository's name may itself
# hold components such as `blobs`: the last one that fits is meant.
PATH = re.compile(
    r"/v2(?:/(?P<base>)"
    r"|/_catalog(?P<catalog>)"
    r"|/(?P<name>.+)(?:"
    r"/tags/list(?P<tags>)"
    r"|/manifests/(?P<manifest>[^/]+)"
    r"|/referrers/(?P<referrers>[^/]+)"
    r"|/blobs/uploads/?(?P<uploads>)"
    r"|/blobs/uploads/(?P<upload>[^/]+)"
    r"|/blobs/(?P<blob>[^/]+)"
    r"))?"
)


def by_shape() -> dict[str, dict[str, Route]]:
    """The routes by the form of their path, then by method."""
    table: dict[str, dict[str, Route]] = {}
    for route in ROUTES:
        table.setdefault(route.shape, {})[route.method] = route
        if route.method == "GET":
            table[route.shape]["HEAD"] = route
    return table
