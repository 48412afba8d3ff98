"""The engines that the modules of who may do what are tested on."""

from __future__ import annotations

from tests.contract.engines import database

__all__ = ["database"]
