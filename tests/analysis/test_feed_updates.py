"""Feeds from their sources to the list of what is loaded, and in a bundle to another server."""

from __future__ import annotations

import io
import json
import time
import zipfile
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from customhouse.analysis.feeds.sources import configured
from customhouse.settings import FeedSettings
from tests.analysis.feeds.mirrors import Answer, Mirrors, mirrors
from tests.analysis.stored import advisory, affects
from tests.cli.program import CommandLine, signed_in
from tests.support.servers import CustomhouseServer, customhouse_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.postgres import Postgres

SETTINGS = """
[feeds]
{more}
back_off_seconds = 0.05
attempts = 2
pause_seconds = 2
mirrors.kev = ["http://127.0.0.1:1/kev.json"]
[feeds.sources.mine]
urls = ["{url}/first.zip", "{url}/second.zip?key=secret"]
form = "documents"
[feeds.sources.other]
urls = ["{url}/other.zip"]
[feeds.sources.slow]
urls = ["{url}/slow.zip"]
[feeds.sources.bundled]
urls = ["{url}/bundled.zip"]
"""


def export(*names: str, package: str = "sed") -> bytes:
    """A zip of records as osv.dev publishes them."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in names:
            record = advisory(name, affects(package, {"introduced": "0"}))
            archive.writestr(f"{name}.json", record)
    return packed.getvalue()


@pytest.fixture(scope="module")
def running() -> Iterator[Mirrors]:
    """The mirrors of all the tests."""
    with mirrors() as made:
        yield made


@pytest.fixture
def mirror(running: Mirrors) -> Mirrors:
    """The mirrors, which have nothing yet."""
    running.answers.clear()
    running.seen.clear()
    return running


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("sqlite", marks=pytest.mark.xdist_group("analysis")),
        pytest.param("postgresql", marks=pytest.mark.xdist_group("postgresql")),
    ],
)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, running: Mirrors
) -> Iterator[CustomhouseServer]:
    """A server with sources at the mirrors, on each engine in turn."""
    env = {}
    if request.param == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        env["CUSTOMHOUSE_DATABASE_URL"] = postgres.database()
    folder = tmp_path_factory.mktemp("server")
    config = folder / "settings.toml"
    config.write_text(SETTINGS.format(url=running.url(""), more=""))
    with customhouse_server(folder, arguments=("--config", str(config)), env=env) as started:
        yield started


@pytest.fixture
def cli(server: CustomhouseServer, tmp_path: Path) -> CommandLine:
    """The command line, signed in."""
    return signed_in(server, tmp_path)


def feed(server: CustomhouseServer, name: str) -> dict[str, Any]:
    """What the API tells of a feed."""
    found: dict[str, Any] = httpx2.get(f"{server.url}/v1/feeds/{name}", auth=server.auth).json()
    return found


def measure(server: CustomhouseServer, name: str, feed: str) -> float:
    """A measure of a feed."""
    lines = httpx2.get(f"{server.url}/metrics").text.splitlines()
    (line,) = [line for line in lines if line.startswith(f'{name}{{feed="{feed}"}}')]
    return float(line.split()[-1])


def test_the_life_of_a_feed(server: CustomhouseServer, cli: CommandLine, mirror: Mirrors) -> None:
    content = export("DSA-1", "DSA-2")
    mirror.put("/first.zip", Answer(status=500))
    mirror.put("/second.zip?key=secret", Answer(content, headers={"etag": '"1"'}))
    said = cli("feeds", "update", "mine")
    assert said.out == "mine: 2 advisories read, 2 new or changed, 0 removed\n"
    assert mirror.paths() == ["/first.zip", "/second.zip?key=secret"]
    listed = {each["name"]: each for each in cli("feeds", "list", "--format", "json").document}
    assert listed["mine"]["advisories"] == 2
    assert listed["mine"]["condition"] == "CURRENT"
    assert "secret" not in json.dumps(listed)
    assert cli("feeds", "status").row("mine", "CURRENT", "0", "min", "2")
    assert measure(server, "customhouse_feed_failures", "mine") == 0
    assert 0 <= measure(server, "customhouse_feed_age_seconds", "mine") < 60

    # It has not changed.
    before = feed(server, "mine")
    said = cli("feeds", "update", "mine")
    assert said.out == "mine: nothing has changed since the last time\n"
    assert mirror.seen[-1][1]["if-none-match"] == '"1"'
    assert feed(server, "mine")["updateTime"] == before["updateTime"]

    # It has.
    mirror.put("/first.zip", export("DSA-1", "DSA-2", "DSA-3"))
    said = cli("feeds", "update", "mine")
    assert said.out == "mine: 3 advisories read, 1 new or changed, 0 removed\n"

    # It cannot be fetched: what was loaded stays, and an alarm is raised.
    mirror.put("/first.zip", Answer(status=404))
    mirror.put("/second.zip?key=secret", Answer(status=403))
    said = cli("feeds", "update", "mine", status=1)
    assert said.out == (
        f"mine: feed mine cannot be fetched: {mirror.url('/first.zip')}: it answers 404; "
        f"{mirror.url('/second.zip')}: it answers 403\n"
    )
    status = cli("feeds", "status", status=1)
    assert status.row("mine", "FAILING", "3")
    assert "it answers 403" in status.out
    found = feed(server, "mine")
    assert (found["alarming"], found["failures"], found["advisories"]) == (True, 1, 3)
    assert measure(server, "customhouse_feed_failures", "mine") == 1
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line[:1] == "{"]
    (told,) = [line for line in lines if line["event"] == "a feed could not be updated"]
    assert (told["feed"], told["failures"], told["level"]) == ("mine", 1, "warning")
    assert "secret" not in server.log.read_text()

    # What comes is no feed.
    mirror.put("/first.zip", b"This is no feed.")
    said = cli("feeds", "update", "mine", status=1)
    assert "the feed cannot be read" in said.out
    assert feed(server, "mine")["failures"] == 2
    assert feed(server, "mine")["advisories"] == 3

    mirror.put("/first.zip", export("DSA-1", "DSA-2", "DSA-3"))
    cli("feeds", "update", "mine")
    assert not feed(server, "mine")["alarming"]

    # It loses more than it may, until somebody says that it may.
    mirror.put("/first.zip", export("DSA-1"))
    said = cli("feeds", "update", "mine", status=1)
    assert "2 of 3 records of the feed mine are gone" in said.out
    assert feed(server, "mine")["advisories"] == 3
    said = cli("feeds", "update", "mine", "--allow-shrink")
    assert said.out == "mine: 1 advisory read, 0 new or changed, 2 removed\n"
    assert feed(server, "mine")["advisories"] == 1
    assert list((server.data / "feeds").iterdir()) != []
    assert list((server.data / "feeds" / ".incoming").iterdir()) == []


def test_an_update_is_asked_for_once(server: CustomhouseServer, mirror: Mirrors) -> None:
    mirror.put("/other.zip", Answer(export("DSA-9"), pause=1.0))
    with httpx2.Client(base_url=server.url, auth=server.auth) as http:
        asked = [
            http.post("/v1/feeds:update", json={"names": ["other"]}).json()["operations"]
            for _ in range(2)
        ]
        assert asked[0][0]["name"] == asked[1][0]["name"]
        assert feed(server, "other")["condition"] == "UPDATING"
        deadline = time.monotonic() + 20
        while not (operation := http.get(f"/v1/{asked[0][0]['name']}").json())["done"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert operation["response"]["advisories"] == 1
    assert mirror.paths() == ["/other.zip"]


def test_what_cannot_be_updated(cli: CommandLine) -> None:
    assert "feed nowhere is not known" in cli("feeds", "update", "nowhere", status=4).err
    assert "is switched off" in cli("feeds", "update", "debian-tracker", status=1).err
    assert "exclude each other" in cli("feeds", "update", "mine", "--all", status=2).err


def test_sources_are_listed(cli: CommandLine) -> None:
    said = cli("feeds", "list", "--sources")
    assert said.row("osv-debian", "OSV:", "Debian", "yes", "6", "h")
    assert said.row("debian-tracker", "no")
    assert said.row("kev", "http://127.0.0.1:1/kev.json")


def test_it_survives_the_end_of_the_server(
    server: CustomhouseServer, mirror: Mirrors, cli: CommandLine
) -> None:
    content = export("DSA-20", "DSA-21")
    mirror.put("/slow.zip", Answer(content, pause=1.5), Answer(content))
    cli("feeds", "update", "slow", "--async")
    deadline = time.monotonic() + 10
    while not mirror.seen:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    server.kill()
    server.start()
    deadline = time.monotonic() + 30
    while feed(server, "slow")["condition"] != "CURRENT":
        assert time.monotonic() < deadline, feed(server, "slow")
        time.sleep(0.2)
    assert feed(server, "slow")["advisories"] == 2
    assert list((server.data / "feeds" / ".incoming").iterdir()) == []


def test_a_bundle_goes_to_a_server_that_fetches_nothing(
    server: CustomhouseServer, cli: CommandLine, mirror: Mirrors, tmp_path: Path
) -> None:
    mirror.put("/bundled.zip", export("DSA-31", "DSA-32", "DSA-33"))
    cli("feeds", "update", "bundled")
    record = tmp_path / "by hand.json"
    record.write_bytes(advisory("DSA-30", affects("bash", {"introduced": "0"})))
    cli("feeds", "import", record, "--name", "by-hand")
    assert feed(server, "by-hand")["condition"] == "IMPORTED"
    bundle = tmp_path / "feeds.tar"
    said = cli("feeds", "export", bundle)
    assert "customhouse feeds import feeds.tar" in said.out
    assert "is there already" in cli("feeds", "export", bundle, status=1).err
    cli("feeds", "export", bundle, "bundled", "by-hand", "--force")
    missing = cli("feeds", "export", tmp_path / "no.tar", "nothing", status=4)
    assert "feed nothing is not known" in missing.err
    assert not (tmp_path / "no.tar").exists()

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    config = elsewhere / "settings.toml"
    config.write_text(SETTINGS.format(url=mirror.url(""), more="offline = true\nautomatic = true"))
    mirror.seen.clear()
    with customhouse_server(elsewhere, arguments=("--config", str(config))) as other:
        there = signed_in(other, elsewhere)
        assert "fetches nothing" in there("feeds", "status").err
        assert "fetches no feeds" in there("feeds", "update", "bundled", status=1).err
        url = mirror.url("/bundled.zip")
        assert "fetches no feeds" in there("feeds", "import", url, status=1).err
        assert "no files of feeds" in there("feeds", "export", elsewhere / "b", status=4).err
        said = there("feeds", "import", bundle)
        assert said.out == (
            "bundled: 3 advisories read, 3 new or changed, 0 removed\n"
            "by-hand: 1 advisory read, 1 new or changed, 0 removed\n"
        )
        found = feed(other, "bundled")
        assert found["condition"] == "CURRENT"
        assert found["dataTime"] <= feed(server, "bundled")["dataTime"]
        assert "0 new or changed" in there("feeds", "import", bundle).out

        # It can go on from there; a bundle that is older or damaged changes nothing.
        there("feeds", "export", elsewhere / "again.tar")
        cut = elsewhere / "cut.tar"
        cut.write_bytes(bundle.read_bytes()[:-2000])
        said = there("feeds", "import", cut, status=1)
        assert "the bundle of feeds cannot be read: it breaks off" in said.err
        cli("feeds", "update", "bundled")
        cli("feeds", "export", tmp_path / "newer.tar", "bundled")
        there("feeds", "import", tmp_path / "newer.tar")
        said = there("feeds", "import", bundle, status=1)
        assert said.out.splitlines()[0] == "bundled: what is here of feed bundled is newer"
    assert mirror.paths() == ["/bundled.zip"]


REGULAR = """
[feeds]
automatic = true
interval_hours = 0.001
max_age_hours = 0.0005
off = [{off}]
mirrors.osv-wolfi = ["{url}/osv/"]
"""


@pytest.mark.slow
def test_a_source_is_asked_regularly(tmp_path: Path, mirror: Mirrors) -> None:
    off = sorted(set(configured(FeedSettings())) - {"osv-wolfi"})
    config = tmp_path / "settings.toml"
    config.write_text(REGULAR.format(url=mirror.url(""), off=", ".join(map(repr, off))))
    mirror.put("/osv/all.zip", export("WOLFI-1"))
    mirror.put("/osv/modified_id.csv", b"2026-01-01T00:00:00Z,WOLFI-1\n")
    with customhouse_server(tmp_path, arguments=("--config", str(config))) as started:
        wait_for(lambda: feed(started, "osv-wolfi").get("advisories") == 1)
        mirror.put("/osv/modified_id.csv", b"2026-01-02T00:00:00Z,WOLFI-2\n")
        record = advisory("WOLFI-2", affects("bash", {"introduced": "0"}))
        mirror.put("/osv/WOLFI-2.json", record)
        wait_for(lambda: "/osv/WOLFI-2.json" in mirror.paths())
        assert mirror.paths().count("/osv/all.zip") == 1
        # Nobody answers any more: yesterday's data stays, and grows old.
        mirror.put("/osv/modified_id.csv", Answer(status=404))
        mirror.put("/osv/all.zip", Answer(status=404))
        wait_for(lambda: feed(started, "osv-wolfi")["failures"] > 0)
        wait_for(lambda: feed(started, "osv-wolfi")["condition"] == "TOO_OLD")
        assert feed(started, "osv-wolfi")["advisories"] > 0
        assert signed_in(started, tmp_path)("feeds", "status", status=1).row("osv-wolfi", "TOO_OLD")
        wait_for(lambda: "a feed is too old" in started.log.read_text())


def wait_for(condition: Callable[[], bool], seconds: float = 40) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)
