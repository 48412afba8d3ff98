"""Searches over HTTP on both engines: from a push to the answer, and who is told what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from tests.analysis.stored import advisory, affects
from tests.analysis.test_end_to_end import FROM_THE_FIRST, feed
from tests.faults.pushers import OS_RELEASE, dpkg_status
from tests.faults.registry import Registry
from tests.support.administration import Administration
from tests.support.images import make_image

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.program import CommandLine
    from tests.support.servers import CustomhouseServer

VIEWER = "roles/containeranalysis.occurrences.viewer"
PASSWORD = "correct horse battery"
BASE = {"etc/os-release": OS_RELEASE}
PACKAGE = "finder"


def app(version: str, name: str) -> Any:
    """An image of three layers, of which the first two are the same in all."""
    status = dpkg_status(f"{PACKAGE}={version}")
    return make_image(BASE, {"srv/common": b"common"}, {"var/lib/dpkg/status": status, name: b""})


@pytest.fixture(scope="module")
def images(server: CustomhouseServer) -> dict[str, str]:
    """The digests of images in two projects, once they are analysed."""
    pushed = {
        "finder-base/debian": make_image(BASE),
        "finder-open/web": app("4.9-1", "web"),
        "finder-open/tool": app("4.9-2", "tool"),
        "finder-hidden/app": app("4.9-1", "app"),
        "finder-hidden/base": make_image(BASE, {"srv/common": b"common"}),
    }
    administration = Administration(server)
    with Registry(server) as registry:
        found = {name: registry.push(name, image, "1.0") for name, image in pushed.items()}
        for name, digest in found.items():
            registry.discovery(name, digest)
    administration.user("finder", PASSWORD)
    for project in ("finder-base", "finder-open"):
        administration.bind(f"projects/{project}", VIEWER, "user:finder")
    return found


def ask(
    server: CustomhouseServer, what: str, status: int = 200, **query: str | int
) -> dict[str, Any]:
    """Ask as somebody who may look into two of three projects."""
    auth = ("finder", PASSWORD)
    answer = httpx2.get(f"{server.url}/v1/{what}", params=query, auth=auth, timeout=30)
    assert answer.status_code == status, answer.text
    document: dict[str, Any] = answer.json()
    return document


def names(document: dict[str, Any]) -> list[str]:
    """The repositories of the images that were found, and their versions."""
    return [
        f"{image['resourceUri'].partition('@')[0]} {image['packages'][0]['version']}"
        for image in document["images"]
    ]


def test_who_finds_what(server: CustomhouseServer, images: dict[str, str]) -> None:
    found = ask(server, "images:search", package=PACKAGE)
    host = f"https://{server.host}"
    assert names(found) == [f"{host}/finder-open/tool 4.9-2", f"{host}/finder-open/web 4.9-1"]
    web = found["images"][1]
    assert web["resourceUri"].endswith(images["finder-open/web"])
    assert web["tags"] == ["1.0"]
    place = web["packages"][0]["fileLocation"]
    assert place["filePath"] == "var/lib/dpkg/status"
    assert place["layerDetails"]["index"] == 2
    assert "nextPageToken" not in found

    with Registry(server) as registry:
        for path, count in (("", 3), ("projects/finder-hidden/", 1), ("projects/finder-open/", 2)):
            query = {"package": PACKAGE}
            answer = registry.call("GET", f"/v1/{path}images:search", params=query).json()
            assert len(answer["images"]) == count
    ask(server, "projects/finder-hidden/images:search", 403, package=PACKAGE)
    ask(server, "projects/finder-hidden/images:summarize", 403, package=PACKAGE)
    assert httpx2.get(f"{server.url}/v1/images:search?package=x").status_code == 401


def test_pages(server: CustomhouseServer, images: dict[str, str]) -> None:
    assert images
    first = ask(server, "images:search", package=PACKAGE, pageSize=1)
    token = first["nextPageToken"]
    second = ask(server, "images:search", package=PACKAGE, pageSize=1, pageToken=token)
    assert "nextPageToken" not in second
    together = [*first["images"], *second["images"]]
    assert together == ask(server, "images:search", package=PACKAGE)["images"]
    for wrong in ("x", "eA==", "eCB5"):
        ask(server, "images:search", 400, package=PACKAGE, pageToken=wrong)


def test_nothing_leaks_into_a_summary(server: CustomhouseServer, images: dict[str, str]) -> None:
    assert images
    found = ask(server, "images:summarize", package=PACKAGE)
    assert (found["imageCount"], found["repositoryCount"], found["projectCount"]) == (2, 2, 1)
    assert {each["version"]: each["imageCount"] for each in found["versions"]} == {
        "4.9-1": 1,
        "4.9-2": 1,
    }
    known, unknown = sorted(found["bases"], key=lambda base: base["layerCount"])
    assert known["knownImages"][0]["resourceUri"].endswith(images["finder-base/debian"])
    assert known["knownImages"][0]["tags"] == ["1.0"]
    # There is such an image, in a project that is not theirs.
    assert (unknown["imageCount"], unknown["layerCount"], unknown["knownImages"]) == (2, 2, [])
    assert unknown["topLayer"]["layerDigest"].startswith("sha256:")
    with Registry(server) as registry:
        query = {"package": PACKAGE}
        answer = registry.call("GET", "/v1/images:summarize", params=query).json()
    assert answer["imageCount"] == 3
    (base,) = answer["bases"]
    assert base["knownImages"][0]["resourceUri"].endswith(images["finder-hidden/base"])
    assert base["imageCount"] == 3


def test_vulnerabilities(
    server: CustomhouseServer, images: dict[str, str], cli: CommandLine, tmp_path: Path
) -> None:
    assert images
    fixed = affects(PACKAGE, FROM_THE_FIRST, {"fixed": "4.9-2"})
    records = [
        advisory(
            "CVE-2031-0001", fixed, aliases=["GHSA-f"], database_specific={"severity": "HIGH"}
        ),
        advisory("CVE-2031-0002", affects("not-installed", FROM_THE_FIRST)),
    ]
    cli("feeds", "import", feed(tmp_path, *records), "--name", "finder")
    found = ask(server, "images:search", vulnerability="GHSA-f")
    (package,) = found["images"][0]["packages"]
    assert package["effectiveSeverity"] == "HIGH"
    assert package["fixedVersion"] == "4.9-2"
    assert found["vulnerability"] == {
        "name": "CVE-2031-0001",
        "known": True,
        "aliases": ["CVE-2031-0001", "GHSA-f"],
    }
    summary = ask(server, "images:summarize", vulnerability="CVE-2031-0001")
    assert summary["severities"] == {"HIGH": 1}
    assert summary["versions"][0]["fixedVersion"] == "4.9-2"
    assert ask(server, "images:search", vulnerability="CVE-2031-0001", severity="critical") == {
        "images": [],
        "vulnerability": found["vulnerability"],
    }
    for name, known in (("CVE-2031-0002", True), ("CVE-2031-0003", False)):
        nothing = ask(server, "images:search", vulnerability=name)
        assert nothing["images"] == []
        assert nothing["vulnerability"]["known"] is known
        nothing = ask(server, "images:summarize", vulnerability=name)
        assert nothing["imageCount"] == 0
        assert nothing["vulnerability"]["known"] is known


def test_what_is_not_understood(server: CustomhouseServer, images: dict[str, str]) -> None:
    assert images
    ask(server, "images:search", 400)
    ask(server, "images:search", 400, package=PACKAGE, vulnerability="CVE-1")
    said = ask(server, "images:search", 400, package=PACKAGE, version="<", ecosystem="Debian")
    assert "is no version" in said["error"]["message"]
    said = ask(server, "images:search", 400, package=PACKAGE, version="<1:")
    assert "do not compare with '1:'" in said["error"]["message"]
    # Whether there is such a package elsewhere is not told.
    assert ask(server, "images:search", package="none", version="<1:") == {"images": []}
