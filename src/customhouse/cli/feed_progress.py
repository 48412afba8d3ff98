"""How far work with feeds is: bars on standard error, where somebody looks at it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from customhouse.cli.output import notes, safe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from customhouse.cli.client import Client

_POLL_SECONDS = 0.2


@contextmanager
def bar(title: str, total: int | None) -> Iterator[Any]:
    """One progress bar; gives how to advance it."""
    with _progress() as progress:
        task = progress.add_task(title, total=total)

        def advance(completed: int, out_of: int | None = total) -> None:
            progress.update(task, completed=completed, total=out_of)

        yield advance


def follow(client: Client, operations: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Wait for operations to end, with a bar for each; returns them as they ended."""
    ended = {each["name"]: each for each in operations if each["done"]}
    with _progress() as progress:
        tasks = {
            each["name"]: progress.add_task(_title(each), total=None)
            for each in operations
            if not each["done"]
        }
        while len(ended) < len(operations):
            time.sleep(_POLL_SECONDS)
            for name in [name for name in tasks if name not in ended]:
                operation = client.get(f"/v1/{name}").json()
                _show(progress, tasks[name], operation)
                if operation["done"]:
                    ended[name] = operation
    return [ended[each["name"]] for each in operations]


def _show(progress: Progress, task: TaskID, operation: dict[str, Any]) -> None:
    metadata = operation["metadata"]
    if operation["done"]:
        total = max(1, metadata["total"])
        progress.update(task, description=_title(operation), total=total, completed=total)
    else:
        progress.update(
            task,
            description=_title(operation),
            completed=metadata["read"],
            total=metadata["total"] or None,
        )


def _title(operation: dict[str, Any]) -> str:
    metadata = operation["metadata"]
    phase = str(metadata.get("phase", "")).lower()
    if operation["done"]:
        phase = "failed" if "error" in operation else "done"
    return f"{safe(metadata['feed'])} {phase}".strip()


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=notes(),
        transient=True,
        disable=not notes().is_terminal,
    )
