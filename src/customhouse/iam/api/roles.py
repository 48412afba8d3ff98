"""Roles over REST, as Google's IAM v1 has them: of the table, of the server, of a project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query

from customhouse.errors import Code, Failure
from customhouse.iam import custom_roles
from customhouse.iam.api.documents import Document
from customhouse.iam.api.guard import permitted, signed_in
from customhouse.iam.api.pages import MAX_TOKEN, count_of, key_of, listing
from customhouse.iam.permissions import Permission
from customhouse.iam.roles import ROLES, Role
from customhouse.names import project_name

if TYPE_CHECKING:
    from customhouse.database import LoopDatabase
    from customhouse.iam.custom_roles import CustomRole

Size = Annotated[int, Query(alias="pageSize", ge=0)]
Token = Annotated[str, Query(alias="pageToken", max_length=MAX_TOKEN)]
View = Annotated[str, Query(max_length=10)]


def router(database: LoopDatabase) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["roles"])

    @routes.get("/v1/roles", dependencies=[Depends(signed_in)])
    async def list_roles(view: View = "BASIC") -> dict[str, Any]:
        """The roles that every project has; with permissions in the view FULL."""
        return {"roles": [_predefined(role, full=view == "FULL") for role in ROLES.values()]}

    @routes.get("/v1/roles/{role}", dependencies=[Depends(signed_in)])
    async def get_role(role: str) -> dict[str, Any]:
        """One of the roles that every project has."""
        found = ROLES.get(f"roles/{role}")
        if found is None:
            raise Failure(Code.THING_UNKNOWN, kind="role", name=role[:80])
        return _predefined(found, full=True)

    @routes.post("/v1/permissions:queryTestablePermissions", dependencies=[Depends(signed_in)])
    async def list_permissions(document: Document) -> dict[str, Any]:
        """Every permission that a role may have."""
        del document  # it names a resource, and they are the same for each
        names = [{"name": permission.value, "stage": "GA"} for permission in Permission]
        return {"permissions": names}

    for owner in ("projects/{project}", "organizations/customhouse"):
        _add(routes, owner, database)
    return routes


def _add(routes: APIRouter, owner: str, database: LoopDatabase) -> None:
    of_project = "{project}" in owner
    parameter = "project" if of_project else ""
    base = f"/v1/{owner}/roles"

    def allowed(permission: Permission) -> list[Any]:
        return [Depends(permitted(permission, parameter))]

    @routes.get(
        base, dependencies=allowed(Permission.ROLES_LIST), operation_id=f"roles_list_{parameter}"
    )
    async def list_custom(
        project: str = "",
        page_size: Size = 0,
        page_token: Token = "",
        show_deleted: Annotated[bool, Query(alias="showDeleted")] = False,
    ) -> dict[str, Any]:
        """The roles that are defined here."""
        count = count_of(page_size)
        name = project_name(project) if of_project else ""
        found = await database.read(
            custom_roles.page, name, key_of(page_token), count + 1, deleted=show_deleted
        )
        return listing("roles", found, count, _custom, lambda role: role.id)

    @routes.post(
        base,
        dependencies=allowed(Permission.ROLES_CREATE),
        operation_id=f"roles_create_{parameter}",
    )
    async def create(document: Document, project: str = "") -> dict[str, Any]:
        """Define a role."""
        name = project_name(project) if of_project else ""
        role = document.get("role") or {}
        if not isinstance(role, dict):
            raise Failure(Code.ROLE_INVALID, reason="role is an object")
        return _custom(
            await database.write(
                custom_roles.put,
                name,
                _text(document, "roleId"),
                title=_text(role, "title"),
                description=_text(role, "description"),
                permissions=_permissions(role),
                create=True,
            )
        )

    @routes.get(
        f"{base}/{{role}}",
        dependencies=allowed(Permission.ROLES_GET),
        operation_id=f"roles_get_{parameter}",
    )
    async def get(role: str, project: str = "") -> dict[str, Any]:
        """One role."""
        name = project_name(project) if of_project else ""
        return _custom(await database.read(custom_roles.get, name, role))

    @routes.patch(
        f"{base}/{{role}}",
        dependencies=allowed(Permission.ROLES_UPDATE),
        operation_id=f"roles_patch_{parameter}",
    )
    async def patch(role: str, document: Document, project: str = "") -> dict[str, Any]:
        """Change what is given of a role."""
        name = project_name(project) if of_project else ""
        old = await database.read(custom_roles.get, name, role)
        permissions = sorted(permission.value for permission in old.permissions)
        return _custom(
            await database.write(
                custom_roles.put,
                name,
                role,
                title=_text(document, "title") or old.title,
                description=_text(document, "description") or old.description,
                permissions=_permissions(document)
                if "includedPermissions" in document
                else permissions,
                create=False,
            )
        )

    @routes.delete(
        f"{base}/{{role}}",
        dependencies=allowed(Permission.ROLES_DELETE),
        operation_id=f"roles_delete_{parameter}",
    )
    async def delete(role: str, project: str = "") -> dict[str, Any]:
        """Delete a role; bindings to it give nothing then."""
        name = project_name(project) if of_project else ""
        return _custom(await database.write(custom_roles.set_deleted, name, role, deleted=True))

    @routes.post(
        f"{base}/{{role}}:undelete",
        dependencies=allowed(Permission.ROLES_UNDELETE),
        operation_id=f"roles_undelete_{parameter}",
    )
    async def undelete(role: str, project: str = "") -> dict[str, Any]:
        """Have a deleted role back."""
        name = project_name(project) if of_project else ""
        return _custom(await database.write(custom_roles.set_deleted, name, role, deleted=False))


def _predefined(role: Role, *, full: bool) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": role.name,
        "title": role.title,
        "description": role.description,
        "stage": "GA",
        "etag": "AA==",
    }
    if full:
        document["includedPermissions"] = sorted(p.value for p in role.permissions)
    return document


def _custom(role: CustomRole) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": role.name,
        "title": role.title,
        "description": role.description,
        "includedPermissions": sorted(permission.value for permission in role.permissions),
        "stage": "GA",
        "etag": str(role.updated_at),
    }
    return document | {"deleted": True} if role.is_deleted else document


def _text(document: dict[str, Any], key: str) -> str:
    value = document.get(key, "")
    if not isinstance(value, str):
        raise Failure(Code.ROLE_INVALID, reason=f"{key} is a text")
    return value


def _permissions(document: dict[str, Any]) -> list[str]:
    values = document.get("includedPermissions") or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise Failure(Code.ROLE_INVALID, reason="includedPermissions is a list of texts")
    return values
