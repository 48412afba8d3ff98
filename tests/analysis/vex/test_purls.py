"""Package URLs: how they are read, and which packages they name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customhouse.analysis.purls import Purl
from customhouse.analysis.vex import purls
from customhouse.analysis.vex.purls import Installed

LIBSSL = Installed("Debian:12", "libssl3", "3.0.8-1", "amd64", "openssl", "3.0.8-1")
BASH = Installed("Red Hat:9", "bash", "5.1.8-6.el9", "x86_64", "bash", "5.1.8-6.el9")
DBUS = Installed("Red Hat:9", "dbus", "1:1.12.20-8.el9", "x86_64", "dbus", "1.12.20-8.el9")
MUSL = Installed("Alpine:v3.20", "musl-utils", "1.2.5-r0", "x86_64", "musl", "1.2.5-r0")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("pkg:npm/lodash", Purl("npm", "", "lodash", "", {})),
        ("pkg:npm/%40babel/core@7.0.0", Purl("npm", "@babel", "core", "7.0.0", {})),
        ("pkg:NPM/a@1#sub/path", Purl("npm", "", "a", "1", {})),
        ("pkg:golang/github.com/a/b@v1", Purl("golang", "github.com/a", "b", "v1", {})),
        (
            "pkg:deb/debian/x@1%3A2?arch=amd64&distro=debian-12",
            Purl("deb", "debian", "x", "1:2", {"arch": "amd64", "distro": "debian-12"}),
        ),
        (
            "pkg:oci/web@sha256%3Aab?repository_url=ghcr.io%2Facme%2Fweb",
            Purl("oci", "", "web", "sha256:ab", {"repository_url": "ghcr.io/acme/web"}),
        ),
        ("pkg://maven/org.a/b@1", Purl("maven", "org.a", "b", "1", {})),
    ],
)
def test_parts(text: str, parts: Purl) -> None:
    assert purls.parse(text) == parts


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lodash",
        "pkg:",
        "pkg:npm",
        "pkg:npm/",
        "pkg:/npm",
        "pkg:npm/@1",
        "pkg:npm/a\n",
        "pkg:9/a",
    ],
)
def test_what_is_none(text: str) -> None:
    assert purls.parse(text) is None


def test_one_that_is_too_long_is_none() -> None:
    assert purls.parse("pkg:npm/" + "a" * (purls.MAX_PURL - 8)) is not None
    assert purls.parse("pkg:npm/" + "a" * (purls.MAX_PURL - 7)) is None


NAMED: list[tuple[str, Installed, bool]] = [
    ("libssl3", LIBSSL, True),
    ("openssl", LIBSSL, True),
    ("libssl", LIBSSL, False),
    ("pkg:deb/debian/libssl3", LIBSSL, True),
    ("pkg:deb/libssl3", LIBSSL, True),
    ("pkg:deb/debian/libssl3@3.0.8-1", LIBSSL, True),
    ("pkg:deb/debian/libssl3@0:3.0.8-1", LIBSSL, True),
    ("pkg:deb/debian/libssl3@3.0.8-2", LIBSSL, False),
    ("pkg:deb/debian/libssl3@3.0.8-1?epoch=1", LIBSSL, False),
    ("pkg:deb/debian/libssl3?arch=amd64", LIBSSL, True),
    ("pkg:deb/debian/libssl3?arch=all", LIBSSL, True),
    ("pkg:deb/debian/libssl3?arch=arm64", LIBSSL, False),
    ("pkg:deb/ubuntu/libssl3", LIBSSL, False),
    ("pkg:rpm/libssl3", LIBSSL, False),
    ("pkg:deb/debian/openssl", LIBSSL, False),
    ("pkg:deb/debian/openssl?arch=source", LIBSSL, True),
    ("pkg:deb/debian/openssl@3.0.8-1?arch=source", LIBSSL, True),
    ("pkg:deb/debian/openssl@3.0.8-2?arch=source", LIBSSL, False),
    ("pkg:deb/debian/libssl3?distro=debian-12", LIBSSL, True),
    ("pkg:deb/debian/libssl3?distro=debian-12.5", LIBSSL, True),
    ("pkg:deb/debian/libssl3?distro=debian-11", LIBSSL, False),
    ("pkg:deb/debian/libssl3?distro=bookworm", LIBSSL, False),
    ("pkg:deb/debian/libssl3@3.0.8-1?distro=bookworm", LIBSSL, True),
    ("pkg:rpm/redhat/bash@5.1.8-6.el9?arch=x86_64", BASH, True),
    ("pkg:rpm/redhat/bash@5.1.8-6.el9?arch=src", BASH, True),
    ("pkg:rpm/redhat/bash@5.1.8-6.el8", BASH, False),
    ("pkg:rpm/redhat/dbus@1.12.20-8.el9?epoch=1", DBUS, True),
    ("pkg:rpm/redhat/dbus@1.12.20-8.el9", DBUS, False),
    ("pkg:apk/alpine/musl-utils@1.2.5-r0?distro=3.20.1", MUSL, True),
    ("pkg:apk/alpine/musl-utils?distro=3.20.1", MUSL, True),
    ("pkg:apk/alpine/musl-utils?distro=3.2", MUSL, False),
    ("pkg:npm/%40babel/core@7.0.0", Installed("npm", "@babel/core", "7.0.0"), True),
    ("pkg:npm/core@7.0.0", Installed("npm", "@babel/core", "7.0.0"), False),
    ("pkg:pypi/Django@3.2", Installed("PyPI", "django", "3.2"), True),
    ("pkg:pypi/zope_interface", Installed("PyPI", "zope.interface", "5"), True),
    ("pkg:maven/org.a/b@1", Installed("Maven", "org.a:b", "1"), True),
    ("pkg:golang/github.com/a/b@v1.2.3", Installed("Go", "github.com/a/b", "1.2.3"), True),
    ("pkg:golang/github.com/a/b@1.2.4", Installed("Go", "github.com/a/b", "v1.2.3"), False),
    ("pkg:composer/a/b", Installed("Packagist", "a/b", "1"), True),
    ("pkg:cargo/serde@1", Installed("crates.io", "serde", "1"), True),
    ("pkg:gem/rack@1", Installed("RubyGems", "rack", "2"), False),
    ("pkg:nuget/newtonsoft.json", Installed("NuGet", "Newtonsoft.Json", "1"), True),
    ("pkg:npm/a", Installed("Unheard", "a", "1"), False),
    ("pkg:broken", Installed("npm", "pkg:broken", "1"), False),
]


@pytest.mark.parametrize(
    ("text", "package", "is_named"),
    NAMED,
    ids=[f"{text}~{package.name}" for text, package, _ in NAMED],
)
def test_names(text: str, package: Installed, is_named: bool) -> None:
    assert purls.names(text, package) is is_named


@given(st.text(max_size=200) | st.from_regex(r"pkg:[a-z]+/.{0,50}(@.{0,20})?(\?.{0,50})?"))
def test_any_text(text: str) -> None:
    found = purls.parse(text)
    assert found is None or found.name
    purls.names(text, LIBSSL)
