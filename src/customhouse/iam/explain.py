"""Why somebody may do something, or what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from customhouse.errors import Failure
from customhouse.iam import conditions
from customhouse.iam.roles import ROLES

if TYPE_CHECKING:
    from customhouse.database import Transaction
    from customhouse.iam.access import Access, Grant
    from customhouse.iam.conditions import Circumstances
    from customhouse.iam.permissions import Permission, Principal, Resource

_MANY = 5


@dataclass(frozen=True, slots=True)
class Looked:
    """One binding of the principal, and what it has to do with the question.

    Attributes:
        grant: the binding.
        verdict: `allows`, or why it does not.
    """

    grant: Grant
    verdict: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """An answer with its reasons.

    Attributes:
        allowed: the answer.
        problem: what keeps the principal from anything at all; empty if nothing does.
        members: every member that the principal is, groups included.
        looked: its bindings on the server and in the project; those that allow come first.
        roles: roles that have the permission, the narrowest first.
    """

    allowed: bool
    problem: str
    members: tuple[str, ...]
    looked: tuple[Looked, ...]
    roles: tuple[str, ...]


def explain(
    tx: Transaction,
    access: Access,
    principal: Principal,
    permission: Permission,
    resource: Resource,
    circumstances: Circumstances = conditions.NONE,
) -> Explanation:
    """Answer as `Access.allows` does, with the reasons."""
    roles = sorted(
        (role for role in ROLES.values() if permission in role.permissions),
        key=lambda role: (len(role.permissions), role.name),
    )
    names = tuple(role.name for role in roles)
    try:
        members = access.members(tx, principal)
    except Failure as failure:
        return Explanation(False, failure.message, (), (), names)
    looked = [
        Looked(grant, _verdict(grant, permission, resource, circumstances))
        for grant in access.grants_within(tx, resource.project)
        if grant.member in members
    ]
    looked.sort(key=lambda item: (item.verdict != ALLOWS, str(item.grant.resource)))
    allowed = access.allows(tx, principal, permission, resource, circumstances)
    problem = ""
    if not allowed and looked and looked[0].verdict == ALLOWS:
        problem = str(access.refusal(tx, principal, permission, resource).message)
    return Explanation(allowed, problem, members, tuple(looked), names)


ALLOWS = "allows"


def _verdict(
    grant: Grant, permission: Permission, resource: Resource, circumstances: Circumstances
) -> str:
    if permission not in grant.permissions:
        return "the role does not have the permission"
    if not grant.covers(resource):
        return "it stands on another resource"
    if grant.condition and not conditions.holds(grant.condition, resource, circumstances):
        return "its condition is not met"
    return ALLOWS
