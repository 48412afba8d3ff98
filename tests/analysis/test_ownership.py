"""Files that packages of the system own, and packages of others than the distribution."""

from __future__ import annotations

import pytest

from customhouse.analysis.ecosystems.ownership import may_hold
from customhouse.analysis.inventory import Inventory, merge
from tests.analysis.tars import file, read, symlink

STATUS = "var/lib/dpkg/status"
OS_RELEASE = file("etc/os-release", b'ID=debian\nVERSION_ID="12"\n')


def image(*layers: tuple[bytes, ...]) -> Inventory:
    return merge((f"sha256:{index}", read(*parts)) for index, parts in enumerate(layers))


def stanza(name: str, maintainer: str = "Debian <a@debian.org>") -> bytes:
    return (
        f"Package: {name}\nStatus: install ok installed\nArchitecture: all\nVersion: 1-1\n"
        f"Maintainer: {maintainer}\n\n"
    ).encode()


def metadata(name: str) -> bytes:
    return f"Name: {name}\nVersion: 1.0\n".encode()


SIX = "usr/lib/python3/dist-packages/six-1.0.egg-info"
PIP = "usr/local/lib/python3.11/dist-packages/pip-1.0.dist-info/METADATA"


def found(inventory: Inventory) -> set[tuple[str, str]]:
    return {(each.package.name, each.database) for each in inventory.packages}


def test_a_file_that_a_package_owns_is_not_one_more_package() -> None:
    base = (
        OS_RELEASE,
        file(STATUS, stanza("python3-six")),
        file("var/lib/dpkg/info/python3-six.list", f"/.\n/usr\n/{SIX}\n".encode()),
        file(SIX, metadata("six")),
    )
    inventory = image(base, (file(PIP, metadata("pip")),))
    assert found(inventory) == {("python3-six", "dpkg"), ("pip", "python")}
    (pip,) = (each for each in inventory.packages if each.database == "python")
    assert (pip.path, pip.layer_index, pip.package.ecosystem) == (PIP, 1, "PyPI")
    assert inventory.databases == (STATUS,)


def test_the_files_of_a_third_party_are_judged_by_themselves() -> None:
    base = (
        OS_RELEASE,
        file(STATUS, stanza("nodejs", "Node <gpg@nodesource.com>")),
        file("var/lib/dpkg/info/nodejs.list", b"/usr/lib/node_modules/npm/package.json\n"),
        file("usr/lib/node_modules/npm/package.json", b'{"name": "npm", "version": "10.0.0"}'),
    )
    assert found(image(base)) == {("nodejs", "dpkg"), ("npm", "node")}


def test_ownership_follows_links_of_folders() -> None:
    apk = b"P:py3-x\nV:1-r0\nA:x86_64\nF:lib/py/x.dist-info\nR:METADATA\n\n"
    base = (
        symlink("lib", "usr/lib"),
        file("etc/os-release", b"ID=alpine\nVERSION_ID=3.19.1\n"),
        file("usr/lib/apk/db/installed", apk),
        file("usr/lib/py/x.dist-info/METADATA", metadata("x")),
    )
    assert found(image(base)) == {("py3-x", "apk")}


def test_packages_go_with_their_files() -> None:
    base = (OS_RELEASE, file(STATUS, stanza("a")), file(PIP, metadata("pip")))
    whiteout = PIP.replace("METADATA", ".wh.METADATA")
    assert found(image(base, (file(whiteout),))) == {("a", "dpkg")}
    folder = "usr/local/lib/python3.11/.wh.dist-packages"
    assert found(image(base, (file(folder),))) == {("a", "dpkg")}
    newer = (file(PIP, b"Name: pip\nVersion: 2.0\n"),)
    (pip,) = (each for each in image(base, newer).packages if each.database == "python")
    assert (pip.package.version, pip.layer_index) == ("2.0", 1)


def test_an_image_with_packages_of_a_language_alone() -> None:
    inventory = image((file("app/node_modules/a/package.json", b'{"name":"a","version":"1"}'),))
    assert inventory.system is None
    assert inventory.databases == ()
    assert found(inventory) == {("a", "node")}


def test_without_advisories_for_the_system_files_are_judged_by_themselves() -> None:
    base = (
        file("etc/os-release", b"ID=mydebian\nVERSION_ID=12\n"),
        file(STATUS, stanza("python3-six")),
        file("var/lib/dpkg/info/python3-six.list", f"/{SIX}\n".encode()),
        file(SIX, metadata("six")),
    )
    assert found(image(base)) == {("python3-six", "dpkg"), ("six", "python")}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("usr/lib/python3/dist-packages/six-1.16.0.egg-info", True),
        ("usr/bin/docker", True),
        ("usr/share/java/a.jar", True),
        ("usr/share/doc/a/copyright", False),
        ("etc/passwd", False),
        ("usr/lib/x86_64-linux-gnu/libc.so.6", False),
        ("", False),
    ],
)
def test_what_may_hold_packages(path: str, expected: bool) -> None:
    assert may_hold(path) is expected
