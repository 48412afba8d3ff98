"""The content sets that Red Hat's images tell."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customhouse.analysis.ecosystems import content_sets
from customhouse.analysis.ecosystems.content_sets import MAX_BYTES, MAX_SETS
from customhouse.analysis.inventory import merge
from customhouse.analysis.layers import decode, encode, read_layer
from tests.analysis.tars import file, read, symlink

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "root/buildinfo/content_manifests"
BOTH = ("content-set-1", "content-set-2")


def manifest(*sets: object) -> bytes:
    return json.dumps({"metadata": {"icm_version": 1}, "content_sets": sets}).encode()


def parsed(content: bytes) -> tuple[tuple[str, ...], int]:
    """The content sets of a file, and how much of it is unreadable."""
    listing = content_sets.parse("", io.BytesIO(content))
    assert listing.packages == ()
    return listing.content_sets, listing.unreadable


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"{FOLDER}/ubi8-container-8.7-1112.json", True),
        ("usr/share/buildinfo/content-sets.json", True),
        (f"{FOLDER}/x/ubi8.json", False),
        (f"{FOLDER}/ubi8.txt", False),
        ("root/buildinfo/Dockerfile-ubi8-8.7-1112", False),
        (f"opt/{FOLDER}/ubi8.json", False),
    ],
)
def test_paths(path: str, expected: bool) -> None:
    assert content_sets.matches(path) is expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (manifest("b", "a", "b"), (("a", "b"), 0)),
        (manifest(), ((), 0)),
        (b'{"content_sets": null}', ((), 0)),
        (b'{"name": "labels"}', ((), 0)),
        (manifest("a", "", "x\0", "größe", "x" * 257, "a b"), (("a",), 5)),
        (manifest("a", 1), ((), 1)),
        (manifest(*map(str, range(MAX_SETS + 1))), ((), 1)),
        (b'{"content_sets": "a"}', ((), 1)),
        (b'["a"]', ((), 1)),
        (b'{"content_sets": ["\xff"]}', ((), 1)),
        (b'{"content_sets": ' + b"[" * 100_000, ((), 1)),
        (b'{"x": ' * 100_000, ((), 1)),
        (b"File replaced", ((), 1)),
        (b"", ((), 1)),
        (b" " * MAX_BYTES + manifest("a"), ((), 1)),
    ],
)
def test_contents(content: bytes, expected: tuple[tuple[str, ...], int]) -> None:
    assert parsed(content) == expected


@given(st.one_of(st.binary(), st.text().map(lambda text: manifest(text, "a"))))
def test_any_content_is_survived(content: bytes) -> None:
    sets, unreadable = parsed(content)
    assert all(name.isascii() and name.isprintable() for name in sets)
    assert unreadable >= 0


@pytest.mark.parametrize(
    ("name", "sets", "unreadable"),
    [
        ("layer-with-embedded-cs", BOTH, 0),
        ("rhcos-layer-with-embedded-cs", BOTH, 0),
        ("rhcos-layer-with-conflicting-files", BOTH, 0),
        ("layer-with-invalid-content-manifests-json", (), 1),
        ("layer-with-no-cpe-info", (), 0),
        ("layer-with-cpe", (), 0),
    ],
)
def test_real_layers(shared_data: Path, name: str, sets: tuple[str, ...], unreadable: int) -> None:
    with (shared_data / "redhat" / "layers" / f"{name}.tar").open("rb") as stream:
        reading = read_layer(stream)
    assert merge([("d", reading)]).content_sets == sets
    assert sum(each.unreadable for each in reading.databases.values()) == unreadable
    assert decode(encode(reading)) == reading


def test_the_sets_of_layers_add_up_as_far_as_their_files_are_there() -> None:
    layers = [
        read(file(f"{FOLDER}/base.json", manifest("a", "b"))),
        read(
            file(f"{FOLDER}/middle.json", manifest("b", "c")),
            file("usr/share/buildinfo/content-sets.json", manifest("d")),
        ),
        read(file(f"{FOLDER}/.wh.base.json"), file(f"{FOLDER}/top.json", b"{")),
    ]
    sets = [
        merge([(str(at), layer) for at, layer in enumerate(layers[:end])]).content_sets
        for end in range(4)
    ]
    assert sets == [(), ("a", "b"), ("a", "b", "c", "d"), ("b", "c", "d")]


def test_links_are_followed() -> None:
    layers = [
        read(symlink("root", "var/roothome")),
        read(file(f"{FOLDER}/x.json", manifest("a"))),
        read(file(f"{FOLDER}/y.json", manifest("b"))),
    ]
    found = merge([(str(at), layer) for at, layer in enumerate(layers)])
    assert found.content_sets == ("a", "b")
