"""Ranges of Red Hat's main releases of which a stream says otherwise (`systems.streams`).

The same vulnerability is fixed in a stream and in the main releases by versions that cannot be
compared: openssl of 8.4 EUS in 1.1.1g-16.el8_4, that of 8 in 1.1.1k-6.el8_5. What is not fixed is
told of the main releases alone, so their word counts where the stream has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import Column, Integer, MetaData, Table, and_, delete, or_, select, true
from sqlalchemy.schema import CreateTable

from customhouse.analysis.advisories import ADVISORY_VULNERABILITY, AFFECTED
from customhouse.analysis.packages import PACKAGE_NAME
from customhouse.database import Name

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from customhouse.database import Transaction

# The names of packages under which a stream of theirs has ranges for a vulnerability. As a table
# of its own it is filled in one pass; asked of each range it takes as long as the name has ranges.
_RESTATED = Table(
    "restated",
    MetaData(),
    Column("package_id", Integer, primary_key=True),
    Column("vulnerability_id", Integer, primary_key=True),
    Column("name", Name, primary_key=True),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DROP",
)

# Around `Red Hat:8`, and around `Red Hat:rhel_eus:8.4`: digits come before the colon.
_MAIN: Final = ("Red Hat:", "Red Hat::")
_STREAM: Final = ("Red Hat::", "Red Hat;")


def are_for_architecture() -> ColumnElement[bool]:
    """Whether ranges (`AFFECTED`) are for the architecture of a package (`PACKAGE_NAME`)."""
    return (
        AFFECTED.c.arches.is_(None)
        | (PACKAGE_NAME.c.arch == "")
        | AFFECTED.c.arches.like("% " + PACKAGE_NAME.c.arch + " %")
    )


def that_count(tx: Transaction, which: ColumnElement[bool]) -> ColumnElement[bool]:
    """Look up what streams say; returns whether a range counts for a package and vulnerability.

    Args:
        tx: the transaction, in which that is asked of rows of `PACKAGE_NAME`, `AFFECTED` and
            `ADVISORY_VULNERABILITY`.
        which: packages or vulnerabilities, by columns of these.
    """
    of_stream = _lies_in(PACKAGE_NAME.c.ecosystem, _STREAM)
    if tx.execute(select(PACKAGE_NAME.c.package_id).where(of_stream).limit(1)).first() is None:
        return true()
    tx.execute(CreateTable(_RESTATED, if_not_exists=True))
    tx.execute(delete(_RESTATED))
    link = ADVISORY_VULNERABILITY
    said = (
        select(PACKAGE_NAME.c.package_id, link.c.vulnerability_id, PACKAGE_NAME.c.name)
        .select_from(
            PACKAGE_NAME.join(
                AFFECTED,
                (AFFECTED.c.ecosystem == PACKAGE_NAME.c.ecosystem)
                & (AFFECTED.c.name == PACKAGE_NAME.c.name)
                & are_for_architecture(),
            ).join(link, link.c.advisory_id == AFFECTED.c.advisory_id)
        )
        .where(which, of_stream)
        .distinct()
    )
    tx.execute(_RESTATED.insert().from_select([column.name for column in _RESTATED.c], said))
    is_restated = (
        select(_RESTATED.c.package_id)
        .where(
            _RESTATED.c.package_id == PACKAGE_NAME.c.package_id,
            _RESTATED.c.vulnerability_id == link.c.vulnerability_id,
            _RESTATED.c.name == PACKAGE_NAME.c.name,
        )
        .exists()
    )
    return or_(~_lies_in(AFFECTED.c.ecosystem, _MAIN), ~is_restated)


def _lies_in(column: ColumnElement[str], bounds: tuple[str, str]) -> ColumnElement[bool]:
    return and_(column >= bounds[0], column < bounds[1])
