"""That the generated fleet is what the figures say it is, with a small one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from benchmarks import fleet
from benchmarks.layer import layer_files
from benchmarks.measurements.fleet import measure, prepare
from customhouse.analysis.contents import IMAGE_CONTENT
from customhouse.analysis.ecosystems.dpkg import parse
from customhouse.analysis.findings import FINDING
from customhouse.analysis.packages import INVENTORY, INVENTORY_PACKAGE
from customhouse.database import Database
from customhouse.registry.manifests import MANIFEST

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Table


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a fleet of 300 images and a feed of 3,000 records."""
    made = tmp_path_factory.mktemp("fleet")
    fleet.write_feed(made / "all.zip", 3000)
    prepare(made, 20, 300)
    return made


def counted(folder: Path, table: Table) -> int:
    database = Database(f"sqlite:///{folder / 'fleet.sqlite'}")
    try:
        statement = select(func.count()).select_from(table)
        return database.read(lambda tx: int(tx.execute(statement).scalar_one()))
    finally:
        database.close()


def test_images(folder: Path) -> None:
    assert counted(folder, MANIFEST) == counted(folder, IMAGE_CONTENT) == 300
    assert counted(folder, INVENTORY) == 20
    assert counted(folder, INVENTORY_PACKAGE) == 20 * 150


def test_measure(folder: Path) -> None:
    """It fails by itself if an edition of the changed record finds what it should not."""
    measured = measure(folder, folder / "all.zip", 2)
    assert len(measured.changed) == 4
    assert min(measured.records, measured.joined, measured.asked, measured.size) > 0
    assert counted(folder, FINDING) > 0


def test_editions_of_the_layer_differ_in_versions_alone() -> None:
    one, other = dict(layer_files(0)), dict(layer_files(1))
    assert [name for name in one if one[name] != other[name]] == ["var/lib/dpkg/status"]
    names = [
        {package.name for package in parse(files["var/lib/dpkg/status"]).packages}
        for files in (one, other)
    ]
    assert names[0] == names[1]
