"""Findings: which package version has which vulnerability. A join, nothing else.

A finding belongs to a package version, not to an image: images have the findings of the packages
in their inventory. New packages are joined with all ranges; of ranges that changed, everything
about the same vulnerabilities is joined with all packages, and the difference is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    and_,
    case,
    delete,
    func,
    literal,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.schema import CreateTable

from customhouse.analysis import stream_ranges
from customhouse.analysis.advisories import (
    ADVISORY,
    ADVISORY_VULNERABILITY,
    AFFECTED,
    UNMATCHED,
)
from customhouse.analysis.exploits import COLUMNS, EPSS, KEV
from customhouse.analysis.packages import INVENTORY_PACKAGE, PACKAGE, PACKAGE_NAME
from customhouse.analysis.vulnerabilities import VULNERABILITY
from customhouse.database import METADATA, insert, lock, now

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Row, Select, Subquery

    from customhouse.database import Transaction

FINDING = Table(
    "finding",
    METADATA,
    Column("package_id", Integer, ForeignKey(PACKAGE.c.id), primary_key=True),
    Column("vulnerability_id", Integer, ForeignKey(VULNERABILITY.c.id), primary_key=True),
    # Copied, so that what is shown stays whole while ranges are loaded. The advisory is the one
    # that the fix is from.
    Column("advisory_id", Integer, nullable=False),
    Column("fixed_version", Text),
    Column("status", Text, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("severity_source", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("ix_finding_vulnerability", "vulnerability_id"),
)

# What a change of a feed did to findings. No severity before: it is new; none after: it is gone.
FINDING_CHANGE = Table(
    "finding_change",
    METADATA,
    Column(
        "id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    ),
    Column("package_id", Integer, ForeignKey(PACKAGE.c.id), nullable=False),
    Column("vulnerability_id", Integer, ForeignKey(VULNERABILITY.c.id), nullable=False),
    Column("feed", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("severity_before", Integer),
    Column("severity_after", Integer),
    Column("fixed_before", Text),
    Column("fixed_after", Text),
    Index("ix_finding_change_package", "package_id", "id"),
    Index("ix_finding_change_vulnerability", "vulnerability_id"),
    # Pages and messages go on after a number: it must not come again.
    sqlite_autoincrement=True,
)

# Of each package and vulnerability the range that tells the fix, and the one that tells the
# severity: the range's number, below what makes it the best one. Where no range tells a severity,
# in the same way the advisory with the worst CVSS score of the vulnerability, if there is one.
_CANDIDATE = Table(
    "candidate",
    MetaData(),
    Column("package_id", Integer, primary_key=True),
    Column("vulnerability_id", Integer, primary_key=True),
    Column("shown", BigInteger, nullable=False),
    Column("rated", BigInteger, nullable=False),
    Column("scored", BigInteger),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DROP",
)

_LOCK: Final = "findings"
_NUMBER: Final = 1 << 44  # above every number of a range


def match_inventory(tx: Transaction, inventory_id: int) -> None:
    """Join those packages of an inventory that are new with all ranges."""
    new = (
        select(PACKAGE.c.id)
        .select_from(INVENTORY_PACKAGE.join(PACKAGE))
        .where(INVENTORY_PACKAGE.c.inventory_id == inventory_id, PACKAGE.c.matched_at.is_(None))
    )
    lock(tx, _LOCK)
    moment = now()
    _choose(tx, PACKAGE_NAME.c.package_id.in_(new))
    _store(tx, moment)
    tx.execute(update(PACKAGE).where(PACKAGE.c.id.in_(new)).values(matched_at=moment))


def match_changed(tx: Transaction, feed: str, count: int) -> bool:
    """Join what changed in advisories with all packages, and keep what that changes.

    Args:
        tx: the transaction.
        feed: the feed that is said to be the reason.
        count: of how many vulnerabilities at most.

    Returns:
        Whether there is more to join.
    """
    lock(tx, _LOCK)
    waiting = select(UNMATCHED.c.vulnerability_id)
    last = tx.execute(
        waiting.order_by(UNMATCHED.c.vulnerability_id).offset(count - 1).limit(1)
    ).scalar()
    here = UNMATCHED.c.vulnerability_id <= last if last is not None else true()
    these = waiting.where(here)
    moment = now()
    _choose(tx, ADVISORY_VULNERABILITY.c.vulnerability_id.in_(these))
    gone = and_(
        FINDING.c.vulnerability_id.in_(these),
        ~select(_CANDIDATE.c.package_id)
        .where(
            _CANDIDATE.c.package_id == FINDING.c.package_id,
            _CANDIDATE.c.vulnerability_id == FINDING.c.vulnerability_id,
        )
        .exists(),
    )
    _keep_changes(tx, feed, moment, gone)
    _store(tx, moment)
    tx.execute(delete(FINDING).where(gone))
    tx.execute(delete(UNMATCHED).where(here))
    return last is not None


def merge(tx: Transaction, merged: Mapping[int, int]) -> None:
    """Let findings of one vulnerability be of another, which is the same (`advisories.put`)."""
    for old, new in merged.items():
        for table in (FINDING_CHANGE, FINDING):
            there = FINDING.alias()
            has_both = (
                select(there.c.package_id)
                .where(there.c.package_id == table.c.package_id, there.c.vulnerability_id == new)
                .exists()
            )
            tx.execute(delete(table).where(table.c.vulnerability_id == old, has_both))
            tx.execute(
                update(table).where(table.c.vulnerability_id == old).values(vulnerability_id=new)
            )
        tx.execute(delete(VULNERABILITY).where(VULNERABILITY.c.id == old))


def last_change(tx: Transaction) -> int:
    """The number of the newest change; 0 if there is none."""
    return int(tx.execute(select(func.max(FINDING_CHANGE.c.id))).scalar() or 0)


def _choose(tx: Transaction, which: ColumnElement[bool]) -> None:
    """Fill the table of candidates with what lies in a range."""
    tx.execute(CreateTable(_CANDIDATE, if_not_exists=True))
    tx.execute(delete(_CANDIDATE))
    link, other, rival = ADVISORY_VULNERABILITY, ADVISORY_VULNERABILITY.alias(), AFFECTED.alias()
    # An advisory about many vulnerabilities has one range for them all. What is written about one
    # alone, even that the package does not have it, is more exact.
    overruled = (
        select(rival.c.id)
        .select_from(other.join(rival, rival.c.advisory_id == other.c.advisory_id))
        .where(
            other.c.vulnerability_id == link.c.vulnerability_id,
            other.c.is_alone,
            rival.c.ecosystem == AFFECTED.c.ecosystem,
            rival.c.name == AFFECTED.c.name,
        )
        .exists()
    )
    has_fix = case((AFFECTED.c.fixed_version.is_(None), 0), else_=_NUMBER)
    matches = (
        select(
            PACKAGE_NAME.c.package_id,
            link.c.vulnerability_id,
            func.max(AFFECTED.c.id + has_fix),
            func.max(AFFECTED.c.id + AFFECTED.c.rating * literal(_NUMBER, BigInteger)),
        )
        .select_from(
            PACKAGE_NAME.join(
                AFFECTED,
                (AFFECTED.c.ecosystem == PACKAGE_NAME.c.ecosystem)
                & (AFFECTED.c.name == PACKAGE_NAME.c.name)
                & (AFFECTED.c.introduced <= PACKAGE_NAME.c.key)
                & (PACKAGE_NAME.c.key < AFFECTED.c.fixed)
                & stream_ranges.are_for_architecture(),
            ).join(link, link.c.advisory_id == AFFECTED.c.advisory_id)
        )
        .where(which, or_(link.c.is_alone, ~overruled), stream_ranges.that_count(tx, which))
        .group_by(PACKAGE_NAME.c.package_id, link.c.vulnerability_id)
    )
    names = ["package_id", "vulnerability_id", "shown", "rated"]
    tx.execute(_CANDIDATE.insert().from_select(names, matches))
    _score(tx)


def _score(tx: Transaction) -> None:
    """Look for scores where no range tells a severity, whatever packages they come with.

    A score of an advisory about many vulnerabilities is not that of each of them.
    """
    link = ADVISORY_VULNERABILITY
    worst = (
        select(func.max(ADVISORY.c.score * literal(_NUMBER, BigInteger) + ADVISORY.c.id))
        .select_from(link.join(ADVISORY, ADVISORY.c.id == link.c.advisory_id))
        .where(link.c.vulnerability_id == _CANDIDATE.c.vulnerability_id, link.c.is_alone)
        .scalar_subquery()
    )
    tx.execute(update(_CANDIDATE).where(_CANDIDATE.c.rated < _NUMBER).values(scored=worst))


def _chosen() -> Subquery:
    """The candidates with what their ranges say."""
    shown, rated, scored = AFFECTED.alias("shown"), AFFECTED.alias("rated"), ADVISORY.alias()
    source = scored.c.score_source + " (" + scored.c.feed + ": " + scored.c.name + ")"
    return (
        select(
            _CANDIDATE.c.package_id,
            _CANDIDATE.c.vulnerability_id,
            shown.c.advisory_id,
            shown.c.fixed_version,
            shown.c.status,
            func.coalesce(scored.c.score, rated.c.severity).label("severity"),
            func.coalesce(source, rated.c.severity_source).label("severity_source"),
        )
        .select_from(
            _CANDIDATE.join(
                shown, shown.c.id == _CANDIDATE.c.shown.bitwise_and(literal(_NUMBER - 1))
            )
            .join(rated, rated.c.id == _CANDIDATE.c.rated.bitwise_and(literal(_NUMBER - 1)))
            .outerjoin(scored, scored.c.id == _CANDIDATE.c.scored.bitwise_and(literal(_NUMBER - 1)))
        )
        .subquery()
    )


def _store(tx: Transaction, moment: int) -> None:
    """Make findings of the candidates; those that are there keep the time that they were made."""
    chosen = _chosen()
    names = [column.name for column in chosen.c]
    statement = insert(tx, FINDING)
    new = statement.excluded
    copied = ("advisory_id", "fixed_version", "status", "severity", "severity_source")
    values: Select[Any] = select(chosen, literal(moment), literal(moment)).where(true())
    tx.execute(
        statement.from_select([*names, "created_at", "updated_at"], values).on_conflict_do_update(
            index_elements=[FINDING.c.package_id, FINDING.c.vulnerability_id],
            set_={name: new[name] for name in (*copied, "updated_at")},
            where=or_(*(FINDING.c[name].is_distinct_from(new[name]) for name in copied)),
        )
    )


def _keep_changes(tx: Transaction, feed: str, moment: int, gone: ColumnElement[bool]) -> None:
    """Note how the candidates differ from the findings."""
    chosen = _chosen()
    same = and_(
        FINDING.c.package_id == chosen.c.package_id,
        FINDING.c.vulnerability_id == chosen.c.vulnerability_id,
    )
    reason = (literal(feed), literal(moment))
    came = (
        select(
            chosen.c.package_id,
            chosen.c.vulnerability_id,
            *reason,
            FINDING.c.severity,
            chosen.c.severity,
            FINDING.c.fixed_version,
            chosen.c.fixed_version,
        )
        .select_from(chosen.outerjoin(FINDING, same))
        .where(
            or_(
                FINDING.c.package_id.is_(None),
                FINDING.c.severity != chosen.c.severity,
                FINDING.c.fixed_version.is_(None) != chosen.c.fixed_version.is_(None),
            )
        )
    )
    went = select(
        FINDING.c.package_id,
        FINDING.c.vulnerability_id,
        *reason,
        FINDING.c.severity,
        literal(None, Integer),
        FINDING.c.fixed_version,
        literal(None, Text),
    ).where(gone)
    names = [column.name for column in FINDING_CHANGE.c if column.name != "id"]
    for change in (came, went):
        tx.execute(FINDING_CHANGE.insert().from_select(names, change))


def of_inventories(
    tx: Transaction, inventory_ids: Sequence[int], after: int, count: int
) -> list[Row[Any]]:
    """Findings in inventories, with package, advisory and what is known of exploits.

    They are in order of the vulnerability's number.

    Args:
        tx: the transaction.
        inventory_ids: the inventories, of one image or of all images of an index.
        after: only vulnerabilities with greater numbers.
        count: of how many vulnerabilities at most.
    """
    here = INVENTORY_PACKAGE.c.inventory_id.in_(inventory_ids)
    joined = INVENTORY_PACKAGE.join(FINDING, FINDING.c.package_id == INVENTORY_PACKAGE.c.package_id)
    page = (
        select(FINDING.c.vulnerability_id)
        .select_from(joined)
        .where(here, FINDING.c.vulnerability_id > after)
        .distinct()
        .order_by(FINDING.c.vulnerability_id)
        .limit(count)
    )
    statement = (
        select(
            FINDING,
            VULNERABILITY.c.name.label("vulnerability"),
            ADVISORY.c.name.label("advisory"),
            ADVISORY.c.severity.label("advisory_severity"),
            ADVISORY.c.body,
            ADVISORY.c.published_at,
            ADVISORY.c.modified_at,
            PACKAGE.c.ecosystem,
            PACKAGE.c.name,
            PACKAGE.c.version,
            PACKAGE.c.arch,
            PACKAGE.c.source,
            PACKAGE.c.source_version,
            INVENTORY_PACKAGE.c.layer,
            INVENTORY_PACKAGE.c.layer_index,
            INVENTORY_PACKAGE.c.path,
            *COLUMNS,
        )
        .select_from(
            joined.join(VULNERABILITY, VULNERABILITY.c.id == FINDING.c.vulnerability_id)
            .outerjoin(EPSS, EPSS.c.cve == VULNERABILITY.c.name)
            .outerjoin(KEV, KEV.c.cve == VULNERABILITY.c.name)
            .join(ADVISORY, ADVISORY.c.id == FINDING.c.advisory_id)
            .join(PACKAGE, PACKAGE.c.id == FINDING.c.package_id)
        )
        .where(here, FINDING.c.vulnerability_id.in_(page))
        .order_by(FINDING.c.vulnerability_id, PACKAGE.c.name, PACKAGE.c.arch)
    )
    return list(tx.execute(statement))
