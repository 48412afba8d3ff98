"""Real client programs: which of them are here, and what is said of them at the end of a run."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter


@dataclass(frozen=True, slots=True)
class Client:
    """What must be there for the tests of one client.

    Attributes:
        programs: Names of programs on the search path, or whole paths.
        modules: Names of Python modules.
        root: Whether it works for root alone.
    """

    programs: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    root: bool = False

    def lacks(self) -> str:
        """Why it cannot be used here; empty when it can."""
        for program in self.programs:
            if shutil.which(program) is None:
                return f"the program {program} is missing"
        for module in self.modules:
            if importlib.util.find_spec(module) is None:
                return f"the Python package {module} is missing"
        if self.root and os.geteuid() != 0:
            return "it needs root"
        return ""


CLIENTS = {
    "docker": Client(programs=("docker", "dockerd"), root=True),
    "skopeo": Client(programs=("skopeo",)),
    "podman": Client(programs=("podman",), root=True),
    "buildah": Client(programs=("buildah",), root=True),
    "ctr": Client(programs=("ctr", "containerd"), root=True),
    "oras": Client(modules=("oras",)),
    "dxf": Client(modules=("dxf",)),
    "gcloud": Client(),  # its tests say themselves that they are skipped where it is missing
}


def unavailable(reason: str) -> NoReturn:
    """Skip the running test for a missing program; where every program must be there, fail it.

    Every program must be there where `CI` is `true` or `CUSTOMHOUSE_TEST_REQUIRE_CLIENTS` is `1`.
    """
    if os.environ.get("CI") == "true" or os.environ.get("CUSTOMHOUSE_TEST_REQUIRE_CLIENTS") == "1":
        pytest.fail(f"{reason}, and this run must not skip", pytrace=False)
    pytest.skip(reason)


def names_of(item: pytest.Item) -> list[str]:
    """The clients that a test is marked with, the nearest mark first."""
    return [str(mark.args[0]) for mark in item.iter_markers("client")]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note the clients for the report, and skip the test if one is missing."""
    for name in names_of(item):
        item.user_properties.append(("client", name))
    for name in names_of(item):
        if lack := CLIENTS[name].lacks():
            unavailable(f"{name}: {lack}")


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Print how many tests ran against which client, and which were skipped for what reason."""
    ran: Counter[str] = Counter()
    skipped: Counter[tuple[str, str]] = Counter()
    for outcome in ("passed", "failed", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            clients = [name for key, name in report.user_properties if key == "client"]
            if report.when == "call" and not report.skipped:
                ran.update(clients)
            elif report.skipped and isinstance(report.longrepr, tuple):
                reason = report.longrepr[2].removeprefix("Skipped: ")
                skipped.update((name, reason) for name in clients)
    if not ran and not skipped:
        return
    terminalreporter.section("real clients")
    terminalreporter.line(
        "tests that ran against real clients: "
        + (", ".join(f"{name} {count}" for name, count in sorted(ran.items())) or "none")
    )
    for (name, reason), count in sorted(skipped.items()):
        terminalreporter.line(f"skipped: {name} {count} ({reason})")
