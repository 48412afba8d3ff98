"""Repositories: named collections of blobs, manifests and tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    bindparam,
    select,
)

from customhouse.database import METADATA, Name, Prepared, insert, lock, now
from customhouse.iam import projects
from customhouse.names import split_project

if TYPE_CHECKING:
    from customhouse.database import Transaction
    from customhouse.iam.permissions import Principal
    from customhouse.iam.provisioning import Provisioner

REPOSITORY = Table(
    "repository",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", Name, nullable=False, unique=True),
    Column("project", Name, ForeignKey(projects.PROJECT.c.id), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_repository_project", "project", "name"),
)

_FIND = Prepared(select(REPOSITORY.c.id).where(REPOSITORY.c.name == bindparam("name")))
_PAGE = Prepared(
    select(REPOSITORY.c.name)
    .where(REPOSITORY.c.name > bindparam("after"), REPOSITORY.c.name < bindparam("before"))
    .order_by(REPOSITORY.c.name)
    .limit(bindparam("count"))
)

# Greater than every name: names are ASCII.
END = "\x7f"


def find(tx: Transaction, name: str) -> int | None:
    """The number of a repository, or None."""
    row = _FIND.first(tx, name=name)
    return None if row is None else row[0]


def ensure(tx: Transaction, name: str, principal: Principal, provisioner: Provisioner) -> int:
    """The number of a repository, which is created if it is not there.

    Args:
        tx: the transaction.
        name: `PROJECT/IMAGE`.
        principal: who pushes.
        provisioner: what creates a project, for those who may.

    Raises:
        Failure: PROJECT_UNKNOWN, DENIED when it is the first of its project and the principal may
            not create that.
    """
    number = find(tx, name)
    if number is not None:
        return number
    project = split_project(name)[0]
    if any_of(tx, project) is None:
        provisioner.admit_first_push(tx, project, principal)
    values = {"name": name, "project": project, "created_at": now()}
    tx.execute(insert(tx, REPOSITORY).on_conflict_do_nothing(), values)
    row = _FIND.first(tx, name=name)
    if row is None:
        raise AssertionError("the repository was inserted or was there")
    return int(row[0])


def any_of(tx: Transaction, project: str) -> int | None:
    """The number of one repository of a project, or None if it has none."""
    row = _PAGE.first(tx, after=f"{project}/", before=f"{project}0", count=1)
    return None if row is None else find(tx, row[0])


def hold(tx: Transaction, number: int) -> None:
    """Let changes of what a repository's manifests are made of come one after the other.

    What is looked at and what is done about it would otherwise be two things on PostgreSQL: a
    layer could go while the manifest that names it comes.
    """
    lock(tx, f"repository {number}")


def page(tx: Transaction, after: str, count: int) -> list[str]:
    """The first `count` names after `after`, in order."""
    return [row[0] for row in _PAGE.all(tx, after=after, before=END, count=count)]


def children(tx: Transaction, name: str) -> list[str]:
    """The components that follow `name/` in the names of repositories, in order.

    It skips from one child to the next by the index, so it costs as many reads as there are
    children, however many repositories those hold.
    """
    prefix = f"{name}/"
    end = f"{name}0"  # "0" follows "/" in ASCII
    found: set[str] = set()
    after = prefix
    while True:
        rows = _PAGE.all(tx, after=after, before=end, count=1)
        if not rows:
            return sorted(found)
        row: str = rows[0][0]
        child, slash, _ = row[len(prefix) :].partition("/")
        found.add(child)
        # Below a child everything can be skipped, but names such as `child-2` lie between
        # `child` and `child/...`.
        after = f"{prefix}{child}/{END}" if slash else row
