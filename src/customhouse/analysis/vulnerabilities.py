"""Vulnerabilities and the names that they go by: one is one, whoever writes about it.

An advisory is about one or several vulnerabilities. Which, is told by identifiers: its own, its
aliases, and what it says that it fixes (OSV schema, "aliases" and "upstream").
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import Column, ForeignKey, Integer, Table, bindparam, func, select, update

from customhouse.analysis.feeds.texts import is_cve
from customhouse.database import METADATA, Name, among, insert_many

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from customhouse.analysis.feeds import Advisory
    from customhouse.database import Transaction

VULNERABILITY = Table(
    "vulnerability",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    # What it is called: its CVE if it has one.
    Column("name", Name, nullable=False),
)

VULNERABILITY_NAME = Table(
    "vulnerability_name",
    METADATA,
    Column("name", Name, primary_key=True),
    Column("vulnerability_id", Integer, ForeignKey(VULNERABILITY.c.id), nullable=False, index=True),
)

# Databases of vulnerabilities: what one of their records lists as aliases is the same one. The
# advisories of distributions (DSA, USN, RHSA ...) fix vulnerabilities and are none.
_DATABASES: Final = frozenset({"CVE", "GHSA", "GO", "GSD", "MAL", "OSV", "PYSEC", "RUSTSEC"})


class Identified(NamedTuple):
    """Which vulnerabilities some advisories are about.

    Attributes:
        numbers: those of each advisory, in the order in which the advisories were given.
        merged: of what was taken for two vulnerabilities: the number that is gone, and the one
            that stands for both.
    """

    numbers: list[tuple[int, ...]]
    merged: dict[int, int]


def names(advisory: Advisory) -> list[tuple[str, ...]]:
    """The names of each vulnerability that an advisory is about, the one it is called by first."""
    cves = advisory.cves
    if len(cves) > 1:
        return [(cve,) for cve in cves]
    is_same = _is_of_database(advisory.id)
    if cves and not is_same:
        return [cves]
    same = sorted(
        (name for name in (advisory.id, *advisory.aliases) if _is_of_database(name)),
        key=lambda name: (not is_cve(name), not name.startswith("GHSA-"), name),
    )
    if is_same:
        return [tuple(dict.fromkeys((*cves, *same)))]
    return [(name,) for name in same] or [(advisory.id,)]


def identify(tx: Transaction, found: Sequence[Advisory]) -> Identified:
    """Number the vulnerabilities that advisories are about; new ones are stored.

    Two CVE identifiers are two vulnerabilities whatever an advisory says; any other name belongs
    to the vulnerability for which it was seen first. Callers hold the lock of the advisories.
    """
    groups = [names(advisory) for advisory in found]
    register = _Register(tx)
    register.read({name for group in groups for each in group for name in each})
    numbers = [tuple(dict.fromkeys(register.resolve(each) for each in group)) for group in groups]
    register.write()
    # What was merged later in the batch is known by its last number.
    return Identified(
        [tuple(dict.fromkeys(map(register.final, each))) for each in numbers],
        {old: register.final(old) for old in register.merged},
    )


def find(tx: Transaction, name: str) -> int | None:
    """The number of the vulnerability with a name, or None."""
    return _numbers(tx, [name]).get(name)


def called(tx: Transaction, number: int) -> str:
    """What a vulnerability is called; empty if there is none of the number."""
    return str(tx.scalar(select(VULNERABILITY.c.name).where(VULNERABILITY.c.id == number)) or "")


def aliases(tx: Transaction, numbers: Collection[int]) -> dict[int, list[str]]:
    """All names of vulnerabilities, in order, by number."""
    found: dict[int, list[str]] = {}
    rows = tx.execute(
        select(VULNERABILITY_NAME.c.vulnerability_id, VULNERABILITY_NAME.c.name)
        .where(VULNERABILITY_NAME.c.vulnerability_id.in_(numbers))
        .order_by(VULNERABILITY_NAME.c.name)
    )
    for number, name in rows:
        found.setdefault(number, []).append(name)
    return found


def _is_of_database(name: str) -> bool:
    return name.partition("-")[0] in _DATABASES


def _numbers(tx: Transaction, wanted: Collection[str]) -> dict[str, int]:
    known = VULNERABILITY_NAME.c
    rows = tx.execute(
        select(known.name, known.vulnerability_id).where(among(tx, known.name, wanted))
    )
    return dict(rows.all())


@dataclass(slots=True)
class _Register:
    """The names of one batch, and what is to be written of them."""

    tx: Transaction
    known: dict[str, int] = field(default_factory=dict)
    called: dict[int, str] = field(default_factory=dict)
    created: dict[int, None] = field(default_factory=dict)
    renamed: dict[int, None] = field(default_factory=dict)
    attached: dict[str, None] = field(default_factory=dict)
    merged: dict[int, int] = field(default_factory=dict)
    next: int = 0

    def read(self, wanted: Collection[str]) -> None:
        self.known = _numbers(self.tx, wanted)
        here = among(self.tx, VULNERABILITY.c.id, set(self.known.values()))
        self.called = dict(self.tx.execute(select(VULNERABILITY).where(here)).all())
        last = self.tx.execute(select(func.max(VULNERABILITY.c.id))).scalar()
        self.next = (last or 0) + 1

    def resolve(self, group: tuple[str, ...]) -> int:
        if len(group) == 1:
            number = self.known.get(group[0])
            return self._create(group[0]) if number is None else self.final(number)
        there = dict.fromkeys(self.final(self.known[name]) for name in group if name in self.known)
        # A number that is called by a CVE stays its own; others may join.
        free = [number for number in there if not is_cve(self.called[number])]
        own = self.known.get(group[0]) if is_cve(group[0]) else None
        if own is None and not is_cve(group[0]):
            own = next((number for number in there if number not in free), None)
        if own is None:
            own = free.pop(0) if free else self._create(group[0])
        elif own in free:
            free.remove(own)
        if is_cve(group[0]) and self.called[own] != group[0]:
            self.called[own] = group[0]
            self.renamed[own] = None
        for number in free:
            self.merged[number] = own
        for name in group:
            if name not in self.known:
                self.known[name] = own
                self.attached[name] = None
        return own

    def final(self, number: int) -> int:
        while number in self.merged:
            number = self.merged[number]
        return number

    def write(self) -> None:
        insert_many(
            self.tx,
            VULNERABILITY,
            ["id", "name"],
            [(number, self.called[number]) for number in self.created],
        )
        renamed = [
            {"number": number, "title": self.called[number]}
            for number in self.renamed
            if number not in self.created
        ]
        if renamed:
            self.tx.execute(
                update(VULNERABILITY)
                .where(VULNERABILITY.c.id == bindparam("number"))
                .values(name=bindparam("title")),
                renamed,
            )
        insert_many(
            self.tx,
            VULNERABILITY_NAME,
            ["name", "vulnerability_id"],
            [(name, self.final(self.known[name])) for name in self.attached],
        )
        for old in self.merged:
            self.tx.execute(
                update(VULNERABILITY_NAME)
                .where(VULNERABILITY_NAME.c.vulnerability_id == old)
                .values(vulnerability_id=self.final(old))
            )

    def _create(self, name: str) -> int:
        number = self.known[name] = self.next
        self.attached[name] = None
        self.next += 1
        self.called[number] = name
        self.created[number] = None
        return number
