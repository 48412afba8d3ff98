from __future__ import annotations

import io
import re
import tarfile
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from customhouse.analysis import inventory
from customhouse.analysis.inventory import Inventory, merge
from customhouse.analysis.layers import read_layer
from customhouse.errors import Code, Failure
from tests.analysis.tars import apk, dpkg, file, folder, hard_link, header, read, symlink

if TYPE_CHECKING:
    from pathlib import Path

STATUS = "var/lib/dpkg/status"
INSTALLED = "lib/apk/db/installed"
DEBIAN = b"ID=debian\nVERSION_ID=12\n"


def image(*layers: bytes | tuple[bytes, ...]) -> Inventory:
    """Merge layers, each given by its entries, under the digests 0, 1, ..."""
    readings = (read(layer) if isinstance(layer, bytes) else read(*layer) for layer in layers)
    return merge([(str(index), reading) for index, reading in enumerate(readings)])


def held(found: Inventory) -> dict[str, int]:
    """The packages `NAME-VERSION`, each with the index of the layer that brought it."""
    return {f"{it.package.name}-{it.package.version}": it.layer_index for it in found.packages}


def test_no_layers() -> None:
    empty = merge([])
    assert (empty.system, empty.packages, empty.databases) == (None, (), ())
    assert re.fullmatch("sha256:[0-9a-f]{64}", empty.digest)


def test_a_real_image(shared_data: Path) -> None:
    path = shared_data / "layers" / "images" / "alpine-311.docker-save.tar.gz"
    with tarfile.open(path) as saved:
        members = [member for member in saved if member.name.endswith("layer.tar")]
        (stream,) = (saved.extractfile(member) for member in members)
        assert stream
        found = merge([("d", read_layer(io.BytesIO(stream.read())))])
    text = (shared_data / "apk" / "installed" / "alpine-3.11.5-image").read_text("utf-8")
    stanzas = [
        dict(line.split(":", 1) for line in stanza.splitlines()) for stanza in text.split("\n\n")
    ]
    assert [
        (it.package.name, it.package.version, it.package.source) for it in found.packages
    ] == sorted((stanza["P"], stanza["V"], stanza["o"]) for stanza in stanzas if stanza)
    assert found.databases == (INSTALLED,)
    assert found.system is not None
    assert (found.system.id, found.system.version) == ("alpine", "3.11.5")


def test_a_package_knows_the_layer_that_brought_it() -> None:
    found = image(
        (file("etc/os-release", DEBIAN), file(STATUS, dpkg("a-1", "b-1", "c-1"))),
        file("usr/bin/x"),
        file(STATUS, dpkg("a-1", "b-2", "d-1")),
        file(STATUS, dpkg("d-1", "c-1", "b-2", "a-1")),
    )
    assert held(found) == {"a-1": 0, "b-2": 2, "c-1": 3, "d-1": 2}
    package = found.packages[0]
    assert (package.database, package.path, package.layer) == ("dpkg", STATUS, "0")
    assert found.system is not None
    assert found.system.ecosystem == "Debian:12"


def test_one_version_for_several_architectures() -> None:
    both = dpkg("a-1") + dpkg("a-1").replace(b"Architecture: x", b"Architecture: y")
    found = image(file(STATUS, dpkg("a-1")), file(STATUS, both))
    assert [(it.package.arch, it.layer_index) for it in found.packages] == [("x", 0), ("y", 1)]


def test_several_databases_add_up() -> None:
    found = image(
        (file(f"{STATUS}.d/base", dpkg("base-1")), file(f"{STATUS}.d/libc", dpkg("libc-1"))),
        (file(STATUS, dpkg("base-1", "curl-1")), file(INSTALLED, apk("base-1"))),
    )
    assert found.databases == (INSTALLED, STATUS, f"{STATUS}.d/base", f"{STATUS}.d/libc")
    names = [(it.package.name, it.database, it.path, it.layer_index) for it in found.packages]
    assert names == [
        ("base", "apk", INSTALLED, 1),
        ("base", "dpkg", f"{STATUS}.d/base", 0),
        ("curl", "dpkg", STATUS, 1),
        ("libc", "dpkg", f"{STATUS}.d/libc", 0),
    ]


@pytest.mark.parametrize(
    "layer",
    [
        file("var/lib/dpkg/.wh.status"),
        file("var/lib/.wh.dpkg"),
        file(".wh.var"),
        file(".wh..wh..opq"),
        file("var/.wh..wh..opq"),
        file("var/lib/dpkg/.wh..wh..opq"),
        file("var/lib/dpkg"),
        file("var"),
        header(b"var/lib", flag=b"6"),
        header(STATUS.encode(), flag=b"3"),
        folder(STATUS),
        symlink("var/lib", "/nowhere"),
        symlink(STATUS, "nowhere"),
        hard_link(STATUS, "nowhere"),
    ],
)
def test_ways_to_lose_a_database(layer: bytes) -> None:
    base = file(STATUS, dpkg("a-1"))
    assert image(base, layer).databases == ()
    assert held(image(base, layer, base)) == {"a-1": 2}
    assert image(layer, layer).databases == ()


@pytest.mark.parametrize(
    "layer",
    [
        file("var/lib/dpkg/.wh.statu"),
        file("var/lib/dpkg/status/.wh..wh..opq"),
        file(".wh.va"),
        file("va/.wh..wh..opq"),
        folder("var"),
        folder("var/lib/dpkg"),
        file("../.wh.var"),
        file(".wh..wh.var"),
        file("usr"),
        symlink("lib", "usr/lib"),
    ],
)
def test_what_leaves_a_database_alone(layer: bytes) -> None:
    assert held(image(file(STATUS, dpkg("a-1")), layer)) == {"a-1": 0}


@pytest.mark.parametrize(
    "whiteout", ["var/lib/dpkg/.wh.status", "var/lib/.wh.dpkg", "var/.wh..wh..opq"]
)
def test_whiteouts_act_on_lower_layers_wherever_they_stand(whiteout: str) -> None:
    below, own = file(f"{STATUS}.d/a", dpkg("a-1")), file(STATUS, dpkg("b-1"))
    base = (below, file(STATUS, dpkg("c-1")))
    gone = {"b-1": 1} if "status" not in whiteout else {"a-1": 0, "b-1": 1}
    assert held(image(base, (own, file(whiteout)))) == gone
    assert held(image(base, (file(whiteout), own))) == gone
    assert held(image(file(whiteout), base)) == {"a-1": 1, "c-1": 1}


def test_links_in_folders_are_followed() -> None:
    merged = symlink("lib", "usr/lib")
    usr = file(f"usr/{INSTALLED}", apk("a-1"))
    for layers in (
        ((merged, usr), file(INSTALLED, apk("a-1", "b-1"))),
        (merged, usr, file(INSTALLED, apk("a-1", "b-1"))),
        (usr, merged, file(INSTALLED, apk("a-1", "b-1"))),
        (usr, (merged, file(INSTALLED, apk("a-1", "b-1")))),
        (usr, symlink("lib", "/usr/./lib/../lib"), file(INSTALLED, apk("a-1", "b-1"))),
        ((symlink("lib", "x"), usr), merged, file(INSTALLED, apk("a-1", "b-1"))),
    ):
        found = image(*layers)
        assert found.databases == (f"usr/{INSTALLED}",)
        assert held(found) == {"a-1": 0 if layers[0] != merged else 1, "b-1": len(layers) - 1}
    assert image((merged, usr), file("lib/apk/.wh.db")).databases == ()
    assert image((merged, usr), file("lib/apk/.wh..wh..opq")).databases == ()
    assert image((merged, usr), file("lib/.wh..wh..opq")).databases == ()
    assert image((merged, usr), file(".wh.lib")).databases == (f"usr/{INSTALLED}",)


def test_a_folder_replaces_a_link() -> None:
    base = (symlink("lib", "usr/lib"), file(f"usr/{INSTALLED}", apk("a-1")))
    found = image(base, (folder("lib"), file(INSTALLED, apk("b-1"))))
    assert found.databases == (INSTALLED, f"usr/{INSTALLED}")
    found = image(base, (folder("lib"), file("lib/apk/.wh.db")))
    assert found.databases == (f"usr/{INSTALLED}",)


def test_a_link_replaces_a_folder() -> None:
    base = file(INSTALLED, apk("a-1"))
    assert image(base, symlink("lib", "usr/lib")).databases == ()
    moved = (symlink("lib", "usr/lib"), file(f"usr/{INSTALLED}", apk("a-1")))
    assert image(base, moved).databases == (f"usr/{INSTALLED}",)


def test_hard_links_to_lower_layers() -> None:
    base = (file(f"{STATUS}.d/a", dpkg("a-1")), file("usr/lib/os-release", DEBIAN))
    link = (hard_link(STATUS, f"{STATUS}.d/a"), hard_link("etc/os-release", "usr/lib/os-release"))
    found = image(base, link, (file(f"{STATUS}.d/.wh.a"), file("usr/lib/.wh.os-release")))
    assert (held(found), found.databases) == ({"a-1": 1}, (STATUS,))
    assert found.system is not None
    found = image(base, (*link, file(f"{STATUS}.d/.wh.a")))
    assert (held(found), found.databases) == ({"a-1": 1}, (STATUS,))
    assert held(image((base[0], file(STATUS, dpkg("a-1"))), link[0])) == {"a-1": 0}


@pytest.mark.parametrize(
    "target", ["../usr/lib/os-release", "/usr/lib/os-release", "../../../usr//lib/./os-release"]
)
def test_the_system_is_found_through_links(target: str) -> None:
    place = "usr/lib/os-release"
    content, link = file(place, DEBIAN), symlink("etc/os-release", target)
    for layers in ((content, link), (link, content), ((content, link),), ((link, content),)):
        system = image(*layers).system
        assert system is not None
        assert system.id == "debian"
    replaced = image(
        link, content, file("etc/os-release", b"ID=alpine\nVERSION_ID=3.19.1\n")
    ).system
    assert replaced is not None
    assert replaced.id == "alpine"
    assert image(link, content, file("usr/lib/.wh.os-release")).system is None


def test_the_system_is_found_through_links_of_folders() -> None:
    found = image(
        (symlink("etc", "usr/etc"), symlink("usr", "/sysroot")),
        (symlink("etc/os-release", "../lib/os-release"), file("usr/lib/os-release", DEBIAN)),
    )
    assert found.system is not None
    assert found.system.id == "debian"


@pytest.mark.parametrize("root", ["/", ".", "./", "../.."])
def test_folders_that_are_links_to_the_root(root: str) -> None:
    usr = (symlink("usr", root), symlink("etc", root))
    content = (file(f"usr/{INSTALLED}", apk("a-1")), file("etc/os-release", DEBIAN))
    for found in (image(usr, content), image((*usr, *content))):
        assert found.databases == (INSTALLED,)
        assert found.system is not None
    assert image(usr, content, file(".wh.os-release")).system is None


def test_loops_of_links_lead_nowhere() -> None:
    loops = (
        (symlink("etc/os-release", "os-release"),),
        (symlink("etc/os-release", "lsb-release"), symlink("etc/lsb-release", "os-release")),
        (symlink("etc", "etc"),),
        (symlink("lib", "lib/lib"), symlink("etc", "lib"), symlink("usr", "etc")),
        (symlink("var", "lib"), symlink("lib", "var")),
        (symlink("lib", "."), symlink("etc", ".."), symlink("usr", "/")),
    )
    for loop in loops:
        content = (file(INSTALLED, apk("a-1")), file("etc/os-release", DEBIAN), file("var/.wh.lib"))
        for layers in ((loop, content), (content, loop), ((*loop, *content),), (loop, loop)):
            image(*layers)


def test_equal_inventories_have_equal_digests() -> None:
    base, top = file("etc/os-release", DEBIAN), file(STATUS, dpkg("a-1", "b-1"))
    one = image(base, top)
    assert image(base, (file("usr/bin/x"), file(STATUS, dpkg("b-1", "a-1")))) == one
    digests = {
        one.digest,
        image(base, file(STATUS, dpkg("a-1", "b-2"))).digest,
        image(base, file(STATUS, dpkg("a-1"))).digest,
        image((base, top)).digest,
        image(file("etc/os-release", b"ID=debian\nVERSION_ID=11\n"), top).digest,
        image(base, (top, file(f"{STATUS}.d/x"))).digest,
        merge([("0", read(base)), ("other", read(top))]).digest,
    }
    assert len(digests) == 7


def test_an_inventory_survives_its_storage() -> None:
    found = image((file("etc/os-release", DEBIAN), file(STATUS, dpkg("a-1"))))
    assert msgspec.json.decode(msgspec.json.encode(found), type=Inventory) == found


def test_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = (file(STATUS, dpkg("a-1", "b-1")), file(INSTALLED, apk("a-1", "b-1")))
    monkeypatch.setattr(inventory, "MAX_PACKAGES", 4)
    assert len(image(*layers).packages) == 4
    monkeypatch.setattr(inventory, "MAX_PACKAGES", 3)
    with pytest.raises(Failure) as caught:
        image(*layers)
    assert caught.value.code is Code.ARCHIVE_LIMIT


databases = st.sampled_from((STATUS, f"{STATUS}.d/x", f"{STATUS}.d/y", "usr/lib/dpkg/status"))
places = st.sampled_from(
    ("var", "var/lib", "var/lib/dpkg", STATUS, f"{STATUS}.d", f"{STATUS}.d/x", "usr/lib/dpkg")
)
versions = st.lists(st.sampled_from(("a-1", "a-2", "b-1", "c-1")), unique=True, min_size=1)
layers = st.fixed_dictionaries(
    {
        "files": st.dictionaries(databases, versions, max_size=3),
        "removed": st.sets(places, max_size=2),
        "opaque": st.sets(places | st.just(""), max_size=1),
    }
)


@given(st.lists(layers, max_size=6))
def test_merging_is_as_applying_to_a_tree(
    drawn: list[dict[str, dict[str, list[str]] | set[str]]],
) -> None:
    tree: dict[str, dict[str, int]] = {}
    readings = []
    for index, layer in enumerate(drawn):
        files, removed, opaque = layer["files"], layer["removed"], layer["opaque"]
        assert isinstance(files, dict)
        assert isinstance(removed, set)
        assert isinstance(opaque, set)
        for path in list(tree):
            below = any(path.startswith(f"{place}/") or not place for place in opaque)
            if below or any(f"{path}/".startswith(f"{place}/") for place in removed):
                del tree[path]
        parts = [
            *(file(f"{place}/.wh..wh..opq") for place in opaque),
            *(file(re.sub("([^/]+)$", r".wh.\1", place)) for place in removed),
        ]
        for path, packages in files.items():
            before = tree.get(path, {})
            tree[path] = {package: before.get(package, index) for package in packages}
            parts.insert(index % (len(parts) + 1), file(path, dpkg(*packages)))
        readings.append((f"sha256:{index}", read(*parts)))
    expected: dict[str, int] = {}
    for packages_since in tree.values():
        for package, since in packages_since.items():
            expected[package] = min(since, expected.get(package, since))
    found = merge(readings)
    assert held(found) == expected
    assert found.databases == tuple(sorted(tree))


def test_a_layer_that_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "layer"
    path.write_bytes(file(STATUS, dpkg("a-1")))
    with path.open("rb") as stream:
        assert held(merge([("d", read_layer(stream))])) == {"a-1": 0}
    assert held(merge([("d", read_layer(io.BytesIO(path.read_bytes())))])) == {"a-1": 0}
