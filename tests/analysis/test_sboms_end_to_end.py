"""SBOMs from a push to the command line, and from a push of one to a finding, on both engines."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from tests.analysis.sbom.test_documents import package, spdx
from tests.analysis.stored import advisory, affects
from tests.analysis.test_end_to_end import FROM_THE_FIRST, feed
from tests.faults.pushers import OS_RELEASE, dpkg_status
from tests.support.images import digest_of, make_image

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.program import CommandLine
    from tests.faults.registry import Registry
    from tests.support.servers import CustomhouseServer

SPDX = "application/spdx+json"
REPOSITORY = "acme/sboms"


def attach(registry: Registry, repository: str, subject: str, document: Any) -> str:
    """Push an SBOM as a referrer of an image."""
    content = json.dumps(document).encode()
    for each in (content, b"{}"):
        registry.upload(repository, each)
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": SPDX,
        "config": {
            "mediaType": "application/vnd.oci.empty.v1+json",
            "digest": digest_of(b"{}"),
            "size": 2,
        },
        "layers": [{"mediaType": SPDX, "digest": digest_of(content), "size": len(content)}],
        "subject": {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": subject,
            "size": len(registry.manifest(repository, subject) or b""),
        },
    }
    body = json.dumps(manifest).encode()
    return registry.put_manifest(repository, digest_of(body), body)


def referrers(registry: Registry, repository: str, digest: str, count: int) -> list[dict[str, Any]]:
    """The referrers of an image, once there are so many."""
    deadline = time.monotonic() + 20
    while True:
        found = registry.call("GET", f"/v2/{repository}/referrers/{digest}").json()["manifests"]
        if len(found) == count:
            return list(found)
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def test_the_sbom_of_an_image(
    server: CustomhouseServer, registry: Registry, cli: CommandLine, tmp_path: Path
) -> None:
    image = make_image(
        {"etc/os-release": OS_RELEASE, "var/lib/dpkg/status": dpkg_status("sed=4.9-1")}
    )
    digest = registry.push(REPOSITORY, image, "1.0")
    name = f"{server.host}/{REPOSITORY}:1.0"
    bill = cli("images", "sbom", name).document
    assert bill["spdxVersion"] == "SPDX-2.3"
    assert [each["name"] for each in bill["packages"]] == [
        REPOSITORY,
        "Debian GNU/Linux 12 (bookworm)",
        "sed",
    ]
    path = tmp_path / "bom.json"
    said = cli("images", "sbom", name, "--format", "cyclonedx", "--output", path)
    assert said.out == ""
    assert "written to" in said.err
    assert json.loads(path.read_text())["metadata"]["component"]["version"] == digest
    assert cli("images", "sbom", name).document == bill

    path_of_api = f"/v1/projects/acme/sboms?resourceUri=https://{server.host}/{REPOSITORY}@{digest}"
    answer = registry.call("GET", path_of_api + "&format=cyclonedx")
    assert answer.headers["content-type"] == "application/vnd.cyclonedx+json"
    assert answer.content == path.read_bytes()
    registry.call("GET", path_of_api + "&format=other", 400)
    registry.call("GET", "/v1/projects/acme/sboms?resourceUri=https://x/other/web@sha256:0", 400)
    nowhere = f"/v1/projects/acme/sboms?resourceUri=acme/none@{digest}"
    registry.call("GET", nowhere, 404)


def test_the_sbom_of_one_of_several(
    server: CustomhouseServer, registry: Registry, cli: CommandLine
) -> None:
    repository = "acme/several"
    amd64 = make_image({"var/lib/dpkg/status": dpkg_status("sed=1")})
    registry.push(repository, amd64, "amd64")
    arm_config = amd64.config.replace(b"amd64", b"arm64")
    registry.upload(repository, arm_config)
    document = json.loads(amd64.manifest)
    document["config"] |= {"digest": digest_of(arm_config), "size": len(arm_config)}
    arm64 = json.dumps(document).encode()
    registry.put_manifest(repository, "arm64", arm64)
    registry.push_index(repository, "1.0", amd64.manifest, arm64)
    name = f"{server.host}/{repository}:1.0"
    said = cli("images", "sbom", name, status=1).err
    assert "there are linux/amd64, linux/arm64" in said
    bill = cli("images", "sbom", name, "--platform", "linux/arm64").document
    assert bill["packages"][0]["versionInfo"] == digest_of(arm64)


def test_an_sbom_beside_the_image(
    server: CustomhouseServer, registry: Registry, cli: CommandLine
) -> None:
    cli("projects", "create", "bills")
    cli("services", "enable", "containersbom", "--project", "bills")
    image = make_image(
        {"etc/os-release": OS_RELEASE, "var/lib/dpkg/status": dpkg_status("sed=4.9-2")}
    )
    digest = registry.push("bills/web", image, "1.0")
    (referrer,) = referrers(registry, "bills/web", digest, 1)
    assert referrer["artifactType"] == SPDX
    manifest = json.loads(registry.manifest("bills/web", referrer["digest"]) or b"")
    content = registry.blob("bills/web", manifest["layers"][0]["digest"])
    assert content is not None
    assert json.loads(content)["packages"][-1]["name"] == "sed"
    # The same push again changes nothing, and a deletion takes it away.
    registry.push("bills/web", image, "1.0")
    assert registry.discovery("bills/web", digest)["analysisStatus"] == "FINISHED_SUCCESS"
    assert referrers(registry, "bills/web", digest, 1) == [referrer]
    registry.call("DELETE", f"/v2/bills/web/manifests/{digest}", 202)
    referrers(registry, "bills/web", digest, 0)


def test_a_finding_from_an_sbom(
    server: CustomhouseServer, registry: Registry, cli: CommandLine, tmp_path: Path
) -> None:
    """An image of nothing but a program, whose builder says what is in it."""
    repository = "acme/scratch"
    digest = registry.push(repository, make_image({"app": b"\x7fELF and more"}), "1.0")
    document = spdx(package("pkg:pypi/django@3.2", name="Django"))
    bill = attach(registry, repository, digest, document)
    record = advisory(
        "PYSEC-2021-9", affects("django", FROM_THE_FIRST, {"fixed": "3.2.1"}, ecosystem="PyPI")
    )
    cli("feeds", "import", feed(tmp_path, record), "--name", "pypi")
    deadline = time.monotonic() + 20
    while not (found := registry.vulnerabilities(repository, digest)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    (occurrence,) = found
    (issue,) = occurrence["vulnerability"]["packageIssue"]
    assert (issue["affectedPackage"], issue["fixedVersion"]["fullName"]) == ("Django", "3.2.1")
    assert issue["fileLocation"][0]["layerDetails"]["layerDigest"] == bill
    shown = cli(
        "images",
        "describe",
        f"{server.host}/{repository}:1.0",
        "--show-package-vulnerability",
    )
    assert shown.row("PYSEC-2021-9", "Django", "3.2", "3.2.1")
    registry.call("DELETE", f"/v2/{repository}/manifests/{bill}", 202)
    while registry.vulnerabilities(repository, digest):
        assert time.monotonic() < deadline
        time.sleep(0.1)
