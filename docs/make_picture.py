"""Draws docs/images/describe.svg: what `customhouse images describe` shows, as a terminal shows it.

customhouse images describe IMAGE --show-package-vulnerability --format json \
        | python docs/make_picture.py
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from unittest import mock

from rich.console import Console

from customhouse.cli import descriptions

PICTURE = Path(__file__).parent / "images" / "describe.svg"
WIDTH = 108
ROWS = 14


def draw(document: dict[str, object], command: str) -> str:
    """The picture as SVG, without fonts from elsewhere."""
    console = Console(record=True, width=WIDTH, highlight=False, file=sys.stderr)
    console.print(f"[bold]$[/] {command}")
    with (
        mock.patch.object(descriptions, "console", return_value=console),
        mock.patch("customhouse.cli.output.console", return_value=console),
    ):
        descriptions.print_description(document)
    svg = console.export_svg(title="customhouse")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return svg.replace("Fira Code", "ui-monospace, monospace")


def main() -> None:
    """Read a description and draw it, the first rows of it."""
    document = json.load(sys.stdin)
    name = document["image_summary"]["fully_qualified_digest"].partition("@")[0]
    left = ROWS
    for occurrences in document["package_vulnerability_summary"]["vulnerabilities"].values():
        for occurrence in occurrences:
            issues = occurrence["vulnerability"]["packageIssue"]
            occurrence["vulnerability"]["packageIssue"] = issues[: max(left, 0)]
            left -= len(issues)
    command = f"customhouse images describe {name}:12 --show-package-vulnerability"
    PICTURE.write_text(draw(document, command))


if __name__ == "__main__":
    main()
