"""`customhouse images scan`: have images analysed."""

from __future__ import annotations

import time
from contextlib import nullcontext
from enum import Enum
from http import HTTPStatus
from pathlib import Path  # noqa: TC003  - read when the command is called
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from cyclopts import Parameter

from customhouse.cli import credentials
from customhouse.cli.client import Client
from customhouse.cli.options import FormatOption, ProjectOption, chosen
from customhouse.cli.output import Format, notes, plural, print_json, safe
from customhouse.errors import Code, Failure
from customhouse.names import parse_image, project_id, split_project

if TYPE_CHECKING:
    from customhouse.names import ImageReference

_POLL_SECONDS = 0.2


class Level(Enum):
    """Severities, from the least."""

    MINIMAL = "MINIMAL"
    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"


def scan(
    *images: str,
    local: Path | None = None,
    image: str = "",
    platform: str = "",
    fail_on: Level | None = None,
    all_: Annotated[bool, Parameter(name="--all")] = False,
    project: ProjectOption = "",
    force: bool = False,
    async_: Annotated[bool, Parameter(name="--async")] = False,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Have images analysed, also where scanning is switched off in their project.

    An image is read once in its life: one that has been analysed is not read again, unless that
    failed. The exit status is 1 if an analysis failed.

    With --local an image in a file or folder is read here. The list of its packages is sent to the
    server, which says what is vulnerable and keeps nothing.

    Args:
        images: HOST/PROJECT/IMAGE[:TAG] or HOST/PROJECT/IMAGE@DIGEST, of one project.
        local: What docker save or skopeo copy wrote, an OCI layout, or the folder of a file system.
        image: Which one, if there are several in it, by its name or digest.
        platform: Which one of that name, as OS/ARCHITECTURE; this machine's by default.
        fail_on: With --local: end with 1 if something is vulnerable that severely or worse, or it
            cannot be told.
        all_: All images of the project instead.
        project: The project for --all and --local.
        force: Read images again that have been read.
        async_: Do not wait for the end; `--format json` shows the operation.
        format_: How to print the outcome.
    """
    if local is not None:
        if images or all_:
            raise Failure(Code.USAGE_INVALID, reason="--local is by itself")
        from customhouse.cli import local_scans

        local_scans.scan(local, chosen(project), image, platform, fail_on, format_)
        return
    if image or platform or fail_on:
        reason = "--image, --platform and --fail-on go with --local"
        raise Failure(Code.USAGE_INVALID, reason=reason)
    if all_ == bool(images):
        reason = "name images, or a project and --all, or --local and a file"
        raise Failure(Code.USAGE_INVALID, reason=reason)
    references = [parse_image(image) for image in images]
    host = references[0].host if references else ""
    with Client(credentials.current(host)) as client:
        body: dict[str, Any] = {"force": force}
        if all_:
            owner = chosen(project)
            body["all"] = True
        else:
            owner, body["resourceUris"] = _resolved(client, references)
        path = f"/v1/projects/{quote(owner, safe='')}/images:scan"
        operation = client.request("POST", path, json=body).json()
        if not async_:
            operation = follow(client, operation)
    if format_ is Format.JSON:
        print_json(operation)
    elif async_:
        print(f"Asked for: {operation['name']}")
    else:
        _print_outcome(operation["response"])
    if not async_ and operation["response"]["failed"]:
        raise SystemExit(1)


def resolve(client: Client, reference: ImageReference) -> str:
    """The digest of an image.

    Raises:
        Failure: IMAGE_UNKNOWN, REFERENCE_INVALID, and any of the server.
    """
    scope = f"repository:{reference.repository}:pull"
    path = f"/v2/{reference.repository}/manifests/{reference.reference}"
    try:
        return str(client.request("HEAD", path, scope=scope).headers["docker-content-digest"])
    except Failure as failure:
        # The answer to HEAD has no body that could say this.
        if failure.status == HTTPStatus.BAD_REQUEST:
            reason = "the server takes no image of this name"
            raise Failure(Code.REFERENCE_INVALID, reference=str(reference), reason=reason) from None
        if failure.status != HTTPStatus.NOT_FOUND:
            raise
        raise Failure(Code.IMAGE_UNKNOWN, image=str(reference)) from failure


def follow(client: Client, operation: dict[str, Any]) -> dict[str, Any]:
    """Wait for a scan to end, showing how far it is.

    Raises:
        Failure: OPERATION_FAILED.
    """
    console = notes()
    shown = console.status("Scanning") if console.is_terminal else nullcontext()
    with shown as status:
        while not operation["done"]:
            time.sleep(_POLL_SECONDS)
            operation = client.get(f"/v1/{quote(operation['name'], safe='/')}").json()
            if status is not None:
                status.update(f"Scanning: {plural(operation['metadata']['asked'], 'image')}")
    if "error" in operation:
        raise Failure(Code.OPERATION_FAILED, reason=operation["error"]["message"])
    return operation


def _resolved(client: Client, references: list[ImageReference]) -> tuple[str, list[str]]:
    """The project of images, and each with its digest."""
    projects = {split_project(reference.repository)[0] for reference in references}
    if len({reference.host for reference in references}) > 1 or len(projects) > 1:
        raise Failure(Code.USAGE_INVALID, reason="the images are not of one project")
    uris = [
        f"https://{client.host}/{reference.repository}@{resolve(client, reference)}"
        for reference in references
    ]
    return project_id(projects.pop()), uris


def _print_outcome(response: dict[str, Any]) -> None:
    parts = {
        "scanned": response["done"],
        "scanned before": response["alreadyScanned"],
        "not of a kind that is analysed": response["unsupported"],
        "failed": response["failed"],
    }
    told = ", ".join(f"{count:,} {what}" for what, count in parts.items() if count)
    print(f"{plural(response['asked'], 'image')}{': ' if told else ''}{told}.")
    for failure in response["failures"]:
        print(f"  {safe(failure['image'])}: {safe(failure['reason'])}")
