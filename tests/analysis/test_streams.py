"""Red Hat's streams: which an image has, and that their fixes count before the main ones."""

from __future__ import annotations

import gzip
import json
import re
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from customhouse.analysis.ecosystems import Package, scheme_of
from customhouse.analysis.feeds import Advisory, csaf
from customhouse.analysis.inventory import merge
from customhouse.analysis.layers import decode, encode
from customhouse.analysis.systems import System, recognise
from customhouse.analysis.systems.streams import is_built_later, streams
from tests.analysis import stored
from tests.analysis.ecosystems import rpm_databases
from tests.analysis.feeds.test_csaf_redhat import document, real
from tests.analysis.stored import advisory, affects, found_in, load, store_image
from tests.analysis.tars import file, read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from customhouse.analysis.inventory import Inventory
    from customhouse.database import Database

BASEOS = "rhel-8-for-x86_64-baseos-eus-rpms__8_DOT_4"
EUS = "Red Hat:rhel_eus:8.4"
FIRST = {"introduced": "0"}


@pytest.mark.parametrize(
    ("sets", "version", "expected"),
    [
        ([BASEOS], "8.4", [EUS]),
        ([BASEOS], "8.4.1", [EUS]),
        ([BASEOS], "8", [EUS]),
        # The base image was of 8.2 and has been updated since.
        ([BASEOS, "rhel-8-for-x86_64-baseos-eus-rpms__8_DOT_2"], "8.4", [EUS]),
        ([BASEOS, "rhel-8-for-x86_64-baseos-eus-rpms__8_DOT_2"], "8", []),
        ([BASEOS], "8.6", []),
        ([BASEOS], "9.4", []),
        ([BASEOS], "", []),
        ([BASEOS], "8.x", []),
        (["rhel-8-for-x86_64-baseos-eus-rpms"], "8.4", [EUS]),
        (["rhel-8-for-x86_64-baseos-eus-rpms"], "8", []),
        ([BASEOS, "rhel-8-for-x86_64-nfv-tus-rpms__8_DOT_4"], "8.4", [EUS, "Red Hat:rhel_tus:8.4"]),
        (["rhel-9-for-x86_64-appstream-e4s-rpms__9_DOT_2"], "9.2", ["Red Hat:rhel_e4s:9.2"]),
        (["rhel-7-server-eus-rpms__7_DOT_6__x86_64"], "7.6", ["Red Hat:rhel_eus:7.6"]),
        (
            ["rhel-7-server-aus-optional-debug-rpms__7_DOT_6__x86_64"],
            "7.6",
            ["Red Hat:rhel_aus:7.6"],
        ),
        (
            ["rhel-10-for-x86_64-baseos-eus-rpms"],
            "10.0",
            ["Red Hat:enterprise_linux_e2s:10.0", "Red Hat:enterprise_linux_eus:10.0"],
        ),
        (["rhel-8-for-x86_64-baseos-rpms", "ubi-8-for-x86_64-baseos-rpms"], "8.4", []),
        (["dirsrv-11-for-rhel-8-x86_64-eus-rpms__8_DOT_4"], "8.4", []),
        (["rhel-7-server-openstack-13-eus-rpms"], "7.6", []),
        ([f"{BASEOS}\n", f" {BASEOS}", BASEOS.upper(), ""], "8.4", []),
    ],
)
def test_content_sets_tell_streams(sets: list[str], version: str, expected: list[str]) -> None:
    assert list(streams(sets, version)) == expected
    assert {scheme_of(each) for each in expected} <= {"rpm"}


def test_huge_names_take_no_time() -> None:
    started = time.process_time()
    for repeated in ("-eus", "-eus-rpms", "__8_DOT_4", "-"):
        streams([f"rhel-8{repeated * 100}"] * 1000, "8.4")
    assert time.process_time() - started < 2


def entries(shared_data: Path) -> Iterator[tuple[str, set[str]]]:
    """The sets of Red Hat's own table, with the products and versions in their CPEs."""
    path = shared_data / "redhat" / "repository-to-cpe.json.gz"
    product = re.compile(r"cpe:/[ao]:redhat:(\w+:[0-9]+\.[0-9]+)").match
    for name, entry in json.loads(gzip.decompress(path.read_bytes()))["data"].items():
        yield name, {match[1] for each in entry["cpes"] if (match := product(each))}


def test_the_rules_hold_against_the_table_of_red_hat(shared_data: Path) -> None:
    """Of 2,146 sets with a release three differ, in which the table is at odds with the name."""
    agreed, differing, missed = 0, set(), set()
    for name, said in entries(shared_data):
        stream = re.search(r"-(?:eus|e4s|aus|tus)-.*__([0-9]+)_DOT_([0-9]+)", name)
        expected = {each for each in said if re.match(r"rhel_(eus|e4s|aus|tus):", each)}
        version = f"{stream[1]}.{stream[2]}" if stream else "8.4"
        found = {each.removeprefix("Red Hat:") for each in streams([name], version)}
        if stream and found:
            agreed += found == expected
            differing |= {name} if found != expected else set()
        elif stream and expected:
            missed.add(name)
    assert all(name.startswith("rhel-rs-for-rhel-7-server-eus-") for name in differing)
    assert len(differing) == 3
    assert agreed == 2143
    # Add-ons for SAP had streams of the system in 6 alone.
    assert {re.sub("-(debug-|source-)?rpms.*", "", name) for name in missed} == {
        "rhel-sap-for-rhel-6-server-eus",
        "rhel-sap-hana-for-rhel-6-server-eus",
    }


def test_sets_without_a_release_hold_against_the_table_of_red_hat(shared_data: Path) -> None:
    """For each release: the rules name what the table does, or more that has no fixes (yet).

    Only AUS and TUS of some releases had E4S's fixes too, which is told by no name.
    """
    same, more, fewer = 0, 0, []
    stream = re.compile(r"(rhel_(eus|e4s|aus|tus)|enterprise_linux_e2s):").match
    for name, said in entries(shared_data):
        if "_DOT_" in name:
            continue
        for version in sorted({each.partition(":")[2] for each in said}):
            found = {each.removeprefix("Red Hat:") for each in streams([name], version)}
            if not found:
                continue
            expected = {each for each in said if stream(each) and each.endswith(f":{version}")}
            same += found == expected
            more += found > expected
            if expected - found:
                fewer.append((name, (expected - found).pop()))
    assert (same, more, len(fewer)) == (1892, 261, 71)
    assert {each.partition(":")[0] for _, each in fewer} == {"rhel_e4s"}
    assert all(re.search("-(aus|tus)-", name) for name, _ in fewer)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1:1.1.1g-16.el8_4", False),
        ("1:1.1.1g-15.el8_3", False),
        ("1:1.1.1k-5.el8_5", True),
        ("1:1.1.1k-7.el8_10.1", True),
        ("1:1.1.1k-4.el8", False),
        ("1.0-1.el8.9", False),
        ("14.1-1.module+el8.4.0+22599+b1ae9cc1", False),
        ("14.1-1.module+el8.6.0+22599+b1ae9cc1", True),
        ("1.0-1.el9_1", True),
        ("1.0-1", False),
    ],
)
def test_what_was_built_later_is_of_the_main_releases(version: str, expected: bool) -> None:
    assert is_built_later(EUS, version) is expected
    assert not is_built_later("Red Hat:8", version)
    assert not is_built_later("AlmaLinux:8", version)


@pytest.mark.parametrize(
    ("release", "also"),
    [
        ("ID=rhel\nVERSION_ID=8.4", (EUS,)),
        ("ID=centos\nVERSION_ID=8.4", ()),
        ("ID=almalinux\nVERSION_ID=8.4", ()),
        ("ID=debian\nVERSION_ID=8", ()),
    ],
)
def test_only_red_hat_has_streams(release: str, also: tuple[str, ...]) -> None:
    system = recognise({"etc/os-release": release.encode()}, [BASEOS])
    assert system
    assert system.also == also


def rhel(*packages: str, also: tuple[str, ...] = (EUS,), arch: str = "x86_64") -> Inventory:
    """The inventory of an image of Red Hat's with packages `NAME=VERSION`."""
    split = (each.partition("=") for each in packages)
    made = [Package(name, version, arch, name, version) for name, _, version in split]
    system = System("rhel", "8.4", "Red Hat Enterprise Linux 8.4", "Red Hat:8", also)
    found = stored.inventory(*made)
    digest = f"{found.digest}{also}"
    return msgspec.structs.replace(found, system=system, digest=digest)


def about(ecosystem: str, fixed: str = "", name: str = "openssl") -> dict[str, Any]:
    events = (FIRST, {"fixed": fixed}) if fixed else (FIRST,)
    return affects(name, *events, ecosystem=ecosystem)


def found(database: Database, number: int) -> list[tuple[str, str, str | None]]:
    rows = found_in(database, number)
    return sorted((row.vulnerability, row.name, row.fixed_version) for row in rows)


MAIN_FIX, STREAM_FIX = "1:1.1.1k-6.el8_5", "1:1.1.1g-16.el8_4"
RECORDS = (
    # of both, fixed in the stream by another version
    advisory("CVE-2021-0001", about("Red Hat:8", MAIN_FIX), about(EUS, STREAM_FIX)),
    # of both, not fixed in the stream yet
    advisory("CVE-2021-0002", about("Red Hat:8", MAIN_FIX), about(EUS)),
    # unfixed, which is told of the main releases alone
    advisory("CVE-2021-0003", about("Red Hat:8")),
    # in the stream another package
    advisory("CVE-2021-0004", about("Red Hat:8", MAIN_FIX), about(EUS, STREAM_FIX, "openssl-libs")),
    # another stream
    advisory("CVE-2021-0005", about("Red Hat:8", MAIN_FIX), about("Red Hat:rhel_eus:8.2", "1-1")),
)


@pytest.mark.parametrize("image_first", [True, False])
@pytest.mark.parametrize(
    ("version", "also", "expected"),
    [
        (
            "1:1.1.1g-16.el8_4",
            (EUS,),
            {"0002": None, "0003": None, "0004": MAIN_FIX, "0005": MAIN_FIX},
        ),
        (
            "1:1.1.1g-15.el8_3",
            (EUS,),
            {"0001": STREAM_FIX, "0002": None, "0003": None, "0004": MAIN_FIX, "0005": MAIN_FIX},
        ),
        (
            "1:1.1.1g-16.el8_4",
            (),
            {"0001": MAIN_FIX, "0002": MAIN_FIX, "0003": None, "0004": MAIN_FIX, "0005": MAIN_FIX},
        ),
        (
            "1:1.1.1k-5.el8_5",
            (EUS,),
            {"0001": MAIN_FIX, "0002": MAIN_FIX, "0003": None, "0004": MAIN_FIX, "0005": MAIN_FIX},
        ),
    ],
)
def test_what_a_stream_says_counts_before_the_main_releases(
    database: Database,
    image_first: bool,
    version: str,
    also: tuple[str, ...],
    expected: dict[str, str | None],
) -> None:
    image = rhel(f"openssl={version}", also=also)
    if image_first:
        number = store_image(database, image)
        load(database, *RECORDS)
    else:
        load(database, *RECORDS)
        number = store_image(database, image)
    assert {name[-4:]: fix for name, _, fix in found(database, number)} == expected


def test_one_database_has_images_with_and_without_a_stream(database: Database) -> None:
    load(database, *RECORDS)
    text = "openssl=1:1.1.1g-16.el8_4"
    numbers = [store_image(database, rhel(text, also=also)) for also in ((EUS,), ())]
    assert [len(found(database, number)) for number in numbers] == [4, 5]


def test_a_stream_that_changes_its_word(database: Database) -> None:
    number = store_image(database, rhel("openssl=1:1.1.1g-16.el8_4"))
    main = about("Red Hat:8", MAIN_FIX)
    load(database, advisory("CVE-2021-0001", main))
    assert found(database, number) == [("CVE-2021-0001", "openssl", MAIN_FIX)]
    load(
        database,
        advisory("CVE-2021-0001", main, about(EUS, STREAM_FIX), modified="2021-01-02T00:00:00Z"),
    )
    assert found(database, number) == []
    load(database, advisory("CVE-2021-0001", main, modified="2021-01-03T00:00:00Z"))
    assert found(database, number) == [("CVE-2021-0001", "openssl", MAIN_FIX)]


def test_two_feeds_and_advisories_about_several_vulnerabilities(database: Database) -> None:
    """A stream's advisory counts before the main ones of another feed, for all that it fixes."""
    number = store_image(database, rhel("openssl=1:1.1.1g-16.el8_4"))
    load(
        database,
        advisory("CVE-2021-0001", about("Red Hat:8", MAIN_FIX)),
        advisory("CVE-2021-0002", about("Red Hat:8", MAIN_FIX)),
        advisory("CVE-2021-0003", about("Red Hat:8", MAIN_FIX)),
        feed="one",
    )
    several = advisory(
        "RHSA-2021:1", about(EUS, STREAM_FIX), related=["CVE-2021-0001", "CVE-2021-0002"]
    )
    load(database, several, feed="two")
    assert found(database, number) == [("CVE-2021-0003", "openssl", MAIN_FIX)]


def test_a_stream_for_another_architecture_says_nothing(database: Database) -> None:
    number = store_image(database, rhel("openssl=1:1.1.1g-16.el8_4"))
    parsed = stored.parsed_document(RECORDS[0])

    def of(arches: tuple[str, ...]) -> Advisory:
        rows = (
            msgspec.structs.replace(row, arches=arches) if row.ecosystem == EUS else row
            for row in parsed.affected
        )
        made: Advisory = msgspec.structs.replace(parsed, affected=tuple(rows))
        return made

    stored.store(database, (of(("ppc64le",)), b"1"))
    assert found(database, number) == [("CVE-2021-0001", "openssl", MAIN_FIX)]
    stored.store(database, (of(("ppc64le", "x86_64")), b"2"))
    assert found(database, number) == []


def image(*sets: str) -> Inventory:
    """An image in two layers: a base, and what tells its sets with curl of 9.0 EUS."""
    tags = {
        1000: "curl",
        1001: "7.76.1",
        1002: "14.el9_0.9",
        1022: "x86_64",
        1044: "curl-7.76.1-14.el9_0.9.src.rpm",
    }
    layers = [
        read(
            file("etc/os-release", b"ID=rhel\nVERSION_ID=9.0\n"),
            file(
                "root/buildinfo/content_manifests/ubi9-container-9.0-1.json",
                b'{"content_sets": ["ubi-9-for-x86_64-baseos-rpms"]}',
            ),
        ),
        read(
            file("var/lib/rpm/Packages.db", rpm_databases.ndb([rpm_databases.header(tags)])),
            file(
                "root/buildinfo/content_manifests/app-1-1.json",
                json.dumps({"content_sets": sets}).encode(),
            ),
        ),
    ]
    return merge((str(at), decode(encode(each))) for at, each in enumerate(layers))


def test_an_image_of_a_stream(database: Database, shared_data: Path) -> None:
    """CVE-2023-38545 is fixed in 9.0 EUS by 7.76.1-14.el9_0.9, in 9 by 7.76.1-26.el9_3.2."""
    stored.store(database, (real(shared_data, "csaf-vex/cve-2023-38545.json"), b"1"))
    one = image("rhel-9-for-x86_64-baseos-eus-rpms__9_DOT_0")
    other = image("rhel-9-for-x86_64-baseos-rpms")
    assert one.system
    assert one.system.also == ("Red Hat:rhel_eus:9.0",)
    assert other.system
    assert other.system.also == ()
    assert one.digest != other.digest
    assert found(database, store_image(database, one)) == []
    ((name, package, fix),) = found(database, store_image(database, other))
    assert (name, package) == ("CVE-2023-38545", "curl")
    assert fix
    assert fix.endswith(".el9_3.2")


def test_a_document_of_red_hat_about_a_stream(database: Database) -> None:
    fixed = "pkg:rpm/redhat/openssl@1.1.1g-16.el8_4?arch=x86_64&epoch=1"
    record = csaf.parse(document((fixed,), cpe="cpe:/o:redhat:rhel_eus:8.4::baseos"))
    load(database, advisory("CVE-2024-1234", about("Red Hat:8", MAIN_FIX)), feed="main")
    stored.store(database, (record, b"1"), feed="streams")
    old, new = (rhel(f"openssl=1:1.1.1g-{n}.el8_4") for n in (15, 16))
    assert [fix for *_, fix in found(database, store_image(database, old))] == [STREAM_FIX]
    assert found(database, store_image(database, new)) == []
