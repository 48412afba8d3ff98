"""From a push of an image, a feed, and what is said of it to what is shown, on both engines."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from customhouse.analysis.vex.statement import Justification
from tests.analysis.stored import advisory, affects
from tests.analysis.vex.documents import (
    CVE,
    attestation,
    csaf,
    encoded,
    envelope,
    openvex,
    product,
    says,
)
from tests.cli.program import CommandLine, signed_in
from tests.faults.pushers import OS_RELEASE, dpkg_status
from tests.support.images import Image, descriptor, digest_of, make_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.registry import Registry
    from tests.support.servers import CustomhouseServer


EMPTY = b"{}"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture(scope="module")
def server(
    server: CustomhouseServer, tmp_path_factory: pytest.TempPathFactory
) -> CustomhouseServer:
    """A server on each engine in turn, with advisories about sed and bash."""
    home = tmp_path_factory.mktemp("home")
    for name, package in ((CVE, "sed"), ("CVE-2024-5678", "bash")):
        record = advisory(
            f"DEBIAN-{name}",
            affects(package, {"introduced": "0"}),
            aliases=[name],
            database_specific={"severity": "HIGH"},
        )
        (home / f"{package}.json").write_bytes(record)
        signed_in(server, home)("feeds", "import", home / f"{package}.json")
    return server


def push_image(registry: Registry, repository: str) -> Image:
    """Push an image of its own with sed and bash, and wait for its analysis."""
    image = make_image(
        {
            "etc/os-release": OS_RELEASE,
            "var/lib/dpkg/status": dpkg_status("sed=4.9-1", "bash=5.2-1"),
            "etc/name": repository.encode() + str(time.monotonic_ns()).encode(),
        }
    )
    digest = registry.push(repository, image, "1")
    assert registry.discovery(repository, digest)["analysisStatus"] == "FINISHED_SUCCESS"
    return image


def push_referrer(
    registry: Registry,
    repository: str,
    subject: Image,
    document: object,
    media_type: str,
    artifact_type: str = "",
) -> str:
    """Push a document as a referrer of an image, as clients do; returns its digest."""
    content = encoded(document)
    for blob in (EMPTY, content):
        registry.upload(repository, blob)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": artifact_type or media_type,
        "config": descriptor("application/vnd.oci.empty.v1+json", EMPTY),
        "layers": [descriptor(media_type, content)],
        "subject": descriptor(MANIFEST, subject.manifest),
    }
    body = encoded(manifest)
    return registry.put_manifest(repository, digest_of(body), body)


def shown(registry: Registry, repository: str, image: Image, name: str = CVE) -> dict[str, Any]:
    """The vulnerability of an image as its occurrence has it."""
    found: dict[str, dict[str, Any]] = {
        each["noteName"].rpartition("/")[2]: each["vulnerability"]
        for each in registry.vulnerabilities(repository, image.digest)
    }
    assert set(found) == {CVE, "CVE-2024-5678"}, "nothing is left out, whatever is said of it"
    return found[name]


def wait_for(condition: Callable[[], bool], seconds: float = 15) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_document_that_is_pushed_counts_until_it_is_deleted(registry: Registry) -> None:
    image = push_image(registry, "acme/web")
    twin = push_image(registry, "acme/twin")
    document = openvex(says("not_affected", impact_statement="sed never runs"))
    media_type = "application/vnd.openvex+json"
    referrer = push_referrer(registry, "acme/web", image, document, media_type)
    wait_for(lambda: "vexAssessment" in shown(registry, "acme/web", image))
    found = shown(registry, "acme/web", image)
    number = found["exceptions"][0]["name"].rpartition("/")[2]
    assert found["vexAssessment"] == {
        "cve": CVE,
        "vulnerabilityId": CVE,
        "noteName": f"projects/acme/notes/exception-{number}",
        "state": "NOT_AFFECTED",
        "justification": {
            "justificationType": "VULNERABLE_CODE_NOT_IN_EXECUTE_PATH",
            "details": "sed never runs",
        },
    }
    (exception,) = found["exceptions"]
    assert exception["origin"] == "REFERRER"
    assert exception["source"] == referrer
    assert exception["owner"] == "user:admin"
    assert exception["author"] == "Example Inc."
    assert exception["image"] == f"acme/web@{image.digest}"
    assert exception["state"] == "ACTIVE"
    assert found["effectiveSeverity"] == "HIGH"
    # Of nothing else is it said: no other vulnerability, no other image.
    assert "exceptions" not in shown(registry, "acme/web", image, "CVE-2024-5678")
    assert "exceptions" not in shown(registry, "acme/twin", twin)
    # The same again changes nothing; without it nothing is said any more.
    assert push_referrer(registry, "acme/web", image, document, media_type) == referrer
    registry.call("DELETE", f"/v2/acme/web/manifests/{referrer}", 202)
    wait_for(lambda: "exceptions" not in shown(registry, "acme/web", image))
    push_referrer(registry, "acme/web", image, document, media_type)
    wait_for(lambda: "exceptions" in shown(registry, "acme/web", image))


def about(image: Image) -> dict[str, Any]:
    """A document of CSAF about sed in an image."""
    purl = f"pkg:oci/web@{image.digest}"
    return csaf(
        {
            "cve": CVE,
            "product_status": {"known_not_affected": ["it"]},
            "flags": [{"label": "component_not_present", "product_ids": ["it"]}],
        },
        branches=[product("it", purl=purl)],
    )


FORMS: dict[str, tuple[Callable[[Image], object], str, str]] = {
    "openvex": (lambda _: openvex(says()), "application/vnd.openvex+json", ""),
    "openvex as json": (
        lambda _: openvex(says()),
        "application/json",
        "application/vnd.openvex+json",
    ),
    "csaf": (about, "application/csaf+json", ""),
    "statement": (
        lambda image: attestation(openvex(says()), image.digest),
        "application/vnd.in-toto+json",
        "",
    ),
    "envelope": (
        lambda image: envelope(attestation(openvex(says()), image.digest)),
        "application/vnd.dsse.envelope.v1+json",
        "application/vnd.in-toto+json",
    ),
    "bundle": (
        lambda image: {"dsseEnvelope": envelope(attestation(openvex(says()), image.digest))},
        "application/vnd.dev.sigstore.bundle.v0.3+json",
        "",
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_that_are_pushed(registry: Registry, form: str) -> None:
    make, media_type, artifact_type = FORMS[form]
    repository = f"acme/{form.replace(' ', '-')}"
    image = push_image(registry, repository)
    push_referrer(registry, repository, image, make(image), media_type, artifact_type)
    wait_for(lambda: "vexAssessment" in shown(registry, repository, image))
    assert shown(registry, repository, image)["vexAssessment"]["state"] == "NOT_AFFECTED"


def test_what_is_pushed_and_says_nothing_of_the_image(registry: Registry) -> None:
    """After one that counts has been read, those before it have been, too."""
    image = push_image(registry, "acme/quiet")
    other = push_image(registry, "acme/other")
    openvex_type, attested = "application/vnd.openvex+json", "application/vnd.in-toto+json"
    wrong = f"pkg:oci/quiet@{other.digest}"
    for document, media_type in (
        (openvex(says("not_affected", wrong)), openvex_type),
        (openvex(says("not_affected", "https://example.com/anything")), openvex_type),
        ({"@context": "https://openvex.dev/ns", "statements": 1}, openvex_type),
        (attestation(openvex(says()), other.digest), attested),
        (attestation(openvex(says()), image.digest, predicateType="https://x/sbom"), attested),
        (openvex(says()), "application/json"),
    ):
        push_referrer(registry, "acme/quiet", image, document, media_type)
    document = openvex(says("under_investigation", name="CVE-2024-5678"))
    push_referrer(registry, "acme/quiet", image, document, openvex_type)
    wait_for(lambda: "exceptions" in shown(registry, "acme/quiet", image, "CVE-2024-5678"))
    assert "exceptions" not in shown(registry, "acme/quiet", image)


def test_the_life_of_an_exception(
    server: CustomhouseServer, registry: Registry, cli: CommandLine
) -> None:
    image = push_image(registry, "acme/life")
    name = f"{server.host}/acme/life"
    describe = ("images", "describe", f"{name}:1", "--show-package-vulnerability")
    before = cli(*describe).out
    assert "EXCEPTION" not in before
    assert "2 without a fix." in before

    created = cli(
        *("exceptions", "create", CVE, "--image", f"{name}@{image.digest}", "--package", "sed"),
        *("--reason", "sed is not run", "--expires", "2099-12-31"),
    ).out
    assert "Created exception [" in created
    assert "accepted until 2099-12-31 by user:admin: sed is not run" in created
    number = created.partition("[")[2].partition("]")[0]
    found = shown(registry, "acme/life", image)
    assert found["vexAssessment"]["state"] == "AFFECTED"
    assert found["vexAssessment"]["impacts"] == [
        "accepted until 2099-12-31 by user:admin: sed is not run"
    ]
    assert found["exceptionOfPackage"] == [f"projects/acme/exceptions/{number}"]
    told = " ".join(cli(*describe).out.split())
    assert "accepted until 2099-12-31 by user:admin: sed is not run" in told
    assert "2 vulnerabilities: 2 high. 2 without a fix, 1 with an exception." in told
    summary = cli(*describe, "--format", "json").document["package_vulnerability_summary"]
    assert summary["total_vulnerability_found"] == 2
    assert summary["exception_count"] == 1

    on_project = (number, "--project", "acme")
    changed = cli("exceptions", "update", *on_project, "--reason", "no shell", "--expires", "never")
    nothing = cli("exceptions", "update", *on_project, status=2).err
    assert "nothing was named to change" in nothing
    assert "no shell" in changed.out
    assert "expireTime" not in changed.out
    document = cli("exceptions", "describe", *on_project, "--format", "json").document
    assert document["reason"] == "no shell"
    assert document["vulnerability"] == CVE
    listed = cli("exceptions", "list", "--image", name, "--state", "active").out
    assert "no shell" in listed
    assert CVE in listed

    assert "Add --quiet" in cli("exceptions", "delete", *on_project, status=1).err
    assert "Revoked" in cli("exceptions", "delete", *on_project, "--quiet").out
    again = cli("exceptions", "delete", *on_project, "--quiet", status=4).err
    assert f"exception {number} in project acme was revoked already" in again
    assert "exceptions" not in shown(registry, "acme/life", image)
    assert "REVOKED" in cli("exceptions", "list", "--image", name).out
    document = cli("exceptions", "describe", *on_project, "--format", "json").document
    assert (document["state"], document["revoker"]) == ("REVOKED", "user:admin")

    logged = registry.call("GET", "/v1/projects/acme/auditLogs").text
    for method in ("CreateException", "UpdateException", "DeleteException"):
        assert method in logged


def test_an_exception_ends_by_itself(registry: Registry) -> None:
    image = push_image(registry, "acme/short")
    ends = time.time() + 2
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ends)) + f"{ends % 1:.3f}"[1:] + "Z"
    body = {"vulnerability": CVE, "reason": "x", "image": "acme/short", "expireTime": stamp}
    made = registry.call("POST", "/v1/projects/acme/exceptions", json=body).json()
    assert "exceptions" in shown(registry, "acme/short", image)
    wait_for(lambda: "exceptions" not in shown(registry, "acme/short", image), 5)
    kept = registry.call("GET", f"/v1/{made['name']}").json()
    assert kept["state"] == "EXPIRED"
    listed = registry.call(
        "GET",
        "/v1/projects/acme/exceptions",
        params={"filter": 'image="acme/short" AND state="EXPIRED"'},
    ).json()
    assert [each["name"] for each in listed["exceptions"]] == [made["name"]]


def test_a_document_that_is_imported(
    server: CustomhouseServer, registry: Registry, cli: CommandLine, tmp_path: Path
) -> None:
    image = push_image(registry, "acme/imported")
    file = tmp_path / "vex.json"
    purl = f"pkg:oci/imported@{image.digest}"
    file.write_bytes(
        encoded(openvex(says("fixed", purl), says("affected", "https://example.com/x")))
    )
    said = cli("exceptions", "import", file, "--project", "acme").out
    assert said.startswith("1 exception by Example Inc.\n1 statement left out")
    assert shown(registry, "acme/imported", image)["vexAssessment"]["state"] == "FIXED"
    # Imported anew it replaces what it said; a person's word prevails over it.
    file.write_bytes(encoded(openvex(says("affected", purl, action_statement="remove sed"))))
    cli("exceptions", "import", file, "--project", "acme")
    found = shown(registry, "acme/imported", image)
    assert len(found["exceptions"]) == 1
    assert found["vexAssessment"]["remediations"] == [
        {"remediationType": "REMEDIATION_TYPE_UNSPECIFIED", "details": "remove sed"}
    ]
    assert found["vexAssessment"]["relatedUris"] == [
        {"url": "https://example.com/vex/1", "label": "VEX document"}
    ]
    cli(
        *("exceptions", "create", CVE, "--image", f"{server.host}/acme/imported"),
        *("--reason", "it is not in there", "--justification", "component-not-present"),
    )
    found = shown(registry, "acme/imported", image)
    assert found["vexAssessment"]["justification"] == {
        "justificationType": Justification.COMPONENT_NOT_PRESENT.value,
        "details": "it is not in there",
    }
    assert [each["origin"] for each in found["exceptions"]] == ["USER", "DOCUMENT"]
    again = f"{server.host}/acme/imported"
    outcome = cli("exceptions", "import", file, "--image", again, "--format", "json").document
    assert json.dumps(outcome["exceptions"]) == "1"
    bad = tmp_path / "bad.json"
    bad.write_text("[]")
    refused = cli("exceptions", "import", bad, "--project", "acme", status=1).err
    assert "the VEX document cannot be read" in refused
