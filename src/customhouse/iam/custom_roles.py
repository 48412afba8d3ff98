"""Roles that a project, or the server, defines for itself beside those of the table."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Boolean, Column, Table, Text, select

from customhouse.database import METADATA, Name, insert, now
from customhouse.errors import Code, Failure
from customhouse.iam import projects, state
from customhouse.iam.permissions import ROOT_NAME, Permission
from customhouse.iam.roles import ROLES
from customhouse.names import project_id

if TYPE_CHECKING:
    from customhouse.database import Transaction

CUSTOM_ROLE = Table(
    "custom_role",
    METADATA,
    Column("project", Name, primary_key=True),
    Column("id", Name, primary_key=True),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("permissions", Text, nullable=False),
    Column("is_deleted", Boolean, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

_ID = re.compile(r"[a-zA-Z0-9_.]{3,64}")
_PERMISSIONS = {permission.value: permission for permission in Permission}
_MAX_ROLES = 300


@dataclass(frozen=True, slots=True)
class CustomRole:
    """A role of a project; of the server if the project is empty."""

    project: str
    id: str
    title: str
    description: str
    permissions: frozenset[Permission]
    is_deleted: bool
    updated_at: int

    @property
    def name(self) -> str:
        """What bindings call it."""
        return role_name(self.project, self.id)


def role_name(project: str, role: str) -> str:
    """What bindings call a role."""
    owner = f"projects/{project_id(project)}" if project else ROOT_NAME
    return f"{owner}/roles/{role}"


def put(
    tx: Transaction,
    project: str,
    role: str,
    *,
    title: str,
    description: str,
    permissions: list[str],
    create: bool,
) -> CustomRole:
    """Create a role, or change one.

    Raises:
        Failure: ROLE_INVALID, THING_EXISTS, THING_UNKNOWN, PROJECT_UNKNOWN.
    """
    if not _ID.fullmatch(role):
        raise Failure(Code.ROLE_INVALID, reason=f"{role[:80]!r} is no id")
    unknown = [name for name in permissions if name not in _PERMISSIONS]
    if unknown:
        raise Failure(Code.ROLE_INVALID, reason=f"there is no permission {unknown[0][:100]!r}")
    values = {
        "title": title[:100],
        "description": description[:300],
        "permissions": json.dumps(sorted(set(permissions))),
        "updated_at": now(),
    }
    if create:
        if project:
            projects.get(tx, project)
        if len(page(tx, project, "", _MAX_ROLES, deleted=True)) >= _MAX_ROLES:
            raise Failure(Code.ROLE_INVALID, reason=f"there are {_MAX_ROLES} already")
        row = {"project": project, "id": role, "is_deleted": False, **values}
        result = tx.execute(insert(tx, CUSTOM_ROLE).on_conflict_do_nothing(), row)
        if result.rowcount != 1:
            raise Failure(Code.THING_EXISTS, kind="role", name=role)
    else:
        _change(tx, project, role, values)
    state.bump(tx)
    return get(tx, project, role)


def set_deleted(tx: Transaction, project: str, role: str, *, deleted: bool) -> CustomRole:
    """Delete a role, whose bindings give nothing then, or have it back.

    Raises:
        Failure: THING_UNKNOWN.
    """
    _change(tx, project, role, {"is_deleted": deleted, "updated_at": now()})
    state.bump(tx)
    return get(tx, project, role)


def get(tx: Transaction, project: str, role: str) -> CustomRole:
    """One role.

    Raises:
        Failure: THING_UNKNOWN.
    """
    row = tx.execute(
        select(CUSTOM_ROLE).where(CUSTOM_ROLE.c.project == project, CUSTOM_ROLE.c.id == role)
    ).one_or_none()
    if row is None:
        raise Failure(Code.THING_UNKNOWN, kind="role", name=role[:80])
    return _role(row)


def page(
    tx: Transaction, project: str, after: str, count: int, *, deleted: bool = False
) -> list[CustomRole]:
    """The first `count` roles after the id `after`, in order."""
    query = select(CUSTOM_ROLE).where(CUSTOM_ROLE.c.project == project, CUSTOM_ROLE.c.id > after)
    if not deleted:
        query = query.where(CUSTOM_ROLE.c.is_deleted.is_(False))
    return [_role(row) for row in tx.execute(query.order_by(CUSTOM_ROLE.c.id).limit(count))]


def permissions(tx: Transaction, project: str) -> dict[str, frozenset[Permission]]:
    """What each role permits that may be named in a project: of the table, the server, its own."""
    found = {role.name: role.permissions for role in ROLES.values()}
    for owner in {"", project}:
        found |= own(tx, owner)
    return found


def own(tx: Transaction, project: str) -> dict[str, frozenset[Permission]]:
    """What each role permits that a project, or the server, defines for itself."""
    return {role.name: role.permissions for role in page(tx, project, "", _MAX_ROLES)}


def _change(tx: Transaction, project: str, role: str, values: dict[str, Any]) -> None:
    result = tx.execute(
        CUSTOM_ROLE.update()
        .where(CUSTOM_ROLE.c.project == project, CUSTOM_ROLE.c.id == role)
        .values(values)
    )
    if result.rowcount != 1:
        raise Failure(Code.THING_UNKNOWN, kind="role", name=role[:80])


def _role(row: Any) -> CustomRole:
    return CustomRole(
        row.project,
        row.id,
        row.title,
        row.description,
        frozenset(
            _PERMISSIONS[name] for name in json.loads(row.permissions) if name in _PERMISSIONS
        ),
        row.is_deleted,
        row.updated_at,
    )
