"""Which exception holds for a finding, of all that are about it.

The order, the strongest first:

1. what a person decided, before what documents say;
2. what is about the image, before the repository, before the project;
3. what names the package, before what does not;
4. what was said last.

What one document says of a package at different times is one statement: the last. Expired and
revoked exceptions do not hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from customhouse.analysis.exceptions.model import Origin
from customhouse.analysis.exceptions.table import EXCEPTION, EXCEPTION_NAME, active, load
from customhouse.analysis.vex import purls
from customhouse.database import now
from customhouse.registry import manifests

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from sqlalchemy import Row

    from customhouse.analysis.exceptions.model import VulnerabilityException
    from customhouse.analysis.vex.purls import Installed
    from customhouse.database import Transaction

_BATCH = 500
_MAX_INDEXES = 100
_MAX_SHOWN = 10


class Image(NamedTuple):
    """An image that is asked about.

    Attributes:
        project: its project as it stands in image names.
        repository: `PROJECT/IMAGE`.
        digests: of the manifests that stand for it.
    """

    project: str
    repository: str
    digests: tuple[str, ...]


class Finding(NamedTuple):
    """A vulnerability of a package.

    Attributes:
        names: every name of the vulnerability.
        package: the package.
    """

    names: frozenset[str]
    package: Installed


def image(
    tx: Transaction, project: str, repository: str, digest: str, parts: Sequence[str]
) -> Image:
    """The image of a digest, with what else stands for it.

    What is said of an index is said of each image in it. What is said of one image in an index is
    not said of the index, unless there is no other.

    Args:
        tx: the transaction.
        project: its project.
        repository: its repository.
        digest: its digest.
        parts: the digests of the images that it is made of, itself if it is no index.
    """
    indexes = manifests.indexes_of(tx, repository, digest, _MAX_INDEXES)
    only = parts if len(parts) == 1 else ()
    return Image(project, repository, tuple(dict.fromkeys((digest, *only, *indexes))))


def assess(
    tx: Transaction, image: Image, findings: Sequence[Finding], at: int | None = None
) -> list[tuple[VulnerabilityException, ...]]:
    """The exceptions of each finding, in its order: the first is the one that holds.

    Args:
        tx: the transaction.
        image: where the findings are.
        findings: what was found.
        at: the present time, in microseconds.

    Returns:
        For each finding the strongest ten; none where nothing is said of it.
    """
    names = sorted({name for finding in findings for name in finding.names})
    rows: dict[str, list[Row[Any]]] = {}
    for start in range(0, len(names), _BATCH):
        part = names[start : start + _BATCH]
        for row in _candidates(tx, image, part, now() if at is None else at):
            rows.setdefault(row.name, []).append(row)
    if not rows:
        return [() for _ in findings]
    chosen = [_chosen(finding, rows) for finding in findings]
    wanted = sorted({number for numbers in chosen for number in numbers})
    loaded = {
        found.id: found
        for start in range(0, len(wanted), _BATCH)
        for found in load(tx, wanted[start : start + _BATCH])
    }
    return [tuple(loaded[number] for number in numbers) for numbers in chosen]


def _candidates(tx: Transaction, image: Image, names: Sequence[str], at: int) -> Iterable[Row[Any]]:
    return tx.execute(
        select(
            EXCEPTION_NAME.c.name,
            EXCEPTION.c.id,
            EXCEPTION.c.repository,
            EXCEPTION.c.digest,
            EXCEPTION.c.packages,
            EXCEPTION.c.origin,
            EXCEPTION.c.source,
            EXCEPTION.c.stated_at,
        )
        .select_from(EXCEPTION_NAME.join(EXCEPTION))
        .where(
            EXCEPTION_NAME.c.project == image.project,
            EXCEPTION_NAME.c.name.in_(names),
            EXCEPTION.c.repository.in_(("", image.repository)),
            EXCEPTION.c.digest.in_(("", *image.digests)),
            active(at),
        )
    )


def _chosen(finding: Finding, rows: dict[str, list[Row[Any]]]) -> list[int]:
    """The numbers of the exceptions of a finding, the strongest first."""
    latest: dict[object, Row[Any]] = {}
    for row in (row for name in sorted(finding.names) for row in rows.get(name, ())):
        if row.packages and not _is_named(finding.package, row.packages):
            continue
        source = (row.origin, row.source) if row.source else row.id
        known = latest.get(source)
        if known is None or _time(known) < _time(row):
            latest[source] = row
    ordered = sorted(latest.values(), key=_strength, reverse=True)
    return [row.id for row in ordered[:_MAX_SHOWN]]


def _is_named(package: Installed, packages: str) -> bool:
    return any(purls.names(text, package) for text in packages.split("\n"))


def _time(row: Row[Any]) -> tuple[object, ...]:
    return row.stated_at, bool(row.digest), bool(row.packages), row.id


def _strength(row: Row[Any]) -> tuple[object, ...]:
    return (
        row.origin == Origin.USER.value,
        bool(row.repository) + bool(row.digest),
        bool(row.packages),
        row.stated_at,
        row.id,
    )
