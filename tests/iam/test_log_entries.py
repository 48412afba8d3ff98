"""Audit entries in the form of Cloud Logging."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from customhouse.iam.audit import Entry
from customhouse.iam.log_entries import to_log_entry

HOST = "registry.example.net"
CREATED = Entry(
    at=1_700_000_000_123_456,
    project="example.com/proj",
    principal="user:ana@example.com",
    method="google.iam.admin.v1.CreateServiceAccount",
    permission="iam.serviceAccounts.create",
    resource="projects/example.com:proj",
    granted=True,
    status=200,
    address="2001:db8::1",
    agent="google-cloud-sdk",
    request_id="abc-1",
    detail={"name": "ci@proj.example.com.iam.test"},
    id=42,
)


def test_the_whole() -> None:
    entry = to_log_entry(CREATED, HOST)
    assert json.loads(json.dumps(entry)) == {
        "logName": "projects/example.com:proj/logs/cloudaudit.googleapis.com%2Factivity",
        "resource": {
            "type": "audited_resource",
            "labels": {
                "service": "iam.googleapis.com",
                "method": "google.iam.admin.v1.CreateServiceAccount",
                "project_id": "example.com:proj",
            },
        },
        "timestamp": "2023-11-14T22:13:20.123456Z",
        "severity": "NOTICE",
        "insertId": "42",
        "labels": {"request_id": "abc-1"},
        "protoPayload": {
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
            "serviceName": "iam.googleapis.com",
            "methodName": "google.iam.admin.v1.CreateServiceAccount",
            "resourceName": "projects/example.com:proj",
            "authenticationInfo": {
                "principalEmail": "ana@example.com",
                "principalSubject": "user:ana@example.com",
            },
            "requestMetadata": {
                "callerIp": "2001:db8::1",
                "callerSuppliedUserAgent": "google-cloud-sdk",
            },
            "authorizationInfo": [
                {
                    "resource": "projects/example.com:proj",
                    "permission": "iam.serviceAccounts.create",
                    "granted": True,
                }
            ],
            "status": {},
            "metadata": {"name": "ci@proj.example.com.iam.test"},
        },
    }


def test_of_the_server_and_nobody() -> None:
    denied = replace(
        CREATED,
        project="",
        principal="allUsers",
        method="customhouse.feeds.Import",
        permission="customhouse.feeds.import",
        granted=False,
        status=401,
        request_id="",
        detail={},
    )
    entry = to_log_entry(denied, HOST)
    assert entry["logName"].startswith("organizations/customhouse/logs/")
    assert entry["severity"] == "ERROR"
    assert entry["labels"] == {}
    assert "project_id" not in entry["resource"]["labels"]
    assert entry["protoPayload"]["authenticationInfo"] == {}
    assert entry["protoPayload"]["status"] == {"code": 16, "message": "UNAUTHENTICATED"}
    assert entry["protoPayload"]["serviceName"] == HOST
    assert entry["protoPayload"]["metadata"] == {}


@pytest.mark.parametrize(
    ("method", "permission", "service", "log"),
    [
        (
            "SetIamPolicy",
            "resourcemanager.projects.setIamPolicy",
            "cloudresourcemanager.googleapis.com",
            "activity",
        ),
        (
            "GetIamPolicy",
            "artifactregistry.repositories.getIamPolicy",
            "artifactregistry.googleapis.com",
            "data_access",
        ),
        (
            "Docker-PutManifest",
            "artifactregistry.repositories.uploadArtifacts",
            "artifactregistry.googleapis.com",
            "data_access",
        ),
        (
            "google.iam.credentials.v1.IAMCredentials.GenerateAccessToken",
            "iam.serviceAccounts.getAccessToken",
            "iamcredentials.googleapis.com",
            "data_access",
        ),
        ("google.identity.sts.v1.ExchangeToken", "", "sts.googleapis.com", "activity"),
        (
            "EnableService",
            "serviceusage.services.enable",
            "serviceusage.googleapis.com",
            "activity",
        ),
        ("ListUsers", "customhouse.users.list", HOST, "data_access"),
        ("SignIn", "", HOST, "activity"),
    ],
)
def test_services_and_logs(method: str, permission: str, service: str, log: str) -> None:
    entry = to_log_entry(replace(CREATED, method=method, permission=permission), HOST)
    assert entry["protoPayload"]["serviceName"] == service
    assert entry["logName"].endswith(f"%2F{log}")
    assert entry["severity"] == ("NOTICE" if log == "activity" else "INFO")
    assert bool(entry["protoPayload"]["authorizationInfo"]) is bool(permission)


@pytest.mark.parametrize(
    ("status", "code"),
    [(201, None), (307, None), (400, 3), (403, 7), (404, 5), (418, 3), (429, 8), (500, 13)],
)
def test_status(status: int, code: int | None) -> None:
    entry = to_log_entry(replace(CREATED, status=status), HOST)
    assert entry["protoPayload"]["status"].get("code") == code
    assert (entry["severity"] == "ERROR") is (code is not None)


@pytest.mark.parametrize(
    ("principal", "email"),
    [
        ("serviceAccount:ci@acme.iam.test", "ci@acme.iam.test"),
        ("principal://iam.googleapis.com/projects/1/locations/global/x", None),
    ],
)
def test_principals(principal: str, email: str | None) -> None:
    entry = to_log_entry(replace(CREATED, principal=principal), HOST)
    who = entry["protoPayload"]["authenticationInfo"]
    assert who["principalSubject"] == principal
    assert who.get("principalEmail") == email
