"""From a push and a feed to what `customhouse images describe` shows, on both engines."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from tests.analysis.stored import advisory, affects
from tests.faults.pushers import OS_RELEASE, dpkg_status
from tests.support.images import make_image

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.program import CommandLine
    from tests.faults.registry import Registry
    from tests.support.servers import CustomhouseServer


FROM_THE_FIRST = {"introduced": "0"}


def feed(folder: Path, *records: bytes) -> Path:
    """A feed: one record is a file, several are a folder."""
    path = folder / f"{time.monotonic_ns()}"
    path.mkdir()
    for record in records:
        path.joinpath(f"{json.loads(record)['id']}.json").write_bytes(record)
    return path if len(records) > 1 else next(path.iterdir())


def libssl(severity: str, *events: dict[str, str], **fields: Any) -> bytes:
    """An advisory about OpenSSL as Debian would write it."""
    return advisory(
        "DSA-5417-1",
        affects("openssl", FROM_THE_FIRST, *events),
        aliases=["CVE-2023-0464"],
        summary="openssl - security update",
        references=[{"type": "ADVISORY", "url": "https://example.org/DSA-5417-1"}],
        database_specific={"severity": severity},
        **fields,
    )


def test_the_life_of_a_vulnerability(
    server: CustomhouseServer, registry: Registry, cli: CommandLine, tmp_path: Path
) -> None:
    image = make_image(
        {"etc/os-release": OS_RELEASE},
        {
            "var/lib/dpkg/status": dpkg_status("sed=4.9-1", "bash=5.2.15-2+b2")
            + b"Package: libssl3\nStatus: install ok installed\nArchitecture: amd64\n"
            b"Source: openssl\nVersion: 3.0.8-1\n\n"
        },
    )
    digest = registry.push("acme/web", image, "1.0")
    name = f"{server.host}/acme/web:1.0"
    describe = ("images", "describe", name, "--show-package-vulnerability")

    # Without advisories nothing is known, which is not to be taken for "nothing found".
    before = cli(*describe)
    assert "analysis: FINISHED_SUCCESS" in " ".join(before.out.split())
    assert "no advisories for Debian:12 are loaded" in before.out
    assert "No known vulnerabilities" not in before.out

    said = cli(
        "feeds",
        "import",
        feed(
            tmp_path,
            libssl("LOW"),
            advisory("DSA-1", affects("sed", FROM_THE_FIRST, {"fixed": "4.9-1"})),
            advisory("DSA-2", affects("openssl", FROM_THE_FIRST, ecosystem="Debian:11")),
            advisory("DLA-3", affects("bash", FROM_THE_FIRST, {"fixed": "5.2.15-3"})),
        ),
        "--name",
        "debian",
    )
    assert said.out == "4 advisories read, 4 new or changed, 4 affected ranges.\n"
    shown = cli(*describe)
    assert shown.row("LOW", "CVE-2023-0464", "libssl3", "3.0.8-1", "not", "fixed")
    assert shown.row("UNSPECIFIED", "DLA-3", "bash", "5.2.15-2+b2", "5.2.15-3")
    assert "2 vulnerabilities: 1 low, 1 unspecified. 1 without a fix." in " ".join(
        shown.out.split()
    )
    first = described(cli, describe, digest)
    assert first["package_vulnerability_summary"]["total_vulnerability_found"] == 2
    assert first["package_vulnerability_summary"]["not_fixed_vulnerability_count"] == 1

    # The same again, then a worse rating and a fix: the occurrence is updated in place.
    again = ("feeds", "import", "--name", "debian", "--add")
    assert "0 new or changed" in cli(*again, feed(tmp_path, libssl("LOW"))).out
    changed = libssl("CRITICAL", {"fixed": "3.0.9-1"})
    assert "1 new or changed" in cli(*again, feed(tmp_path, changed)).out
    second = described(cli, describe, digest)
    assert second["package_vulnerability_summary"]["not_fixed_vulnerability_count"] == 0
    (old,) = first["package_vulnerability_summary"]["vulnerabilities"]["LOW"]
    (new,) = second["package_vulnerability_summary"]["vulnerabilities"]["CRITICAL"]
    assert [old[key] for key in ("name", "noteName", "resourceUri", "createTime")] == [
        new[key] for key in ("name", "noteName", "resourceUri", "createTime")
    ]
    assert new["updateTime"] > old["updateTime"]
    assert list(second["package_vulnerability_summary"]["vulnerabilities"]) == [
        "CRITICAL",
        "SEVERITY_UNSPECIFIED",
    ]

    assert cli("images", "history", name).row("severity,", "fixable", "CVE-2023-0464", "debian")

    # Taken back: the finding goes.
    withdrawn = libssl("CRITICAL", withdrawn="2024-06-01T00:00:00Z")
    gone = advisory("DLA-3", withdrawn="2024-06-01T00:00:00Z")
    cli(*again, feed(tmp_path, withdrawn, gone))
    after = cli(*describe)
    assert "is past its end of life" in after.out
    assert "Nothing was found, which the warnings above limit." in after.out
    assert described(cli, describe, digest)["package_vulnerability_summary"] == {
        "vulnerabilities": {},
        "total_vulnerability_found": 0,
        "not_fixed_vulnerability_count": 0,
        "exception_count": 0,
        "known_exploited_count": 0,
    }
    history = cli("images", "history", name, "--format", "json").document
    changes = [(each["change"], each["noteName"].rpartition("/")[2]) for each in history["changes"]]
    # Those of one load are in no order.
    assert sorted(changes[:2]) == [(["GONE"], "CVE-2023-0464"), (["GONE"], "DLA-3")]
    assert changes[2] == (["SEVERITY", "FIXABLE"], "CVE-2023-0464")
    assert sorted(changes[3:]) == [(["NEW"], "CVE-2023-0464"), (["NEW"], "DLA-3")]
    assert history["firstFindingCount"] == 0
    changed = history["changes"][2]
    assert (changed["severityBefore"], changed["severityAfter"]) == ("LOW", "CRITICAL")
    assert (changed["fixedVersionAfter"], changed["feed"]) == ("3.0.9-1", "debian")
    one = cli("images", "history", name, "--limit", "1", "--format", "json").document
    assert (len(one["changes"]), bool(one["nextPageToken"])) == (1, True)


def test_what_is_exploited_comes_first(
    server: CustomhouseServer, registry: Registry, cli: CommandLine, tmp_path: Path
) -> None:
    # Of a release that no other test is about: they share the server.
    system = b'ID=debian\nVERSION_ID="13"\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n'
    image = make_image({"etc/os-release": system, "var/lib/dpkg/status": dpkg_status("tar=1")})
    registry.push("acme/exploited", image, "1")
    records = [
        advisory(
            f"DSA-{n}",
            affects("tar", FROM_THE_FIRST, ecosystem="Debian:13"),
            aliases=[f"CVE-2024-000{n}"],
        )
        for n in (1, 2, 3)
    ]
    cli("feeds", "import", feed(tmp_path, *records), "--name", "some")
    scores = tmp_path / "epss.csv"
    scores.write_text("cve,epss,percentile\nCVE-2024-0002,0.125,0.75\nCVE-2024-0003,0.5,0.9\n")
    cli("feeds", "import", scores, "--name", "epss")
    entry = {
        "cveID": "CVE-2024-0003",
        "vulnerabilityName": "tar",
        "dateAdded": "2024-01-02",
        "requiredAction": "Apply updates.",
        "dueDate": "2024-02-01",
        "knownRansomwareCampaignUse": "Known",
    }
    catalogue = tmp_path / "kev.json"
    catalogue.write_text(json.dumps({"catalogVersion": "1", "vulnerabilities": [entry]}))
    cli("feeds", "import", catalogue, "--name", "kev")
    describe = ("images", "describe", f"{server.host}/acme/exploited:1")
    shown = cli(*describe, "--show-package-vulnerability")
    assert shown.row("UNSPECIFIED", "50.0%", "CVE-2024-0003", "exploited", "tar")
    assert shown.row("UNSPECIFIED", "12.5%", "CVE-2024-0002", "tar")
    assert "1 known to be exploited" in " ".join(shown.out.split())
    document = cli(*describe, "--show-package-vulnerability", "--format", "json").document
    found = document["package_vulnerability_summary"]["vulnerabilities"]["SEVERITY_UNSPECIFIED"]
    assert [each["noteName"][-13:] for each in found] == [
        "CVE-2024-0003",
        "CVE-2024-0001",
        "CVE-2024-0002",
    ]
    assert found[0]["vulnerability"]["epss"] == {"probability": 0.5, "percentile": 0.9}
    assert found[0]["vulnerability"]["knownExploited"] == {
        "dateAdded": "2024-01-02",
        "dueDate": "2024-02-01",
        "ransomware": True,
        "action": "Apply updates.",
    }
    assert "epss" not in found[1]["vulnerability"]


def test_scanning_is_switched_off_and_on(
    server: CustomhouseServer, registry: Registry, cli: CommandLine
) -> None:
    service = ("containerscanning", "--project", "quiet")
    image = make_image({"etc/os-release": OS_RELEASE, "var/lib/dpkg/status": dpkg_status("a=1")})
    name = f"{server.host}/quiet/web:1.0"
    describe = ("images", "describe", name, "--show-package-vulnerability")
    cli("projects", "create", "quiet")
    cli("services", "disable", *service)
    registry.push("quiet/web", image, "1.0")
    said = cli(*describe).out
    assert "FINISHED_UNSUPPORTED" in said
    assert "scanning is switched off" in " ".join(said.split())
    cli("services", "enable", *service)
    registry.push("quiet/web", image, "1.0")
    assert "FINISHED_SUCCESS" in cli(*describe).out


def described(cli: CommandLine, describe: tuple[str, ...], digest: str) -> dict[str, Any]:
    """The JSON of `images describe`, its form checked."""
    document: dict[str, Any] = cli(*describe, "--format", "json").document
    summary = document["image_summary"]
    assert summary["digest"] == digest
    assert summary["fully_qualified_digest"] == f"{describe[2].removesuffix(':1.0')}@{digest}"
    assert (summary["registry"], summary["repository"]) == (
        describe[2].partition("/")[0],
        "acme/web",
    )
    (discovery,) = document["discovery_summary"]["discovery"]
    assert discovery["kind"] == "DISCOVERY"
    assert discovery["discovery"]["analysisStatus"] == "FINISHED_SUCCESS"
    found = document["package_vulnerability_summary"]
    for severity, occurrences in found["vulnerabilities"].items():
        for occurrence in occurrences:
            vulnerability = occurrence["vulnerability"]
            assert occurrence["kind"] == "VULNERABILITY"
            assert occurrence["resourceUri"] == f"https://{summary['fully_qualified_digest']}"
            assert occurrence["createTime"] <= occurrence["updateTime"]
            assert vulnerability["effectiveSeverity"] == severity
            (issue,) = vulnerability["packageIssue"]
            assert issue["affectedCpeUri"] == "cpe:/o:debian:debian_linux:12"
            assert issue["fixAvailable"] == (issue["fixedVersion"]["kind"] == "NORMAL")
            (place,) = issue["fileLocation"]
            assert place["filePath"] == "var/lib/dpkg/status"
    return document


def test_an_image_of_rpm_with_packages_of_languages(
    server: CustomhouseServer,
    registry: Registry,
    cli: CommandLine,
    tmp_path: Path,
    shared_data: Path,
) -> None:
    """A real database of SUSE; what its packages own is theirs, what lies beside is judged too."""
    database = (shared_data / "rpmdb" / "ndb" / "sle15-bci.Packages.db").read_bytes()
    name = "SUSE Linux Enterprise Server 15 SP5"
    python = "usr/lib/python3.11/site-packages/django-3.2.dist-info/METADATA"
    image = make_image(
        {
            "etc/os-release": f'ID="sles"\nVERSION_ID="15.5"\nPRETTY_NAME="{name}"\n'.encode(),
            "usr/lib/sysimage/rpm/Packages.db": database,
        },
        {
            "app/node_modules/lodash/package.json": b'{"name": "lodash", "version": "4.17.20"}',
            python: b"Name: Django\nVersion: 3.2\n",
        },
    )
    registry.push("acme/suse", image, "1")
    release = f"SUSE:{name.removeprefix('SUSE ')}"
    records = (
        advisory("SUSE-1", affects("bash", FROM_THE_FIRST, {"fixed": "5-1"}, ecosystem=release)),
        advisory(
            "GHSA-1", affects("lodash", FROM_THE_FIRST, {"fixed": "4.17.21"}, ecosystem="npm")
        ),
        advisory(
            "PYSEC-1", affects("django", FROM_THE_FIRST, {"fixed": "3.2.1"}, ecosystem="PyPI")
        ),
        advisory("PYSEC-2", affects("django", FROM_THE_FIRST, {"fixed": "3.2"}, ecosystem="PyPI")),
    )
    cli("feeds", "import", feed(tmp_path, *records), "--name", "several")
    shown = cli("images", "describe", f"{server.host}/acme/suse:1", "--show-package-vulnerability")
    assert shown.row("UNSPECIFIED", "SUSE-1", "bash", "4.4-19.6.1", "5-1")
    assert shown.row("UNSPECIFIED", "GHSA-1", "lodash", "4.17.20", "4.17.21")
    assert shown.row("UNSPECIFIED", "PYSEC-1", "django", "3.2", "3.2.1")
    assert "PYSEC-2" not in shown.out


def test_a_real_feed_of_debian(cli: CommandLine, shared_data: Path) -> None:
    path = shared_data / "debian" / "osv-from-dsa-dla-2023-04-02.all.zip"
    outcome = cli("feeds", "import", path, "--name", "dsa", "--format", "json").document
    assert outcome["done"] is True
    assert outcome["metadata"]["read"] == outcome["metadata"]["total"] == 7337
    assert outcome["response"] == {
        "advisories": 7337,
        "changed": 7337,
        "removed": 0,
        "ranges": 8518,
        "skippedByEcosystem": {},
        "rejected": 0,
        "rejects": [],
    }
    again = cli("feeds", "import", path, "--name", "dsa")
    assert again.out == "7,337 advisories read, 0 new or changed, 0 affected ranges.\n"
    listed = {each["name"]: each for each in cli("feeds", "list", "--format", "json").document}
    assert (listed["dsa"]["advisories"], listed["dsa"]["ranges"]) == (7337, 8518)
    assert len(listed["dsa"]["ecosystems"]) == 8
    assert cli("feeds", "list").row("dsa", "7,337", "8,518", "0")


def test_documents_of_red_hat(cli: CommandLine, tmp_path: Path, shared_data: Path) -> None:
    """A folder of real VEX documents is a feed, and tells of what is not fixed."""
    folder = tmp_path / "vex"
    folder.mkdir()
    documents = 0
    for path in sorted((shared_data / "redhat" / "csaf-vex").glob("*.json")):
        content = path.read_bytes()
        if b'"csaf_vex"' in content and b"https://www.redhat.com" in content:
            folder.joinpath(path.name).write_bytes(content)
            documents += 1
    said = cli("feeds", "import", folder, "--name", "redhat", "--format", "json").document
    assert said["response"]["advisories"] == documents > 10
    assert said["response"]["rejected"] == 2  # modules without a stream
    (feed_,) = (
        each
        for each in cli("feeds", "list", "--format", "json").document
        if each["name"] == "redhat"
    )
    assert {"Red Hat:8", "Red Hat:9"} <= set(feed_["ecosystems"])
