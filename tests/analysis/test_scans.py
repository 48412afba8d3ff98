"""Scans that are asked for: which images are read, which not, and what becomes of a crash."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from customhouse.analysis import images, scans
from customhouse.errors import Code, Failure
from tests.cli.program import CommandLine, signed_in
from tests.faults.processes import wait_until
from tests.faults.pushers import OS_RELEASE, dpkg_status
from tests.faults.registry import Registry
from tests.support.images import Image, make_image
from tests.support.servers import CustomhouseServer, customhouse_server

if TYPE_CHECKING:
    from pathlib import Path


SUCCESS, UNSUPPORTED = "FINISHED_SUCCESS", "FINISHED_UNSUPPORTED"


def debian(*packages: str) -> Image:
    """An image of Debian with these packages."""
    return make_image({"etc/os-release": OS_RELEASE, "var/lib/dpkg/status": dpkg_status(*packages)})


def quiet(cli: CommandLine, project: str) -> None:
    """Make a project where nothing is scanned by itself."""
    cli("projects", "create", project)
    cli("services", "disable", "containerscanning", "--project", project)


def outcome(cli: CommandLine, *arguments: str, status: int = 0) -> dict[str, Any]:
    """The counts of a scan."""
    said = cli("images", "scan", *arguments, "--format", "json", status=status)
    response: dict[str, Any] = said.document["response"]
    return response


def counts(asked: int, **others: int) -> dict[str, Any]:
    """What came of a scan without failures."""
    zero = {"done": 0, "alreadyScanned": 0, "failed": 0, "unsupported": 0, "failures": []}
    return {"asked": asked, **zero, **others}


def last_scan(registry: Registry, repository: str, digest: str) -> str:
    """When an image was analysed."""
    return str(registry.discovery(repository, digest)["lastScanTime"])


def test_an_image_is_scanned_when_asked_for_and_then_no_more(
    server: CustomhouseServer, registry: Registry, cli: CommandLine
) -> None:
    quiet(cli, "asked")
    digest = registry.push("asked/web", debian("asked=1"), "1")
    assert registry.discovery("asked/web", digest)["analysisStatus"] == UNSUPPORTED
    name = f"{server.host}/asked/web:1"
    assert cli("images", "scan", name).out == "1 image: 1 scanned.\n"
    assert registry.discovery("asked/web", digest)["analysisStatus"] == SUCCESS
    first = last_scan(registry, "asked/web", digest)
    assert cli("images", "scan", name).out == "1 image: 1 scanned before.\n"
    assert last_scan(registry, "asked/web", digest) == first
    assert outcome(cli, name, "--force") == counts(1, done=1)
    assert last_scan(registry, "asked/web", digest) > first


def test_tags_and_pushes_of_what_is_known_cause_no_scan(
    registry: Registry, cli: CommandLine
) -> None:
    image = debian("tagged=1")
    digest = registry.push("tagged/web", image, "1")
    assert registry.discovery("tagged/web", digest)["analysisStatus"] == SUCCESS
    first = last_scan(registry, "tagged/web", digest)
    registry.put_manifest("tagged/web", "2", image.manifest)
    registry.push("tagged/other", image, "1")
    # A scan that is asked for waits for nothing of before, but shows that the worker is awake.
    later = registry.push("tagged/web", debian("tagged=2"), "3")
    assert registry.discovery("tagged/web", later)["analysisStatus"] == SUCCESS
    assert last_scan(registry, "tagged/web", digest) == first
    assert last_scan(registry, "tagged/other", digest) == first


def test_switched_on_it_scans_what_is_pushed_from_then_on(
    registry: Registry, cli: CommandLine
) -> None:
    quiet(cli, "later")
    old = debian("later=1")
    before = registry.push("later/web", old, "1")
    cli("services", "enable", "containerscanning", "--project", "later")
    after = registry.push("later/web", debian("later=2"), "2")
    assert registry.discovery("later/web", after)["analysisStatus"] == SUCCESS
    assert registry.http.get("/readyz").is_success
    (discovery,) = registry.occurrences("later/web", before, "DISCOVERY")
    assert discovery["discovery"]["analysisStatus"] == "PENDING"
    reason = discovery["discovery"]["analysisStatusError"]["message"]
    assert "pushed before scanning was switched on; push the image again" in reason
    registry.push("later/web", old, "1")
    assert registry.discovery("later/web", before)["analysisStatus"] == SUCCESS


def test_all_of_no_project(cli: CommandLine) -> None:
    said = cli("images", "scan", "--all", "--project", "al-of-it", status=4)
    assert "project al-of-it is not known here" in said.err


def test_all_of_a_project(server: CustomhouseServer, registry: Registry, cli: CommandLine) -> None:
    quiet(cli, "all-of-it")
    images = [debian(f"all={number}") for number in range(4)]
    for number, image in enumerate(images):
        registry.push(f"all-of-it/web-{number % 2}/x", image, str(number))
    registry.push("all-of-it/copy", images[0], "1")
    registry.push_index("all-of-it/copy", "index", images[0].manifest)
    registry.push("all-of-it/broken", make_image({"var/lib/dpkg/status": b"garbage\n"}), "1")
    registry.push("all-of-it/empty", make_image({"motd": b"hello"}), "1")
    registry.push("all-of-it-not/web", debian("all=9"), "1")
    said = outcome(cli, "--all", "--project", "all-of-it", status=1)
    (failure,) = said.pop("failures")
    assert failure["image"].startswith("all-of-it/broken@sha256:")
    assert "dpkg database lists no package" in failure["reason"]
    assert said == {"asked": 7, "done": 4, "alreadyScanned": 1, "failed": 1, "unsupported": 1}
    again = outcome(cli, "--all", "--project", "all-of-it", status=1)
    assert (again["alreadyScanned"], again["failed"]) == (6, 1)
    forced = outcome(cli, "--all", "--project", "all-of-it", "--force", status=1)
    assert (forced["done"], forced["alreadyScanned"], forced["failed"]) == (4, 1, 1)


def test_every_platform_of_an_index(
    server: CustomhouseServer, registry: Registry, cli: CommandLine
) -> None:
    quiet(cli, "platforms")
    children = [debian("child=1"), debian("child=2")]
    for number, child in enumerate(children):
        registry.push("platforms/web", child, f"child-{number}")
    registry.push_index("platforms/web", "both", *(child.manifest for child in children))
    assert outcome(cli, f"{server.host}/platforms/web:both") == counts(2, done=2)


def test_what_is_refused(server: CustomhouseServer, registry: Registry, cli: CommandLine) -> None:
    digest = registry.push("refused/web", debian("refused=1"), "1")
    path = "/v1/projects/refused/images:scan"
    uri = f"https://{server.host}/refused/web@{digest}"
    for body in (
        {},
        {"all": True, "resourceUris": [uri]},
        {"resourceUris": [f"https://{server.host}/other/web@{digest}"]},
        {"resourceUris": [f"https://{server.host}/refused/web:1"]},
        {"resourceUris": [uri] * 101},
        {"resourceUris": uri},
        {"all": True, "more": 1},
    ):
        registry.call("POST", path, 400, json=body)
    unknown = uri[:-4] + "0000"
    registry.call("POST", path, 404, json={"resourceUris": [unknown]})
    operation = registry.call("POST", path, json={"all": True}).json()["name"]
    elsewhere = operation.replace("projects/refused", "projects/elsewhere")
    registry.call("GET", f"/v1/{operation}")
    registry.call("GET", f"/v1/{elsewhere}", 404)
    said = cli("images", "scan", status=2).err
    assert "name images, or a project and --all" in said
    said = cli("images", "scan", f"{server.host}/refused/nothing:1", status=4).err
    assert "there is no image" in said


def test_a_scan_goes_on_after_a_crash(tmp_path: Path) -> None:
    with customhouse_server(tmp_path) as server, Registry(server) as registry:
        cli = signed_in(server, tmp_path)
        quiet(cli, "crash")
        digests = [registry.push("crash/web", debian(f"crash={n}"), str(n)) for n in range(40)]
        asked = cli("images", "scan", "--all", "--project", "crash", "--async", "--format", "json")
        name = asked.document["name"]
        path = tmp_path / "data" / "customhouse.sqlite"

        def scanned() -> int:
            with closing(sqlite3.connect(path)) as connection:
                query = "SELECT count(*) FROM image_analysis WHERE status = ?"
                return int(connection.execute(query, (SUCCESS,)).fetchone()[0])

        wait_until(lambda: scanned() > 5, 20, "the scan is under way")
        server.kill()
        left = scanned()
        server.start()
        wait_until(lambda: bool(operation(registry, name)["done"]), 30, "the scan goes on")
        assert left < 40
        response = operation(registry, name)["response"]
        # The image that was being read may have been stored without being noted.
        assert response["asked"] == response["done"] + response["alreadyScanned"] == 40
        assert response["alreadyScanned"] <= 1
        for digest in digests:
            assert registry.discovery("crash/web", digest)["analysisStatus"] == SUCCESS


def operation(registry: Registry, name: str) -> dict[str, Any]:
    """How far an operation is."""
    found: dict[str, Any] = registry.call("GET", f"/v1/{name}").json()
    return found


def test_pages_of_a_project(server: CustomhouseServer, registry: Registry, tmp_path: Path) -> None:
    from customhouse.database import Database, now

    url = dict(server.env).get(
        "CUSTOMHOUSE_DATABASE_URL", f"sqlite:///{server.data / 'customhouse.sqlite'}"
    )
    pushed = [
        (f"paged/{name}", registry.push(f"paged/{name}", debian(f"{name}={n}"), str(n)))
        for name in ("a", "a/b", "a-b", "z")
        for n in range(3)
    ]
    registry.push_index("paged/a", "index", debian("a=0").manifest)
    moment = now()
    registry.push("paged/a", debian("a=8"), "late")
    registry.push("paged-too/a", debian("a=7"), "1")
    database = Database(url)
    try:
        for size in (1, 2, 5, 100):
            found: list[tuple[str, str]] = []
            after = ("", 0)
            while page := database.read(images.of_project, "paged", moment, after, size):
                assert len(page) <= size
                found += [(held.repository, held.digest) for held in page]
                after = page[-1].repository, page[-1].number
            assert sorted(found) == sorted(pushed)
            assert [name for name, _ in found] == sorted(name for name, _ in pushed)
    finally:
        database.close()


@pytest.mark.parametrize(
    "uri",
    ["p/web", "h.io/p/web:1", "h.io/q/web@sha256:" + "0" * 64],
    ids=["no digest", "a tag", "another project"],
)
def test_what_is_no_image_of_a_project(uri: str) -> None:
    with pytest.raises(Failure) as caught:
        scans.resource("p", uri)
    assert caught.value.code is Code.REQUEST_INVALID
