"""Where packages come from: the layer, the command that made it, the file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from customhouse.analysis import origins, packages
from customhouse.analysis.ecosystems import Package
from customhouse.analysis.origins import Origin
from tests.analysis.stored import advisory, affects, inventory, package, store_image
from tests.analysis.test_end_to_end import feed
from tests.cli.program import CommandLine, signed_in
from tests.faults.pushers import OS_RELEASE, dpkg_status
from tests.faults.registry import Registry
from tests.support.images import Image, descriptor, digest_of, make_image
from tests.support.servers import customhouse_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from customhouse.database import Database
    from tests.support.servers import CustomhouseServer

METADATA = b"Metadata-Version: 2.1\nName: Django\nVersion: 3.2\nLicense: BSD-3-Clause\n"
COMMANDS = ("ADD rootfs.tar /", "RUN apt-get install -y sed && rm -r /var/lib/apt/lists # cleanup")
DJANGO = "usr/lib/python3/site-packages/Django-3.2.dist-info/METADATA"
HISTORY: tuple[dict[str, object], ...] = (
    {"created_by": COMMANDS[0]},
    {"created_by": 'CMD ["sh"]', "empty_layer": True},
    {"created_by": COMMANDS[1]},
    {"created_by": "COPY app\x1b[31m /app"},
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CustomhouseServer]:
    with customhouse_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def cli(server: CustomhouseServer, tmp_path: Path) -> CommandLine:
    """The command line, signed in."""
    return signed_in(server, tmp_path)


def built(*history: dict[str, object]) -> Image:
    """An image of three layers with this history."""
    base = make_image(
        {"etc/os-release": OS_RELEASE, "var/lib/dpkg/status": dpkg_status("bash=5.2")},
        {"var/lib/dpkg/status": dpkg_status("bash=5.2", "sed=4.9-1")},
        {DJANGO: METADATA},
    )
    config = json.dumps(json.loads(base.config) | {"history": history}).encode()
    manifest = json.loads(base.manifest)
    manifest["config"] = descriptor(manifest["config"]["mediaType"], config)
    return dataclasses.replace(base, config=config, manifest=json.dumps(manifest).encode())


def test_what_brought_a_package(
    server: CustomhouseServer, cli: CommandLine, tmp_path: Path
) -> None:
    image = built(*HISTORY)
    with Registry(server) as registry:
        digest = registry.push("acme/origins", image, "1")
        registry.discovery("acme/origins", digest)
        pages = list(registry.occurrences("acme/origins", digest, "PACKAGE", page_size=1))
        assert pages == list(registry.occurrences("acme/origins", digest, "PACKAGE"))
    name = f"{server.host}/acme/origins:1"
    shown = cli("images", "packages", name).out
    head, _, *rows = (" ".join(line.split()) for line in shown.splitlines())
    cut = f"{COMMANDS[1][:59]}\N{HORIZONTAL ELLIPSIS}"
    assert head == "NAME VERSION TYPE LICENCE LAYER FILE"
    assert rows == [
        f"bash 5.2 OS 0 {COMMANDS[0]} var/lib/dpkg/status",
        f"django 3.2 PYPI BSD-3-Clause 2 COPY app[31m /app {DJANGO}",
        f"sed 4.9-1 OS 1 {cut} var/lib/dpkg/status",
    ]
    assert "\x1b" not in shown
    found = {
        each["name"]: each for each in cli("images", "packages", name, "--format", "json").document
    }
    assert found["django"]["license"] == {"expression": "BSD-3-Clause"}
    assert found["sed"]["architecture"] == "X64"
    (place,) = found["sed"]["location"]
    first, second = (each for each in json.loads(image.config)["rootfs"]["diff_ids"][:2])
    assert place == {
        "path": "var/lib/dpkg/status",
        "layerDetails": {
            "index": 1,
            "diffId": second,
            "chainId": f"sha256:{hashlib.sha256(f'{first} {second}'.encode()).hexdigest()}",
            "command": COMMANDS[1],
            "layerDigest": digest_of(image.layers[1]),
        },
    }
    # The same with what is wrong in it.
    record = advisory("DSA-1", affects("sed", {"introduced": "0"}))
    cli("feeds", "import", feed(tmp_path, record), "--name", "one")
    describe = ("images", "describe", name, "--show-package-vulnerability")
    assert "LAYER" not in cli(*describe).out
    said = cli(*describe, "--show-layers").out
    assert (
        "1 RUN apt-get install -y sed && rm -r /var/lib/apt/lists # cl\N{HORIZONTAL ELLIPSIS}"
        in said
    )
    document = cli(*describe, "--format", "json").document
    found = document["package_vulnerability_summary"]["vulnerabilities"]
    (issue,) = found["SEVERITY_UNSPECIFIED"][0]["vulnerability"]["packageIssue"]
    assert issue["fileLocation"] == [
        {"filePath": place["path"], "layerDetails": place["layerDetails"]}
    ]


def test_an_image_without_packages(server: CustomhouseServer, cli: CommandLine) -> None:
    with Registry(server) as registry:
        digest = registry.push("acme/bare", make_image({"motd": b"hello"}), "1")
        registry.discovery("acme/bare", digest)
    name = f"{server.host}/acme/bare:1"
    said = cli("images", "packages", name)
    assert said.out == ""
    assert f"No packages are known. See why: customhouse images describe {name}" in said.err
    assert cli("images", "packages", name, "--format", "json").document == []
    described = cli("images", "describe", name, "--show-package-vulnerability").out
    assert "those of dpkg, apk and rpm were looked for" in described


CHAIN = f"sha256:{hashlib.sha256(b'a b').hexdigest()}"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            {
                "history": [{"created_by": "x"}, {"created_by": "y"}],
                "rootfs": {"diff_ids": ["a", "b"]},
            },
            [Origin("x", "a", "a"), Origin("y", "b", CHAIN)],
        ),
        (
            {"history": [{"created_by": "x"}], "rootfs": {"diff_ids": ["a", "b"]}},
            [Origin("", "a", "a"), Origin("", "b", CHAIN)],
        ),
        (
            {"history": [{"created_by": " x\n\ty "}, {"empty_layer": True}, {}]},
            [Origin("x y"), Origin()],
        ),
        ({"history": [{"created_by": "x" * 9000}, {}]}, [Origin("x" * 500), Origin()]),
        ({"history": None, "rootfs": None}, [Origin(), Origin()]),
        ({"history": [{"created_by": 1}, {}]}, [Origin(), Origin()]),
        ([], [Origin(), Origin()]),
    ],
    ids=["both", "too short", "an empty layer", "long", "none", "no text", "a list"],
)
def test_configurations(config: object, expected: list[Origin]) -> None:
    assert origins.parse(json.dumps(config).encode(), 2) == expected


@pytest.mark.parametrize("config", [b"", b"{", b"\xff", b"[" * 100_000], ids=["0", "1", "2", "3"])
def test_what_is_no_configuration(config: bytes) -> None:
    assert origins.parse(config, 1) == [Origin()]


def test_pages_of_packages(database: Database) -> None:
    django = Package("django", "3", "", "django", "3", licence="BSD", ecosystem="PyPI")
    first = store_image(database, inventory(package("a=1"), package("b=1"), django))
    second = store_image(database, inventory(package("b=1"), package("c=1")))
    whole = database.read(packages.of_inventories, [first, second], 0, 100)
    assert sorted(row.name for row in whole) == ["a", "b", "b", "c", "django"]
    assert {row.licence for row in whole} == {"", "BSD"}
    for size in (1, 2, 3, 4):
        after, paged = 0, []
        while page := database.read(packages.of_inventories, [first, second], after, size):
            assert len({row.package_id for row in page}) <= size
            paged += page
            after = page[-1].package_id
        assert paged == whole
    assert database.read(packages.of_inventories, [], 0, 100) == []


def test_a_licence_that_was_not_in_reach_before(database: Database) -> None:
    plain = package("sed=1")
    contents = (plain, dataclasses.replace(plain, licence="GPL-3+"), plain)
    numbers = [
        store_image(database, msgspec.structs.replace(inventory(each), digest=f"sha256:{at:064}"))
        for at, each in enumerate(contents)
    ]
    for number in numbers:
        (row,) = database.read(packages.of_inventories, [number], 0, 10)
        assert row.licence == "GPL-3+"
