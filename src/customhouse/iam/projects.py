"""Projects: the unit of ownership. A deleted one can be had back for thirty days."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Column, Table, Text, bindparam, select

from customhouse.database import METADATA, Name, Prepared, insert, now
from customhouse.errors import Code, Failure
from customhouse.iam import state
from customhouse.names import parse_project

if TYPE_CHECKING:
    from collections.abc import Mapping

    from customhouse.database import Transaction

PROJECT = Table(
    "project",
    METADATA,
    Column("id", Name, primary_key=True),
    Column("number", BigInteger, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("labels", Text, nullable=False),
    Column("state", Name, nullable=False),
    # Of all policies in the project: grows with each change of one.
    Column("policy_version", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Name, nullable=False),
    Column("deleted_at", BigInteger),
)

ACTIVE = "ACTIVE"
DELETE_REQUESTED = "DELETE_REQUESTED"
UNDELETE_DAYS = 30

_MICROSECONDS_A_DAY = 24 * 3600 * 1_000_000
_MAX_LABELS = 64
_MAX_NAME = 100
# The addresses of services' agents and of default accounts are made with these; an account of a
# project of that name would be taken for one.
_RESERVED = re.compile(r"developer|gcp-sa-.*")
_STATE = Prepared(select(PROJECT.c.state).where(PROJECT.c.id == bindparam("project")))


@dataclass(frozen=True, slots=True)
class Project:
    """A project.

    Attributes:
        id: as it stands in image names.
        number: 12 digits, which never change.
        name: for people.
        labels: for programs.
        state: ACTIVE or DELETE_REQUESTED.
        created_at: microseconds since 1970.
        deleted_at: the same, where deletion was requested.
    """

    id: str
    number: int
    name: str
    labels: Mapping[str, str]
    state: str
    created_at: int
    deleted_at: int | None


def exists(tx: Transaction, project: str) -> bool:
    """Whether there is such a project; one whose deletion was requested counts."""
    return _STATE.first(tx, project=project) is not None


def is_active(tx: Transaction, project: str) -> bool:
    """Whether there is such a project, and nobody has asked to delete it."""
    row = _STATE.first(tx, project=project)
    return row is not None and row[0] == ACTIVE


def create(
    tx: Transaction,
    project: str,
    principal: str,
    *,
    name: str = "",
    labels: Mapping[str, str] | None = None,
) -> bool:
    """Create a project; returns whether it was created, which it is not if it is there.

    Args:
        tx: the transaction.
        project: its id.
        principal: who creates it.
        name: what people see; the id if there is none.
        labels: up to 64 keys and values.

    Raises:
        Failure: PROJECT_INVALID, THING_INVALID.
    """
    if _RESERVED.fullmatch(project):
        raise Failure(Code.PROJECT_INVALID, project=project)
    values = {
        "id": parse_project(project),
        "number": 10**11 + secrets.randbelow(9 * 10**11),
        "name": _checked_name(name or project),
        "labels": json.dumps(_checked_labels(labels or {})),
        "state": ACTIVE,
        "policy_version": 0,
        "created_at": now(),
        "created_by": principal,
        "deleted_at": None,
    }
    result = tx.execute(insert(tx, PROJECT).on_conflict_do_nothing(), values)
    return result.rowcount == 1


def get(tx: Transaction, project: str) -> Project:
    """A project, by its id or number.

    Raises:
        Failure: PROJECT_UNKNOWN.
    """
    column = PROJECT.c.number if project.isascii() and project.isdigit() else PROJECT.c.id
    value = int(project[:18]) if column is PROJECT.c.number else project
    row = tx.execute(select(PROJECT).where(column == value)).one_or_none()
    if row is None:
        raise Failure(Code.PROJECT_UNKNOWN, project=project)
    return _project(row)


def page(tx: Transaction, after: str, count: int) -> list[Project]:
    """The first `count` projects after `after`, in order of their ids."""
    rows = tx.execute(
        select(PROJECT).where(PROJECT.c.id > after).order_by(PROJECT.c.id).limit(count)
    )
    return [_project(row) for row in rows]


def update(tx: Transaction, project: str, *, name: str, labels: Mapping[str, str]) -> Project:
    """Change what people and programs see.

    Raises:
        Failure: PROJECT_UNKNOWN, THING_INVALID.
    """
    values = {"name": _checked_name(name), "labels": json.dumps(_checked_labels(labels))}
    tx.execute(PROJECT.update().where(PROJECT.c.id == project).values(values))
    return get(tx, project)


def delete(tx: Transaction, project: str) -> None:
    """Ask for deletion: nothing in it can be used, and after thirty days it is gone.

    Raises:
        Failure: PROJECT_UNKNOWN, also when its deletion was asked for before.
    """
    _change_state(tx, project, ACTIVE, DELETE_REQUESTED, now())


def undelete(tx: Transaction, project: str) -> None:
    """Have a deleted project back.

    Raises:
        Failure: PROJECT_UNKNOWN, also when nobody has asked to delete it.
    """
    _change_state(tx, project, DELETE_REQUESTED, ACTIVE, None)


def expired(tx: Transaction, count: int) -> list[str]:
    """The ids of projects that were deleted more than thirty days ago."""
    before = now() - UNDELETE_DAYS * _MICROSECONDS_A_DAY
    return list(
        tx.scalars(
            select(PROJECT.c.id)
            .where(PROJECT.c.state == DELETE_REQUESTED, PROJECT.c.deleted_at < before)
            .limit(count)
        )
    )


def _change_state(
    tx: Transaction, project: str, old: str, new: str, deleted_at: int | None
) -> None:
    result = tx.execute(
        PROJECT.update()
        .where(PROJECT.c.id == project, PROJECT.c.state == old)
        .values(state=new, deleted_at=deleted_at)
    )
    if result.rowcount != 1:
        raise Failure(Code.PROJECT_UNKNOWN, project=project)
    state.bump(tx)


def _project(row: object) -> Project:
    fields = row._mapping  # type: ignore[attr-defined]  # noqa: SLF001  - a row of SQLAlchemy
    return Project(
        fields["id"],
        fields["number"],
        fields["name"],
        json.loads(fields["labels"]),
        fields["state"],
        fields["created_at"],
        fields["deleted_at"],
    )


def _checked_name(name: str) -> str:
    if not 0 < len(name) <= _MAX_NAME or not name.isprintable():
        reason = f"its name has 1 to {_MAX_NAME} characters that can be printed"
        raise Failure(Code.THING_INVALID, kind="project", reason=reason)
    return name


def _checked_labels(labels: Mapping[str, str]) -> dict[str, str]:
    right = len(labels) <= _MAX_LABELS and all(
        0 < len(key) <= 63 and len(value) <= 63 and (key + value).isprintable()
        for key, value in labels.items()
    )
    if not right:
        reason = f"it has at most {_MAX_LABELS} labels, keys and values of at most 63 characters"
        raise Failure(Code.THING_INVALID, kind="project", reason=reason)
    return dict(labels)
