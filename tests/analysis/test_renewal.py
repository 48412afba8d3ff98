"""Images that an older version analysed are read again after an upgrade."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from tests.cli.program import signed_in
from tests.faults.processes import wait_until
from tests.faults.pushers import OS_RELEASE, dpkg_status
from tests.faults.registry import Registry
from tests.support.images import make_image
from tests.support.servers import customhouse_server

if TYPE_CHECKING:
    from pathlib import Path


def test_they_are_read_again_when_the_worker_starts(tmp_path: Path) -> None:
    image = make_image(
        {"etc/os-release": OS_RELEASE, "var/lib/dpkg/status": dpkg_status("sed=4.9-1")}
    )
    with customhouse_server(tmp_path) as server:
        with Registry(server) as registry:
            digest = registry.push("acme/web", image, "1")
            assert registry.discovery("acme/web", digest)["analysisStatus"] == "FINISHED_SUCCESS"
        server.stop()
        (path,) = (
            each
            for each in tmp_path.rglob("*.sqlite")
            if "package_name" in each.read_bytes().decode("latin-1")
        )
        with sqlite3.connect(path) as connection:
            # As migration 0003 leaves them.
            connection.execute("UPDATE image_analysis SET reader = 0, inventory_id = NULL")
            connection.execute("UPDATE image_analysis SET status = 'PENDING'")
            for table in ("inventory_package", "package_name", "package", "inventory"):
                connection.execute(f"DELETE FROM {table}")
            connection.execute("DELETE FROM layer_reading")
        connection.close()
        server.start()
        with Registry(server) as registry:
            found = registry.discovery("acme/web", digest)
            assert found["analysisStatus"] == "FINISHED_SUCCESS"
            assert found["operatingSystem"] == "Debian GNU/Linux 12 (bookworm)"


def test_so_are_those_that_were_asked_for(tmp_path: Path) -> None:
    """Scanning is switched off in their project, which keeps nothing from being up to date."""
    image = make_image(
        {"etc/os-release": OS_RELEASE, "var/lib/dpkg/status": dpkg_status("sed=4.9-1")}
    )
    with customhouse_server(tmp_path) as server:
        cli = signed_in(server, tmp_path)
        cli("projects", "create", "acme")
        cli("services", "disable", "containerscanning", "--project", "acme")
        with Registry(server) as registry:
            registry.push("acme/web", image, "1")
        cli("images", "scan", f"{server.host}/acme/web:1")
        server.stop()
        path = server.data / "customhouse.sqlite"
        with closing(sqlite3.connect(path)) as connection, connection:
            # As migrations 0009 and 0013 leave them.
            connection.execute("UPDATE image_analysis SET reader = 0")
            connection.execute("DELETE FROM image_content")
            connection.execute("UPDATE inventory SET system_id = NULL, has_database = NULL")
        server.start()

        def is_renewed() -> bool:
            with closing(sqlite3.connect(path)) as connection:
                query = (
                    "SELECT system_id, has_database, chain_id IS NOT NULL FROM inventory"
                    " JOIN image_content ON inventory_id = inventory.id"
                )
                return bool(connection.execute(query).fetchall() == [("debian", 1, 1)])

        wait_until(is_renewed, 30, "the inventory is complete")
