"""Inputs to begin with: a small good one of each form, made by the tests' own writers."""

from __future__ import annotations

import gzip
import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zstandard

from tests.analysis import tars
from tests.analysis.ecosystems import rpm_databases as rpm
from tests.analysis.ecosystems.test_dotnet_packages import PROGRAM
from tests.analysis.ecosystems.test_elf_packages import FORMS, program
from tests.analysis.ecosystems.test_golang_packages import inline
from tests.analysis.ecosystems.test_java_packages import jar, pom
from tests.analysis.ecosystems.test_php_packages import PACKAGES
from tests.analysis.ecosystems.test_ruby_packages import NOKOGIRI
from tests.analysis.ecosystems.test_rust_packages import audited
from tests.analysis.feeds import test_csaf_redhat as csaf
from tests.analysis.feeds import test_debian_tracker as tracker
from tests.analysis.feeds import test_secdb as secdb
from tests.analysis.feeds import test_updateinfo as updateinfo
from tests.analysis.feeds.osv.test_hostile import FULL
from tests.analysis.feeds.test_bundle import keep, written
from tests.analysis.feeds.test_epss import HEAD as EPSS
from tests.analysis.feeds.test_kev import ENTRY, catalogue
from tests.analysis.sbom.test_documents import DOCUMENTS as BILLS
from tests.analysis.vex.test_hostile import DOCUMENTS as VEX
from tests.support.images import archive, descriptor, digest_of, make_image

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_DPKG = b"""Package: libssl3
Status: install ok installed
Maintainer: Debian OpenSSL Team <a@example.org>
Architecture: amd64
Source: openssl (3.0.8-1)
Version: 3.0.8-1+b1
Description: a library
 of several lines

Package: gone
Status: deinstall ok config-files
Version: 1

"""
_APK = b"""P:musl
V:1.2.4-r2
A:x86_64
L:MIT
o:musl
m:A B <a@example.org>
F:usr/lib/python3/a.dist-info
R:METADATA
F:usr/bin
R:musl

"""
_PYTHON = b"""Metadata-Version: 2.1
Name: Zope.Interface
Version: 5.4.0
License: UNKNOWN
Author-email: A <a@example.org>
Classifier: License :: OSI Approved :: Zope Public License
Description: folded
        more

body
"""
_OS = b'ID=debian\nVERSION_ID="12"\nNAME=\'Debian\'\nVERSION_CODENAME=bookworm\nID_LIKE="a b"\n'
_SYSTEMS = (
    *(_OS, b"CentOS Linux release 7.9.2009 (Core)\n", b"3.19.1\n", b"bookworm/sid\n"),
    b"DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=22.04\nDISTRIB_CODENAME=jammy\n",
    b'{"services":[{"name":"esm-infra","status":"enabled"}]}',
    b"https://dl-cdn.alpinelinux.org/alpine/v3.19/main\n",
    b'NAME="SLES"\nVERSION="15-SP4"\nVERSION_ID="15.4"\nID="sles"\n',
)
_VERSIONS = b"\n".join(
    (
        *(b"1:2.0~rc1-3+deb12u1", b"1.2.3_p1-r0", b"4.18.0-553.el8_10", b"v1.2.3-rc.1+build"),
        *(b"1!2.0.post1.dev2+local.3", b"go1.22rc1", b"1.0-SNAPSHOT", b"dev-main", b"2.0.0.pre1"),
        *(b"1.0.0.0-beta.2", b"1^20240101~a", b"0", b"1.0-alpha-1", b"1.2.x-dev"),
    )
)


def _encoded(*values: Any) -> list[bytes]:
    return [json.dumps(value).encode() for value in values]


def _rpms() -> list[bytes]:
    files: dict[int, rpm.Value] = {
        rpm.NAME: "a",
        rpm.VERSION: "1",
        rpm.RELEASE: "2",
        rpm.EPOCH: [3],
        rpm.FOLDERS: ["/usr/bin/"],
        rpm.BASE_NAMES: ["gh"],
        rpm.FOLDER_OF: [0],
    }
    module = rpm.package("npm", source="nodejs-12.1-3.src.rpm", module="nodejs:12:80300:229f0a1c")
    return [module, rpm.header(files), rpm.package("gpg-pubkey")]


def _sqlite() -> bytes:
    return rpm.sqlite(_rpms())


def _layer() -> bytes:
    files = {
        "etc/os-release": _OS,
        "var/lib/dpkg/status": _DPKG,
        "var/lib/dpkg/info/libssl3.list": b"/usr/bin/openssl\n/usr/bin/x\n",
        "a/node_modules/b/package.json": b'{"name":"b","version":"1.0.0"}',
        "var/lib/.wh.rpm": b"",
        "usr/.wh..wh..opq": b"",
    }
    parts = [
        *(tars.folder("var/lib/dpkg/"), tars.symlink("lib", "usr/lib")),
        tars.hard_link("usr/lib/os-release", "etc/os-release"),
        tars.pax(path=b"lib/apk/db/installed") + tars.file("x", _APK),
        tars.header(b"L", size=9, flag=b"L", magic=tars.GNU) + tars.padded(b"opt/a.jar"),
        tars.file("y", b"PK"),
    ]
    return b"".join(tars.file(*each) for each in files.items()) + b"".join(parts) + tars.END


def _saved() -> list[bytes]:
    image = make_image({"etc/os-release": _OS, "var/lib/dpkg/status": _DPKG})
    (layer,) = image.layers
    entry = descriptor("application/vnd.oci.image.manifest.v1+json", image.manifest)
    blobs = {f"blobs/sha256/{digest_of(each)[7:]}": each for each in (*image.blobs, image.manifest)}
    index = {"schemaVersion": 2, "manifests": [entry]}
    docker = [{"Config": "c.json", "RepoTags": ["a:b"], "Layers": ["l/layer.tar"]}]
    return [
        archive({"index.json": json.dumps(index).encode(), **blobs}),
        archive(
            {
                "manifest.json": json.dumps(docker).encode(),
                "c.json": image.config,
                "l/layer.tar": layer,
            }
        ),
        archive({"manifest.json": image.manifest, **{key[13:]: it for key, it in blobs.items()}}),
    ]


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("A-1.json", json.dumps(FULL))
        made.writestr("B-2.json", b"{}", zipfile.ZIP_STORED)
        made.writestr("readme", b"x")
    return file.getvalue()


def _bundle() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        keep(Path(folder), "osv", {"a/b.json": b"{}", "c.json": b"x" * 600})
        return written(Path(folder), "osv")


def _secdb() -> list[bytes]:
    fixes = {"1.2-r0": ["CVE-2020-1234 GHSA-aaaa-bbbb-cccc", "XSA-1"], "0": ["CVE-2021-0001"]}
    wolfi = {"urlprefix": "https://packages.wolfi.dev", "reponame": "os", "packages": []}
    return [secdb.content(fixes), secdb.content(fixes, "edge"), *_encoded(wolfi)]


def _tracker() -> list[bytes]:
    states = (
        tracker.release(fixed_version="1.0-1", urgency="low"),
        tracker.release("open", urgency="unimportant", nodsa_reason="postponed"),
        tracker.release("undetermined"),
        tracker.release(fixed_version="0"),
    )
    names = ("bookworm", "bullseye", "trixie", "sid")
    releases = dict(zip(names, states, strict=True))
    issue = {"description": "A flaw.", "releases": releases}
    return _encoded({"a": {"CVE-2024-1000": issue, "TEMP-0000000-0CA7E3": issue}})


def _updates() -> list[bytes]:
    packages = updateinfo.package(), updateinfo.package("b", epoch="2", arch="noarch")
    head = updateinfo.HEAD + "<severity>important</severity><title>t</title>"
    head += '<references><reference href="https://a.example/" id="CVE-2024-1234"/></references>'
    plain = f"<updates>{updateinfo.update(*packages, head=head)}</updates>".encode()
    return [plain, gzip.compress(plain, mtime=0)]


def _programs() -> list[bytes]:
    made = [
        program(
            {".go.buildinfo": inline("go1.22.1"), ".dep-v0": audited([("serde", "1.0.2")])}, *form
        )
        for form in FORMS
    ]
    return [*made, program({".data": inline("go1.18")}, 2, "<", ((4096, 0x400000, 200, 6),))]


def _jars() -> list[bytes]:
    manifest = "Manifest-Version: 1.0\r\nBundle-SymbolicName: a.b;x:=y\r\nBundle-Version: 1.0\r\n"
    inner = jar({"META-INF/MANIFEST.MF": manifest + "Bundle-License: MIT\r\n long\r\n"})
    shaded = {**pom("org.a", "b", "1.0"), **pom("org.c", "d", "2")}
    return [jar(shaded), jar({"lib/b-1.0.jar": inner}), jar({"b.jar": inner}, zipfile.ZIP_STORED)]


_MAKERS: Mapping[str, Callable[[], list[bytes]]] = {
    "apk": lambda: [_APK * 2],
    "bundle": lambda: [_bundle()],
    "dotnet": lambda: _encoded(PROGRAM),
    "dpkg": lambda: [_DPKG],
    "dpkg-list": lambda: [b"/.\n/usr/bin/x\n/usr/lib/python3/a.dist-info/METADATA\n"],
    "epss": lambda: [
        EPSS + b"CVE-2024-1234,0.00043,0.08\nCVE-2024-12345,1,1e-5\n",
        gzip.compress(b"cve,epss\nCVE-2024-1234,0.00043\n", mtime=0),
    ],
    "feed-file": lambda: [*_encoded(FULL, [FULL, {}]), b"\n".join(_encoded(FULL, {}, FULL))],
    "feed-zip": lambda: [_zip()],
    "java": _jars,
    "kev": lambda: [catalogue(ENTRY, {})],
    "layer": lambda: [_layer()],
    "layer-gzip": lambda: [gzip.compress(_layer(), mtime=0)],
    "layer-zstd": lambda: [
        zstandard.ZstdCompressor(write_checksum=True).compress(_layer()),
        b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + zstandard.ZstdCompressor().compress(tars.END),
    ],
    "node": lambda: _encoded(
        {"name": "@a/b", "version": "v1.0.0", "license": {"type": "MIT"}, "licenses": ["x"]}
    ),
    "php": lambda: _encoded(PACKAGES, {"packages": PACKAGES}),
    "program": _programs,
    "python": lambda: [_PYTHON],
    "record": lambda: [
        *_encoded(FULL),
        csaf.document(
            fixed=("pkg:rpm/redhat/openssl@1.1.1k-4.el8?arch=x86_64&epoch=1",),
            affected=("pkg:rpm/redhat/openssl?arch=src",),
            remediations=[{"category": "no_fix_planned", "details": "Will not fix"}],
        ),
    ],
    "rpm-bdb": lambda: [rpm.bdb(_rpms()), rpm.bdb(_rpms(), order=">")],
    "rpm-ndb": lambda: [rpm.ndb(_rpms())],
    "rpm-sqlite": lambda: [_sqlite()],
    "ruby": lambda: [NOKOGIRI.encode()],
    "saved": _saved,
    "sbom": lambda: _encoded(*BILLS.values()),
    "secdb": _secdb,
    "system": lambda: list(_SYSTEMS),
    "tracker": _tracker,
    "updateinfo": _updates,
    "versions": lambda: [_VERSIONS],
    "vex": lambda: _encoded(*VEX.values()),
}


def seeds(name: str) -> list[bytes]:
    """Give the inputs of a target."""
    return _MAKERS[name]()
