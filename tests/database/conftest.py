"""The engines that the database's modules are tested on."""

from __future__ import annotations

from tests.contract.engines import database

__all__ = ["database"]
