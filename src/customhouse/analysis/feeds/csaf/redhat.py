"""Red Hat's VEX documents: one for each CVE, with what is fixed and what is not.

Sources: CSAF 2.0, profile 5 (VEX); Red Hat's "CSAF and VEX documents: guidelines",
https://redhatproductsecurity.github.io/security-data-guidelines/csaf-vex/.

Container images, which are listed beside packages, are left out and counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from customhouse.analysis.feeds.advisory import Advisory
from customhouse.analysis.feeds.csaf import rows
from customhouse.analysis.feeds.csaf.schema import Csaf, Vulnerability, decode
from customhouse.analysis.feeds.decoding import malformed
from customhouse.analysis.feeds.document import Document, Rejected
from customhouse.analysis.feeds.texts import (
    MAX_DETAILS,
    MAX_SUMMARY,
    REJECTIONS,
    is_cve,
    links,
    plain,
    utc,
)
from customhouse.analysis.severity import Score, Severity, from_vectors, newest
from customhouse.errors import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CATEGORY: Final = "csaf_vex"
_BEGINNING: Final = 64 << 10


def recognises(content: bytes) -> bool:
    """Tell cheaply whether a document is a VEX document of Red Hat's."""
    return (
        content.find(b'"csaf_vex"', 0, _BEGINNING) >= 0
        and content.find(b"https://www.redhat.com", 0, _BEGINNING) >= 0
    )


def read(files: Iterable[Document]) -> Iterator[Advisory | Rejected]:
    """Read VEX documents.

    Yields:
        For each document the advisory in it, `REDHAT-CVE-...`, or what is wrong with it. Packages
        that are not supported here or malformed are left out and counted in the advisory.
    """
    for file in files:
        try:
            yield parse(file.content)
        except Failure as failure:
            yield Rejected(file.name, str(failure.fields["reason"]))


def parse(content: bytes) -> Advisory:
    """Read one document.

    Raises:
        Failure: ADVISORY_INVALID if it is not a VEX document about one CVE, or exceeds a limit.
    """
    document = decode(content)
    head = document.document
    if head.category != _CATEGORY:
        raise malformed("it is not a VEX document")
    about = document.vulnerabilities or []
    if len(about) != 1 or not is_cve(about[0].cve):
        raise malformed("it is not about one CVE")
    (vulnerability,) = about
    found = rows.read(document.product_tree, vulnerability)
    modified = utc(head.tracking.current_release_date)
    published = vulnerability.release_date or head.tracking.initial_release_date
    details = plain(_details(vulnerability), MAX_DETAILS)
    is_withdrawn = details.startswith(REJECTIONS)
    scores = _scores(vulnerability)
    severity, source = _severity(document, scores)
    return Advisory(
        id=f"REDHAT-{vulnerability.cve}",
        aliases=(vulnerability.cve,),
        cves=(vulnerability.cve,),
        summary=plain(vulnerability.title or head.title, MAX_SUMMARY),
        details=details,
        published=utc(published) if published else None,
        modified=modified,
        withdrawn=modified if is_withdrawn else None,
        references=links(_links(vulnerability)),
        scores=scores,
        severity=severity,
        severity_source=source,
        affected=() if is_withdrawn else found.affected,
        skipped=found.skipped,
        rejected=found.rejected,
    )


def _details(vulnerability: Vulnerability) -> str:
    notes = vulnerability.notes or ()
    return next((note.text for note in notes if note.category == "description"), "")


def _links(vulnerability: Vulnerability) -> Iterator[tuple[str, str]]:
    for link in vulnerability.references or ():
        yield "ADVISORY" if link.category == "self" else "WEB", link.url
    for remedy in vulnerability.remediations or ():
        if remedy.category == "vendor_fix":
            yield "ADVISORY", remedy.url


def _scores(vulnerability: Vulnerability) -> tuple[Score, ...]:
    return from_vectors(
        vector.vector_string
        for rating in vulnerability.scores or ()
        for vector in (rating.cvss_v4, rating.cvss_v3, rating.cvss_v2)
        if vector
    )


def _severity(document: Csaf, scores: Iterable[Score]) -> tuple[Severity, str]:
    """The document's own word, else the newest version of CVSS."""
    aggregate = document.document.aggregate_severity
    rated = rows.rated(aggregate.text if aggregate else "")
    return rated if rated[0] else newest(scores)
