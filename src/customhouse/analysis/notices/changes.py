"""What changed in the findings of an image, as messages tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import structlog
from sqlalchemy import and_, select

from customhouse.analysis import vulnerabilities
from customhouse.analysis.advisories import ADVISORY
from customhouse.analysis.findings import FINDING, FINDING_CHANGE
from customhouse.analysis.packages import INVENTORY_PACKAGE, PACKAGE
from customhouse.analysis.severity import Severity
from customhouse.analysis.vulnerabilities import VULNERABILITY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from sqlalchemy import Row

    from customhouse.database import Transaction

NEW, GONE, SEVERITY, FIXABLE = "NEW", "GONE", "SEVERITY", "FIXABLE"

MAX_CHANGES: Final = 20_000
"""Of how many findings of an image changes are told at once; there is a line in the log of more."""

MAX_OF_MESSAGE: Final = 200
MAX_BYTES: Final = 100_000
"""How large the changes of a message are, in JSON, if they are more than one."""

_MAX_ALIASES = 20
_BATCH = 5000

_log = structlog.get_logger()


class Change(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A change, in the words of the message.

    Attributes:
        change: NEW, GONE, SEVERITY or FIXABLE.
        vulnerability: the name that it is shown by.
        aliases: its other names, and the advisory.
        package: the package's name.
        version: the version in the image.
        severity: Grafeas' word for it; of one that is gone, for what it was.
        previous_severity: of SEVERITY, what it was; empty otherwise and then not told.
        fixed_version: where it is fixed; empty, and not told, if nowhere.
    """

    change: str
    vulnerability: str
    aliases: tuple[str, ...]
    package: str
    version: str
    severity: str
    previous_severity: str = ""
    fixed_version: str = ""


class Range(NamedTuple):
    """The changes that a load of a feed made: `after < FINDING_CHANGE.c.id <= last`."""

    feed: str
    after: int
    last: int


class _State(NamedTuple):
    """A finding before or after: severity and fix; None instead of it where there is none."""

    severity: int
    fixed_version: str | None


def changed_inventories(tx: Transaction, numbers: Collection[int], made: Range) -> set[int]:
    """Those of some inventories that have a package whose findings were changed."""
    statement = (
        select(INVENTORY_PACKAGE.c.inventory_id)
        .join(FINDING_CHANGE, FINDING_CHANGE.c.package_id == INVENTORY_PACKAGE.c.package_id)
        .where(INVENTORY_PACKAGE.c.inventory_id.in_(numbers), *_within(made))
        .distinct()
    )
    return set(tx.scalars(statement))


def of_load(tx: Transaction, inventories: Collection[int], made: Range, since: int) -> list[Change]:
    """What a load of a feed changed in some inventories, all of one image.

    Of a finding that was changed more than once it is told how it was at first and at last.

    Args:
        tx: the transaction.
        inventories: the image's inventories.
        made: the changes.
        since: only what was changed at this time or later, in microseconds.
    """
    same = and_(
        FINDING.c.package_id == FINDING_CHANGE.c.package_id,
        FINDING.c.vulnerability_id == FINDING_CHANGE.c.vulnerability_id,
    )
    rows = tx.execute(
        select(
            FINDING_CHANGE,
            VULNERABILITY.c.name.label("vulnerability"),
            ADVISORY.c.name.label("advisory"),
            PACKAGE.c.name,
            PACKAGE.c.version,
        )
        .select_from(
            FINDING_CHANGE.join(PACKAGE)
            .join(VULNERABILITY, VULNERABILITY.c.id == FINDING_CHANGE.c.vulnerability_id)
            .outerjoin(FINDING, same)
            .outerjoin(ADVISORY, ADVISORY.c.id == FINDING.c.advisory_id)
        )
        .where(
            FINDING_CHANGE.c.package_id.in_(
                select(INVENTORY_PACKAGE.c.package_id).where(
                    INVENTORY_PACKAGE.c.inventory_id.in_(inventories)
                )
            ),
            FINDING_CHANGE.c.created_at >= since,
            *_within(made),
        )
        .order_by(FINDING_CHANGE.c.id)
        .limit(MAX_CHANGES)
    ).all()
    first: dict[tuple[int, int], Row[Any]] = {}
    last: dict[tuple[int, int], Row[Any]] = {}
    for row in rows:
        key = row.package_id, row.vulnerability_id
        first.setdefault(key, row)
        last[key] = row
    told = (
        (last[key], _state(row, "before"), _state(last[key], "after")) for key, row in first.items()
    )
    return _named(tx, rows, told)


def between(tx: Transaction, before: int, after: int) -> list[Change]:
    """What the findings of an inventory have more and less than those of another.

    Args:
        tx: the transaction.
        before: the number of the inventory that an image had; 0 if it had none.
        after: the number of the one that it has.
    """
    old = {_identity(row): row for row in _findings(tx, before)} if before else {}
    new = {_identity(row): row for row in _findings(tx, after)}
    came = [row for key, row in new.items() if key not in old]
    went = [row for key, row in old.items() if key not in new]
    told = [(row, None, _State(row.severity, row.fixed_version)) for row in came]
    gone = [(row, _State(row.severity, row.fixed_version), None) for row in went]
    return _named(tx, [*came, *went], [*told, *gone])


def split(changes: Sequence[Change]) -> Iterator[list[Change]]:
    """Changes in parts that are each small enough for a message, in the same order."""
    part: list[Change] = []
    size = 0
    for change in changes:
        length = len(msgspec.json.encode(change))
        if part and (len(part) == MAX_OF_MESSAGE or size + length > MAX_BYTES):
            yield part
            part, size = [], 0
        part.append(change)
        size += length
    if part:
        yield part


def _within(made: Range) -> tuple[Any, ...]:
    # While one feed is loaded others may be: their changes are told by their own events.
    return (
        FINDING_CHANGE.c.id > made.after,
        FINDING_CHANGE.c.id <= made.last,
        FINDING_CHANGE.c.feed == made.feed,
    )


def _findings(tx: Transaction, inventory: int) -> Sequence[Row[Any]]:
    return tx.execute(
        select(
            FINDING,
            VULNERABILITY.c.name.label("vulnerability"),
            ADVISORY.c.name.label("advisory"),
            PACKAGE.c.name,
            PACKAGE.c.version,
        )
        .select_from(
            INVENTORY_PACKAGE.join(FINDING, FINDING.c.package_id == INVENTORY_PACKAGE.c.package_id)
            .join(PACKAGE, PACKAGE.c.id == FINDING.c.package_id)
            .join(VULNERABILITY, VULNERABILITY.c.id == FINDING.c.vulnerability_id)
            .outerjoin(ADVISORY, ADVISORY.c.id == FINDING.c.advisory_id)
        )
        .where(INVENTORY_PACKAGE.c.inventory_id == inventory)
        .order_by(FINDING.c.severity.desc(), FINDING.c.vulnerability_id, FINDING.c.package_id)
        .limit(MAX_CHANGES)
    ).all()


def _identity(row: Row[Any]) -> tuple[int, str, str]:
    # Not the package's number: another reader may tell more of the same package.
    return row.vulnerability_id, row.name, row.version


def _state(row: Row[Any], when: str) -> _State | None:
    severity = getattr(row, f"severity_{when}")
    return None if severity is None else _State(severity, getattr(row, f"fixed_{when}"))


def _named(
    tx: Transaction,
    rows: Sequence[Row[Any]],
    told: Iterable[tuple[Row[Any], _State | None, _State | None]],
) -> list[Change]:
    """The changes, the worst first, each once: a package may be there for two architectures."""
    if len(rows) >= MAX_CHANGES:
        _log.warning("of the changes of an image not all are told", told=MAX_CHANGES)
    names: dict[int, list[str]] = {}
    numbers = sorted({row.vulnerability_id for row in rows})
    for start in range(0, len(numbers), _BATCH):
        names |= vulnerabilities.aliases(tx, numbers[start : start + _BATCH])
    found = [
        each
        for row, before, after in told
        for each in _changes(row, names.get(row.vulnerability_id, []), before, after)
    ]
    found.sort(
        key=lambda each: (-Severity[each.severity], each.vulnerability, each.package, each.version)
    )
    return list(dict.fromkeys(found))


def _changes(
    row: Row[Any], names: Iterable[str], before: _State | None, after: _State | None
) -> Iterator[Change]:
    state = after or before
    if state is None:
        return  # it came and went
    others = sorted({*names, *filter(None, [row.advisory])} - {row.vulnerability})
    change = Change(
        NEW,
        row.vulnerability,
        tuple(others[:_MAX_ALIASES]),
        row.name,
        row.version,
        Severity(state.severity).name,
        fixed_version=state.fixed_version or "",
    )
    if before is None:
        yield change
        return
    if after is None:
        yield msgspec.structs.replace(change, change=GONE)
        return
    if before.severity != after.severity:
        previous = Severity(before.severity).name
        yield msgspec.structs.replace(change, change=SEVERITY, previous_severity=previous)
    if after.fixed_version is not None and before.fixed_version is None:
        yield msgspec.structs.replace(change, change=FIXABLE)
