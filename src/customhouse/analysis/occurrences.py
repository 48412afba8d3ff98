"""Findings and the state of the analysis as occurrences of Grafeas v1.

grafeas.v1 (proto/v1/grafeas.proto, vulnerability.proto, discovery.proto), in its JSON form.
"""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import msgspec

from customhouse.analysis import advisories, findings, images, limits
from customhouse.analysis.images import ImageAnalysis, Status
from customhouse.analysis.severity import Severity
from customhouse.iam import services

if TYPE_CHECKING:
    from sqlalchemy import Row

    from customhouse.database import Transaction

# The project that the notes of the analysis belong to, as goog-vulnz is Google's.
PROVIDER = "customhouse-vulnz"
_ANALYSIS_NOTE = "projects/customhouse-analysis/notes/PACKAGE_VULNERABILITY"

# google.rpc.Code
_FAILED_PRECONDITION, _UNIMPLEMENTED = 9, 12

# How the parts of an index stand together: the first of these that any part is in.
_ORDER = (
    Status.SCANNING,
    Status.PENDING,
    Status.FINISHED_FAILED,
    Status.FINISHED_SUCCESS,
    Status.FINISHED_UNSUPPORTED,
)


@dataclass(frozen=True, slots=True)
class Resource:
    """An image: `https://HOST/REPOSITORY@DIGEST`."""

    host: str
    project: str
    repository: str
    digest: str

    @property
    def uri(self) -> str:
        """The image as Grafeas names it."""
        return f"https://{self.host}/{self.repository}@{self.digest}"


def discovery(tx: Transaction, resource: Resource, max_feed_age: int = 0) -> list[dict[str, Any]]:
    """The DISCOVERY occurrence of an image: how far its analysis is, and what it may lack.

    Args:
        tx: the transaction.
        resource: the image.
        max_feed_age: from which age on a feed is said to be old, in microseconds; 0 for never.

    Raises:
        Failure: MANIFEST_UNKNOWN.
    """
    analyses = images.get(tx, images.runnable(tx, resource.repository, resource.digest))
    if not analyses:
        analysis = ImageAnalysis(Status.FINISHED_UNSUPPORTED, "it holds no image that runs")
    else:
        analysis = min(analyses.values(), key=lambda each: _ORDER.index(each.status))
    if analysis.status is Status.PENDING and not services.is_enabled(
        tx, resource.project, services.SCANNING
    ):
        reason = "scanning is switched off in its project; switch it on, and push the image again"
        analysis = ImageAnalysis(Status.FINISHED_UNSUPPORTED, reason)
    others = [
        f"{digest}: {each.error}"
        for digest, each in analyses.items()
        if each.error and each is not analysis
    ]
    found: dict[str, Any] = {
        "analysisStatus": analysis.status.value,
        "analysisKind": "VULNERABILITY",
        "continuousAnalysis": "ACTIVE" if analysis.inventory_id else "INACTIVE",
    }
    if analysis.error:
        code = _FAILED_PRECONDITION
        if analysis.status is Status.FINISHED_UNSUPPORTED:
            code = _UNIMPLEMENTED
        found["analysisStatusError"] = {"code": code, "message": analysis.error}
    if analysis.system:
        found["operatingSystem"] = analysis.system.name
    if analysis.updated_at:
        found["lastScanTime"] = rfc3339(analysis.updated_at)
    errors = [*limits.of(tx, analyses.values(), max_feed_age), *others]
    if len(analyses) >= images.MAX_IMAGES:
        errors.append(f"of its images only {images.MAX_IMAGES} are looked at")
    if errors:
        found["analysisError"] = [
            {"code": _FAILED_PRECONDITION, "message": message} for message in errors
        ]
    occurrence = {
        **_head(resource, _ANALYSIS_NOTE, "DISCOVERY"),
        "discovery": found,
    }
    if analysis.created_at:
        occurrence["createTime"] = rfc3339(analysis.created_at)
        occurrence["updateTime"] = rfc3339(analysis.updated_at)
    return [occurrence]


def vulnerabilities(
    tx: Transaction, resource: Resource, after: int, count: int
) -> tuple[list[dict[str, Any]], int]:
    """VULNERABILITY occurrences of an image, one for each advisory.

    Args:
        tx: the transaction.
        resource: the image.
        after: where the page before ended; 0 for the first.
        count: how many at most.

    Returns:
        The occurrences, and where this page ends, 0 when it is the last.

    Raises:
        Failure: MANIFEST_UNKNOWN.
    """
    analyses = images.get(tx, images.runnable(tx, resource.repository, resource.digest))
    inventories = sorted({each.inventory_id for each in analyses.values() if each.inventory_id})
    if not inventories:
        return [], 0
    rows = findings.of_inventories(tx, inventories, after, count)
    found = [
        _vulnerability(resource, list(group))
        for _, group in groupby(rows, key=lambda row: row.advisory_id)
    ]
    return found, rows[-1].advisory_id if len(found) == count else 0


def _vulnerability(resource: Resource, rows: list[Row[Any]]) -> dict[str, Any]:
    """One advisory with the packages of the image that it is about."""
    first = rows[0]
    body = msgspec.json.decode(first.body, type=advisories.Body)
    issues = [_issue(row) for row in rows]
    effective = max(row.severity or row.advisory_severity for row in rows)
    scores = sorted(body.scores, key=lambda score: str(score["version"]), reverse=True)
    fixable = any(issue["fixAvailable"] for issue in issues)
    identifiers = {
        **_head(resource, f"projects/{PROVIDER}/notes/{note_id(first.advisory, body.cves)}"),
        "createTime": rfc3339(min(row.created_at for row in rows)),
        "updateTime": rfc3339(max(row.updated_at for row in rows)),
    }
    vulnerability: dict[str, Any] = {
        "type": first.ecosystem.partition(":")[0].lower(),
        "severity": Severity(first.advisory_severity).name,
        "effectiveSeverity": Severity(effective).name,
        "shortDescription": ", ".join(body.cves) or first.advisory,
        "longDescription": body.summary or body.details,
        "relatedUrls": [{"url": url} for url in body.references],
        "packageIssue": issues,
        "fixAvailable": fixable,
        "extraDetails": ", ".join((first.advisory, *body.aliases)),
    }
    if scores:
        vulnerability["cvssScore"] = scores[0]["score"]
        vulnerability["cvssVersion"] = f"CVSS_VERSION_{str(scores[0]['version'])[0]}"
    return identifiers | {"vulnerability": vulnerability}


def note_id(advisory: str, cves: tuple[str, ...]) -> str:
    """The note of an advisory: its CVE if it has just one, else its own identifier."""
    return cves[0] if len(cves) == 1 else advisory


def _issue(row: Row[Any]) -> dict[str, Any]:
    fixed = row.fixed_version
    severity = row.severity or row.advisory_severity
    return {
        "affectedCpeUri": _cpe(row.ecosystem),
        "affectedPackage": row.name,
        "affectedVersion": _version(row.version),
        "fixedCpeUri": _cpe(row.ecosystem),
        "fixedPackage": row.source,
        "fixedVersion": _version(fixed) if fixed else {"kind": "MAXIMUM"},
        "fixAvailable": bool(fixed),
        "packageType": _PACKAGE_TYPES.get(row.ecosystem, "OS"),
        "effectiveSeverity": Severity(severity).name,
        "fileLocation": [{"filePath": row.path, "layerDetails": {"layerDigest": row.layer}}],
    }


# Those of On-Demand Scanning (`PackageData.PackageType`), which Container Analysis answers too.
_PACKAGE_TYPES = {
    "Go": "GO",
    "Maven": "MAVEN",
    "Packagist": "COMPOSER",
    "PyPI": "PYPI",
    "RubyGems": "RUBYGEMS",
    "NuGet": "NUGET",
    "crates.io": "RUST",
    "npm": "NPM",
}

_CPE = {
    "Debian": "debian:debian_linux",
    "Ubuntu": "canonical:ubuntu_linux",
    "Alpine": "alpinelinux:alpine_linux",
    "Red Hat": "redhat:enterprise_linux",
    "AlmaLinux": "almalinux:almalinux",
    "Rocky Linux": "rocky:rocky",
    "Oracle Linux": "oracle:linux",
    "Amazon Linux": "amazon:linux",
    "SUSE": "suse:linux_enterprise_server",
    "openSUSE": "opensuse:leap",
}


def _cpe(ecosystem: str) -> str:
    """The CPE of a release, as `cpe:/o:debian:debian_linux:12`; empty for a language."""
    if ecosystem in _PACKAGE_TYPES:
        return ""
    name, _, release = ecosystem.partition("+")[0].partition(":")
    product = _CPE.get(name, f"{name}:{name}".lower())
    return f"cpe:/o:{product}:{release.partition(':')[0].removeprefix('v')}".rstrip(":")


def _version(text: str) -> dict[str, Any]:
    """A version in Grafeas' parts: epoch, name, revision."""
    head, colon, rest = text.partition(":")
    epoch = int(head) if colon and head.isascii() and head.isdigit() and len(head) < 10 else 0
    name, _, revision = (rest if epoch or (colon and head == "0") else text).rpartition("-")
    parts: dict[str, Any] = {"kind": "NORMAL", "fullName": text}
    if epoch:
        parts["epoch"] = epoch
    parts["name"] = name or revision
    if name:
        parts["revision"] = revision
    return parts


def _head(resource: Resource, note: str, kind: str = "VULNERABILITY") -> dict[str, Any]:
    identity = hashlib.sha256(f"{resource.repository}@{resource.digest} {note}".encode())
    return {
        "name": f"projects/{resource.project}/occurrences/{identity.hexdigest()[:32]}",
        "resourceUri": resource.uri,
        "noteName": note,
        "kind": kind,
    }


def rfc3339(microseconds: int) -> str:
    """A time as Google's APIs write it."""
    moment = datetime.datetime.fromtimestamp(microseconds / 1_000_000, datetime.UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
