"""What a feed says, in one form for all feeds: an advisory and the version ranges it is about."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from customhouse.analysis.severity import Score, Severity

BEGINNING: Final = b""
"""The lower bound of a range that begins with the first version there ever was."""

UNFIXED: Final = b"\xff"
"""The upper bound of a range without an end: above the key of every version."""


NOT_AFFECTED: Final = "not affected"
"""The status of a range without a version: the package never had the vulnerability."""


class Affected(msgspec.Struct, frozen=True, gc=False):
    """One half-open range of affected versions of one package.

    A package is affected when its version key lies in it: `introduced <= key < fixed`, compared
    as bytes.

    Attributes:
        ecosystem: the package's world with its release, as `Debian:12` or `Ubuntu:22.04:LTS`.
        name: the package's name in that ecosystem; of the source package for Debian, Ubuntu and
            Alpine. In rpm's ecosystems that of the binary package; `src:NAME` for a source
            package, and `MODULE:STREAM::` before either for one built for a module.
        introduced: the lower bound, itself affected; `BEGINNING` when every older version is.
        fixed: the upper bound, itself not affected; `UNFIXED` when there is none.
        introduced_version: the lower bound as the feed writes it; "0" for `BEGINNING`.
        fixed_version: the version that brings the fix as the feed writes it, or None when no fix
            is known, even if the range has an upper bound (the last affected version).
        severity: how bad it is for this package by the word of who maintains it; unspecified when
            the feed does not rate it package by package.
        severity_source: who says so in which words; empty when `severity` is unspecified.
        status: for a range without a fix the maintainer's word for what will come of it, as
            `needed`, `deferred` or `ignored`; empty when there is none. `NOT_AFFECTED` with an
            empty range: it overrules advisories about several vulnerabilities at once.
        arches: the architectures it is about, as the distribution spells them; empty for all.
    """

    ecosystem: str
    name: str
    introduced: bytes
    fixed: bytes
    introduced_version: str
    fixed_version: str | None = None
    severity: Severity = Severity.SEVERITY_UNSPECIFIED
    severity_source: str = ""
    status: str = ""
    arches: tuple[str, ...] = ()


def never(ecosystem: str, name: str) -> Affected:
    """Say that a package never had the vulnerability."""
    return Affected(ecosystem, name, UNFIXED, UNFIXED, "", status=NOT_AFFECTED)


class Reference(msgspec.Struct, frozen=True, gc=False):
    """A link to more about a vulnerability.

    Attributes:
        type: the kind of page in upper case, as `ADVISORY`, `FIX`, `REPORT` or `WEB`.
        url: its address, http or https.
    """

    type: str
    url: str


class Omission(msgspec.Struct, frozen=True, gc=False):
    """Parts of a record that are left out for one reason.

    Attributes:
        ecosystem: whose packages they are about.
        reason: why, in a few words that are the same for every such part.
        count: how many.
        example: what exactly is wrong with the first of them; may be empty.
    """

    ecosystem: str
    reason: str
    count: int
    example: str = ""


class Advisory(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One record of a feed.

    Attributes:
        id: the record's identifier in its database, as `DSA-5678-1` or `UBUNTU-CVE-2024-1`.
        aliases: other identifiers of what the record is about, without its own.
        cves: the CVE identifiers among all of these.
        summary: one line; may be empty.
        details: some paragraphs in Markdown; may be empty.
        published: when it was published, UTC; None when not told.
        modified: when it last changed, UTC.
        withdrawn: when it was taken back, UTC; None when it stands. What was taken back affects
            nothing: `affected` is empty then.
        references: links to more.
        scores: what its CVSS vectors say, without invalid ones.
        severity: the record's own rating: the database's word if there is one, else the band of
            the newest CVSS version.
        severity_source: who says so in which words; empty when `severity` is unspecified.
        affected: the ranges, without duplicates.
        skipped: parts about what is not supported here.
        rejected: parts that are malformed.
    """

    id: str
    aliases: tuple[str, ...] = ()
    cves: tuple[str, ...] = ()
    summary: str = ""
    details: str = ""
    published: datetime | None = None
    modified: datetime
    withdrawn: datetime | None = None
    references: tuple[Reference, ...] = ()
    scores: tuple[Score, ...] = ()
    severity: Severity = Severity.SEVERITY_UNSPECIFIED
    severity_source: str = ""
    affected: tuple[Affected, ...] = ()
    skipped: tuple[Omission, ...] = ()
    rejected: tuple[Omission, ...] = ()
