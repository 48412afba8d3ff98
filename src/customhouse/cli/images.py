"""`customhouse images`: what is stored, what is in it, what is wrong with it."""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from typing import Annotated, Any

from cyclopts import App, Parameter

from customhouse.cli import credentials
from customhouse.cli.client import Client
from customhouse.cli.descriptions import print_description, summary
from customhouse.cli.output import (
    Format,
    ask,
    moment,
    notes,
    print_json,
    print_table,
    size,
)
from customhouse.cli.packages import packages
from customhouse.cli.scans import resolve, scan
from customhouse.errors import Code, Failure
from customhouse.names import ImageReference, parse_image, split_project

app = App(name="images", help="Images: list, look into, scan, delete.")
app.command(packages)
app.command(scan)
app.command(
    "customhouse.cli.history:history",
    name="history",
    help="Show what changed in the findings of an image, the newest first.",
)
app.command(
    "customhouse.cli.sboms:sbom",
    name="sbom",
    help="Print the SBOM of an image: its packages, as JSON.",
)

FormatOption = Annotated[Format, Parameter(name="--format")]

_POLL_SECONDS = 0.2
_RUNNING = {"PENDING", "SCANNING"}
_FAILED = "FINISHED_FAILED"


@app.command(name="list")
def list_(*, repository: str | None = None, format_: FormatOption = Format.TABLE) -> None:
    """List images.

    Args:
        repository: HOST/PROJECT or HOST/PROJECT/PATH, to list what lies directly below it;
            everything on the server by default.
        format_: How to print the list.
    """
    if repository is None:
        with Client(credentials.current()) as client:
            names = [f"{client.host}/{name}" for name in client.repositories()]
    else:
        below = parse_image(repository.rstrip("/"))
        with Client(credentials.current(below.host)) as client:
            document = client.list_tags(below.repository)
            names = [f"{client.host}/{below.repository}/{child}" for child in document["child"]]
    if format_ is Format.JSON:
        print_json([{"name": name} for name in names])
    elif not names:
        with Client(credentials.current()) as client:
            notes().print(f"No images yet. Push one: docker push {client.host}/PROJECT/IMAGE:TAG")
    else:
        print_table(["NAME"], [[name] for name in names])


@app.command(name="list-tags")
def list_tags(image: str, /, *, format_: FormatOption = Format.TABLE) -> None:
    """List the tags and digests of an image, the newest first.

    Args:
        image: HOST/PROJECT/IMAGE.
        format_: How to print the list.
    """
    reference = parse_image(image)
    with Client(credentials.current(reference.host)) as client:
        manifests = client.list_tags(reference.repository)["manifest"]
    rows = sorted(manifests.items(), key=lambda item: _time(item[1]), reverse=True)
    if format_ is Format.JSON:
        print_json(
            [
                {
                    "digest": digest,
                    "tags": entry["tag"],
                    "timestamp": {"datetime": moment(_time(entry)) + "+00:00"},
                    "mediaType": entry["mediaType"],
                    "imageSizeBytes": entry["imageSizeBytes"],
                    "timeCreatedMs": entry["timeCreatedMs"],
                    "timeUploadedMs": entry["timeUploadedMs"],
                }
                for digest, entry in rows
            ]
        )
        return
    print_table(
        ["DIGEST", "TAGS", "SIZE#", "TIMESTAMP"],
        [
            [
                digest.partition(":")[2][:12],
                ",".join(entry["tag"]),
                size(int(entry["imageSizeBytes"])),
                moment(_time(entry)),
            ]
            for digest, entry in rows
        ],
    )


def _time(entry: dict[str, Any]) -> int:
    """When an image was built, or where it does not say, pushed; milliseconds."""
    return int(entry["timeCreatedMs"]) or int(entry["timeUploadedMs"])


@app.command
def describe(
    image: str,
    /,
    *,
    show_package_vulnerability: bool = False,
    show_layers: bool = False,
    wait: float = 10.0,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Describe an image.

    With its vulnerabilities the exit status is 1 if the analysis failed or is not finished when
    the wait ends: what is shown may lack something then. An image of a kind that is not analysed
    is no failure.

    Args:
        image: HOST/PROJECT/IMAGE[:TAG] or HOST/PROJECT/IMAGE@DIGEST; the tag is latest by default.
        show_package_vulnerability: Show the known vulnerabilities of its packages.
        show_layers: Show which layer of the image brought each package, and what made the layer.
        wait: Seconds to wait for an analysis that is not finished.
        format_: How to print.
    """
    reference = parse_image(image)
    with Client(credentials.current(reference.host)) as client:
        host = reference.host or client.host
        digest = resolve(client, reference)
        name = f"{host}/{reference.repository}"
        document: dict[str, Any] = {
            "image_summary": {
                "digest": digest,
                "fully_qualified_digest": f"{name}@{digest}",
                "registry": host,
                "repository": reference.repository,
            }
        }
        if show_package_vulnerability:
            project = split_project(reference.repository)[0]
            url = f"https://{name}@{digest}"
            document["discovery_summary"] = {"discovery": discovery_of(client, project, url, wait)}
            found = client.occurrences(project, "VULNERABILITY", url)
            document["package_vulnerability_summary"] = summary(found)
    if format_ is Format.JSON:
        print_json(document)
    else:
        print_description(document, show_layers=show_layers)
    discovery = document.get("discovery_summary", {}).get("discovery", ())
    if any(each["discovery"]["analysisStatus"] in _RUNNING | {_FAILED} for each in discovery):
        raise SystemExit(1)


def discovery_of(client: Client, project: str, url: str, wait: float) -> list[dict[str, Any]]:
    """How far the analysis of an image is, once it has ended or the wait has.

    Args:
        client: of the server.
        project: the image's project.
        url: the image, as `https://HOST/PROJECT/IMAGE@DIGEST`.
        wait: seconds.
    """
    deadline = time.monotonic() + wait
    with notes().status("Waiting for the analysis") if sys.stderr.isatty() else nullcontext():
        while True:
            found = client.occurrences(project, "DISCOVERY", url)
            states = {each["discovery"]["analysisStatus"] for each in found}
            if not states & _RUNNING or time.monotonic() > deadline:
                return found
            time.sleep(_POLL_SECONDS)


@app.command
def delete(
    image: str,
    /,
    *images: str,
    force_delete_tags: bool = False,
    quiet: Annotated[bool, Parameter(alias="-q")] = False,
) -> None:
    """Delete images by tag or digest, with the tags that point at them.

    Args:
        image: HOST/PROJECT/IMAGE:TAG or HOST/PROJECT/IMAGE@DIGEST.
        images: More of them.
        force_delete_tags: Delete the tags that point at a digest with it.
        quiet: Do not ask.
    """
    for each in (image, *images):
        _delete(parse_image(each), force_delete_tags=force_delete_tags, quiet=quiet)


def _delete(reference: ImageReference, *, force_delete_tags: bool, quiet: bool) -> None:
    with Client(credentials.current(reference.host)) as client:
        host = reference.host or client.host
        name = f"{host}/{reference.repository}"
        digest = resolve(client, reference)
        tags = client.list_tags(reference.repository)["manifest"][digest]["tag"]
        others = [tag for tag in tags if reference.digest or tag != reference.reference]
        if others and not force_delete_tags:
            raise Failure(Code.IMAGE_HAS_TAGS, image=f"{name}@{digest}", tags=", ".join(others))
        print("Digests:")
        print(f"- {name}@{digest}")
        if tags:
            print("Tags:")
            for tag in tags:
                print(f"- {name}:{tag}")
        if not ask("This deletes the image for good. Continue", quiet=quiet):
            raise SystemExit(1)
        path = f"/v2/{reference.repository}/manifests/{digest}"
        scope = f"repository:{reference.repository}:delete"
        client.request("DELETE", path, scope=scope)
        print(f"Deleted [{name}@{digest}].")
