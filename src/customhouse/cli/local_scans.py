"""`customhouse images scan --local`: an image that is read here and stored nowhere."""

from __future__ import annotations

import platform as machine
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from customhouse.analysis import archives, inventory, origins, package_data, saved
from customhouse.analysis.layers import read_layer
from customhouse.cli import credentials
from customhouse.cli.client import Client
from customhouse.cli.descriptions import print_description, summary
from customhouse.cli.output import SEVERITIES, Format, notes, print_json
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from customhouse.analysis.layers import LayerReading
    from customhouse.analysis.saved import SavedImage
    from customhouse.cli.scans import Level

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm/v7", "i686": "386"}


def scan(
    path: Path, project: str, name: str, platform: str, fail_on: Level | None, format_: Format
) -> None:
    """Read an image, have its packages judged, and print what is vulnerable.

    Args:
        path: of the file or folder.
        project: whose server's permission it needs.
        name: which image, if there are several.
        platform: which of that name; this machine's if empty.
        fail_on: the least severity that makes the exit status 1.
        format_: how to print.

    Raises:
        Failure: of reading it, and any of the server.
        SystemExit: as `fail_on` says.
    """
    if not path.exists():
        raise Failure(Code.SAVED_IMAGE_CORRUPT, reason=f"there is no {path}")
    waiting = notes().status(f"Reading {path.name}") if notes().is_terminal else nullcontext()
    with waiting, archives.opened(path) as files:
        found = saved.images(files, path if path.is_dir() else None)
        image = saved.choose(found, name, platform or _here())
        taken = inventory.merge(_readings(image))
        layers = [layer.digest for layer in image.layers]
        told = list(zip(layers, origins.parse(image.config, len(layers)), strict=True))
        body = package_data.encode(_uri(path, image), taken, told)
    with Client(credentials.current()) as client:
        answer = client.request(
            "POST",
            f"/upload/v1/projects/{quote(project, safe='')}/locations/global/scans:analyzePackages",
            content=body,
            headers={"content-type": "application/json"},
        ).json()["response"]
    document = _document(path, image, answer)
    if format_ is Format.JSON:
        print_json(document)
    else:
        print_description(document)
    if fail_on is not None and _is_bad(document, fail_on):
        raise SystemExit(1)


def _here() -> str:
    return f"linux/{_ARCHITECTURES.get(machine.machine(), machine.machine())}"


def _readings(image: SavedImage) -> Iterator[tuple[str, LayerReading]]:
    for layer in image.layers:
        with layer.open() as stream:
            yield layer.digest, read_layer(stream, media_type=layer.media_type)


def _uri(path: Path, image: SavedImage) -> str:
    return "@".join(filter(None, (image.name or path.name, image.digest)))


def _document(path: Path, image: SavedImage, answer: dict[str, Any]) -> dict[str, Any]:
    """What was found in the form of `images describe`."""
    told = {
        "file": str(path),
        "image": image.name,
        "digest": image.digest,
        "platform": image.platform,
    }
    return {
        "image_summary": {key: value for key, value in told.items() if value},
        "discovery_summary": {"discovery": [answer["discovery"]]},
        "package_vulnerability_summary": summary(answer["vulnerabilities"]),
    }


def _is_bad(document: dict[str, Any], level: Level) -> bool:
    """Whether something is that severe or worse, or nobody can tell."""
    (discovery,) = document["discovery_summary"]["discovery"]
    if discovery["discovery"]["analysisStatus"] != "FINISHED_SUCCESS":
        return True
    severe = SEVERITIES[: SEVERITIES.index(level.value) + 1]
    found = document["package_vulnerability_summary"]["vulnerabilities"]
    return any(name in found for name in severe)
