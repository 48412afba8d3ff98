"""Projects over REST, as Google's Resource Manager v1 has them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request

from customhouse.errors import Code, Failure
from customhouse.iam import projects
from customhouse.iam.api import guard
from customhouse.iam.api.documents import Document
from customhouse.iam.api.pages import MAX_TOKEN, count_of, key_of, token_of
from customhouse.iam.permissions import ROOT, Permission, Principal, Resource
from customhouse.names import parse_project, project_id
from customhouse.times import rfc3339

if TYPE_CHECKING:
    from customhouse.database import LoopDatabase, Transaction
    from customhouse.iam.access import Access
    from customhouse.iam.projects import Project
    from customhouse.iam.provisioning import Provisioner


_TERM = re.compile(
    r"\s*(?P<field>[a-zA-Z.]+)\s*[:=]\s*(?:\"(?P<quoted>[^\"]*)\"|(?P<plain>[^\s\"()]+))\s*(?:AND\b)?"
)
_STEP = 500


def router(database: LoopDatabase, access: Access, provisioner: Provisioner) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["projects"])

    @routes.get("/v1/projects")
    async def list_projects(
        request: Request,
        filter_: Annotated[str, Query(alias="filter", max_length=1024)] = "",
        page_size: Annotated[int, Query(alias="pageSize", ge=0)] = 0,
        page_token: Annotated[str, Query(alias="pageToken", max_length=MAX_TOKEN)] = "",
    ) -> dict[str, Any]:
        """The projects that the caller may see, in order of their ids."""
        principal = await guard.signed_in(request)
        wanted = _parse_filter(filter_)
        count = count_of(page_size)
        found, last = await database.query(
            _visible, access, principal, wanted, key_of(page_token), count
        )
        answer: dict[str, Any] = {"projects": [to_json(project) for project in found]}
        return answer | {"nextPageToken": token_of(last)} if last else answer

    @routes.post("/v1/projects")
    async def create_project(request: Request, document: Document) -> dict[str, Any]:
        """Create a project, which the caller then owns."""
        principal = await guard.require(request, Permission.PROJECTS_CREATE, ROOT)
        project = parse_project(_text(document, "projectId"))
        await database.write(
            provisioner.create,
            project,
            principal,
            name=_text(document, "name"),
            labels=_labels(document),
        )
        created = await database.read(projects.get, project)
        return _created(created)

    @routes.get("/v1/operations/cp.{number}")
    async def get_operation(request: Request, number: str) -> dict[str, Any]:
        """The creation of a project, which is done as soon as it is asked for."""
        return _created(await _permitted(request, number, Permission.PROJECTS_GET))

    @routes.get("/v1/projects/{project}")
    async def get_project(request: Request, project: str) -> dict[str, Any]:
        """One project, by its id or number."""
        return to_json(await _permitted(request, project, Permission.PROJECTS_GET))

    @routes.put("/v1/projects/{project}")
    async def update_project(request: Request, project: str, document: Document) -> dict[str, Any]:
        """Change the name and the labels."""
        found = await _permitted(request, project, Permission.PROJECTS_UPDATE)
        changed = await database.write(
            projects.update,
            found.id,
            name=_text(document, "name") or found.name,
            labels=_labels(document),
        )
        return to_json(changed)

    @routes.delete("/v1/projects/{project}")
    async def delete_project(request: Request, project: str) -> dict[str, Any]:
        """Ask for deletion; for thirty days the project can be had back."""
        found = await _permitted(request, project, Permission.PROJECTS_DELETE)
        await database.write(projects.delete, found.id)
        return {}

    @routes.post("/v1/projects/{project}:undelete")
    async def undelete_project(request: Request, project: str) -> dict[str, Any]:
        """Have a deleted project back."""
        found = await _permitted(request, project, Permission.PROJECTS_UNDELETE)
        await database.write(projects.undelete, found.id)
        return {}

    async def _permitted(request: Request, project: str, permission: Permission) -> Project:
        # Whether a project is there is told to those alone who may do something with it.
        found = await database.read(_find, project)
        # A number that is no project's stands for one that nobody has rights in.
        name = found.id if found else "-" if project.isdigit() else parse_project(project)
        await guard.require(request, permission, Resource(name), f"projects/{project[:120]}")
        if found is None:
            raise Failure(Code.PROJECT_UNKNOWN, project=project)
        return found

    return routes


def _created(project: Project) -> dict[str, Any]:
    """The operation that created a project."""
    name = f"operations/cp.{project.number}"
    return {"name": name, "done": True, "response": to_json(project)}


def to_json(project: Project) -> dict[str, Any]:
    """A project as the API writes it."""
    document: dict[str, Any] = {
        "projectNumber": str(project.number),
        "projectId": project_id(project.id),
        "lifecycleState": project.state,
        "name": project.name,
        "createTime": rfc3339(project.created_at),
    }
    return document | {"labels": dict(project.labels)} if project.labels else document


def _find(tx: Transaction, project: str) -> Project | None:
    try:
        name = project if project.isdigit() else parse_project(project)
        return projects.get(tx, name)
    except Failure:
        return None


def _visible(
    tx: Transaction,
    access: Access,
    principal: Principal,
    wanted: dict[str, str],
    after: str,
    count: int,
) -> tuple[list[Project], str]:
    """A page of what the principal may see, and the last id of it if more may follow."""
    found: list[Project] = []
    while page := projects.page(tx, after, _STEP):
        for project in page:
            after = project.id
            if _fits(project, wanted) and access.allows(
                tx, principal, Permission.PROJECTS_GET, Resource(project.id)
            ):
                found.append(project)
            if len(found) == count:
                return found, after
    return found, ""


def _parse_filter(text: str) -> dict[str, str]:
    """The fields of a filter such as `lifecycleState:ACTIVE AND labels.team:web`.

    Raises:
        Failure: REQUEST_INVALID, with the position of what is not understood.
    """
    wanted: dict[str, str] = {}
    position = 0
    while text[position:].strip():
        match = _TERM.match(text, position)
        known = match is not None and (
            match["field"].lower() in {"id", "projectid", "name", "lifecyclestate"}
            or match["field"].startswith("labels.")
        )
        if match is None or not known:
            reason = (
                f"the filter is not understood at character {position}: {text[position:][:40]!r}"
            )
            raise Failure(Code.REQUEST_INVALID, reason=reason)
        name = match["field"] if match["field"].startswith("labels.") else match["field"].lower()
        wanted[name] = match["quoted"] if match["quoted"] is not None else match["plain"]
        position = match.end()
    return wanted


def _fits(project: Project, wanted: dict[str, str]) -> bool:
    values = {
        "id": project_id(project.id),
        "projectid": project_id(project.id),
        "name": project.name,
        "lifecyclestate": project.state,
        **{f"labels.{key}": value for key, value in project.labels.items()},
    }
    return all(
        value == "*" or values[name] == value if name in values else False
        for name, value in wanted.items()
    )


def _text(document: dict[str, Any], key: str) -> str:
    value = document.get(key, "")
    if not isinstance(value, str):
        raise Failure(Code.REQUEST_INVALID, reason=f"{key} is a text")
    return value


def _labels(document: dict[str, Any]) -> dict[str, str]:
    labels = document.get("labels") or {}
    if not isinstance(labels, dict) or not all(isinstance(v, str) for v in labels.values()):
        raise Failure(Code.REQUEST_INVALID, reason="labels are texts by texts")
    return labels
