"""Searches over all images: what holds a package or has a vulnerability, and on which base."""

from __future__ import annotations

from collections import Counter
from itertools import repeat
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from customhouse.analysis import bases, holders, origins, vulnerabilities, wanted
from customhouse.analysis.ecosystems import MAX_VERSION
from customhouse.analysis.occurrences import PACKAGE_TYPES, Resource
from customhouse.analysis.severity import Severity
from customhouse.errors import Code, Failure
from customhouse.iam.api import guard
from customhouse.iam.api.guard import permitted
from customhouse.iam.api.pages import MAX_TOKEN, count_of, key_of, token_of
from customhouse.iam.permissions import Permission, Principal
from customhouse.names import project_name
from customhouse.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Row

    from customhouse.analysis.bases import Base
    from customhouse.analysis.holders import Image, Reach
    from customhouse.analysis.wanted import Sought, Wanted
    from customhouse.blobstore import BlobStore
    from customhouse.database import LoopDatabase, Transaction
    from customhouse.iam.access import Access

MAX_VERSIONS = 100
"""How many package versions a summary tells, those of the most images."""

_MAX_NAME = 512

_LIST = Permission.OCCURRENCES_LIST


def _wanted(
    package: Annotated[str, Query(max_length=_MAX_NAME)] = "",
    version: Annotated[str, Query(max_length=MAX_VERSION + 10)] = "",
    ecosystem: Annotated[str, Query(max_length=_MAX_NAME)] = "",
    vulnerability: Annotated[str, Query(max_length=_MAX_NAME)] = "",
    severity: Annotated[str, Query(max_length=40)] = "",
    fixable: Annotated[bool, Query()] = False,
) -> Wanted:
    """What the query asks for.

    Raises:
        Failure: SEARCH_INVALID.
    """
    return wanted.parse(
        package=package,
        version=version,
        ecosystem=ecosystem,
        vulnerability=vulnerability,
        severity=severity,
        is_fixable=fixable,
    )


_Caller = Annotated[Principal, Depends(guard.signed_in)]
_Wanted = Annotated[wanted.Wanted, Depends(_wanted)]
_Size = Annotated[int, Query(alias="pageSize", ge=0)]
_Token = Annotated[str, Query(alias="pageToken", max_length=MAX_TOKEN)]


def router(database: LoopDatabase, store: BlobStore, access: Access) -> APIRouter:
    """The routes.

    Args:
        database: the database.
        store: where images' configurations are.
        access: tells in which projects a caller may search.
    """
    routes = APIRouter(tags=["search"])

    @routes.get("/v1/images:search")
    async def search_everywhere(
        request: Request,
        principal: _Caller,
        asked: _Wanted,
        page_size: _Size = 0,
        page_token: _Token = "",
    ) -> dict[str, Any]:
        """The images that hold a package or have a vulnerability, in all projects of the caller's.

        They are in order of repository. `version` is as `<1.2.3`, in the order that the package's
        ecosystem has for versions; `vulnerability` is any of its names.
        """
        reach = await _reach(request, principal)
        after = _after(page_token)
        return await database.query(_page, asked, reach, after, count_of(page_size), _host(request))

    @routes.get("/v1/images:summarize")
    async def summarize_everywhere(
        request: Request, principal: _Caller, asked: _Wanted
    ) -> dict[str, Any]:
        """How many images `images:search` finds, and which base images they have in common."""
        reach = await _reach(request, principal)
        return await database.query(_summary, store, asked, reach, _host(request))

    @routes.get(
        "/v1/projects/{project:path}/images:search",
        dependencies=[Depends(permitted(_LIST, "project"))],
    )
    async def search_project(
        request: Request,
        project: str,
        asked: _Wanted,
        page_size: _Size = 0,
        page_token: _Token = "",
    ) -> dict[str, Any]:
        """The images of a project that hold a package or have a vulnerability."""
        reach = (project_name(project),)
        after = _after(page_token)
        return await database.query(_page, asked, reach, after, count_of(page_size), _host(request))

    @routes.get(
        "/v1/projects/{project:path}/images:summarize",
        dependencies=[Depends(permitted(_LIST, "project"))],
    )
    async def summarize_project(request: Request, project: str, asked: _Wanted) -> dict[str, Any]:
        """How many images of a project there are, and which base images they have in common."""
        reach = (project_name(project),)
        return await database.query(_summary, store, asked, reach, _host(request))

    async def _reach(request: Request, principal: Principal) -> Reach:
        return await database.query(holders.reach, access, principal, guard.circumstances(request))

    return routes


def _host(request: Request) -> str:
    return request.headers.get("host", "")


def _after(token: str) -> tuple[str, int]:
    """The repository and the manifest that a page token gives out.

    Raises:
        Failure: REQUEST_INVALID.
    """
    name, _, number = key_of(token).partition(" ")
    if token and not (number.isascii() and number.isdigit() and len(number) <= 18):
        raise Failure(Code.REQUEST_INVALID, reason="pageToken is not one that was given out")
    return name, int(number or 0)


def _page(
    tx: Transaction, asked: Wanted, reach: Reach, after: tuple[str, int], count: int, host: str
) -> dict[str, Any]:
    sought = wanted.seek(tx, asked)
    found = holders.page(tx, sought, reach, after, count + 1)
    answer: dict[str, Any] = {"images": [_image(host, image) for image in found[:count]]}
    if len(found) > count:
        last = found[count - 1]
        answer["nextPageToken"] = token_of(f"{last.repository} {last.number}")
    if not after[0]:
        answer |= _remarks(tx, asked, sought, reach, is_empty=not found)
    return answer


def _summary(
    tx: Transaction, store: BlobStore, asked: Wanted, reach: Reach, host: str
) -> dict[str, Any]:
    sought = wanted.seek(tx, asked)
    tally = holders.tally(tx, sought, reach)
    rows = holders.packages(tx, sought) if tally.images else []
    held = holders.places(tx, sought) if tally.images else {}
    versions = _versions(rows, held, tally.inventories)
    answer: dict[str, Any] = {
        "imageCount": tally.images,
        "repositoryCount": tally.repositories,
        "projectCount": tally.projects,
        "versionCount": len(versions),
        "versions": versions[:MAX_VERSIONS],
        "bases": [_base(host, base) for base in bases.shared(tx, store, tally, reach)],
    }
    if sought.vulnerability:
        answer["severities"] = _severities(rows, held, tally.inventories)
    return answer | _remarks(tx, asked, sought, reach, is_empty=not tally.images)


def _remarks(
    tx: Transaction, asked: Wanted, sought: Sought, reach: Reach, *, is_empty: bool
) -> dict[str, Any]:
    """What there is to say beside the images.

    Raises:
        Failure: SEARCH_INVALID, if nothing is found because no version can be compared.
    """
    if asked.vulnerability:
        number = sought.vulnerability
        told: dict[str, Any] = {"name": asked.vulnerability, "known": bool(number)}
        if number:
            names = vulnerabilities.aliases(tx, [number]).get(number, [])
            told |= {"name": vulnerabilities.called(tx, number), "aliases": names}
        return {"vulnerability": told}
    # Of packages in images that the caller may not see nothing is said, not even that.
    ecosystems = sorted(
        ecosystem
        for ecosystem in set(sought.uncompared.values())
        if holders.is_anywhere(
            tx, [number for number, each in sought.uncompared.items() if each == ecosystem], reach
        )
    )
    if ecosystems and is_empty and asked.bound:
        of = ", ".join(each or "no known ecosystem" for each in ecosystems)
        version = asked.bound.version
        reason = f"versions of {asked.package} ({of}) do not compare with {version!r}"
        raise Failure(Code.SEARCH_INVALID, reason=reason)
    return {"uncomparedEcosystems": ecosystems} if ecosystems else {}


def _image(host: str, image: Image) -> dict[str, Any]:
    resource = Resource(host, image.project, image.repository, image.digest)
    return {
        "resourceUri": resource.uri,
        "tags": list(image.tags),
        "uploadTime": rfc3339(image.pushed_at),
        "packages": [_package(row) for row in image.rows],
    }


def _package(row: Row[Any]) -> dict[str, Any]:
    return {
        **_version(row),
        "architecture": row.arch,
        "fileLocation": {
            "filePath": row.path,
            "layerDetails": origins.to_json(row.layer, row.layer_index, {}),
        },
    }


def _version(row: Row[Any]) -> dict[str, Any]:
    """A package version, and the finding if a vulnerability was asked for."""
    told = {
        "package": row.name,
        "version": row.version,
        "source": row.source if row.source != row.name else "",
        "sourceVersion": row.source_version if row.source_version != row.version else "",
        "ecosystem": row.ecosystem.partition("+")[0],
        "packageType": PACKAGE_TYPES.get(row.ecosystem, "OS"),
    }
    if "severity" in row._fields:
        told["effectiveSeverity"] = Severity(row.severity).name
        told["fixedVersion"] = row.fixed_version or ""
        told["status"] = "" if row.fixed_version else row.status
    return {name: text for name, text in told.items() if text}


def _versions(
    rows: list[Row[Any]], held: Mapping[int, list[int]], images: Mapping[int, int]
) -> list[dict[str, Any]]:
    """How many images have each package version, those of the most first.

    Args:
        rows: the packages.
        held: the inventories that have each.
        images: how many images have each inventory.
    """
    found: dict[tuple[str, str, str], tuple[Row[Any], set[int]]] = {}
    for row in rows:
        key = (row.name, row.version, row.ecosystem)
        found.setdefault(key, (row, set()))[1].update(held.get(row.id, ()))
    counted = [
        (sum(map(images.get, inventories, repeat(0))), key, row)
        for key, (row, inventories) in found.items()
    ]
    counted = sorted((each for each in counted if each[0]), key=lambda each: (-each[0], each[1]))
    return [{**_version(row), "imageCount": count} for count, _, row in counted]


def _severities(
    rows: list[Row[Any]], held: Mapping[int, list[int]], images: Mapping[int, int]
) -> dict[str, int]:
    """How many images have the vulnerability with which severity, the worst of their packages'."""
    worst: dict[int, int] = {}
    for row in sorted(rows, key=lambda row: int(row.severity)):
        worst.update(dict.fromkeys(held.get(row.id, ()), row.severity))
    counts: Counter[int] = Counter()
    for inventory, severity in worst.items():
        counts[severity] += images.get(inventory, 0)
    return {Severity(level).name: counts[level] for level in sorted(+counts, reverse=True)}


def _base(host: str, base: Base) -> dict[str, Any]:
    return {
        "imageCount": base.images,
        "layerCount": base.depth,
        "topLayer": base.layer,
        "knownImages": [
            {
                "resourceUri": Resource(host, each.project, each.repository, each.digest).uri,
                "tags": list(each.tags),
            }
            for each in base.known
        ],
    }
