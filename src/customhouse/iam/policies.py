"""Policies: which members hold which roles on a resource, in the form of Google's IAM.

A policy stands on the server, a project, a repository, a prefix of repositories
(`projects/p/repositories/team-a/**`) or a service account, and counts for everything below.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Column, Table, Text, bindparam, select

from customhouse.database import METADATA, Name, Prepared, insert, lock, now
from customhouse.errors import Code, Failure
from customhouse.iam import conditions, state
from customhouse.iam.permissions import ALL_AUTHENTICATED, ALL_USERS, ROOT, Permission, Resource
from customhouse.iam.projects import PROJECT
from customhouse.iam.roles import ADMINISTRATOR, OWNER
from customhouse.names import check_name, parse_project, split_project

if TYPE_CHECKING:
    from collections.abc import Mapping

    from customhouse.database import Transaction

POLICY = Table(
    "policy",
    METADATA,
    Column("project", Name, primary_key=True),
    # `repositories/team-a/**`, `serviceAccounts/...`; empty for the project itself.
    Column("resource", Name, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("bindings", Text, nullable=False),
)

_MAX_BINDINGS = 500
_MAX_MEMBERS = 1500
# Each may be evaluated for each request. Google's limit is the same.
_MAX_CONDITIONS = 100
_MEMBER = re.compile(
    r"allUsers|allAuthenticatedUsers"
    r"|(?:user|group|serviceAccount):[^\s:/\x00-\x1f\x7f]{1,200}(?::[^\s/\x00-\x1f\x7f]{1,100})?"
    r"|principal(?:Set)?://iam\.googleapis\.com/projects/[0-9]{1,18}/locations/global"
    r"/workloadIdentityPools/[a-z0-9-]{1,32}/[^\s\x00-\x1f\x7f]{1,500}"
)
# What nobody can mean to give to everybody.
NEVER_PUBLIC = frozenset(
    permission
    for permission in Permission
    if permission.value.endswith((".setIamPolicy", ".manage"))
    or permission.value.startswith("iam.")
)
_STANDARD = str.maketrans("-_", "+/")
_ONE = Prepared(
    select(POLICY.c.version, POLICY.c.bindings).where(
        POLICY.c.project == bindparam("project"), POLICY.c.resource == bindparam("resource")
    )
)
_ALL = Prepared(
    select(POLICY.c.resource, POLICY.c.bindings)
    .where(POLICY.c.project == bindparam("project"))
    .order_by(POLICY.c.resource)
)


@dataclass(frozen=True, slots=True)
class Binding:
    """Members who hold a role, perhaps under a condition.

    Attributes:
        role: its name.
        members: who.
        condition: an expression, see `conditions`; empty for always.
        title: of the condition, for people.
        description: of the condition, for people.
    """

    role: str
    members: tuple[str, ...]
    condition: str = ""
    title: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """The bindings on one resource; `etag` stands for this version of them."""

    bindings: tuple[Binding, ...]
    etag: str


def parse_resource(text: str) -> Resource:
    """The resource of `organizations/customhouse`, `projects/P` or `projects/P/KIND/NAME`.

    Raises:
        Failure: THING_INVALID, PROJECT_INVALID, NAME_INVALID.
    """
    if text == str(ROOT):
        return ROOT
    parts = text.split("/", 3)
    if parts[0] != "projects" or len(parts) < 2:
        raise Failure(Code.THING_INVALID, kind="resource", reason=f"{text[:200]!r} is none")
    # A domain-scoped project may be written as in image names.
    if len(parts) > 2 and "." in parts[1] and ":" not in parts[1]:
        name, rest = split_project(text.removeprefix("projects/"))
        parts = ["projects", name, *rest.split("/", 1)] if rest else ["projects", name]
    project = parse_project(parts[1])
    if len(parts) == 2:
        return Resource(project)
    if len(parts) == 3 or parts[2] not in {"repositories", "serviceAccounts"}:
        raise Failure(Code.THING_INVALID, kind="resource", reason=f"{text[:200]!r} is none")
    if parts[2] == "repositories":
        if parts[3] != "**":
            check_name(parts[3].removesuffix("/**"))
    elif not re.fullmatch(r"[^\s/*\x00-\x1f\x7f]{1,200}", parts[3]):
        raise Failure(Code.THING_INVALID, kind="resource", reason=f"{text[:200]!r} is none")
    return Resource(project, parts[2], parts[3])


def get(tx: Transaction, resource: Resource) -> Policy:
    """The policy that stands on exactly this resource; without bindings if there is none."""
    row = _ONE.first(tx, project=resource.project, resource=_key(resource))
    if row is None:
        return Policy((), _etag(0))
    return Policy(_read(row[1]), _etag(row[0]))


def within(tx: Transaction, project: str) -> list[tuple[Resource, tuple[Binding, ...]]]:
    """Every policy in a project, the project's own first; of the server for an empty project."""
    found = []
    for key, text in _ALL.all(tx, project=project):
        kind, _, name = key.partition("/")
        found.append((Resource(project, kind, name), _read(text)))
    return found


def put(
    tx: Transaction,
    resource: Resource,
    bindings: tuple[Binding, ...],
    etag: str,
    permissions: Mapping[str, frozenset[Permission]],
) -> Policy:
    """Replace a policy.

    Args:
        tx: the transaction.
        resource: where it stands.
        bindings: all of them.
        etag: of the policy that was read; empty to replace whatever is there.
        permissions: what each role that may be named here permits.

    Raises:
        Failure: POLICY_INVALID, POLICY_CHANGED, LAST_OWNER.
    """
    bindings = _checked(bindings, permissions)
    lock(tx, f"policy {resource}")
    row = _ONE.first(tx, project=resource.project, resource=_key(resource))
    version, before = (row[0], _read(row[1])) if row else (0, ())
    # Clients send it back in either alphabet of base64: it is a field of bytes.
    if etag and etag.translate(_STANDARD) != _etag(version):
        raise Failure(Code.POLICY_CHANGED, resource=str(resource))
    if not resource.kind:
        role = OWNER if resource.project else ADMINISTRATOR
        if _has_holder(before, role) and not _has_holder(bindings, role):
            raise Failure(Code.LAST_OWNER, resource=str(resource), role=role)
    return _write(tx, resource, bindings, max(now(), version + 1))


def grant(tx: Transaction, resource: Resource, role: str, member: str) -> None:
    """Give a role to a member, in addition to what is there."""
    lock(tx, f"policy {resource}")
    row = _ONE.first(tx, project=resource.project, resource=_key(resource))
    version, before = (row[0], _read(row[1])) if row else (0, ())
    bindings = list(before)
    for number, binding in enumerate(bindings):
        if binding.role == role and not binding.condition:
            if member in binding.members:
                return
            bindings[number] = Binding(role, (*binding.members, member))
            break
    else:
        bindings.append(Binding(role, (member,)))
    _write(tx, resource, tuple(bindings), max(now(), version + 1))


def forget_member(tx: Transaction, member: str) -> None:
    """Take a member out of every policy: whoever has the name later is somebody else.

    Raises:
        Failure: LAST_OWNER, when it is the last administrator of the server.
    """
    check_not_last(tx, member)
    # The text has the member in quotes; who is named `a%` matches more, which costs time alone.
    rows = tx.execute(select(POLICY).where(POLICY.c.bindings.like(f'%"{member}"%'))).all()
    for row in rows:
        bindings = tuple(
            dataclasses.replace(binding, members=kept)
            for binding in _read(row.bindings)
            if (kept := tuple(each for each in binding.members if each != member))
        )
        kind, _, name = row.resource.partition("/")
        resource = Resource(row.project, kind, name)
        _write(tx, resource, bindings, max(now(), row.version + 1))


def check_not_last(tx: Transaction, member: str) -> None:
    """Check that the server has another administrator than this member.

    Raises:
        Failure: LAST_OWNER.
    """
    holders = {
        each
        for binding in get(tx, ROOT).bindings
        if binding.role == ADMINISTRATOR and not binding.condition
        for each in binding.members
    }
    if holders == {member}:
        raise Failure(Code.LAST_OWNER, resource=str(ROOT), role=ADMINISTRATOR)


def delete_within(tx: Transaction, project: str, kind: str = "", name: str = "") -> None:
    """Forget the policies in a project, or the one on something in it."""
    statement = POLICY.delete().where(POLICY.c.project == project)
    if kind:
        statement = statement.where(POLICY.c.resource == f"{kind}/{name}")
    tx.execute(statement)
    _changed(tx, project)


def to_json(policy: Policy) -> dict[str, Any]:
    """A policy as Google's APIs write it."""
    bindings = []
    for binding in policy.bindings:
        entry: dict[str, Any] = {"role": binding.role, "members": list(binding.members)}
        if binding.condition:
            entry["condition"] = {"title": binding.title, "expression": binding.condition}
            if binding.description:
                entry["condition"]["description"] = binding.description
        bindings.append(entry)
    document: dict[str, Any] = {
        "version": 3 if any(binding.condition for binding in policy.bindings) else 1,
        "etag": policy.etag,
    }
    return document | {"bindings": bindings} if bindings else document


def from_json(document: object) -> tuple[tuple[Binding, ...], str]:
    """The bindings and the etag of a policy that was sent.

    Raises:
        Failure: POLICY_INVALID.
    """
    if not isinstance(document, dict):
        raise Failure(Code.POLICY_INVALID, reason="it is no object")
    entries = document.get("bindings") or []
    etag = document.get("etag") or ""
    if not isinstance(entries, list) or not isinstance(etag, str):
        raise Failure(Code.POLICY_INVALID, reason="bindings is a list and etag a text")
    return tuple(_binding(entry) for entry in entries), etag


def _binding(entry: object) -> Binding:
    if not isinstance(entry, dict):
        raise Failure(Code.POLICY_INVALID, reason="a binding is no object")
    condition = entry.get("condition") or {}
    members = entry.get("members") or []
    role = entry.get("role")
    right = (
        isinstance(role, str)
        and isinstance(members, list)
        and all(isinstance(member, str) for member in members)
        and isinstance(condition, dict)
        and all(isinstance(value, str) for value in condition.values())
    )
    if not right:
        reason = "a binding has a role, a list of members, and perhaps a condition of texts"
        raise Failure(Code.POLICY_INVALID, reason=reason)
    if condition and not condition.get("expression"):
        # To take it for none would give more than was meant.
        raise Failure(Code.POLICY_INVALID, reason="a condition has no expression")
    return Binding(
        str(role),
        tuple(members),
        condition.get("expression", ""),
        condition.get("title", "")[:100],
        condition.get("description", "")[:256],
    )


def _checked(
    bindings: tuple[Binding, ...], permissions: Mapping[str, frozenset[Permission]]
) -> tuple[Binding, ...]:
    if len(bindings) > _MAX_BINDINGS or sum(len(b.members) for b in bindings) > _MAX_MEMBERS:
        reason = f"it has more than {_MAX_BINDINGS} bindings or {_MAX_MEMBERS} members"
        raise Failure(Code.POLICY_INVALID, reason=reason)
    if sum(bool(binding.condition) for binding in bindings) > _MAX_CONDITIONS:
        reason = f"more than {_MAX_CONDITIONS} bindings have conditions"
        raise Failure(Code.POLICY_INVALID, reason=reason)
    merged: dict[tuple[str, str], Binding] = {}
    for binding in bindings:
        if binding.role not in permissions:
            reason = f"there is no role {binding.role[:100]!r} here"
            raise Failure(Code.POLICY_INVALID, reason=reason)
        for member in binding.members:
            if not _MEMBER.fullmatch(member):
                reason = f"{member[:100]!r} is no member, such as user:ana or allUsers"
                raise Failure(Code.POLICY_INVALID, reason=reason)
            if member in {ALL_USERS, ALL_AUTHENTICATED} and (
                permissions[binding.role] & NEVER_PUBLIC
            ):
                reason = f"{binding.role} cannot be given to {member}"
                raise Failure(Code.POLICY_INVALID, reason=reason)
        if binding.condition:
            conditions.check(binding.condition)
        if not binding.members:
            continue
        key = (binding.role, binding.condition)
        same = merged.get(key)
        members = dict.fromkeys((*(same.members if same else ()), *binding.members))
        merged[key] = Binding(
            binding.role, tuple(members), binding.condition, binding.title, binding.description
        )
    return tuple(merged.values())


def _has_holder(bindings: tuple[Binding, ...], role: str) -> bool:
    return any(binding.role == role and not binding.condition for binding in bindings)


def _write(
    tx: Transaction, resource: Resource, bindings: tuple[Binding, ...], version: int
) -> Policy:
    text = json.dumps(
        [
            [b.role, b.members, b.condition, b.title, b.description]
            if b.condition
            else [b.role, b.members]
            for b in bindings
        ]
    )
    values = {"version": version, "bindings": text}
    statement = insert(tx, POLICY).values(
        project=resource.project, resource=_key(resource), **values
    )
    tx.execute(
        statement.on_conflict_do_update(
            index_elements=[POLICY.c.project, POLICY.c.resource], set_=values
        )
    )
    _changed(tx, resource.project)
    return Policy(bindings, _etag(version))


def _changed(tx: Transaction, project: str) -> None:
    if not project:
        state.bump(tx)
        return
    tx.execute(
        PROJECT.update()
        .where(PROJECT.c.id == project)
        .values(policy_version=PROJECT.c.policy_version + 1)
    )


def _read(text: str) -> tuple[Binding, ...]:
    return tuple(Binding(entry[0], tuple(entry[1]), *entry[2:]) for entry in json.loads(text))


def _key(resource: Resource) -> str:
    return f"{resource.kind}/{resource.name}" if resource.kind else ""


def _etag(version: int) -> str:
    return base64.b64encode(version.to_bytes(8)).decode()
