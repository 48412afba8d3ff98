"""The results as a table, as Markdown and as JSON."""

import json
import math
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from rich.table import Table

from benchmarks.results import Result

_LEFT = ("measurement", "unit")
_COLUMNS = (*_LEFT, "customhouse", "peer", "ratio", "of rounds", "wanted", "")


def machine() -> str:
    """The day, the processor, its cores, the memory and the system, in one line."""
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    cores = len(os.sched_getaffinity(0))
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    day = datetime.now(UTC).date().isoformat()
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    python = f"Python {platform.python_version()}"
    return f"{day}, {model}, {cores} cores, {gib:.0f} GiB, {system}, {python}"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _ratio(value: float | None) -> str:
    # Rounded down, so that what is just below a limit does not look as if it had reached it.
    return "-" if value is None else f"{math.floor(value * 100) / 100:.2f}"


def _range(ratios: Sequence[float]) -> str:
    return f"{_ratio(min(ratios))} to {_ratio(max(ratios))}" if ratios else ""


def _row(result: Result) -> tuple[str, ...]:
    verdict = "" if result.threshold is None else ("ok" if result.ok else "MISSED")
    return (
        result.name,
        result.unit,
        _number(result.ours),
        _number(result.peer),
        _ratio(result.ratio),
        _range(result.ratios),
        str(result.threshold or ""),
        verdict,
    )


def table(results: Sequence[Result]) -> Table:
    """The results for a terminal."""
    shown = Table(title="customhouse beside docker-registry, or the peer that is named")
    for column in _COLUMNS:
        justify: Literal["left", "right"] = "left" if column in _LEFT else "right"
        shown.add_column(column, justify=justify, no_wrap=True)
    for result in results:
        style = None if result.ok else "bold red"
        shown.add_row(*_row(result), style=style)
    return shown


def markdown(results: Sequence[Result], where: str) -> str:
    """The results as a table in Markdown, with a line that says where they were measured."""
    aligned = ["---" if column in _LEFT else "---:" for column in _COLUMNS]
    rows = [_COLUMNS, aligned, *(_row(result) for result in results)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([where, "", *lines, ""])


def as_json(results: Sequence[Result], where: str) -> str:
    """The results for programs."""
    rows = []
    for result in results:
        row = asdict(result)
        row["threshold"] = None if result.threshold is None else str(result.threshold)
        rows.append(row)
    return json.dumps({"machine": where, "results": rows}, indent=2, ensure_ascii=False) + "\n"
