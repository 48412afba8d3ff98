"""Policies over REST: `:getIamPolicy`, `:setIamPolicy`, `:testIamPermissions`, and why.

The forms are those of Google's Resource Manager v1, IAM v1 and Policy Troubleshooter v1. A policy
stands on `organizations/customhouse` (the server), a project, a repository or a prefix of
repositories, or a service account.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request

from customhouse.errors import Code, Failure
from customhouse.iam import custom_roles, policies, projects, service_accounts
from customhouse.iam.api import guard
from customhouse.iam.api.documents import Document
from customhouse.iam.conditions import Circumstances
from customhouse.iam.explain import explain
from customhouse.iam.permissions import ALL_USERS, ROOT, Permission, Principal, Resource

if TYPE_CHECKING:
    from customhouse.database import LoopDatabase, Transaction
    from customhouse.iam.access import Access
    from customhouse.iam.policies import Binding, Policy


_PERMISSIONS = {permission.value: permission for permission in Permission}
_MAX_TESTED = 100


@dataclass(frozen=True, slots=True)
class _Place:
    """Where policies can stand: the path, and what reading and writing one there needs."""

    path: str
    read: Permission
    write: Permission


_PLACES = (
    _Place("/v1/organizations/customhouse", Permission.ROOT_GET_POLICY, Permission.ROOT_SET_POLICY),
    _Place(
        "/v1/projects/{project}/serviceAccounts/{name}",
        Permission.ACCOUNTS_GET_POLICY,
        Permission.ACCOUNTS_SET_POLICY,
    ),
    _Place(
        "/v1/projects/{project}/repositories/{name:path}",
        Permission.REPOSITORIES_GET_POLICY,
        Permission.REPOSITORIES_SET_POLICY,
    ),
    _Place(
        "/v1/projects/{project}",
        Permission.PROJECTS_GET_POLICY,
        Permission.PROJECTS_SET_POLICY,
    ),
)


def router(database: LoopDatabase, access: Access) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["policies"])
    for place in _PLACES:
        _add(routes, place, database, access)

    @routes.post("/v1/iam:troubleshoot")
    async def troubleshoot(request: Request, document: Document) -> dict[str, Any]:
        """Why a principal has a permission on a resource, or what is missing."""
        asked = document.get("accessTuple")
        if not isinstance(asked, dict):
            raise Failure(Code.REQUEST_INVALID, reason="there is no accessTuple")
        texts = [asked.get(key, "") for key in ("principal", "permission", "fullResourceName")]
        tag = asked.get("tag", "")
        address = asked.get("address", "")
        if not all(isinstance(text, str) for text in (*texts, tag, address)):
            raise Failure(Code.REQUEST_INVALID, reason="the accessTuple holds texts")
        member, permission, resource = texts
        if permission not in _PERMISSIONS:
            reason = f"there is no permission {permission[:100]!r}"
            raise Failure(Code.REQUEST_INVALID, reason=reason)
        if member != ALL_USERS and not member.startswith(
            ("user:", "serviceAccount:", "principal:")
        ):
            reason = "the principal is user:NAME, serviceAccount:EMAIL or allUsers"
            raise Failure(Code.REQUEST_INVALID, reason=reason)
        about = policies.parse_resource(resource)
        place = Resource(about.project)
        wanted = Permission.PROJECTS_GET_POLICY if place.project else Permission.ROOT_GET_POLICY
        caller = await guard.require(request, wanted, place)
        found = await database.query(
            explain,
            access,
            Principal(member),
            _PERMISSIONS[permission],
            about,
            Circumstances(address, tag),
        )
        # What stands on the server, and who is in which group, is not for owners of projects.
        shown, members = found.looked, found.members
        if not await database.read(access.allows, caller, Permission.ROOT_GET_POLICY, ROOT):
            shown = tuple(item for item in shown if item.grant.resource.project)
            named = {item.grant.member for item in shown}
            members = tuple(name for name in members if name == member or name in named)
        return {
            "access": "GRANTED" if found.allowed else "NOT_GRANTED",
            "problem": found.problem,
            "members": list(members),
            "bindings": [
                {
                    "resource": str(item.grant.resource),
                    "role": item.grant.role,
                    "member": item.grant.member,
                    "condition": item.grant.condition,
                    "verdict": item.verdict,
                }
                for item in shown
            ],
            "roles": list(found.roles),
        }

    return routes


def _add(routes: APIRouter, place: _Place, database: LoopDatabase, access: Access) -> None:
    kind = place.path.split("/")[-2] if "{name" in place.path else ""

    async def resource_of(request: Request) -> Resource:
        parameters = request.path_params
        if "project" not in parameters:
            return ROOT
        name = parameters.get("name", "")
        return await database.read(_resource, parameters["project"], kind, name)

    async def get_iam_policy(request: Request) -> dict[str, Any]:
        """The policy that stands on this resource."""
        resource = await resource_of(request)
        await guard.require(request, place.read, resource, _named(request))
        return policies.to_json(await database.read(policies.get, resource))

    async def set_iam_policy(request: Request, document: Document) -> dict[str, Any]:
        """Replace the policy that stands on this resource."""
        resource = await resource_of(request)
        await guard.require(request, place.write, resource, _named(request))
        bindings, etag = policies.from_json(document.get("policy"))
        before, policy = await database.write(_put, resource, bindings, etag)
        request.scope["customhouse.detail"] = {"bindingDeltas": _deltas(before, policy)}
        return policies.to_json(policy)

    async def test_iam_permissions(request: Request, document: Document) -> dict[str, Any]:
        """Which of some permissions the caller has on this resource."""
        resource = await resource_of(request)
        names = document.get("permissions") or []
        if not isinstance(names, list) or len(names) > _MAX_TESTED:
            reason = f"permissions is a list of at most {_MAX_TESTED}"
            raise Failure(Code.REQUEST_INVALID, reason=reason)
        principal = await guard.caller(request)
        asked = [
            _PERMISSIONS[name] for name in names if isinstance(name, str) and name in _PERMISSIONS
        ]
        circumstances = guard.circumstances(request)
        held = await database.read(
            lambda tx: [
                permission.value
                for permission in asked
                if access.allows(tx, principal, permission, resource, circumstances)
            ]
        )
        return {"permissions": held} if held else {}

    name = (kind or place.path.split("/")[2]).rstrip("s")
    reading = ["GET", "POST"] if kind == "repositories" else ["POST"]
    for verb, function, methods in (
        ("getIamPolicy", get_iam_policy, reading),
        ("setIamPolicy", set_iam_policy, ["POST"]),
        ("testIamPermissions", test_iam_permissions, ["POST"]),
    ):
        for method in methods:
            routes.add_api_route(
                f"{place.path}:{verb}",
                function,
                methods=[method],
                operation_id=f"{name}_{verb}_{method.lower()}",
                response_model=None,
            )


def _resource(tx: Transaction, project: str, kind: str, name: str) -> Resource:
    """The resource of a path, in which a project may be a number, and `-` for an account's own.

    A number or an account that nobody has stands for something that nobody has rights on.
    """
    try:
        if project.isdigit():
            project = projects.get(tx, project).id
        if kind == "serviceAccounts":
            account = service_accounts.get(tx, name)
            name = account.email
            if project == "-":
                project = account.project
    except Failure:
        if project == "-" or project.isdigit():
            return Resource("-", kind, name)
    text = f"projects/{project}/{kind}/{name}" if kind else f"projects/{project}"
    return policies.parse_resource(text)


def _named(request: Request) -> str:
    """What the caller called the resource: what it is in truth is not for everybody."""
    parameters = request.path_params
    if "project" not in parameters:
        return ""
    return request.url.path.removeprefix("/v1/").rpartition(":")[0][:500]


def _put(
    tx: Transaction, resource: Resource, bindings: tuple[Binding, ...], etag: str
) -> tuple[Policy, Policy]:
    """Replace a policy; what it was before, and what it is."""
    if resource.project:
        projects.get(tx, resource.project)
    permissions = custom_roles.permissions(tx, resource.project)
    before = policies.get(tx, resource)
    # A role that was deleted may stay where it is bound: it gives nothing, and the rest can change.
    for binding in before.bindings:
        permissions.setdefault(binding.role, frozenset())
    return before, policies.put(tx, resource, bindings, etag, permissions)


def _deltas(before: Policy, after: Policy) -> list[dict[str, str]]:
    """What a change added and removed, as Google's audit log has it."""

    def held(policy: Policy) -> set[tuple[str, str, str]]:
        return {(b.role, member, b.condition) for b in policy.bindings for member in b.members}

    changes = [("REMOVE", item) for item in sorted(held(before) - held(after))]
    changes += [("ADD", item) for item in sorted(held(after) - held(before))]
    return [
        {"action": action, "role": role, "member": member, "condition": condition}
        for action, (role, member, condition) in changes
    ]
