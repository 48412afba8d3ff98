"""Commands against a real server: what they print, and the exit status that scripts rely on."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from customhouse.analysis import images
from customhouse.analysis.images import Status
from customhouse.analysis.layers import READER_VERSION
from customhouse.database import Database
from tests.analysis import tars
from tests.analysis.stored import advisory, affects
from tests.bad_input.layers import image_of
from tests.cli.program import CommandLine, signed_in
from tests.faults.pushers import debian_image
from tests.faults.registry import Registry
from tests.support.servers import customhouse_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.servers import CustomhouseServer

pytestmark = pytest.mark.xdist_group("cli")

FAILED, USAGE, DENIED, NOT_FOUND = 1, 2, 3, 4
IMAGE, OTHER = debian_image(1), debian_image(2)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CustomhouseServer]:
    """A server with images in two projects."""
    with customhouse_server(tmp_path_factory.mktemp("server")) as running:
        with Registry(running) as registry:
            for tag in ("1.0", "latest"):
                registry.push("acme/web/api", IMAGE, tag)
            registry.push("acme/web/api", OTHER, "2.0")
            registry.push("acme/db", IMAGE, "1.0")
            registry.push("example.com/team/app", OTHER, "1.0")
        yield running


@pytest.fixture
def cli(server: CustomhouseServer, tmp_path: Path) -> CommandLine:
    """The command line, signed in."""
    return signed_in(server, tmp_path)


def test_list(server: CustomhouseServer, cli: CommandLine) -> None:
    host = server.host
    everything = [f"{host}/{name}" for name in ("acme/db", "acme/web/api", "example.com/team/app")]
    listed = cli("images", "list", "--format", "json").document
    # Another test may have made a repository of its own.
    listed = [each["name"] for each in listed if "/gone/" not in each["name"]]
    assert listed == everything
    table = cli("images", "list")
    assert all(table.row(name) for name in ("NAME", *everything))
    below = cli("images", "list", "--repository", f"{host}/acme", "--format", "json").document
    assert below == [{"name": f"{host}/acme/db"}, {"name": f"{host}/acme/web"}]
    said = cli("images", "list", "--repository", f"{host}/nobody", status=NOT_FOUND)
    assert said.err.startswith("Error: repository nobody is not known here.\n")
    assert said.out == ""


def test_list_tags(server: CustomhouseServer, cli: CommandLine) -> None:
    name = f"{server.host}/acme/web/api"
    listed = cli("images", "list-tags", name, "--format", "json").document
    assert {each["digest"]: each["tags"] for each in listed} == {
        IMAGE.digest: ["1.0", "latest"],
        OTHER.digest: ["2.0"],
    }
    assert all(each["timestamp"]["datetime"].endswith("+00:00") for each in listed)
    table = cli("images", "list-tags", name)
    assert table.row("DIGEST", "TAGS", "SIZE", "TIMESTAMP")
    assert table.row(IMAGE.digest[7:19], "1.0,latest")
    said = cli("images", "list-tags", f"{server.host}/acme/none", status=NOT_FOUND)
    assert "acme/none is not known here" in said.err


def test_describe(server: CustomhouseServer, cli: CommandLine) -> None:
    host = server.host
    by_tag = cli("images", "describe", f"{host}/acme/web/api", "--format", "json").document
    assert by_tag == {
        "image_summary": {
            "digest": IMAGE.digest,
            "fully_qualified_digest": f"{host}/acme/web/api@{IMAGE.digest}",
            "registry": host,
            "repository": "acme/web/api",
        }
    }
    name = f"{host}/acme/web/api@{IMAGE.digest}"
    assert cli("images", "describe", name, "--format", "json").document == by_tag
    shown = cli("images", "describe", name)
    assert shown.row("digest:", IMAGE.digest)
    for missing in (":none", f"@sha256:{'0' * 64}"):
        said = cli("images", "describe", f"{host}/acme/web/api{missing}", status=NOT_FOUND)
        assert said.err.startswith(f"Error: there is no image {host}/acme/web/api{missing}.\n")
    named = cli(
        "images", "describe", f"{host}/example.com/team/app:1.0", "--show-package-vulnerability"
    )
    assert named.row("repository:", "example.com/team/app")
    assert named.row("analysis:", "FINISHED_SUCCESS")
    said = cli("images", "describe", f"{host}/Acme/Web", status=FAILED)
    assert "is not made of lower-case components" in said.err


def test_describe_what_can_be_no_image(cli: CommandLine) -> None:
    refused = cli("images", "describe", "debian", status=1).err
    assert "invalid image reference debian" in refused
    assert "Write HOST/PROJECT/IMAGE:TAG" in refused


def test_every_command_says_what_it_does(cli: CommandLine) -> None:
    listed = [line for line in cli("images", "--help").out.splitlines() if " sbom " in line]
    assert "Print the SBOM of an image" in listed[0]


def test_describe_tells_whether_the_analysis_is_done(
    server: CustomhouseServer, cli: CommandLine
) -> None:
    broken, from_scratch = image_of(b"no archive"), image_of(tars.END)
    with Registry(server) as registry:
        for tag, image in (("broken", broken), ("scratch", from_scratch), ("late", IMAGE)):
            registry.discovery("gone/analysed", registry.push("gone/analysed", image, tag))
    name = f"{server.host}/gone/analysed"
    shown = ("--show-package-vulnerability", "--wait", "0")

    def states(document: Any) -> list[str]:
        found = document["discovery_summary"]["discovery"]
        return [each["discovery"]["analysisStatus"] for each in found]

    said = cli("images", "describe", f"{name}:broken", *shown, status=FAILED)
    assert said.row("analysis:", "FINISHED_FAILED")
    assert "reason:" in said.out
    said = cli("images", "describe", f"{name}:broken", *shown, "--format", "json", status=FAILED)
    assert states(said.document) == ["FINISHED_FAILED"]
    assert said.document["package_vulnerability_summary"]["total_vulnerability_found"] == 0
    cli("images", "describe", f"{name}:broken")  # of its analysis nothing was asked

    said = cli("images", "describe", f"{name}:scratch", *shown)
    assert said.row("analysis:", "FINISHED_UNSUPPORTED")

    database = Database(f"sqlite:///{server.data / 'customhouse.sqlite'}")
    cli("images", "describe", f"{name}:late", *shown)
    for status in (Status.PENDING, Status.SCANNING):
        database.write(images.note, IMAGE.digest, status, reader=0)
        said = cli("images", "describe", f"{name}:late", *shown, status=FAILED)
        assert said.row("analysis:", status.value)
    database.write(images.note, IMAGE.digest, Status.FINISHED_SUCCESS, reader=READER_VERSION)
    database.close()
    cli("images", "describe", f"{name}:late", *shown)


def test_delete(server: CustomhouseServer, cli: CommandLine) -> None:
    name = f"{server.host}/gone/image"
    with Registry(server) as registry:
        for tag in ("a", "b"):
            registry.push("gone/image", IMAGE, tag)
        registry.push("gone/image", OTHER, "c")
        registry.push("gone/image", debian_image(3), "d")

        # A digest that has tags, or a tag beside others: only if that is said.
        for which, others in ((f"{name}@{IMAGE.digest}", "a, b"), (f"{name}:a", "b")):
            said = cli("images", "delete", which, "--quiet", status=FAILED)
            assert said.err == (
                f"Error: {name}@{IMAGE.digest} has tags: {others}.\n"
                "Add --force-delete-tags to delete the tags with it.\n"
            )
        assert registry.manifest("gone/image", "a") == IMAGE.manifest

        # Nobody is there to be asked: nothing is done.
        said = cli("images", "delete", f"{name}:c", status=FAILED)
        assert "--quiet" in said.err
        assert registry.manifest("gone/image", "c") == OTHER.manifest

        done = cli("images", "delete", f"{name}@{IMAGE.digest}", "--force-delete-tags", "--quiet")
        assert done.out == (
            f"Digests:\n- {name}@{IMAGE.digest}\nTags:\n- {name}:a\n- {name}:b\n"
            f"Deleted [{name}@{IMAGE.digest}].\n"
        )
        assert registry.manifest("gone/image", "a") is None
        assert registry.manifest("gone/image", IMAGE.digest) is None
        cli("images", "delete", f"{name}:c", f"{name}:d", "-q")
        assert registry.manifest("gone/image", OTHER.digest) is None
        cli("images", "delete", f"{name}:c", "-q", status=NOT_FOUND)
        assert registry.manifest("acme/web/api", IMAGE.digest) == IMAGE.manifest


_SUBSCRIPTIONS = ("notifications", "subscriptions")
WRONG = {
    "unknown group": ("pictures",),
    "unknown command": ("images", "find"),
    "unknown option": ("images", "list", "--fast"),
    "unknown format": ("images", "list", "--format", "xml"),
    "no image to describe": ("images", "describe"),
    "no image to delete": ("images", "delete", "--quiet"),
    "nothing to import": ("feeds", "import"),
    "port of letters": ("serve", "--port", "x"),
    "all feeds and one": ("feeds", "update", "kev", "--all"),
    "nothing to scan": ("images", "scan"),
    "all images and one": ("images", "scan", "--all", "acme/web:1"),
    "images of two projects": ("images", "scan", "acme/web:1", "other/web:1"),
    "a file and an image": ("images", "scan", "acme/web:1", "--local", "a.tar"),
    "a platform and no file": ("images", "scan", "acme/web:1", "--platform", "linux/arm64"),
    "no project": ("images", "scan", "--all"),
    "no change of an exception": ("exceptions", "update", "1", "--project", "acme"),
    "no change of a subscription": (*_SUBSCRIPTIONS, "update", "hook"),
    "pause and resume": (*_SUBSCRIPTIONS, "update", "hook", "--pause", "--resume"),
    "nothing to replay": (*_SUBSCRIPTIONS, "replay", "hook"),
    "a title of no condition": (
        *("projects", "add-iam-policy-binding", "acme", "--member", "user:bo"),
        *("--role", "roles/viewer", "--condition-title", "x"),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_command(cli: CommandLine, name: str) -> None:
    said = cli(*WRONG[name], status=USAGE)
    assert said.out == ""
    assert "Error" in said.err


def test_feeds(cli: CommandLine, tmp_path: Path) -> None:
    nothing = cli("feeds", "list")
    assert nothing.out == ""
    assert "No advisories are loaded" in nothing.err
    assert cli("feeds", "list", "--format", "json").document == []
    records = [json.loads(advisory("DSA-1", affects("sed", {"introduced": "0"})))]
    records.append(
        records[0]
        | {"id": "GHSA-1", "affected": [affects("a", {"introduced": "0"}, ecosystem="Hackage")]}
    )
    path = tmp_path / "my feed.json"
    path.write_text(json.dumps([*records, {"id": "no record"}]))
    said = cli("feeds", "import", path)
    assert said.out.startswith("2 advisories read, 2 new or changed, 1 affected range.\n")
    assert "Left out, because they are matched with nothing here: Hackage (1)." in said.out
    assert "1 record rejected:\n" in said.out
    (listed,) = cli("feeds", "list", "--format", "json").document
    assert listed["name"] == "my-feed"
    assert (listed["advisories"], listed["ranges"], listed["rejected"], listed["skipped"]) == (
        2,
        1,
        1,
        1,
    )


UNREADABLE = {
    "garbage": b"\x00\x01\x02",
    "text": b"This is no feed.",
    "zip of nothing": b"PK\x05\x06" + bytes(18),
    "broken zip": b"PK\x03\x04" + bytes(100),
    "array of garbage": b'[1, "2", null]',
    "no UTF-8": b'{"id":"\xff"}',
    "brackets": b"[" * 100_000,
    "empty": b"",
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_feed_that_cannot_be_read(cli: CommandLine, tmp_path: Path, name: str) -> None:
    path = tmp_path / "feed.json"
    path.write_bytes(UNREADABLE[name])
    said = cli("feeds", "import", path, status=FAILED)
    assert said.err.startswith("Error: the feed cannot be read: ")
    assert said.err.endswith("customhouse feeds import --help lists the formats.\n")
    assert "Give an address, a file, a folder or a zip" in said.err


def test_feed_that_is_not_there(cli: CommandLine, tmp_path: Path) -> None:
    for source in (tmp_path / "none.zip", "http://127.0.0.1:1/none.zip"):
        said = cli("feeds", "import", source, status=FAILED)
        assert str(source) in said.err


def test_sign_in(server: CustomhouseServer, tmp_path: Path) -> None:
    user, password = server.auth
    folder = tmp_path / "settings"
    cli = CommandLine(tmp_path, {"XDG_CONFIG_HOME": str(folder)})
    login = ("auth", "login", server.host, "--username", user, "--password-stdin")
    said = cli("images", "list", status=DENIED)
    assert said.err.startswith("Error: not signed in.\nRun customhouse auth login HOST")
    said = cli(*login, stdin="wrong\n", status=DENIED)
    assert said.err.startswith("Error: the user name or the password is wrong.\n")
    assert not folder.exists()

    assert cli(*login, stdin=f"{password}\n").out == f"Signed in to {server.url} as {user}.\n"
    assert cli("images", "list").row(f"{server.host}/acme/db")
    assert cli("images", "describe", f"{server.host}/acme/db:1.0").row("repository:", "acme/db")
    said = cli("images", "list-tags", "registry.example.com/acme/db", status=DENIED)
    assert "not signed in to https://registry.example.com" in said.err
    (kept,) = folder.rglob("*.json")
    assert kept.stat().st_mode & 0o077 == 0
    assert password not in kept.read_text()
    kept.write_text("{broken")
    cli("images", "list", status=DENIED)


class Stranger(BaseHTTPRequestHandler):
    """A web server that is another one."""

    def do_POST(self) -> None:
        """Answer with a page."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>Welcome</html>")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base's name
        """Say nothing."""


def test_server_that_is_none(tmp_path: Path) -> None:
    stranger = ThreadingHTTPServer(("127.0.0.1", 0), Stranger)
    Thread(target=stranger.serve_forever, daemon=True).start()
    try:
        for address, told in (
            (f"127.0.0.1:{stranger.server_port}", "Check that the address is one of customhouse."),
            ("127.0.0.1:1", "http://127.0.0.1:1 cannot be reached"),
            ("http://[::1", "http://[::1 cannot be reached"),
            ("ftp://127.0.0.1", "ftp://127.0.0.1 cannot be reached"),
        ):
            env = {
                "CUSTOMHOUSE_SERVER": address,
                "CUSTOMHOUSE_USERNAME": "admin",
                "CUSTOMHOUSE_PASSWORD": "x",
            }
            said = CommandLine(tmp_path, env)("images", "list", status=FAILED)
            assert said.err.startswith("Error: ")
            assert told in said.err
    finally:
        stranger.shutdown()
        stranger.server_close()
