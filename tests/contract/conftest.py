"""The stores and engines that each contract is held against."""

from __future__ import annotations

from tests.contract.engines import database

__all__ = ["database"]
