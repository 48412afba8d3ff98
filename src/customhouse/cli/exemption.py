"""How an exception is shown beside a finding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from customhouse.cli.output import safe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.text import Text

_SHOWN = 200
# What says that there is still something to worry about is not struck out.
_OPEN = frozenset({"AFFECTED", "UNDER_INVESTIGATION"})


def of_packages(
    vulnerability: dict[str, Any],
) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Each package of a vulnerability with the exception that holds for it, if one does."""
    known = {each["name"]: each for each in vulnerability.get("exceptions", ())}
    issues = vulnerability["packageIssue"]
    names = vulnerability.get("exceptionOfPackage") or [""] * len(issues)
    for issue, name in zip(issues, names, strict=True):
        yield issue, known.get(name)


def exempted(severity: Text, exception: dict[str, Any] | None) -> Text:
    """A severity, struck out if an exception says that it need not be worried about."""
    if exception is not None and exception["assessment"] not in _OPEN:
        severity.stylize("strike")
    return severity


def in_words(exception: dict[str, Any] | None) -> str:
    """An exception in a line: what is held, until when, by whom and why; empty for none."""
    if exception is None:
        return ""
    said = exception["assessment"].lower().replace("_", " ")
    if exception.get("justification"):
        said += f" ({exception['justification'].lower().replace('_', ' ')})"
    if exception.get("expireTime"):
        said += f" until {exception['expireTime'][:10]}"
    said += f" by {exception['owner']}"
    if exception["origin"] != "USER":
        said += f", VEX of {exception.get('author') or exception['source']}"
    reason = exception.get("reason") or exception.get("action", "")
    if len(reason) > _SHOWN:
        reason = f"{reason[:_SHOWN]}..."
    return safe(f"{said}: {reason}" if reason else said)
