"""Findings and the state of the analysis as occurrences of Grafeas v1.

grafeas.v1 (proto/v1/grafeas.proto, vulnerability.proto, discovery.proto), in its JSON form.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import msgspec

from customhouse.analysis import advisories, exploits, findings, images, limits, origins
from customhouse.analysis import vulnerabilities as vulnerability_names
from customhouse.analysis.exceptions import assessments, shown
from customhouse.analysis.images import ImageAnalysis, Status
from customhouse.analysis.sbom import attached
from customhouse.analysis.severity import Severity
from customhouse.iam import services
from customhouse.registry import manifests
from customhouse.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from customhouse.analysis.origins import Origins
    from customhouse.blobstore import BlobStore
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
    if analysis.status is Status.PENDING:
        analysis = _pending(tx, resource)
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
        **head(resource, _ANALYSIS_NOTE, "DISCOVERY"),
        "discovery": found,
    }
    if analysis.created_at:
        occurrence["createTime"] = rfc3339(analysis.created_at)
        occurrence["updateTime"] = rfc3339(analysis.updated_at)
    return [occurrence]


def _pending(tx: Transaction, resource: Resource) -> ImageAnalysis:
    """Where an analysis stands that has not begun, and why nobody may be going to begin it."""
    how = "push the image again, or have it scanned with customhouse images scan"
    switched_on = services.enabled_at(tx, resource.project, services.SCANNING)
    if not switched_on:
        reason = f"scanning is switched off in its project; switch it on and {how}"
        return ImageAnalysis(Status.FINISHED_UNSUPPORTED, reason)
    if manifests.pushed_at(tx, resource.repository, resource.digest) < switched_on:
        reason = f"it was pushed before scanning was switched on; {how}"
        return ImageAnalysis(Status.PENDING, reason)
    return ImageAnalysis()


def vulnerabilities(
    tx: Transaction, store: BlobStore, resource: Resource, after: int, count: int
) -> tuple[list[dict[str, Any]], int]:
    """VULNERABILITY occurrences of an image, one for each vulnerability.

    Args:
        tx: the transaction.
        store: where the images' configurations are.
        resource: the image.
        after: where the page before ended; 0 for the first.
        count: how many at most.

    Returns:
        The occurrences, and where this page ends, 0 when it is the last.

    Raises:
        Failure: MANIFEST_UNKNOWN.
    """
    digests = images.runnable(tx, resource.repository, resource.digest)
    inventories = set(images.inventories(tx, digests))
    inventories |= attached.inventories(tx, resource.repository, {resource.digest, *digests})
    if not inventories:
        return [], 0
    rows = findings.of_inventories(tx, sorted(inventories), after, count)
    groups = [list(group) for _, group in groupby(rows, key=lambda row: row.vulnerability_id)]
    names = vulnerability_names.aliases(tx, {row.vulnerability_id for row in rows})
    layers = origins.of_images(tx, store, resource.repository, digests) if rows else {}
    found = [vulnerability(resource, group, layers) for group in groups]
    image = assessments.image(tx, resource.project, resource.repository, resource.digest, digests)
    named = [
        (frozenset((*names[group[0].vulnerability_id], *(row.advisory for row in group))), group)
        for group in groups
    ]
    for occurrence, more in zip(found, shown.additions(tx, image, named), strict=True):
        occurrence["vulnerability"] |= more
    return found, rows[-1].vulnerability_id if len(found) == count else 0


def vulnerability(resource: Resource, rows: Sequence[Row[Any]], layers: Origins) -> dict[str, Any]:
    """The VULNERABILITY occurrence of one vulnerability.

    Args:
        resource: the image.
        rows: the findings of the vulnerability in the image, as of `findings.of_inventories`.
        layers: where the image's layers come from.
    """
    first = rows[0]
    body = msgspec.json.decode(first.body, type=advisories.Body)
    issues = [_issue(row, layers) for row in attached.distinct(rows)]
    effective = max(row.severity for row in rows)
    scores = sorted(body.scores, key=lambda score: score.version, reverse=True)
    fixable = any(issue["fixAvailable"] for issue in issues)
    identifiers = {
        **head(resource, f"projects/{PROVIDER}/notes/{first.vulnerability}"),
        "createTime": rfc3339(min(row.created_at for row in rows)),
        "updateTime": rfc3339(max(row.updated_at for row in rows)),
    }
    told: dict[str, Any] = {
        "type": first.ecosystem.partition(":")[0].lower(),
        "severity": Severity(first.advisory_severity).name,
        "effectiveSeverity": Severity(effective).name,
        "shortDescription": first.vulnerability,
        "longDescription": body.summary or body.details,
        "relatedUrls": [{"url": url} for url in body.references],
        "packageIssue": issues,
        "fixAvailable": fixable,
        "extraDetails": ", ".join(dict.fromkeys((*(row.advisory for row in rows), *body.aliases))),
        **exploits.to_json(first),
    }
    if scores:
        told["cvssScore"] = scores[0].score
        told["cvssVersion"] = f"CVSS_VERSION_{scores[0].version[0]}"
    return identifiers | {"vulnerability": told}


def _issue(row: Row[Any], layers: Origins) -> dict[str, Any]:
    fixed = row.fixed_version
    # Beside Grafeas' fields: what the severity is from, and what will come of it without a fix.
    more = {"severitySource": row.severity_source, "status": "" if fixed else row.status}
    return {
        "affectedCpeUri": cpe(row.ecosystem),
        "affectedPackage": row.name,
        "affectedVersion": version_parts(row.version),
        "fixedCpeUri": cpe(row.ecosystem),
        "fixedPackage": row.source,
        "fixedVersion": version_parts(fixed) if fixed else {"kind": "MAXIMUM"},
        "fixAvailable": bool(fixed),
        "packageType": PACKAGE_TYPES.get(row.ecosystem, "OS"),
        "effectiveSeverity": Severity(row.severity).name,
        "fileLocation": [
            {
                "filePath": row.path,
                "layerDetails": origins.to_json(row.layer, row.layer_index, layers),
            }
        ],
        **{name: text for name, text in more.items() if text},
    }


# Those of On-Demand Scanning (`PackageData.PackageType`), which Container Analysis answers too.
PACKAGE_TYPES = {
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


def cpe(ecosystem: str) -> str:
    """The CPE of a release, as `cpe:/o:debian:debian_linux:12`; empty for a language."""
    if ecosystem in PACKAGE_TYPES:
        return ""
    name, _, release = ecosystem.partition("+")[0].partition(":")
    product = _CPE.get(name, f"{name}:{name}".lower())
    return f"cpe:/o:{product}:{release.partition(':')[0].removeprefix('v')}".rstrip(":")


def version_parts(text: str) -> dict[str, Any]:
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


def head(
    resource: Resource, note: str, kind: str = "VULNERABILITY", identity: str = ""
) -> dict[str, Any]:
    """What every occurrence of an image begins with.

    Args:
        resource: the image.
        note: the note that it is an occurrence of.
        kind: its kind.
        identity: what tells it from others of the image; the note if not given.
    """
    text = f"{resource.repository}@{resource.digest} {identity or note}"
    number = hashlib.sha256(text.encode()).hexdigest()[:32]
    return {
        "name": f"projects/{resource.project}/occurrences/{number}",
        "resourceUri": resource.uri,
        "noteName": note,
        "kind": kind,
    }
