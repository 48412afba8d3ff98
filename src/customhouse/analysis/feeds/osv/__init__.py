"""Advisories in the OSV format: https://ossf.github.io/osv-schema/, versions 1.0 to 1.7."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeGuard

from customhouse.analysis.feeds.advisory import Advisory, Omission
from customhouse.analysis.feeds.decoding import malformed
from customhouse.analysis.feeds.document import shown
from customhouse.analysis.feeds.osv import ratings
from customhouse.analysis.feeds.osv.packages import Packages, read_packages
from customhouse.analysis.feeds.osv.rpm_names import NO_SECURITY
from customhouse.analysis.feeds.osv.schema import decode
from customhouse.analysis.feeds.texts import (
    MAX_DETAILS,
    MAX_SUMMARY,
    REJECTIONS,
    links,
    plain,
    utc,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from customhouse.analysis.feeds.osv.schema import Record

MAX_ALIASES: Final = 4096
"""The most other identifiers of a record."""

_MAX_TYPE: Final = 32
_IDENTIFIER: Final = re.compile(r"[!-~]{1,128}").fullmatch
_CVE: Final = re.compile(r"(?:[A-Za-z]{1,16}-)?(CVE-[0-9]{4}-[0-9]{4,19})").fullmatch
_CVE_OR_GHSA: Final = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}|GHSA(?:-[0-9a-z]{4}){3}").fullmatch

# Before version 1.7 of the schema had `upstream`, these databases named what an advisory of theirs
# fixes under `related`. In other databases `related` is what its name says: something else.
_FIXES_RELATED: Final = frozenset(
    {
        *("ALSA", "ALBA", "ALEA"),  # AlmaLinux
        "CGA",  # Chainguard
        *("DLA", "DSA", "DTSA"),  # Debian
        "MGASA",  # Mageia
        "OESA",  # openEuler
        *("RHBA", "RHEA", "RHSA"),  # Red Hat
        *("RLSA", "RXSA"),  # Rocky Linux
        *("SUSE", "openSUSE"),
        "USN",  # Ubuntu
    }
)


def parse(document: bytes) -> Advisory:
    """Read one record.

    Args:
        document: its JSON text.

    Returns:
        The advisory. Packages of ecosystems that are not supported, and single ranges and names
        that are malformed, are left out and counted in it.

    Raises:
        Failure: ADVISORY_INVALID if the record as such is malformed or exceeds a limit.
    """
    record = decode(document)
    if not _IDENTIFIER(record.id):
        raise malformed(f"'{shown(record.id[:64])}' is not an identifier")
    if _is_index_entry(record):
        raise malformed("it is an identifier and a date without a record")
    aliases = _aliases(record)
    details = plain(record.details or "", MAX_DETAILS)
    modified = utc(record.modified)
    withdrawn = utc(record.withdrawn) if record.withdrawn else None
    if withdrawn is None and details.startswith(REJECTIONS):
        withdrawn = modified
    found = Packages()
    if record.id.partition("-")[0] in NO_SECURITY:
        skipped = Omission("AlmaLinux", "not about a vulnerability", len(record.affected or ()))
        found = Packages(skipped=(skipped,))
    elif not withdrawn:
        found = read_packages(record.affected or (), record.summary or "")
    scores = ratings.scores(record.severity)
    severity, severity_source = ratings.of_record(record, scores)
    return Advisory(
        id=record.id,
        aliases=aliases,
        cves=_cves((record.id, *aliases)),
        summary=plain(record.summary or "", MAX_SUMMARY),
        details=details,
        published=utc(record.published) if _is_known(record.published) else None,
        modified=modified,
        withdrawn=withdrawn,
        references=links(
            (link.type[:_MAX_TYPE], link.url)
            for link in record.references or ()
            if link.type.isprintable()
        ),
        scores=scores,
        severity=severity,
        severity_source=severity_source,
        affected=found.affected,
        skipped=found.skipped,
        rejected=found.rejected,
    )


def _is_index_entry(record: Record) -> bool:
    """Tell the entries of a feed's table of contents (`all.json`) from records.

    Taken for a record, such an entry would say that nothing is affected any more.
    """
    return record.affected is None and not (
        record.summary or record.details or record.published or record.withdrawn
    )


def _aliases(record: Record) -> tuple[str, ...]:
    listed = [*(record.aliases or ()), *(record.upstream or ())]
    names = dict.fromkeys(name for name in listed if _IDENTIFIER(name) and name != record.id)
    if record.related and record.id.partition("-")[0] in _FIXES_RELATED and not _cves(names):
        names |= dict.fromkeys(filter(_CVE_OR_GHSA, record.related))
    if len(names) > MAX_ALIASES:
        raise malformed(f"it has more than {MAX_ALIASES} aliases")
    return tuple(names)


def _cves(names: Iterable[str]) -> tuple[str, ...]:
    """CVE identifiers, also out of those which a distribution derives: UBUNTU-CVE-2024-1234."""
    return tuple(dict.fromkeys([match[1] for name in names if (match := _CVE(name))]))


def _is_known(moment: datetime | None) -> TypeGuard[datetime]:
    """Tell a date from none and from Go's zero time, which its database writes for none."""
    return moment is not None and moment.year > 1
