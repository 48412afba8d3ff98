"""From a push and a feed to a receiver of webhooks, with a real server on both engines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.analysis.stored import advisory, affects
from tests.cli.program import CommandLine, signed_in
from tests.faults.pushers import OS_RELEASE, dpkg_status
from tests.faults.registry import Registry
from tests.notifications.receiver import Receiver, receiving
from tests.support.images import make_image
from tests.support.servers import CustomhouseServer, customhouse_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.postgres import Postgres

FROM_THE_FIRST = {"introduced": "0"}
HOST = "registry.example.com"


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.xdist_group("postgresql"))]
)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CustomhouseServer]:
    """A server on each engine in turn."""
    env = {"CUSTOMHOUSE_SERVER__PUBLIC_URL": f"https://{HOST}"}
    if request.param == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        env["CUSTOMHOUSE_DATABASE_URL"] = postgres.database()
    with customhouse_server(tmp_path, env=env) as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on loopback."""
    with receiving() as running:
        yield running


@pytest.fixture
def cli(server: CustomhouseServer, tmp_path: Path) -> CommandLine:
    """The command line, signed in."""
    return signed_in(server, tmp_path)


def sed(severity: str, *events: dict[str, str]) -> bytes:
    """An advisory about sed."""
    return advisory(
        "DSA-1",
        affects("sed", FROM_THE_FIRST, *events),
        upstream=["CVE-2024-1"],
        database_specific={"severity": severity},
    )


def said(receiver: Receiver, count: int) -> list[tuple[Any, ...]]:
    """Kind, image without digest, tags and changes of so many messages that come next, in order."""
    received = receiver.wait_for(count, 30)
    assert len({each.id for each in received}) == len(received) == count
    receiver.received.clear()
    found = []
    for each in received:
        data = each.event.get_data()
        name, _, digest = data["image"].partition("@")
        assert digest.startswith("sha256:")
        assert each.event.get_subject() == data["image"]
        changes = [f"{c['change']} {c['vulnerability']} {c['severity']}" for c in data["changes"]]
        found.append((data["reason"]["kind"], name, data["tags"], changes))
    return sorted(found)


def test_the_life_of_a_finding(
    server: CustomhouseServer, cli: CommandLine, receiver: Receiver, tmp_path: Path
) -> None:
    for project in ("acme", "quiet"):
        cli("projects", "create", project)
    secret = re.search(
        r"whsec_\S+",
        cli(
            *("notifications", "subscriptions", "create", "web-hook", "--project", "acme"),
            *("--topic", "findings", "--push-endpoint", receiver.url),
        ).out,
    )
    assert secret
    path = tmp_path / "DSA-1.json"

    def load(document: bytes) -> None:
        path.write_bytes(document)
        cli("feeds", "import", path, "--name", "debian")

    status = dpkg_status("sed=4.9-1")
    image = make_image({"etc/os-release": OS_RELEASE, "var/lib/dpkg/status": status})
    with Registry(server) as registry:
        for repository in ("acme/a", "quiet/a"):
            digest = registry.push(repository, image, "1.0")
            registry.discovery(repository, digest)
        web = f"{HOST}/acme/a"
        load(sed("LOW"))
        receiver.wait_for(1)
        receiver.received[0].verify(secret.group())
        assert said(receiver, 1) == [("FEED", web, ["1.0"], ["NEW CVE-2024-1 LOW"])]
        # It is analysed already: what it has is told as soon as it is there.
        registry.push("acme/b", image, "2.0")
        other = f"{HOST}/acme/b"
        assert said(receiver, 1) == [("PUSH", other, ["2.0"], ["NEW CVE-2024-1 LOW"])]
        third = make_image(
            {"etc/os-release": OS_RELEASE, "var/lib/dpkg/status": status, "motd": b"3"}
        )
        registry.push("acme/b", third, "3.0")
        assert said(receiver, 1) == [("PUSH", other, ["3.0"], ["NEW CVE-2024-1 LOW"])]
        for document, change in (
            (sed("HIGH"), "SEVERITY CVE-2024-1 HIGH"),
            (sed("HIGH", {"fixed": "4.9-2"}), "FIXABLE CVE-2024-1 HIGH"),
            (sed("HIGH", {"fixed": "4.9-1"}), "GONE CVE-2024-1 HIGH"),
        ):
            load(document)
            assert said(receiver, 3) == [
                ("FEED", web, ["1.0"], [change]),
                ("FEED", other, ["2.0"], [change]),
                ("FEED", other, ["3.0"], [change]),
            ]
