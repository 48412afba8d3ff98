"""Fixtures that every test may use."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

pytest_plugins = [
    "tests.support.clients",
    "tests.support.engines",
    "tests.support.images",
    "tests.support.postgres",
    "tests.support.servers",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run files of few tests first.

    They are those of long tests. At the end, while one worker has a last file, the other has none.
    """
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: tests[item.path])


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real feeds and package databases, where it stands beside the checkout."""
    folder = Path(
        os.environ.get("CUSTOMHOUSE_TEST_DATA", Path(__file__).parents[2] / "shared" / "data")
    )
    if not (folder / "SOURCES.md").exists():
        pytest.skip("the folder of real feeds and package databases is not there")
    return folder
