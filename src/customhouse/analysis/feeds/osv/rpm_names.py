"""What records of rpm's distributions name: source or binary packages, and modules.

Sources: the OSV schema, "Defined Ecosystems", and the feeds themselves: Rocky Linux, SUSE and
openSUSE name source packages; AlmaLinux and Red Hat binary ones. A fix that was built for a module
has `.module` in its release, and the module with its stream in the record's summary.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from customhouse.analysis.ecosystems import rpm

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NO_SECURITY: Final = frozenset({"ALBA", "ALEA"})
"""Kinds of records, by the beginning of their identifiers, that are about no vulnerability."""

_SOURCES = frozenset({"Rocky Linux", "SUSE", "openSUSE", "openEuler", "Mageia"})
_MODULE = re.compile(r"(?:^|\s)([a-z0-9][\w.+-]*:[\w.-]+)(?=[\s,/]|$)").search
_RED_HAT = re.compile(r"Red Hat:enterprise_linux:([0-9]+)(?:\..*|::.*)?").fullmatch
_RED_HAT_STREAM = re.compile(r"(Red Hat:[^:]+:[^:]+)::.*").fullmatch


def ecosystem_of(ecosystem: str) -> str:
    """Write Red Hat's ecosystems, which are CPEs, as a major version or a product's version.

    `Red Hat:enterprise_linux:9::appstream` is `Red Hat:9`; `Red Hat:rhel_eus:9.2::baseos` is
    `Red Hat:rhel_eus:9.2`, which is no system's but that of a stream with fixes of its own.
    """
    if match := _RED_HAT(ecosystem):
        return f"Red Hat:{match[1]}"
    if match := _RED_HAT_STREAM(ecosystem):
        return match[1]
    return ecosystem


def module_of(summary: str) -> str:
    """Find the module and stream that a summary names, as `nodejs:14`; empty if there is none."""
    match = _MODULE(summary)
    return match[1] if match else ""


def is_source(ecosystem: str) -> bool:
    """Tell whether records of an ecosystem of rpm name source packages."""
    return ecosystem.partition(":")[0] in _SOURCES


def without_epochs(events: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
    """Leave out the epochs in events: source packages are compared without."""
    return [{kind: rpm.without_epoch(version) for kind, version in each.items()} for each in events]


def named(name: str, *, is_source: bool, fixed: str | None, summary: str) -> str | None:
    """Name what a range in an ecosystem of rpm is about, in the form of `feeds.Affected`.

    Args:
        name: as the record has it.
        is_source: whether that is a source package's.
        fixed: the version that brings the fix.
        summary: of the record, which tells the module that it is about.

    Returns:
        The name; None if the fix was built for a module that is not named.
    """
    if is_source:
        name = f"{rpm.SOURCE}{name}"
    if fixed is None or ".module" not in fixed:
        return name
    module = module_of(summary)
    return f"{module}::{name}" if module else None
