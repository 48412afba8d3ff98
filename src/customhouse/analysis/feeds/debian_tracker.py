"""Debian's security tracker, as one JSON document of all source packages.

Source: https://security-tracker.debian.org/tracker/data/json and the tracker's
`doc/security-team.d.o/security_tracker`. For each source package and vulnerability it tells the
state in each release that is supported; it has no times.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import msgspec

from customhouse.analysis.ecosystems import dpkg
from customhouse.analysis.feeds.advisory import BEGINNING, UNFIXED, Advisory, Affected, never
from customhouse.analysis.feeds.decoding import BYTE_ORDER_MARK, DAMAGE
from customhouse.analysis.feeds.document import Document, Rejected, shown
from customhouse.analysis.feeds.osv.ranges import key
from customhouse.analysis.feeds.texts import Tally, is_cve, is_name, plain
from customhouse.analysis.severity import from_word
from customhouse.analysis.systems.names import debian_release
from customhouse.errors import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_CONTENT: Final = 256 << 20
"""The most bytes of all files together; the real document has about 70 MB."""

MAX_ITEMS: Final = 12_000_000
"""The most items of objects in all files together."""

MAX_DETAILS: Final = 16 << 10
"""Bytes that are kept of a description."""

UNDATED: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""When every advisory was last changed: the tracker tells no times."""

_SAMPLE: Final = 4096
_MAX_WORD: Final = 64
_NEVER: Final = "0"  # the version that fixes what a package never had

_BEGINNING: Final = re.compile(
    rb'\s*\{\s*"[0-9A-Za-z][0-9A-Za-z+.-]*"\s*:\s*\{\s*"(?:CVE|TEMP)-[0-9A-Z-]+"\s*:\s*\{'
).match
_TEMPORARY: Final = re.compile(r"TEMP-[0-9A-F]{1,16}-[0-9A-F]{1,16}").fullmatch
_CODENAME: Final = re.compile(r"[a-z]{1,32}").fullmatch

# Why there will be no advisory of the security team, by `nodsa_reason`.
_STATUS: Final = MappingProxyType({"ignored": "will not fix", "postponed": "deferred"})
_END_OF_LIFE: Final = "end-of-life"


class _Release(msgspec.Struct, gc=False):
    status: str
    fixed_version: str | None = None
    urgency: str | None = None
    nodsa_reason: str | None = None


class _Issue(msgspec.Struct):
    releases: dict[str, msgspec.Raw]
    description: str | None = None


_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ISSUE: Final = msgspec.json.Decoder(_Issue)
_RELEASE: Final = msgspec.json.Decoder(_Release)


def recognises(content: bytes) -> bool:
    """Tell cheaply, by the first keys, whether a JSON document has this form."""
    return bool(_BEGINNING(content.removeprefix(BYTE_ORDER_MARK)[:_SAMPLE]))


def read(files: Iterable[Document]) -> Iterator[Advisory | Rejected]:
    """Read the document.

    A vulnerability has one advisory, `DEBIAN-CVE-2024-1` or the tracker's own temporary name as
    `TEMP-0000000-0CA7E3`, with a range for each release and source package: an empty one if the
    package never had it (fixed in version "0"), none if its state is undetermined, which is
    counted. The urgency rates the package in the release.

    Args:
        files: the document; several are taken together.

    Yields:
        What is wrong with a file, a source package or a vulnerability, and the advisories. A
        release that is malformed is counted in its advisory.
    """
    found: dict[str, list[tuple[str, str, msgspec.Raw]]] = {}
    total = items = 0
    for file in files:
        total += len(file.content)
        items += file.content.count(b",")
        if total > MAX_CONTENT:
            yield Rejected(file.name, f"there are more than {MAX_CONTENT >> 20} MiB")
        elif items > MAX_ITEMS:
            yield Rejected(file.name, f"there are more than {MAX_ITEMS} items")
        else:
            yield from _collect(file, found)
    for name, entries in found.items():
        yield from _advisory(name, entries)


def _collect(
    file: Document, found: dict[str, list[tuple[str, str, msgspec.Raw]]]
) -> Iterator[Rejected]:
    """Group what is said of source packages by vulnerability, still undecoded."""
    try:
        sources = _OBJECT.decode(file.content.removeprefix(BYTE_ORDER_MARK))
    except DAMAGE as error:
        yield Rejected(file.name, shown(str(error)))
        return
    for source, raw in sources.items():
        where = f"{file.name}:{shown(source)}"
        if not is_name(source):
            yield Rejected(where, "it has not the name of a package")
            continue
        try:
            issues = _OBJECT.decode(raw)
        except DAMAGE as error:
            yield Rejected(where, shown(str(error)))
            continue
        for name, issue in issues.items():
            if is_cve(name) or _TEMPORARY(name):
                found.setdefault(name, []).append((where, source, issue))
            else:
                yield Rejected(where, f"'{shown(name[:64])}' is not an identifier")


def _advisory(
    name: str, entries: list[tuple[str, str, msgspec.Raw]]
) -> Iterator[Advisory | Rejected]:
    details = ""
    rows: dict[Affected, None] = {}
    skipped, rejected = Tally(), Tally()
    readable = False
    for where, source, raw in entries:
        try:
            issue = _ISSUE.decode(raw)
        except DAMAGE as error:
            yield Rejected(f"{where}:{name}", shown(str(error)))
            continue
        readable = True
        details = details or plain(issue.description or "", MAX_DETAILS)
        for codename, release in issue.releases.items():
            row = _row(source, codename, release, skipped, rejected)
            if row:
                rows[row] = None
    if not readable:
        return
    cves = (name,) if is_cve(name) else ()
    yield Advisory(
        id=f"DEBIAN-{name}" if cves else name,
        aliases=cves,
        cves=cves,
        details=details,
        modified=UNDATED,
        affected=tuple(rows),
        skipped=skipped.omissions(),
        rejected=rejected.omissions(),
    )


def _row(
    source: str, codename: str, raw: msgspec.Raw, skipped: Tally, rejected: Tally
) -> Affected | None:
    """The range of a source package in a release; none if it is not affected there."""
    number = debian_release(codename) if _CODENAME(codename) else None
    if number is None:
        skipped.add("Debian", "of a release that is not known", codename)
        return None
    ecosystem = f"Debian:{number}"
    try:
        release = _RELEASE.decode(raw)
        version = release.fixed_version if release.status == "resolved" else None
        fixed = key(dpkg.SCHEME, version) if version and version != _NEVER else BEGINNING
    except DAMAGE as error:
        rejected.add(ecosystem, "a release is malformed", f"{source}: {error}")
        return None
    except Failure as failure:
        rejected.add(ecosystem, "not a version", failure.message)
        return None
    match release.status:
        case "resolved" if version == _NEVER:
            return never(ecosystem, source)
        case "resolved" if version:
            status = ""
        case "open":
            fixed, status = UNFIXED, _status(release)
        case "undetermined":
            skipped.add(ecosystem, "undetermined", source)
            return None
        case "resolved":
            rejected.add(ecosystem, "resolved without a version", source)
            return None
        case _:
            rejected.add(ecosystem, "not a status", f"{source}: {release.status[:_MAX_WORD]}")
            return None
    urgency = (release.urgency or "")[:_MAX_WORD].strip()
    severity = from_word(urgency)
    return Affected(
        ecosystem=ecosystem,
        name=source,
        introduced=BEGINNING,
        fixed=fixed,
        introduced_version="0",
        fixed_version=version,
        severity=severity,
        severity_source=f"Debian urgency {urgency}" if severity else "",
        status=status,
    )


def _status(release: _Release) -> str:
    if release.urgency == _END_OF_LIFE:
        return _END_OF_LIFE
    return _STATUS.get(release.nodsa_reason or "", "")
