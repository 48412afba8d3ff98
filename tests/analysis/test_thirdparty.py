"""Packages of others than the distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from customhouse.analysis.ecosystems import Package, dpkg, rpm
from customhouse.analysis.thirdparty import is_third_party

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("system", "vendor", "expected"),
    [
        ("rhel", "Red Hat, Inc.", False),
        ("rhel", "Fedora Project", True),
        ("rhel", "", False),
        ("rhel", "Google LLC", True),
        ("centos", "CentOS", False),
        ("centos", "Red Hat, Inc.", False),
        ("centos", "Remi's RPM repository <https://rpms.remirepo.net/>", True),
        ("almalinux", "AlmaLinux", False),
        ("almalinux", "AlmaLinux OS Foundation", False),
        ("almalinux", "Fedora Project", True),
        ("rocky", "Rocky Enterprise Software Foundation", False),
        ("rocky", "NodeSource", True),
        ("ol", "Oracle America", False),
        ("ol", "MySQL", True),
        ("amzn", "Amazon Linux", False),
        ("amzn", "Amazon.com, Inc.", False),
        ("amzn", "Fedora Project", True),
        ("fedora", "Fedora Project", False),
        ("fedora", "RPM Fusion", True),
        ("sles", "SUSE LLC <https://www.suse.com/>", False),
        ("sles", "SUSE LINUX Products GmbH, Nuernberg, Germany", False),
        ("sles", "openSUSE", True),
        ("sle-micro", "SUSE LLC <https://www.suse.com/>", False),
        ("sl-micro", "obs://build.opensuse.org/home:somebody", True),
        ("opensuse-leap", "openSUSE", False),
        ("opensuse-leap", "SUSE LLC <https://www.suse.com/>", False),
        ("opensuse-tumbleweed", "obs://build.opensuse.org/home:somebody", True),
        ("unknown", "Anybody", False),
    ],
)
def test_vendors(system: str, vendor: str, expected: bool) -> None:
    package = Package("a", "1-1", "x86_64", "a", "1-1", vendor=vendor)
    assert is_third_party(system, package) is expected


DEBIAN = "Debian Somebody <team+somebody@tracker.debian.org>"


@pytest.mark.parametrize(
    ("maintainer", "version", "expected"),
    [
        (DEBIAN, "1.2-1", False),
        ("", "1.2-1", False),
        ("Ubuntu Developers <ubuntu-devel-discuss@lists.ubuntu.com>", "1.2-1ubuntu1", False),
        ("Docker <support@docker.com>", "5:24.0.7-1~debian.12~bookworm", True),
        ("Ivan Iguaran <ivan.i@nodesource.com>", "18.19.0-1", True),
        (DEBIAN, "18.19.0-1nodesource1", True),
        ("cudatools <cudatools@nvidia.com>", "12.3.101-1", True),
        ("Microsoft Corporation <dpgswdist@microsoft.com>", "17.10.5.1-1", True),
        (".NET Team <dotnetpackages@dotnetfoundation.org>", "8.0.1-1", True),
        ("Chrome Linux Team <chromium-dev@chromium.org>", "120.0.6099.109-1", True),
        ("Google Cloud CLI Authors <cloudsdk@google.com>", "458.0.1-0", True),
        ("HashiCorp", "1.6.6-1", True),
        ("GitHub", "2.40.1", True),
        ("GitLab, Inc. <support@gitlab.com>", "16.7.0-ce.0", True),
        ("Elasticsearch Team <info@elastic.co>", "8.11.3", True),
        ("MongoDB Packaging <packaging@mongodb.com>", "7.0.4", True),
        ("Cloudflare <support@cloudflare.com>", "2023.10.0", True),
        ("NGINX Packaging <nginx-packaging@f5.com>", "1.25.3-1~bookworm", True),
        ("Sergey Budnevitch <sb@nginx.com>", "1.9.9-1~jessie", True),
        ("MySQL Release Engineering <mysql-build@oss.oracle.com>", "8.0.35-1debian12", True),
        ("temurin-dev@eclipse.org", "21.0.1.0.0+12-1", True),
        (DEBIAN, "15.5-1.pgdg120+1", True),
        (DEBIAN, "16.1-1.pgdg22.04+1", True),
        (DEBIAN, "8.2.1-1+0~20230101.1+debian12~1.gbp12345", True),
        (DEBIAN, "8.3.1-1+ubuntu22.04.1+deb.sury.org+1", True),
        (DEBIAN, "1:10.11.6+maria~deb12", True),
        (DEBIAN, "4.3.2-1~bookwormcran.0", True),
        (DEBIAN, "1:2.43.0-0ppa1~ubuntu22.04.1", True),
        ("Matthias Klose <doko@debian.org>", "3.12.1-1+jammy1", True),
        # what only looks like it
        ("Somebody <a@notdocker.company>", "1-1", False),
        ("Somebody <docker.com@debian.org>", "1-1", False),
        ("Somebody <docker@docker.com.debian.org>", "1-1", False),
        ("Somebody <123+somebody@users.noreply.github.com>", "1-1", False),
        ("Team <incoming+debian-team@incoming.gitlab.com>", "1-1", False),
        ("Docker Maintainers <docker@packages.debian.org>", "20.10.5+dfsg1-1+b5", False),
        (DEBIAN, "2.36-9+deb12u4", False),
        (DEBIAN, "1.2-3~bpo12+1", False),
        (DEBIAN, "1.2-3+really1.1+b1", False),
        (DEBIAN, "5.15.0-91.101~20.04.1+esm1", False),
        (DEBIAN, "0.1+git20230101.ab12cd-1", False),
    ],
)
def test_maintainers_and_versions(maintainer: str, version: str, expected: bool) -> None:
    package = Package("a", version, "amd64", "a", version, maintainer=maintainer)
    assert is_third_party("debian", package) is expected
    assert is_third_party("ubuntu", package) is expected
    # apk and other systems
    assert not is_third_party("alpine", package)
    assert not is_third_party("wolfi", package)


def test_packages_of_languages_are_no_ones() -> None:
    package = Package("a", "1", "", "a", "1", maintainer="a@docker.com", ecosystem="PyPI")
    assert not is_third_party("debian", package)


@pytest.mark.parametrize(
    ("system", "path", "count"),
    [("sles", "ndb/sle15-bci.Packages.db", 35), ("sle-micro", "ndb/sle15-bci.Packages.db", 35)],
)
def test_a_real_rpm_database_has_none(
    shared_data: Path, system: str, path: str, count: int
) -> None:
    with (shared_data / "rpmdb" / path).open("rb") as file:
        packages = rpm.DATABASE.parse("var/lib/rpm/Packages.db", file).packages
    assert len(packages) == count
    assert not any(is_third_party(system, package) for package in packages)
    others = [package for package in packages if is_third_party("opensuse-leap", package)]
    assert not others
    assert all(is_third_party("rhel", package) for package in packages if package.vendor)


def test_real_status_files_have_few(shared_data: Path) -> None:
    found = set()
    read = 0
    for path in sorted((shared_data / "dpkg" / "status").iterdir()):
        packages = dpkg.parse(path.read_bytes()).packages
        read += len(packages)
        found |= {it.name for it in packages if is_third_party("debian", it)}
    assert read > 300
    assert found == set()
