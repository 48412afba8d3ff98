"""Entries of the audit log in the form of Cloud Logging.

A `LogEntry` that holds an `AuditLog` (google/logging/v2/log_entry.proto,
google/cloud/audit/audit_log.proto), in JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from customhouse.iam.permissions import ALL_USERS, ROOT_NAME
from customhouse.names import project_id
from customhouse.times import rfc3339

if TYPE_CHECKING:
    from customhouse.iam.audit import Entry

# The services of Google's that permissions of the same first word belong to.
_SERVICES = {
    "resourcemanager": "cloudresourcemanager.googleapis.com",
    **{
        name: f"{name}.googleapis.com"
        for name in (
            "artifactregistry",
            "clouddeploy",
            "cloudbuild",
            "containeranalysis",
            "iam",
            "logging",
            "serviceusage",
        )
    },
}
_SERVICES_OF_METHODS = (
    ("Docker-", "artifactregistry.googleapis.com"),
    ("google.iam.credentials.", "iamcredentials.googleapis.com"),
    ("google.identity.sts.", "sts.googleapis.com"),
)

# google.rpc.Code by HTTP status (google/rpc/code.proto).
_CODES = {
    401: (16, "UNAUTHENTICATED"),
    403: (7, "PERMISSION_DENIED"),
    404: (5, "NOT_FOUND"),
    409: (6, "ALREADY_EXISTS"),
    412: (9, "FAILED_PRECONDITION"),
    416: (11, "OUT_OF_RANGE"),
    429: (8, "RESOURCE_EXHAUSTED"),
    499: (1, "CANCELLED"),
    503: (14, "UNAVAILABLE"),
    507: (8, "RESOURCE_EXHAUSTED"),
}


def to_log_entry(entry: Entry, host: str) -> dict[str, Any]:
    """An entry as Cloud Logging writes one, for JSON.

    Args:
        entry: a stored entry.
        host: the name of this server: the service of what Google has no service for.
    """
    parent = f"projects/{project_id(entry.project)}" if entry.project else ROOT_NAME
    service = _service(entry, host)
    labels = {"service": service, "method": entry.method}
    if entry.project:
        labels["project_id"] = project_id(entry.project)
    log = _log_of(entry)
    return {
        "logName": f"{parent}/logs/cloudaudit.googleapis.com%2F{log}",
        "resource": {"type": "audited_resource", "labels": labels},
        "timestamp": rfc3339(entry.at),
        "severity": _severity(entry, log),
        "insertId": str(entry.id),
        "labels": {"request_id": entry.request_id} if entry.request_id else {},
        "protoPayload": _audit_log(entry, service),
    }


def _audit_log(entry: Entry, service: str) -> dict[str, Any]:
    authorization = {
        "resource": entry.resource,
        "permission": entry.permission,
        "granted": entry.granted,
    }
    return {
        "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
        "serviceName": service,
        "methodName": entry.method,
        "resourceName": entry.resource,
        "authenticationInfo": _authentication(entry.principal),
        "requestMetadata": {
            "callerIp": entry.address,
            "callerSuppliedUserAgent": entry.agent,
        },
        "authorizationInfo": [authorization] if entry.permission else [],
        "status": _status(entry.status),
        "metadata": dict(entry.detail),
    }


def _service(entry: Entry, host: str) -> str:
    for prefix, service in _SERVICES_OF_METHODS:
        if entry.method.startswith(prefix):
            return service
    return _SERVICES.get(entry.permission.partition(".")[0], host)


def _log_of(entry: Entry) -> str:
    """The log: changes of what is set up are `activity`; reading, and images, `data_access`."""
    verb = entry.permission.rpartition(".")[2]
    is_read = verb.startswith(("get", "list"))
    return "data_access" if is_read or entry.method.startswith("Docker-") else "activity"


def _severity(entry: Entry, log: str) -> str:
    if not entry.granted or entry.status >= 400:
        return "ERROR"
    return "NOTICE" if log == "activity" else "INFO"


def _authentication(principal: str) -> dict[str, str]:
    if principal in {"", ALL_USERS}:
        return {}
    kind, _, name = principal.partition(":")
    if kind in {"user", "serviceAccount"}:
        return {"principalEmail": name, "principalSubject": principal}
    return {"principalSubject": principal}


def _status(status: int) -> dict[str, Any]:
    if status < 400:
        return {}
    other = (3, "INVALID_ARGUMENT") if status < 500 else (13, "INTERNAL")
    code, message = _CODES.get(status, other)
    return {"code": code, "message": message}
