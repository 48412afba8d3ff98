"""`customhouse images sbom`: the bill of materials of an image."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path  # noqa: TC003  - the command's signature is read when it runs
from typing import Annotated
from urllib.parse import quote

from cyclopts import Parameter

from customhouse.cli import credentials
from customhouse.cli.client import Client
from customhouse.cli.images import discovery_of
from customhouse.cli.output import notes, size
from customhouse.cli.scans import resolve
from customhouse.names import parse_image, split_project


class SbomFormat(Enum):
    """The format of an SBOM."""

    SPDX = "spdx"
    CYCLONEDX = "cyclonedx"


def sbom(
    image: str,
    /,
    *,
    format_: Annotated[SbomFormat, Parameter(name="--format")] = SbomFormat.SPDX,
    platform: str = "",
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    wait: float = 10.0,
) -> None:
    """Print the SBOM of an image: its packages, as JSON.

    Args:
        image: HOST/PROJECT/IMAGE[:TAG] or HOST/PROJECT/IMAGE@DIGEST; the tag is latest by default.
        format_: SPDX 2.3 or CycloneDX 1.6.
        platform: Which image of an index, as linux/amd64.
        output: A file to write it to, instead of printing it.
        wait: Seconds to wait for an analysis that is not finished.
    """
    reference = parse_image(image)
    with Client(credentials.current(reference.host)) as client:
        digest = resolve(client, reference)
        project = split_project(reference.repository)[0]
        url = f"https://{reference.host or client.host}/{reference.repository}@{digest}"
        discovery_of(client, project, url, wait)
        response = client.get(
            f"/v1/projects/{quote(project, safe='')}/sboms",
            resourceUri=url,
            format=format_.value,
            platform=platform,
        )
    if output is None:
        sys.stdout.write(response.text + "\n")
        return
    output.write_bytes(response.content)
    notes().print(f"{size(len(response.content))} written to {output}.", markup=False)
