"""Searches: what answers a question, in which images, for whom, and on which base they stand."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from customhouse.analysis import holders, wanted
from customhouse.analysis.contents import IMAGE_CONTENT, LAYER_CHAIN
from customhouse.analysis.ecosystems import Package
from customhouse.analysis.sbom import attached
from customhouse.analysis.severity import Severity
from customhouse.errors import Code
from customhouse.iam import projects
from customhouse.iam.conditions import Circumstances
from customhouse.registry import repositories
from customhouse.registry.manifests import MANIFEST, REPOSITORY_MANIFEST
from tests.analysis.fleet import Fleet, diff_id
from tests.analysis.stored import LAYER, advisory, affects, inventory, load, package
from tests.iam.places import Place, check_refused
from tests.registry.conftest import ANA, PROVISIONER

if TYPE_CHECKING:
    from pathlib import Path

    from customhouse.analysis.inventory import Inventory
    from customhouse.database import Database, Transaction

FROM_THE_FIRST = {"introduced": "0"}


@pytest.fixture
def fleet(database: Database, tmp_path: Path) -> Fleet:
    """A registry on each engine, without images."""
    return Fleet(database, tmp_path)


def language(name: str, version: str, ecosystem: str) -> Package:
    """A package of a language, or of a system if an ecosystem of one is named."""
    return Package(name, version, "", name, version, ecosystem=ecosystem)


def holding(*found: Package, ecosystem: str | None = "Debian:12") -> Inventory:
    """An inventory of packages, which are those of a system where they name no ecosystem."""
    return inventory(*found, ecosystem=ecosystem)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"package": "a", "vulnerability": "CVE-1"},
        {"version": "1"},
        {"vulnerability": "CVE-1", "version": "<1"},
        {"vulnerability": "CVE-1", "ecosystem": "npm"},
        {"vulnerability": "CVE-1", "severity": "bad"},
        {"package": "a", "severity": "HIGH"},
        {"package": "a", "is_fixable": True},
        {"package": "a", "version": "<"},
        {"package": "a", "version": "!1"},
        {"package": "a", "version": "< 1 2"},
        {"package": "a", "version": "<=<1"},
        {"package": "a", "version": "<" + "1" * 300},
        {"package": "a", "version": "<x", "ecosystem": "npm"},
    ],
)
def test_what_is_no_question(asked: dict[str, Any]) -> None:
    check_refused(Code.SEARCH_INVALID, wanted.parse, **asked)


def test_versions_in_the_order_of_their_ecosystem(fleet: Fleet) -> None:
    for each in ("1.0", "1.9", "1.10"):
        fleet.add(f"acme/web:{each}", "", f"sed={each}")
    fleet.add("acme/web:other", "", "bash=1.9")
    for version, expected in {
        "": ["1.0", "1.10", "1.9"],
        "<1.10": ["1.0", "1.9"],
        "<=1.10": ["1.0", "1.10", "1.9"],
        "=1.9": ["1.9"],
        "1.9": ["1.9"],
        ">= 1.9": ["1.10", "1.9"],
        ">1.9": ["1.10"],
        "<1.0~rc1": [],
    }.items():
        found = fleet.names(package="sed", version=version)
        assert sorted(found) == [f"acme/web:{each}" for each in expected]


def test_each_ecosystem_has_its_own_order(fleet: Fleet) -> None:
    fleet.add("acme/debian:1", of=holding(package("lib=1.0.0+dfsg-1")))
    fleet.add("acme/npm:1", of=holding(language("lib", "1.0.0-rc.1", "npm")))
    fleet.add("acme/pypi:1", of=holding(language("Lib", "1.0rc1", "PyPI")))
    everything = ["acme/debian:1", "acme/npm:1", "acme/pypi:1"]
    assert fleet.names(package="lib") == everything
    assert fleet.names(package="LIB") == ["acme/pypi:1"]
    assert fleet.names(package="lib", version="<1.0.0") == ["acme/npm:1", "acme/pypi:1"]
    assert fleet.names(package="lib", ecosystem="npm") == ["acme/npm:1"]
    assert fleet.names(package="lib", ecosystem="debian:12") == ["acme/debian:1"]
    assert fleet.names(package="lib", ecosystem="Debian") == ["acme/debian:1"]
    assert fleet.names(package="lib", ecosystem="Deb") == []


def test_the_source_package_has_its_own_version(fleet: Fleet) -> None:
    libssl = package("libssl3=3.0.8-1+b1", "openssl=3.0.8-1")
    fleet.add("acme/web:1", of=holding(libssl))
    assert fleet.names(package="openssl", version="=3.0.8-1") == ["acme/web:1"]
    assert fleet.names(package="libssl3", version=">3.0.8-1") == ["acme/web:1"]
    assert fleet.names(package="libssl3", version="=3.0.8-1") == []


def test_sources_of_rpm_have_no_epoch(fleet: Fleet) -> None:
    libs = package("openssl-libs=1:3.0.7-1", "openssl=1:3.0.7-1")
    fleet.add("acme/web:1", of=holding(libs, ecosystem="Red Hat:enterprise_linux:9"))
    for version in ("<3.0.8-1", "<1:3.0.8-1"):
        assert fleet.names(package="openssl", version=version) == ["acme/web:1"]
    assert fleet.names(package="openssl-libs", version="<3.0.8-1") == []


def test_what_cannot_be_compared(fleet: Fleet) -> None:
    fleet.add("acme/web:1", of=holding(language("lib", "1.0", "PyPI")))
    fleet.add("acme/web:2", of=holding(package("lib=1.0"), ecosystem=None))

    def uncompared(version: str) -> list[str]:
        asked = wanted.parse(package="lib", version=version)
        return sorted(fleet.database.read(wanted.seek, asked).uncompared.values())

    assert uncompared("<2.0") == [""]
    assert uncompared("<2.0-1~deb12u1") == ["", "PyPI"]
    assert fleet.names(package="lib", version="<2.0") == ["acme/web:1"]
    # The same text is the same version, whatever orders it.
    assert fleet.names(package="lib", version="=1.0") == ["acme/web:1", "acme/web:2"]


def test_vulnerabilities_by_any_name(fleet: Fleet) -> None:
    fixed = affects("sed", FROM_THE_FIRST, {"fixed": "2"})
    records = [
        advisory("CVE-2024-1", fixed, database_specific={"severity": "HIGH"}, aliases=["GHSA-x"]),
        advisory("CVE-2024-2", affects("sed", FROM_THE_FIRST)),
        advisory("CVE-2024-3", affects("other", FROM_THE_FIRST)),
    ]
    load(fleet.database, *records)
    fleet.add("acme/web:1", "", "sed=1")
    fleet.add("acme/web:2", "", "sed=2")
    for name in ("CVE-2024-1", "GHSA-x", "cve-2024-1"):
        assert fleet.names(vulnerability=name) == ["acme/web:1"]
    (image,) = fleet.find(vulnerability="CVE-2024-1")
    (row,) = image.rows
    assert (row.name, row.version, row.fixed_version, row.severity) == ("sed", "1", "2", 4)
    assert (row.layer, row.layer_index) == (LAYER, 0)
    assert fleet.names(vulnerability="CVE-2024-2") == ["acme/web:1", "acme/web:2"]
    assert fleet.names(vulnerability="CVE-2024-2", is_fixable=True) == []
    assert fleet.names(vulnerability="CVE-2024-1", severity="high") == ["acme/web:1"]
    assert fleet.names(vulnerability="CVE-2024-1", severity="CRITICAL") == []
    assert Severity(row.severity) is Severity.HIGH

    def number(name: str) -> int:
        return fleet.database.read(wanted.seek, wanted.parse(vulnerability=name)).vulnerability

    assert number("CVE-2024-3")
    assert not number("CVE-2024-4")
    assert fleet.names(vulnerability="CVE-2024-3") == []


def test_pages_give_everything_once(fleet: Fleet) -> None:
    expected: list[tuple[str, ...]] = []
    for repository in ("acme/a", "acme/a-b", "acme/a/b", "beta/a"):
        for tag in ("1", "2", "3"):
            fleet.add(f"{repository}:{tag}", "", "sed=1")
            expected.append((repository, tag))
    pages: list[tuple[str, ...]] = []
    after = ("", 0)
    while page := fleet.find(after, 5, package="sed"):
        assert len(page) <= 5
        pages += [(image.repository, *image.tags) for image in page]
        after = page[-1].repository, page[-1].number
    assert pages == expected
    assert fleet.find(("zzz", 0), package="sed") == []


def test_the_same_image_in_two_repositories(fleet: Fleet) -> None:
    digest = fleet.add("acme/web:1", "", "sed=1")
    copy(fleet, digest, "beta/web")
    assert fleet.names(package="sed") == ["acme/web:1", "beta/web"]
    assert fleet.names(reach=("beta",), package="sed") == ["beta/web"]
    fleet.delete("acme/web", digest)
    assert fleet.names(package="sed") == ["beta/web"]


def copy(fleet: Fleet, digest: str, repository: str) -> None:
    """Let another repository hold an image too."""

    def link(tx: Transaction) -> None:
        number = repositories.ensure(tx, repository, ANA, PROVISIONER)
        manifest = tx.execute(select(MANIFEST.c.id).where(MANIFEST.c.digest == digest)).scalar()
        values = {
            "repository_id": number,
            "manifest_id": manifest,
            "pushed_at": 1,
            "pushed_by": "user:ana",
        }
        tx.execute(REPOSITORY_MANIFEST.insert(), values)

    fleet.database.write(link)


def test_tags_of_an_index_are_those_of_its_images(fleet: Fleet) -> None:
    digest = fleet.add("acme/web:amd64", "", "sed=1")
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [fleet.child("acme/web", digest)],
    }
    fleet.push("acme/web", document, "1.0", "latest")
    copy(fleet, digest, "beta/web")
    assert fleet.names(package="sed") == ["acme/web:1.0:amd64:latest", "beta/web"]


def test_bills_count_where_they_are(fleet: Fleet) -> None:
    digest = fleet.add("acme/web:1", "base own", "sed=1")
    copy(fleet, digest, "beta/web")
    told = inventory(package("curl=1"), package("sed=1"))
    referrer = fleet.bill("acme/web", b"{}", subject=digest)
    fleet.database.write(attached.put, attached.Link("acme/web", digest, referrer), told)
    assert fleet.names(package="curl") == ["acme/web:1"]
    assert fleet.names(package="sed") == ["acme/web:1", "beta/web"]
    assert fleet.names(reach=("beta",), package="curl") == []
    fleet.add("acme/base:1", "base")
    (base,) = fleet.bases(package="curl")
    assert [known.repository for known in base.known] == ["acme/base"]


def chains(fleet: Fleet) -> dict[tuple[str, ...], set[str]]:
    """The layers that each node stands for, with the digests of the images right above it."""

    def read(tx: Transaction) -> dict[tuple[str, ...], set[str]]:
        nodes = {row.id: row for row in tx.execute(select(LAYER_CHAIN))}
        found: dict[tuple[str, ...], set[str]] = {}
        paths: dict[int, tuple[str, ...]] = {0: ()}

        def path(number: int) -> tuple[str, ...]:
            if number not in paths:
                row = nodes[number]
                layers = tuple(json.loads(row.layers))
                assert layers[0] == row.first
                paths[number] = (*path(row.parent_id), *layers)
                assert len(paths[number]) == row.depth
            return paths[number]

        for number in nodes:
            found[path(number)] = set()
        content = select(IMAGE_CONTENT, MANIFEST.c.digest).join(MANIFEST)
        for row in tx.execute(content):
            if row.chain_id is not None:
                assert nodes[row.chain_id].parent_id == row.base_id
                found.setdefault(path(row.base_id), set()).add(row.digest)
        return found

    return fleet.database.read(read)


def test_the_tree_is_the_same_in_whatever_order_images_come(fleet: Fleet) -> None:
    paths = [
        "z",
        "z z",
        "z z z y",
        "z z z x",
        "a",
        "a b",
        "a b c d",
        "a b c e",
        "f g h",
        "f g i",
        "f g h j k",
        "a b",
        "l m",
        "a x",
    ]
    choice = random.Random(0)
    choice.shuffle(paths)
    for number, path in enumerate(paths):
        fleet.add(f"acme/web:{number}", path)
    nodes = {tuple(path) for path in chains(fleet)} - {()}
    expected = ["a", "a b", "a b c", "a b c d", "a b c e", "f g", "f g h", "f g i", "f g h j k"]
    expected += ["l m", "a x", "z", "z z", "z z z", "z z z y", "z z z x"]
    assert nodes == {tuple(map(diff_id, path.split())) for path in expected}


def test_an_image_that_is_analysed_again_stays_where_it_is(fleet: Fleet) -> None:
    for _ in range(2):
        fleet.add("acme/web:1", "a b", "sed=1")
    assert len(chains(fleet)) == 2
    assert fleet.names(package="sed") == ["acme/web:1"]


def test_layers_that_nobody_tells(fleet: Fleet) -> None:
    fleet.add("acme/web:1", "", "sed=1")
    assert chains(fleet) == {}
    assert fleet.names(package="sed") == ["acme/web:1"]
    assert fleet.bases(package="sed") == []


def told(fleet: Fleet, **asked: Any) -> list[tuple[int, int, list[str]]]:
    """How many images stand on each base, its layers, and the images that it is."""
    return [
        (base.images, base.depth, [":".join((each.repository, *each.tags)) for each in base.known])
        for base in fleet.bases(**asked)
    ]


def test_the_longest_base_that_images_share(fleet: Fleet) -> None:
    fleet.add("base/debian:12", "d")
    fleet.add("base/python:3.12", "d p1 p2")
    fleet.add("acme/web:1", "d p1 p2 w1", "sed=1")
    fleet.add("acme/web:2", "d p1 p2 w2", "sed=1")
    assert told(fleet, package="sed") == [(2, 3, ["base/python:3.12"])]
    fleet.add("acme/tool:1", "d t", "sed=1")
    assert told(fleet, package="sed") == [
        (3, 1, ["base/debian:12"]),
        (2, 3, ["base/python:3.12"]),
    ]
    fleet.add("acme/other:1", "x y", "sed=1")
    assert len(told(fleet, package="sed")) == 2
    assert told(fleet, package="nothing") == []


def test_a_base_that_is_no_image_here(fleet: Fleet) -> None:
    fleet.add("acme/web:1", "d p w1", "sed=1")
    fleet.add("acme/web:2", "d p w2", "sed=1")
    (base,) = fleet.bases(package="sed")
    assert (base.images, base.depth, base.known) == (2, 2, ())
    assert base.layer["command"] == "make p"
    assert base.layer["diffId"] == diff_id("p")
    assert base.layer["index"] == 1
    assert base.layer["layerDigest"].startswith("sha256:")


def test_the_base_of_one_image(fleet: Fleet) -> None:
    fleet.add("acme/web:1", "d p w1", "sed=1")
    fleet.add("acme/web:2", "d p w2")
    assert told(fleet, package="sed") == []
    fleet.add("base/debian:12", "d")
    fleet.add("base/debian:bookworm", "d")
    ((images, depth, known),) = told(fleet, package="sed")
    assert (images, depth) == (1, 1)
    assert sorted(known) == ["base/debian:12", "base/debian:bookworm"]


def test_nothing_is_told_of_images_out_of_reach(fleet: Fleet) -> None:
    reach = ("acme",)
    fleet.add("acme/web:1", "d p q w1", "sed=1")
    fleet.add("acme/web:2", "d p q w2", "sed=1")
    alone = told(fleet, reach=reach, package="sed")
    assert alone == [(2, 3, [])]
    # Part of the way, the whole way, and further up with one of the two.
    fleet.add("hidden/a:1", "d p", "sed=1")
    fleet.add("hidden/a:2", "d p q", "sed=1")
    fleet.add("hidden/a:3", "d p q w1", "sed=1")
    fleet.add("hidden/a:4", "d z", "sed=1")
    assert told(fleet, reach=reach, package="sed") == alone
    assert fleet.names(reach=reach, package="sed") == ["acme/web:1", "acme/web:2"]
    assert fleet.names(reach=(), package="sed") == []
    assert len(fleet.names(package="sed")) == 6


def test_against_brute_force(fleet: Fleet) -> None:
    choice = random.Random(7)
    images = []
    for number in range(40):
        path = ["root", *(choice.choice("ab") for _ in range(choice.randrange(6)))]
        path = [f"{i}{layer}" for i, layer in enumerate(path)]
        project = choice.choice(["acme", "hidden"])
        fleet.add(f"{project}/web:{number}", " ".join(path), "sed=1")
        images.append((project, tuple(path)))
    mine = [path for project, path in images if project == "acme"]

    def standing(base: tuple[str, ...]) -> int:
        return sum(len(path) > len(base) and path[: len(base)] == base for path in mine)

    possible = {path[:length] for path in mine for length in range(1, len(path))}
    known = [base for base in possible if base in mine]
    expected = {
        (standing(base), len(base))
        for base in known
        if not any(
            other != base and other[: len(base)] == base and standing(other) == standing(base)
            for other in known
        )
    }
    found = fleet.bases(reach=("acme",), package="sed")
    shown = {(base.images, base.depth) for base in found if base.known}
    assert shown <= expected
    most = max(map(standing, known))
    assert found[0].images == most
    assert len(found) == 10 or shown == expected


def test_in_which_projects_one_may_search(database: Database) -> None:
    place = Place(database)
    viewer, other = "roles/containeranalysis.occurrences.viewer", "example.com:proj"
    is_p = 'resource.name.startsWith("projects/p")'
    place.give("projects/p", viewer, "user:ana")
    place.give("organizations/customhouse", viewer, "user:ben", condition=is_p)
    place.give("projects/p/repositories/**", viewer, "user:eve")

    def reach(name: str) -> holders.Reach:
        who = place.principal(name)
        return database.read(holders.reach, place.access, who, Circumstances())

    assert reach("root") is None
    assert reach("ana") == ("p",)
    assert reach("ben") == ("p",)
    assert reach("eve") == ()
    place.give(f"projects/{other}", viewer, "user:ana")
    assert reach("ana") == ("example.com/proj", "p")
    database.write(projects.delete, "p")
    assert reach("root") == reach("ana") == ("example.com/proj",)
    assert reach("ben") == ()


def test_many_projects_and_many_packages(fleet: Fleet) -> None:
    fleet.add("acme/web:1", "", "sed=1")
    reach = ("acme", *(f"project-{number}" for number in range(33_000)))
    assert fleet.names(reach=reach, package="sed") == ["acme/web:1"]
    sought = wanted.Sought(tuple(range(1, 33_000)))
    (image,) = fleet.database.read(holders.page, sought, reach, ("", 0), 10)
    assert [row.name for row in image.rows] == ["sed"]
    assert fleet.database.read(holders.tally, sought, reach).images == 1
