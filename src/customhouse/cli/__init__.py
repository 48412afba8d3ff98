"""The command line."""

from __future__ import annotations


def main() -> None:
    """Run the command line and exit; see `customhouse.cli.main`."""
    # Docker's credential helper is in this package as well, and starts with each push and pull.
    from customhouse.cli.main import main as run

    run()
