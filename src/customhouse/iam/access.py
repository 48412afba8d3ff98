"""Who may do what: the one place that decides.

A decision costs one indexed read of a row that tells whether anything has changed; policies,
roles, groups and the standing of accounts are remembered in the process until it has.
"""

from __future__ import annotations

from collections import ChainMap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, literal_column, select

from customhouse.database import Prepared, now
from customhouse.errors import Code, Failure
from customhouse.iam import (
    accounts,
    conditions,
    custom_roles,
    federation,
    groups,
    policies,
    service_account_keys,
)
from customhouse.iam.permissions import (
    ALL_AUTHENTICATED,
    ALL_USERS,
    ANONYMOUS,
    ROOT,
    Permission,
    Principal,
    Resource,
)
from customhouse.iam.policies import NEVER_PUBLIC
from customhouse.iam.projects import ACTIVE, PROJECT
from customhouse.iam.state import IAM_STATE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from customhouse.database import Transaction
    from customhouse.iam.conditions import Circumstances

_GENERATION_OF = select(IAM_STATE.c.generation).where(IAM_STATE.c.id == literal_column("1"))
_GENERATION = Prepared(_GENERATION_OF)
_STATE = Prepared(
    select(_GENERATION_OF.scalar_subquery(), PROJECT.c.state, PROJECT.c.policy_version).where(
        PROJECT.c.id == bindparam("project")
    )
)

# What one may still do with a project whose deletion was asked for.
_WITH_DELETED = frozenset(
    {Permission.PROJECTS_GET, Permission.PROJECTS_GET_POLICY, Permission.PROJECTS_UNDELETE}
)
_REMEMBERED_PROJECTS = 20_000
_REMEMBERED_MEMBERS = 20_000
_REMEMBERED_DECISIONS = 10_000  # of each project


@dataclass(frozen=True, slots=True)
class Grant:
    """One role of one member on one resource, as it is looked at.

    Attributes:
        resource: where the binding stands.
        role: its role.
        member: its member.
        permissions: what the role permits.
        condition: its expression; empty for always.
    """

    resource: Resource
    role: str
    member: str
    permissions: frozenset[Permission]
    condition: str

    def covers(self, resource: Resource) -> bool:
        """Whether the binding counts for a resource."""
        own = self.resource
        if not own.kind:
            return True
        if own.kind != resource.kind:
            return False
        return matches(own.name, resource.name)

    def touches(self, kind: str, folder: str) -> bool:
        """Whether the binding counts for something of a kind at or below a folder."""
        own = self.resource
        if not own.kind:
            return True
        if own.kind != kind:
            return False
        pattern = own.name.removesuffix("/**") if own.name != "**" else ""
        below = not folder or pattern == folder or pattern.startswith(f"{folder}/")
        return below or matches(own.name, folder)


def matches(pattern: str, name: str) -> bool:
    """Whether a name is the pattern, or below it where it ends with `/**`."""
    if pattern == "**":
        return True
    if pattern.endswith("/**"):
        return name.startswith(pattern[:-2])
    return pattern == name


@dataclass(frozen=True, slots=True)
class _Project:
    version: int
    grants: dict[str, list[Grant]]
    # What was decided before, where no condition had a say.
    decided: dict[tuple[str, Permission, Resource], Grant] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Standing:
    members: tuple[str, ...]
    credentials: frozenset[str]
    until: int | None


_UNKNOWN = _Standing((), frozenset(), None)


@dataclass(frozen=True, slots=True)
class _Memory:
    """What is remembered for one generation.

    A thread that sees an older state of the database than another has another memory: what it
    reads must not be taken for the newer.
    """

    generation: int
    projects: dict[str, _Project] = field(default_factory=dict)
    standings: dict[str, _Standing | None] = field(default_factory=dict)
    roles: dict[str, frozenset[Permission]] = field(default_factory=dict)


class Access:
    """Decides for one process. Any thread may ask."""

    def __init__(self) -> None:
        self._memory = _Memory(-1)

    def allows(
        self,
        tx: Transaction,
        principal: Principal,
        permission: Permission,
        resource: Resource,
        circumstances: Circumstances = conditions.NONE,
    ) -> bool:
        """Whether a principal has a permission on a resource.

        Raises:
            Failure: TOKEN_INVALID, when the account is gone or its credential was withdrawn.
        """
        return self.find(tx, principal, permission, resource, circumstances) is not None

    def find(
        self,
        tx: Transaction,
        principal: Principal,
        permission: Permission,
        resource: Resource,
        circumstances: Circumstances = conditions.NONE,
    ) -> Grant | None:
        """The grant that allows it, or None; see `allows`."""
        memory, state, version = self._refresh(tx, resource.project)
        members = self._members(tx, memory, principal)
        project = self._project(tx, memory, resource.project, version if state else 0)
        key = (principal.name, permission, resource)
        if not principal.sets and (known := project.decided.get(key)):
            return known
        for grant in self._among(tx, memory, state, version, members, permission, resource.project):
            if grant.covers(resource) and (
                not grant.condition or conditions.holds(grant.condition, resource, circumstances)
            ):
                if not grant.condition and not principal.sets:
                    if len(project.decided) >= _REMEMBERED_DECISIONS:
                        project.decided.clear()
                    project.decided[key] = grant
                return grant
        return None

    def require(
        self,
        tx: Transaction,
        principal: Principal,
        permission: Permission,
        resource: Resource,
        circumstances: Circumstances = conditions.NONE,
    ) -> None:
        """Refuse what is not allowed; see `allows`.

        Raises:
            Failure: UNAUTHORIZED, DENIED, PROJECT_DELETED, TOKEN_INVALID.
        """
        if not self.allows(tx, principal, permission, resource, circumstances):
            raise self.refusal(tx, principal, permission, resource)

    def refusal(
        self, tx: Transaction, principal: Principal, permission: Permission, resource: Resource
    ) -> Failure:
        """What to say to somebody who is not allowed: nothing about what is there."""
        if principal == ANONYMOUS:
            return Failure(Code.UNAUTHORIZED)
        _, state, _ = self._refresh(tx, resource.project)
        if state not in {None, ACTIVE} and self.allows(
            tx, principal, Permission.PROJECTS_GET, Resource(resource.project)
        ):
            return Failure(Code.PROJECT_DELETED, project=resource.project)
        return Failure(Code.DENIED, permission=permission.value, resource=str(resource))

    def sees(
        self,
        tx: Transaction,
        principal: Principal,
        permission: Permission,
        project: str,
        folder: str = "",
        circumstances: Circumstances | None = None,
    ) -> bool:
        """Whether a principal may have a permission on some repository at or below a folder.

        Listings use it to pass over what has nothing to show, and tokens are issued for what may
        turn out to be allowed: conditions are looked at only if it is said for which
        circumstances.

        Raises:
            Failure: TOKEN_INVALID.
        """
        resource = Resource(project, "repositories", folder) if folder else Resource(project)
        return any(
            grant.touches("repositories", folder)
            and (
                circumstances is None
                or not grant.condition
                or conditions.holds(grant.condition, resource, circumstances)
            )
            for grant in self._grants(tx, principal, permission, project)
        )

    def members(self, tx: Transaction, principal: Principal) -> tuple[str, ...]:
        """Every member that a principal is, most particular first.

        Raises:
            Failure: TOKEN_INVALID.
        """
        return self._members(tx, self._refresh(tx)[0], principal)

    def _members(self, tx: Transaction, memory: _Memory, principal: Principal) -> tuple[str, ...]:
        if principal.name == ALL_USERS:
            return (ALL_USERS,)
        name = principal.name
        standing = memory.standings.get(name, _UNKNOWN)
        if standing is _UNKNOWN or (standing and standing.until and standing.until < now()):
            standing = _standing(tx, name)
            if len(memory.standings) >= _REMEMBERED_MEMBERS:
                memory.standings.clear()
            memory.standings[name] = standing
        if standing is None:
            raise Failure(Code.TOKEN_INVALID, reason="the account is disabled or gone")
        if principal.credential and principal.credential not in standing.credentials:
            raise Failure(Code.TOKEN_INVALID, reason="what it was issued for was withdrawn")
        return (*standing.members, *principal.sets)

    def grants_within(self, tx: Transaction, project: str) -> list[Grant]:
        """Every grant on the server and in a project, for explanations."""
        memory, _, version = self._refresh(tx, project)
        owners = [self._project(tx, memory, ROOT.project)]
        if project:
            owners.append(self._project(tx, memory, project, version))
        return [grant for owner in owners for grants in owner.grants.values() for grant in grants]

    def _grants(
        self, tx: Transaction, principal: Principal, permission: Permission, project: str
    ) -> Iterator[Grant]:
        memory, state, version = self._refresh(tx, project)
        members = self._members(tx, memory, principal)
        return self._among(tx, memory, state, version, members, permission, project)

    def _among(
        self,
        tx: Transaction,
        memory: _Memory,
        state: str | None,
        version: int,
        members: tuple[str, ...],
        permission: Permission,
        project: str,
    ) -> Iterator[Grant]:
        owners = [self._project(tx, memory, ROOT.project)]
        if state is not None:
            if state != ACTIVE and permission not in _WITH_DELETED:
                return
            owners.append(self._project(tx, memory, project, version))
        for owner in owners:
            for member in members:
                for grant in owner.grants.get(member, ()):
                    if permission in grant.permissions:
                        yield grant

    def _refresh(self, tx: Transaction, project: str = "") -> tuple[_Memory, str | None, int]:
        """What still holds; the state of a project, and the version of its policies."""
        row = _STATE.first(tx, project=project) if project else None
        generation, state, version = row or (*(_GENERATION.first(tx) or (None,)), None, -1)
        generation = generation or 0
        memory = self._memory
        if generation != memory.generation:
            self._memory = memory = _Memory(generation)
        return memory, state, version

    def _project(
        self, tx: Transaction, memory: _Memory, project: str, version: int = 0
    ) -> _Project:
        known = memory.projects.get(project)
        if known is not None and known.version == version:
            return known
        if not memory.roles:
            memory.roles.update(custom_roles.permissions(tx, ROOT.project))
        permissions: Mapping[str, frozenset[Permission]] = memory.roles
        if project:
            permissions = ChainMap(custom_roles.own(tx, project), memory.roles)
        grants: dict[str, list[Grant]] = {}
        for resource, bindings in policies.within(tx, project):
            for binding in bindings:
                allowed = permissions.get(binding.role, frozenset())
                for member in binding.members:
                    # A role may have been given more since it was given to everybody.
                    public = member in {ALL_USERS, ALL_AUTHENTICATED}
                    held = allowed - NEVER_PUBLIC if public else allowed
                    grants.setdefault(member, []).append(
                        Grant(resource, binding.role, member, held, binding.condition)
                    )
        if len(memory.projects) >= _REMEMBERED_PROJECTS:
            memory.projects.clear()
        memory.projects[project] = loaded = _Project(version, grants)
        return loaded


def _standing(tx: Transaction, name: str) -> _Standing | None:
    kind, _, rest = name.partition(":")
    credentials: frozenset[str] | None = None
    until: int | None = None
    match kind:
        case "user":
            credentials = accounts.credentials(tx, rest)
        case "serviceAccount":
            standing = service_account_keys.standing(tx, rest)
            if standing is not None:
                credentials, until = standing
        case "principal":
            credentials = frozenset() if federation.is_active(tx, name) else None
    if credentials is None:
        return None
    members = (name, *sorted(groups.of(tx, name)), ALL_AUTHENTICATED, ALL_USERS)
    return _Standing(members, credentials, until)


__all__ = ["ANONYMOUS", "Access", "Grant", "matches"]
