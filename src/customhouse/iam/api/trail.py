"""From calls to the audit log: which are noted, and as what.

Changes of the control plane are on disk before they are answered. Everything else is written a
few times a second, so that pulls and pushes do not wait for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from customhouse.database import now
from customhouse.iam.audit import Entry
from customhouse.iam.permissions import ALL_USERS, ROOT, Permission, Resource

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from customhouse.http import Request
    from customhouse.iam.audit_log import AuditLog

# Docker's calls by method and the form of the path.
_DOCKER = {
    ("GET", "base"): "Docker-Ping",
    ("GET", "catalog"): "Docker-ListRepositories",
    ("GET", "tags"): "Docker-ListTags",
    ("GET", "manifest"): "Docker-GetManifest",
    ("HEAD", "manifest"): "Docker-HeadManifest",
    ("PUT", "manifest"): "Docker-PutManifest",
    ("DELETE", "manifest"): "Docker-DeleteManifest",
    ("GET", "referrers"): "Docker-ListReferrers",
    ("GET", "blob"): "Docker-GetBlob",
    ("HEAD", "blob"): "Docker-HeadBlob",
    ("DELETE", "blob"): "Docker-DeleteBlob",
    ("POST", "uploads"): "Docker-StartBlobUpload",
    ("GET", "upload"): "Docker-GetBlobUpload",
    ("PATCH", "upload"): "Docker-PatchBlobUpload",
    ("PUT", "upload"): "Docker-FinishBlobUpload",
    ("DELETE", "upload"): "Docker-CancelBlobUpload",
}
_CHANGES = frozenset({"Docker-PutManifest", "Docker-DeleteManifest", "Docker-DeleteBlob"})

Asked = tuple[Permission, Resource]


class Trail:
    """Notes the calls of one process.

    Args:
        log: where.
        reads: whether calls that change nothing are noted.
    """

    def __init__(self, log: AuditLog, *, reads: bool) -> None:
        self._log = log
        self._reads = reads

    def note_docker(self, request: Request, number: str, status: int) -> None:
        """Note a call of the distribution API, or of the token endpoint."""
        if status < 400 and request.method in {"GET", "HEAD"} and not self._reads:
            return
        context = request.context
        shape = context.get("route")
        if request.path == "/token":
            if status == 401:
                self._note(request, number, status, "SignIn", None, "")
            return
        method = _DOCKER.get((request.method, shape or ""))
        if method is None:
            return
        asked: Asked | None = context.get("asked")
        suffix = context.get("argument", "") if shape in {"manifest", "blob"} else ""
        if suffix:
            suffix = f"@{suffix}" if ":" in suffix else f":{suffix}"
        if _is_refused(status, request.headers.get(b"authorization") is not None) or (
            status < 400 and (self._reads or method in _CHANGES)
        ):
            self._note(request, number, status, method, asked, suffix)

    def _note(
        self,
        request: Request,
        number: str,
        status: int,
        method: str,
        asked: Asked | None,
        suffix: str,
    ) -> None:
        permission, resource = asked or (None, ROOT)
        self._log.note(
            Entry(
                now(),
                resource.project,
                request.context.get("principal") or ALL_USERS,
                method,
                permission.value if permission else "",
                f"{resource}{suffix}",
                status < 400,
                status,
                request.client,
                request.header(b"user-agent"),
                number,
            )
        )

    async def note_control(
        self, scope: MutableMapping[str, Any], request: Request, number: str, status: int
    ) -> None:
        """Note a call of the control plane; when this returns, a change is on disk.

        Raises:
            Failure: STORAGE_FULL.
        """
        endpoint = getattr(scope.get("endpoint"), "__name__", "")
        if not endpoint:
            return
        refused = _is_refused(status, request.headers.get(b"authorization") is not None)
        changes = request.method != "GET" and endpoint not in _READING
        if not refused and (status >= 400 or not (changes or self._reads)):
            return
        permission, resource = scope.get("customhouse.asked") or (None, ROOT)
        entry = Entry(
            now(),
            resource.project,
            scope.get("customhouse.principal") or ALL_USERS,
            "".join(word.capitalize() for word in endpoint.split("_")),
            permission.value if permission else "",
            str(resource),
            status < 400,
            status,
            request.client,
            request.header(b"user-agent"),
            number,
            {"path": request.path, **(scope.get("customhouse.detail") or {})},
        )
        if changes and not refused:
            await self._log.write(entry)
        else:
            self._log.note(entry)


_READING = frozenset(
    {"get_iam_policy", "test_iam_permissions", "troubleshoot", "list_permissions", "introspect"}
)


def _is_refused(status: int, has_credentials: bool) -> bool:
    # Clients ask once without credentials to learn where to get some.
    return status == 403 or (status == 401 and has_credentials)
