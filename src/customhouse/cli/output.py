"""What commands print: tables for people, JSON for scripts, progress while it takes long."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

# One palette everywhere; the letter and the word carry the meaning, the colour helps.
SEVERITY_STYLES = {
    "CRITICAL": "bold white on red3",
    "HIGH": "bold red",
    "MEDIUM": "yellow3",
    "LOW": "cyan",
    "MINIMAL": "dim",
    "SEVERITY_UNSPECIFIED": "dim",
}
SEVERITIES = tuple(SEVERITY_STYLES)

_WIDE = 10_000


class Format(Enum):
    """How to print."""

    TABLE = "table"
    JSON = "json"


def console() -> Console:
    """The console for results: as wide as what is printed when it goes into a pipe."""
    return Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)


def notes() -> Console:
    """The console for progress and remarks, which are no results."""
    return Console(stderr=True, highlight=False)


def print_json(document: object) -> None:
    """Print a document for scripts."""
    print(json.dumps(document, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> None:
    """Print a table; columns whose name ends with `#` hold numbers, with `!` what is not broken."""
    table = Table(
        box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, header_style="bold"
    )
    for column in columns:
        table.add_column(
            column.rstrip("#!"),
            justify="right" if column.endswith("#") else "left",
            no_wrap=column.endswith("!"),
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(safe(cell)) for cell in row))
    console().print(table)


def safe(text: str) -> str:
    """Text from elsewhere as it is safe on a terminal: without control characters."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )


def severity(name: str) -> Text:
    """A severity as a table shows it."""
    shown = "UNSPECIFIED" if name == "SEVERITY_UNSPECIFIED" else name
    return Text(shown, style=SEVERITY_STYLES.get(name, ""))


def size(count: int) -> str:
    """A number of bytes as Docker prints it: decimal units, three or four digits."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.4g}{unit}"
        value /= 1000
    return f"{value:.4g}TB"


def moment(milliseconds: str | int) -> str:
    """A time as a table shows it, UTC."""
    number = int(milliseconds)
    if not number:
        return ""
    return datetime.fromtimestamp(number / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def plural(count: int, word: str) -> str:
    """A number with its noun."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def ask(question: str, *, quiet: bool) -> bool:
    """Ask before something is destroyed. Without a terminal the answer is no.

    Args:
        question: what is about to happen.
        quiet: whether the person said beforehand that they need not be asked.
    """
    if quiet:
        return True
    if not sys.stdin.isatty():
        notes().print("Add --quiet to do this without being asked.")
        return False
    answer: Any = input(f"{question} (Y/n)? ")
    return str(answer).strip().lower() in {"", "y", "yes"}
