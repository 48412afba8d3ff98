"""Exceptions as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    and_,
    delete,
    or_,
    select,
)

from customhouse.analysis.exceptions.model import (
    Origin,
    Place,
    Query,
    State,
    VulnerabilityException,
)
from customhouse.analysis.vex.statement import Assessment, Justification
from customhouse.database import METADATA, Name, now
from customhouse.errors import Code, Failure
from customhouse.names import project_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from sqlalchemy import ColumnElement, Row

    from customhouse.database import Transaction

_NUMBER = BigInteger().with_variant(Integer, "sqlite")

EXCEPTION = Table(
    "exception",
    METADATA,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    Column("project", Name, nullable=False),
    # What it is about; empty for every repository of the project, digest, package.
    Column("repository", Name, nullable=False),
    Column("digest", Name, nullable=False),
    # Package URLs and names, a line each: a document may list thousands for one statement.
    Column("packages", Text, nullable=False),
    Column("assessment", Text, nullable=False),
    Column("justification", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("action", Text, nullable=False),
    # Who says so: the principal who made it, pushed the document or handed it in.
    Column("owner", Name, nullable=False),
    Column("origin", Text, nullable=False),
    # Of a document: the digest of the referrer or what it calls itself, and who speaks in it.
    Column("source", Name, nullable=False),
    Column("author", Text, nullable=False),
    Column("stated_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("revoked_by", Name, nullable=False),
    Index("ix_exception_project", "project", "id"),
    Index("ix_exception_source", "project", "source"),
    sqlite_autoincrement=True,  # the audit log names it by its number, which must not come again
)

# The vulnerability's names; the first is the one that it is shown by.
EXCEPTION_NAME = Table(
    "exception_name",
    METADATA,
    Column("project", Name, primary_key=True),
    Column("name", Name, primary_key=True),
    Column(
        "exception_id",
        _NUMBER,
        ForeignKey(EXCEPTION.c.id, ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("position", Integer, nullable=False),
    Index("ix_exception_name_exception", "exception_id"),
)


def put(tx: Transaction, rows: Sequence[VulnerabilityException], at: int) -> list[int]:
    """Store new rows of one project; returns their numbers, in order."""
    if not rows:
        return []
    inserted = tx.execute(
        EXCEPTION.insert().returning(EXCEPTION.c.id, sort_by_parameter_order=True),
        [_values(row, at) for row in rows],
    )
    numbers = [int(number) for number in inserted.scalars()]
    tx.execute(
        EXCEPTION_NAME.insert(),
        [
            {
                "project": row.place.project,
                "name": name,
                "exception_id": number,
                "position": position,
            }
            for row, number in zip(rows, numbers, strict=True)
            for position, name in enumerate(row.names)
        ],
    )
    return numbers


def get(tx: Transaction, project: str, number: int) -> VulnerabilityException:
    """One exception, whatever its state.

    Raises:
        Failure: EXCEPTION_UNKNOWN.
    """
    found = load(tx, [number])
    if not found or found[0].place.project != project:
        raise Failure(Code.EXCEPTION_UNKNOWN, exception=number, project=project_id(project))
    return found[0]


def load(tx: Transaction, numbers: Sequence[int]) -> list[VulnerabilityException]:
    """Exceptions by their numbers, at most a thousand, in order of these."""
    rows = tx.execute(
        select(EXCEPTION).where(EXCEPTION.c.id.in_(numbers)).order_by(EXCEPTION.c.id)
    ).all()
    names: dict[int, list[str]] = {}
    for row in tx.execute(
        select(EXCEPTION_NAME.c.exception_id, EXCEPTION_NAME.c.name)
        .where(EXCEPTION_NAME.c.exception_id.in_(numbers))
        .order_by(EXCEPTION_NAME.c.exception_id, EXCEPTION_NAME.c.position)
    ):
        names.setdefault(row.exception_id, []).append(row.name)
    return [_read(row, tuple(names[row.id])) for row in rows]


def page(
    tx: Transaction, project: str, query: Query, after: int, count: int, at: int | None = None
) -> list[VulnerabilityException]:
    """Exceptions of a project in order of their numbers.

    Args:
        tx: the transaction.
        project: the project as it stands in image names.
        query: which.
        after: only greater numbers.
        count: at most this many.
        at: the present time.
    """
    statement = select(EXCEPTION.c.id).where(EXCEPTION.c.project == project, EXCEPTION.c.id > after)
    if query.vulnerability:
        named = select(EXCEPTION_NAME.c.exception_id).where(
            EXCEPTION_NAME.c.project == project, EXCEPTION_NAME.c.name == query.vulnerability
        )
        statement = statement.where(EXCEPTION.c.id.in_(named))
    if query.place is not None:
        statement = statement.where(EXCEPTION.c.repository == query.place.repository)
        if query.place.digest:
            statement = statement.where(EXCEPTION.c.digest == query.place.digest)
    if query.state is not None:
        statement = statement.where(_is(query.state, now() if at is None else at))
    numbers = tx.execute(statement.order_by(EXCEPTION.c.id).limit(count)).scalars().all()
    return load(tx, numbers)


def forget_project(tx: Transaction, project: str) -> None:
    """Forget all of a project that is gone, lest they count in one of the same name."""
    tx.execute(delete(EXCEPTION).where(EXCEPTION.c.project == project))


def active(at: int) -> ColumnElement[bool]:
    """The condition that an exception counts at a time."""
    return _is(State.ACTIVE, at)


def _is(state: State, at: int) -> ColumnElement[bool]:
    if state is State.REVOKED:
        return EXCEPTION.c.revoked_at.is_not(None)
    ended = EXCEPTION.c.expires_at <= at
    if state is State.EXPIRED:
        return and_(EXCEPTION.c.revoked_at.is_(None), ended)
    return and_(
        EXCEPTION.c.revoked_at.is_(None),
        or_(EXCEPTION.c.expires_at.is_(None), EXCEPTION.c.expires_at > at),
    )


def _values(row: VulnerabilityException, at: int) -> dict[str, object]:
    return {
        **row.place._asdict(),
        "packages": "\n".join(row.packages),
        "assessment": row.assessment.value,
        "justification": row.justification.value if row.justification else "",
        "reason": row.reason,
        "action": row.action,
        "owner": row.owner,
        "origin": row.origin.value,
        "source": row.source,
        "author": row.author,
        "stated_at": row.stated_at,
        "created_at": at,
        "updated_at": at,
        "expires_at": row.expires_at,
        "revoked_by": "",
    }


def _read(row: Row[Any], names: tuple[str, ...]) -> VulnerabilityException:
    return VulnerabilityException(
        place=Place(row.project, row.repository, row.digest),
        names=names,
        packages=tuple(row.packages.split("\n")) if row.packages else (),
        assessment=Assessment(row.assessment),
        justification=Justification(row.justification) if row.justification else None,
        reason=row.reason,
        action=row.action,
        owner=row.owner,
        origin=Origin(row.origin),
        source=row.source,
        author=row.author,
        stated_at=row.stated_at,
        expires_at=row.expires_at,
        id=row.id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        revoked_at=row.revoked_at,
        revoked_by=row.revoked_by,
    )
