"""`customhouse images packages`: what is in an image."""

from __future__ import annotations

from typing import Any

from customhouse.cli import credentials
from customhouse.cli.client import Client
from customhouse.cli.descriptions import layer
from customhouse.cli.options import FormatOption  # noqa: TC001  - read when it is called
from customhouse.cli.output import Format, console, notes, print_json, print_table
from customhouse.cli.scans import resolve
from customhouse.names import parse_image, split_project

# So many columns have room for what made a layer.
_WIDE = 120


def packages(image: str, /, *, format_: FormatOption = Format.TABLE) -> None:
    """List the packages that the analysis found in an image.

    Args:
        image: HOST/PROJECT/IMAGE[:TAG] or HOST/PROJECT/IMAGE@DIGEST; the tag is latest by default.
        format_: How to print the list.
    """
    reference = parse_image(image)
    with Client(credentials.current(reference.host)) as client:
        digest = resolve(client, reference)
        url = f"https://{reference.host or client.host}/{reference.repository}@{digest}"
        project = split_project(reference.repository)[0]
        found = [each["package"] for each in client.occurrences(project, "PACKAGE", url)]
    found.sort(key=lambda package: (package["name"], package["version"]["fullName"]))
    if format_ is Format.JSON:
        print_json(found)
    elif not found:
        notes().print(
            f"No packages are known. See why: customhouse images describe {image}"
            " --show-package-vulnerability",
            markup=False,
            soft_wrap=True,
        )
    else:
        is_wide = console().width >= _WIDE
        columns = ["NAME", "VERSION", "TYPE!", "LICENCE", "LAYER" if is_wide else "LAYER!", "FILE"]
        print_table(columns, [_row(package, is_wide=is_wide) for package in found])


def _row(package: dict[str, Any], *, is_wide: bool) -> list[str]:
    made_by = layer(package["location"])
    return [
        package["name"],
        package["version"]["fullName"],
        package["packageType"],
        package.get("license", {}).get("expression", ""),
        made_by if is_wide else made_by.partition(" ")[0],
        ", ".join(dict.fromkeys(place["path"] for place in package["location"])),
    ]
