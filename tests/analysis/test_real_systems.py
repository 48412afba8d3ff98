"""Recognition of the operating systems of real images, as other scanners' tests have them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from customhouse.analysis.systems import FILES, recognise
from tests.analysis.test_systems import JAMMY, OS_RELEASE, PRO, check_bounds

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("folder", "ecosystem"),
    [
        *[(f"claircore/debian/dist/{n}", f"Debian:{n}") for n in range(7, 13)],
        *[(f"claircore/debian/distroless_dist/{n}", f"Debian:{n}") for n in range(9, 12)],
        *[(f"claircore/alpine/3.{n}", f"Alpine:v3.{n}") for n in range(3, 19)],
        ("claircore/alpine/edge", "Alpine:edge"),
        *[(f"claircore/ubuntu/dist/{n}.04", f"Ubuntu:{n}.04:LTS") for n in range(10, 24, 2)],
        *[(f"claircore/ubuntu/dist/{n}.10", f"Ubuntu:{n}.10") for n in range(12, 24)],
        *[(f"claircore/ubuntu/dist/{n}.04", f"Ubuntu:{n}.04") for n in range(13, 24, 2)],
        ("grype/os/alpine-edge", "Alpine:edge"),
        ("grype/os/debian-sid", "Debian:13"),
        ("grype/os/wolfi", "Wolfi"),
        ("grype/os/chainguard", "Chainguard"),
        ("grype/os/minimos", "MinimOS"),
        ("syft/os/debian/from-debian_version", "Debian:10"),
        ("syft/os/debian/with-point-release", "Debian:13"),
        ("trivy/debian/debian_9", "Debian:9"),
        ("trivy/debian/debian_sid", "Debian:10"),
        *[(f"claircore/rhel/releasefiles/{n}", f"Red Hat:{n}") for n in range(7, 10)],
        *[(f"claircore/rhel/releasefiles/oracle-{n}", f"Oracle Linux:{n}") for n in range(6, 10)],
        ("claircore/rhel/releasefiles/atomichost-7", "Red Hat:7"),
        ("claircore/rhel/releasefiles/hummingbird", None),
        ("grype/os/redhat", "Red Hat:7"),
        ("syft/os/redhat/from-redhat-release", "Red Hat:8"),
        ("syft/os/centos", "Red Hat:8"),
        ("syft/os/centos5", "Red Hat:5"),
        ("syft/os/centos6", "Red Hat:6"),
        ("syft/os/almalinux/from-os-release", "AlmaLinux:8"),
        ("syft/os/almalinux/from-redhat-release", "AlmaLinux:8"),
        ("syft/os/rockylinux/from-os-release", "Rocky Linux:8"),
        ("syft/os/rockylinux/from-redhat-release", "Rocky Linux:8"),
        ("syft/os/oraclelinux", "Oracle Linux:8"),
        ("grype/os/amazon", "Amazon Linux:2"),
        ("syft/os/sles", "SUSE:Linux Enterprise Server 15 SP2"),
        ("syft/os/opensuse-leap", "openSUSE:Leap 15.2"),
        ("syft/os/fedora", None),
        ("syft/os/arch", None),
        ("syft/os/custom", None),
        ("syft/os/scientific/from-os-release", None),
        ("syft/os/scientific/from-redhat-release", None),
        ("grype/os/postmarketos", None),
        ("grype/os/photon", None),
        ("grype/os/raspbian", None),
    ],
)
def test_images_of_other_scanners(shared_data: Path, folder: str, ecosystem: str | None) -> None:
    root = shared_data / "os-release" / folder
    system = recognise(
        {path: (root / path).read_bytes() for path in FILES if (root / path).exists()}
    )
    assert system
    assert system.ecosystem == ecosystem


@pytest.mark.parametrize(
    ("name", "ecosystem"),
    [
        ("alma", "AlmaLinux:9"),
        ("alpine", "Alpine:v3.15"),
        ("centos", "Red Hat:7"),
        ("centos-stream", "Red Hat:8"),
        ("fedora", None),
        ("minimos", "MinimOS"),
        ("no-version", None),
        ("opensuseleap-15.2.1", "openSUSE:Leap 15.2"),
        ("opensuseleap-42.3", "openSUSE:Leap 42.3"),
        ("opensusetumbleweed", "openSUSE:Tumbleweed"),
        ("oracle", "Oracle Linux:8"),
        ("rhel", "Red Hat:9"),
        ("rocky", "Rocky Linux:9"),
        ("slemicro", "SUSE:Linux Enterprise Micro 5.3"),
        ("slemicro-rancher", "SUSE:Linux Enterprise Micro for Rancher 5.4"),
        ("slemicro6.0", "SUSE:Linux Micro 6.0"),
        ("sles", "SUSE:Linux Enterprise Server 15 SP3"),
        ("unknown", None),
        ("coreos", None),
    ],
)
def test_releases_of_other_scanners(shared_data: Path, name: str, ecosystem: str | None) -> None:
    content = (shared_data / "os-release" / "trivy" / "release" / name).read_bytes()
    system = recognise({OS_RELEASE: content})
    assert system
    assert system.ecosystem == ecosystem
    assert bool(system.caveat) == (name == "centos-stream")


@pytest.mark.parametrize(
    ("path", "also"),
    [
        ("ubuntu-pro/ubuntu_esm_status/var/lib/ubuntu-advantage/status.json", True),
        ("ubuntu-pro/ubuntu_esm_infra_only/var/lib/ubuntu-advantage/status.json", True),
        ("ubuntu-pro/ubuntu_esm_disabled/var/lib/ubuntu-advantage/status.json", False),
        ("ubuntu-pro/ubuntu_esm_malformed/var/lib/ubuntu-advantage/status.json", False),
        ("ubuntu-pro/ubuntu_fips_only/var/lib/ubuntu-advantage/status.json", False),
        ("trivy/ubuntu/esm_enabled_status.json", True),
        ("trivy/ubuntu/esm_disabled_status.json", False),
    ],
)
def test_ubuntu_pro_of_other_scanners(shared_data: Path, path: str, also: bool) -> None:
    status = (shared_data / "os-release" / path).read_bytes()
    system = recognise({OS_RELEASE: JAMMY, PRO: status})
    assert system
    assert system.ecosystem == "Ubuntu:22.04:LTS"
    assert system.also == (("Ubuntu:Pro:22.04:LTS",) if also else ())


def test_every_os_release_of_other_scanners(shared_data: Path) -> None:
    read = 0
    for path in sorted((shared_data / "os-release").rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        system = recognise({OS_RELEASE: content})
        check_bounds(system)
        stated = re.findall(rb"^ID=[\"']?([a-z-]+)", content, re.MULTILINE)
        version = re.findall(rb"^VERSION_ID=[\"']?([^\"'\s]+)", content, re.MULTILINE)
        if len(stated) == 1:
            assert system
            assert system.id == stated[0].decode()
            assert not version or system.version == version[0].decode()
            read += 1
    assert read > 100
