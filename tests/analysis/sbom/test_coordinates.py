"""Packages and package URLs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packageurl import PackageURL

from customhouse.analysis.ecosystems import Package
from customhouse.analysis.ecosystems.package import of_language
from customhouse.analysis.purls import Purl, parse
from customhouse.analysis.sbom.coordinates import (
    distribution,
    kind_of,
    of_package,
    release_of,
    to_package,
)

RELEASES = [
    ("Debian:12", "Debian GNU/Linux 12 (bookworm)", "debian", "debian-12"),
    ("Debian:sid", "Debian GNU/Linux", "debian", "debian-sid"),
    ("Ubuntu:22.04:LTS", "Ubuntu 22.04.3 LTS", "ubuntu", "ubuntu-22.04"),
    ("Ubuntu:23.10", "Ubuntu 23.10", "ubuntu", "ubuntu-23.10"),
    ("Alpine:v3.19", "Alpine Linux v3.19", "alpine", "alpine-3.19"),
    ("Alpine:edge", "Alpine Linux edge", "alpine", "alpine-edge"),
    ("Red Hat:9", "Red Hat Enterprise Linux 9.2 (Plow)", "redhat", "rhel-9"),
    ("Red Hat:7", "CentOS Linux 7 (Core)", "centos", "centos-7"),
    ("AlmaLinux:9", "AlmaLinux 9.2", "almalinux", "almalinux-9"),
    ("Rocky Linux:9", "Rocky Linux 9.2", "rocky", "rocky-9"),
    ("Oracle Linux:8", "Oracle Linux Server 8.8", "oracle", "ol-8"),
    ("Amazon Linux:2023", "Amazon Linux 2023", "amazon", "amzn-2023"),
    ("SUSE:Linux Enterprise Server 15 SP4", "SLES 15 SP4", "suse", "sles-15.4"),
    ("SUSE:Linux Enterprise Server 12", "SLES 12", "suse", "sles-12"),
    ("SUSE:Linux Enterprise Micro 5.4", "SLE Micro 5.4", "suse", "sle-micro-5.4"),
    ("openSUSE:Leap 15.5", "openSUSE Leap 15.5", "opensuse", "opensuse-leap-15.5"),
    ("openSUSE:Leap Micro 5.5", "x", "opensuse", "opensuse-leap-micro-5.5"),
    ("openSUSE:Tumbleweed", "openSUSE Tumbleweed", "opensuse", "opensuse-tumbleweed"),
    ("Wolfi", "Wolfi", "wolfi", "wolfi"),
    ("Chainguard", "Chainguard", "chainguard", "chainguard"),
]


@pytest.mark.parametrize(
    ("ecosystem", "system", "namespace", "release"), RELEASES, ids=[each[3] for each in RELEASES]
)
def test_releases_there_and_back(ecosystem: str, system: str, namespace: str, release: str) -> None:
    assert distribution(ecosystem, system) == (namespace, release)
    assert release_of(release, namespace) == ecosystem


@pytest.mark.parametrize(
    ("distro", "namespace", "ecosystem"),
    [
        ("debian-12.4", "debian", "Debian:12"),
        ("bookworm", "debian", "Debian:12"),
        ("debian-bookworm", "debian", "Debian:12"),
        ("12", "debian", "Debian:12"),
        ("3.19.1", "alpine", "Alpine:v3.19"),
        ("alpine-v3.18", "alpine", "Alpine:v3.18"),
        ("redhat-9.2", "redhat", "Red Hat:9"),
        ("oracle-8.8", "oracle", "Oracle Linux:8"),
        ("amazon-2", "amazon", "Amazon Linux:2"),
        ("centos-7.9.2009", "centos", "Red Hat:7"),
        ("wolfi-20230201", "wolfi", "Wolfi"),
        ("opensuse-tumbleweed-20240101", "opensuse", "openSUSE:Tumbleweed"),
        ("fedora-39", "fedora", ""),
        ("jammy", "ubuntu", ""),
        ("", "debian", ""),
        ("-", "", ""),
    ],
)
def test_releases_as_others_write_them(distro: str, namespace: str, ecosystem: str) -> None:
    assert release_of(distro, namespace) == ecosystem


LANGUAGES = [
    ("PyPI", "Zope_Interface", "1.0", "pkg:pypi/zope-interface@1.0"),
    ("npm", "@angular/cli", "17.0.0", "pkg:npm/%40angular/cli@17.0.0"),
    ("npm", "JSONStream", "1.0.0", "pkg:npm/jsonstream@1.0.0"),
    ("Maven", "org.a.b:c-d", "1.2", "pkg:maven/org.a.b/c-d@1.2"),
    ("Go", "github.com/Azure/x/v2", "2.0.0", "pkg:golang/github.com/Azure/x/v2@v2.0.0"),
    ("Go", "stdlib", "1.21.0", "pkg:golang/stdlib@1.21.0"),
    ("RubyGems", "rails", "7.0", "pkg:gem/rails@7.0"),
    ("crates.io", "serde", "1.0.0", "pkg:cargo/serde@1.0.0"),
    ("Packagist", "Acme/Lib", "1.0", "pkg:composer/acme/lib@1.0"),
    ("NuGet", "Newtonsoft.Json", "13.0.1", "pkg:nuget/Newtonsoft.Json@13.0.1"),
]


@pytest.mark.parametrize(
    ("ecosystem", "name", "version", "expected"), LANGUAGES, ids=[each[1] for each in LANGUAGES]
)
def test_languages(ecosystem: str, name: str, version: str, expected: str) -> None:
    package = of_language(ecosystem, name, version, licence="MIT")
    purl = of_package(package, "generic", None)
    assert str(purl) == expected
    assert PackageURL.from_string(expected).to_string() == expected
    assert to_package(purl, title=name, licence="MIT", own="") == package


def system(name: str, version: str, **more: str) -> Package:
    """A package of a system, which is its own source if nothing else is said."""
    package = Package(name, version, "x86_64", name, version)
    return replace(package, **more)


SYSTEMS = [
    ("deb", system("sed", "4.9-1"), "pkg:deb/d/sed@4.9-1?arch=x86_64&distro="),
    (
        "deb",
        system("libc6", "1:2.36-9+b1", source="glibc", source_version="2.36-9"),
        "pkg:deb/d/libc6@1:2.36-9%2Bb1?arch=x86_64&distro=&upstream=glibc%402.36-9",
    ),
    (
        "apk",
        system("libssl3", "3.0.8-r1", source="openssl"),
        "pkg:apk/d/libssl3@3.0.8-r1?arch=x86_64&distro=&upstream=openssl%403.0.8-r1",
    ),
    (
        "rpm",
        system("ssl", "1:1.1-9.el8", source_version="1.1-9", module="m:1"),
        "pkg:rpm/d/ssl@1.1-9.el8?arch=x86_64&distro=&epoch=1&rpmmod=m:1&upstream=ssl-1.1-9.src.rpm",
    ),
]
HOMES = {"deb": "Debian:12", "apk": "Alpine:v3.19", "rpm": "Red Hat:8"}


@pytest.mark.parametrize(
    ("kind", "package", "expected"), SYSTEMS, ids=[each[1].name for each in SYSTEMS]
)
def test_systems(kind: str, package: Package, expected: str) -> None:
    ecosystem = HOMES[kind]
    home = distribution(ecosystem, "")
    purl = of_package(package, kind, home)
    text = expected.replace("/d/", f"/{home.namespace}/").replace(
        "distro=", f"distro={home.release}"
    )
    # The source's version is written only where it is not the package's.
    if package.source_version == package.version:
        text = text.replace(f"%40{package.version}", "")
    assert str(purl) == text == PackageURL.from_string(text).to_string()
    assert to_package(purl, title="", licence="", own="") == replace(package, ecosystem=ecosystem)


def test_a_package_of_a_third_party_is_nobodys() -> None:
    purl = of_package(system("nodejs", "18-1nodesource1"), "deb", None)
    assert str(purl) == "pkg:deb/nodejs@18-1nodesource1?arch=x86_64"
    package = to_package(purl, title="", licence="", own="Debian:12")
    assert package
    assert package.ecosystem == ""


@pytest.mark.parametrize(
    ("text", "own", "ecosystem"),
    [
        ("pkg:deb/debian/sed@1", "", ""),
        ("pkg:deb/debian/sed@1", "Debian:12", "Debian:12"),
        ("pkg:deb/debian/sed@1?distro=debian-11", "Debian:12", "Debian:11"),
        ("pkg:deb/debian/sed@1?distro=nothing", "Debian:12", ""),
        ("pkg:deb/ubuntu/sed@1", "Debian:12", ""),
        ("pkg:rpm/rhel/sed@1", "Red Hat:9", "Red Hat:9"),
        ("pkg:rpm/redhat/sed@1", "Red Hat:9", "Red Hat:9"),
        ("pkg:rpm/amzn/sed@1", "Amazon Linux:2", "Amazon Linux:2"),
        ("pkg:rpm/debian/sed@1?distro=debian-12", "", ""),
        ("pkg:apk/wolfi/sed@1", "Wolfi", "Wolfi"),
    ],
)
def test_the_release_decides(text: str, own: str, ecosystem: str) -> None:
    purl = parse(text)
    assert purl
    package = to_package(purl, title="", licence="", own=own)
    assert package
    assert package.ecosystem == ecosystem


@pytest.mark.parametrize(
    "text",
    [
        "pkg:deb/debian/sed",
        "pkg:oci/web@sha256:abc",
        "pkg:generic/x@1",
        "pkg:pypi/x@" + "1" * 1000,
        "pkg:pypi/" + "x" * 1000 + "@1",
        "pkg:deb/debian/sed@1?upstream=" + "x" * 1000,
        "pkg:deb/debian/sed@1?arch=" + "x" * 1000,
    ],
    ids=["no version", "oci", "generic", "long version", "long name", "long source", "long arch"],
)
def test_what_is_left_out(text: str) -> None:
    purl = parse(text)
    assert purl
    assert to_package(purl, title="", licence="", own="Debian:12") is None


@pytest.mark.parametrize(
    ("ecosystem", "path", "kind"),
    [
        ("Debian:12", "", "deb"),
        ("Red Hat:9", "", "rpm"),
        ("Wolfi", "", "apk"),
        ("", "var/lib/dpkg/status", "deb"),
        ("", "lib/apk/db/installed", "apk"),
        ("", "usr/lib/sysimage/rpm/rpmdb.sqlite", "rpm"),
        ("", "etc/passwd", "generic"),
    ],
)
def test_kinds(ecosystem: str, path: str, kind: str) -> None:
    assert kind_of(ecosystem, path) == kind


PART = st.text(max_size=30)


@given(
    st.sampled_from(["deb", "rpm", "apk", "pypi", "golang", "maven", "npm", "x"]),
    PART,
    PART,
    PART,
    st.dictionaries(st.sampled_from(["arch", "distro", "epoch", "rpmmod", "upstream"]), PART),
    PART,
)
def test_anything_is_a_package_or_none(
    kind: str, namespace: str, name: str, version: str, qualifiers: dict[str, str], own: str
) -> None:
    purl = Purl(kind, namespace, name or "x", version, qualifiers)
    package = to_package(purl, title=name, licence="", own=own)
    assert package is None or package.version
