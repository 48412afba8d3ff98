"""Exceptions as answers have them, and what occurrences say of them.

grafeas.v1 (proto/v1/vulnerability.proto, `VulnerabilityOccurrence.VexAssessment`) has a place for
one statement. What it has no place for, who accepts a risk and until when, stands beside it in
`exceptions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from customhouse.analysis.exceptions import assessments
from customhouse.analysis.exceptions.assessments import Finding
from customhouse.analysis.vex.purls import Installed
from customhouse.analysis.vex.statement import Assessment
from customhouse.database import now
from customhouse.names import project_id
from customhouse.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from customhouse.analysis.exceptions.assessments import Image
    from customhouse.analysis.exceptions.model import VulnerabilityException
    from customhouse.database import Transaction

# Of several packages the one with the most to worry about speaks for all.
_ORDER: Final = (
    Assessment.AFFECTED,
    Assessment.UNDER_INVESTIGATION,
    Assessment.ACCEPTED,
    Assessment.FIXED,
    Assessment.NOT_AFFECTED,
)


def additions(
    tx: Transaction,
    image: Image,
    groups: Sequence[tuple[frozenset[str], Sequence[Row[Any]]]],
) -> list[dict[str, Any]]:
    """What to add to the `vulnerability` of each occurrence.

    Args:
        tx: the transaction.
        image: where the findings are.
        groups: for each occurrence every name of its vulnerability, and a row for each package,
            with the columns of `PACKAGE`.

    Returns:
        For each occurrence the fields to add, none where nothing is said: `vexAssessment` if
        something is held of each of its packages; `exceptions`, those that hold and those that
        they prevail over; `exceptionOfPackage`, for each package in its order the name of the
        exception that holds for it, or the empty text.
    """
    findings = [Finding(names, _installed(row)) for names, rows in groups for row in rows]
    found = iter(assessments.assess(tx, image, findings))
    moment = now()
    return [_addition([next(found) for _ in rows], moment) for _, rows in groups]


def _installed(row: Row[Any]) -> Installed:
    return Installed(row.ecosystem, row.name, row.version, row.arch, row.source, row.source_version)


def _addition(found: Sequence[tuple[VulnerabilityException, ...]], moment: int) -> dict[str, Any]:
    said = {each.id: each for exceptions in found for each in exceptions}
    if not said:
        return {}
    holding = [exceptions[0] for exceptions in found if exceptions]
    held = {each.id for each in holding}
    # Those that hold come first.
    ordered = sorted(said.values(), key=lambda each: (each.id not in held, each.id))
    added: dict[str, Any] = {
        "exceptions": [to_json(each, moment) for each in ordered],
        "exceptionOfPackage": [name(each[0]) if each else "" for each in found],
    }
    if all(found):
        added["vexAssessment"] = vex_assessment(
            min(holding, key=lambda each: (_ORDER.index(each.assessment), each.id))
        )
    return added


def vex_assessment(found: VulnerabilityException) -> dict[str, Any]:
    """An exception as Grafeas' `VexAssessment`: an accepted risk is AFFECTED, and says so."""
    state, text = found.assessment, found.reason
    if state is Assessment.ACCEPTED:
        state = Assessment.AFFECTED
        text = f"accepted {until(found)} by {found.owner}: {text}"
    number = name(found).rpartition("/")[2]
    document: dict[str, Any] = {
        "vulnerabilityId": found.names[0],
        "noteName": f"projects/{project_id(found.place.project)}/notes/exception-{number}",
        "state": state.value,
    }
    cve = next((each for each in found.names if each.startswith("CVE-")), "")
    if cve:
        document["cve"] = cve
    if found.source.startswith(("https://", "http://")) and " " not in found.source:
        document["relatedUris"] = [{"url": found.source, "label": "VEX document"}]
    if state is Assessment.NOT_AFFECTED:
        kind = (
            found.justification.value if found.justification else "JUSTIFICATION_TYPE_UNSPECIFIED"
        )
        document["justification"] = {"justificationType": kind, "details": text}
    elif text:
        document["impacts"] = [text]
    if found.action:
        # Neither format tells which of Grafeas' kinds it is in a way that both have.
        document["remediations"] = [
            {"remediationType": "REMEDIATION_TYPE_UNSPECIFIED", "details": found.action}
        ]
    return document


def name(found: VulnerabilityException) -> str:
    """What the API calls an exception."""
    return f"projects/{project_id(found.place.project)}/exceptions/{found.id}"


def to_json(found: VulnerabilityException, at: int, packages: int = 20) -> dict[str, Any]:
    """An exception as the API writes it; what is empty is left out.

    Args:
        found: the exception.
        at: the present time, in microseconds.
        packages: how many of its packages are listed; `packageCount` has their number.
    """
    document: dict[str, Any] = {
        "name": name(found),
        "vulnerability": found.names[0],
        "aliases": list(found.names[1:]),
        "image": str(found.place),
        "packages": list(found.packages[:packages]),
        "packageCount": len(found.packages),
        "assessment": found.assessment.value,
        "justification": found.justification.value if found.justification else "",
        "reason": found.reason,
        "action": found.action,
        "owner": found.owner,
        "origin": found.origin.value,
        "source": found.source,
        "author": found.author,
        "state": found.state(at).value,
        "statementTime": rfc3339(found.stated_at),
        "createTime": rfc3339(found.created_at),
        "updateTime": rfc3339(found.updated_at),
        "expireTime": found.expires_at and rfc3339(found.expires_at),
        "revokeTime": found.revoked_at and rfc3339(found.revoked_at),
        "revoker": found.revoked_by,
    }
    return {key: value for key, value in document.items() if value}


def until(found: VulnerabilityException) -> str:
    """Until when an exception counts, in words."""
    return "for good" if found.expires_at is None else f"until {rfc3339(found.expires_at)[:10]}"
