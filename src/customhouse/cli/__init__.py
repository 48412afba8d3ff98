"""The command line."""

from __future__ import annotations

from customhouse.cli.main import main

__all__ = ["main"]
