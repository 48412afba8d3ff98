"""A bad record is rejected and counted and the rest is loaded; a bad range matches nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from customhouse.analysis import loading
from customhouse.analysis.loading import Outcome, Plan
from tests.analysis.feeds import test_csaf_redhat as csaf
from tests.analysis.feeds import test_debian_tracker as tracker
from tests.analysis.feeds import test_updateinfo as updateinfo
from tests.analysis.feeds.osv.records import encoded
from tests.analysis.feeds.test_epss import HEAD
from tests.analysis.feeds.test_kev import ENTRY, catalogue
from tests.analysis.feeds.test_secdb import HEAD as SECDB
from tests.analysis.stored import advisory, affects, found_in, inventory, package, store_image

if TYPE_CHECKING:
    from pathlib import Path

    from customhouse.database import Database

AMAZON = "Amazon Linux:2023"
SHAPES: list[Any] = [None, True, 7, 1.5, "x", [], [1], {}, {"a": 1}]
PURL = "pkg:rpm/redhat/a@1-1.el9?arch=x86_64"
GOOD_CSAF = json.loads(csaf.document(fixed=(PURL,)))
GOOD_ISSUE = tracker.issue(tracker.release(fixed_version="2"))
GOOD_FIXES = {"1-r0": ["CVE-2020-1234"]}

# By form: a file of one good record (or two in `updateinfo`) and bad ones, and how many are read
# and rejected of it.
FILES: dict[str, tuple[bytes, int, int]] = {
    "osv": (
        b"\n".join(
            [encoded(id="A-1"), *(json.dumps(each).encode() for each in SHAPES), encoded(id="B-2")]
        ),
        *(2, len(SHAPES)),
    ),
    "osv, each field": (
        b"\n".join(
            [
                *(encoded(**{"id": "A-1", field: 7}) for field in json.loads(encoded())),
                *(encoded(affected=[each]) for each in (7, {"package": 7}, {"ranges": 7})),
                encoded(id="B-2"),
            ]
        ),
        *(1, len(json.loads(encoded())) + 3),
    ),
    "csaf": (
        json.dumps(
            [
                *({**GOOD_CSAF, "vulnerabilities": each} for each in (7, [7], [{"cve": 7}])),
                *({**GOOD_CSAF, "product_tree": each} for each in (7, {"branches": 7})),
                {**GOOD_CSAF, "document": {"category": "csaf_vex"}},
                GOOD_CSAF,
            ]
        ).encode(),
        *(1, 6),
    ),
    "secdb": (
        json.dumps(
            {
                **SECDB,
                "distroversion": "v3.19",
                "packages": [
                    *({"pkg": {"name": "a", "secfixes": each}} for each in ([1], 7, {"1-r0": 7})),
                    *({"pkg": each} for each in (7, "x", {"name": 7, "secfixes": {}})),
                    {"pkg": {"name": "b", "secfixes": GOOD_FIXES}},
                ],
            }
        ).encode(),
        *(1, 6),
    ),
    "debian-tracker": (
        json.dumps(
            {
                "a": {"CVE-2024-1000": GOOD_ISSUE, "CVE-2024-1001": 7, "CVE-1": GOOD_ISSUE},
                **{f"b{at}": each for at, each in enumerate((None, 7, "x", [1]))},
            }
        ).encode(),
        *(1, 6),
    ),
    "updateinfo": (
        (
            "<updates>"
            + updateinfo.update(updateinfo.package(), head='<update type="security"><id>?</id>')
            + updateinfo.update(updateinfo.package())
            + updateinfo.update("<package/>", head=updateinfo.HEAD.replace("-001", "-002"))
            + "</updates>"
        ).encode(),
        *(2, 2),
    ),
    "epss": (HEAD + b"CVE-2024-1234,0.5,0.5\nCVE-2024-1235,x,1\nCVE-2024-1236\n7\n", 1, 3),
    "kev": (catalogue(ENTRY, *SHAPES), 1, len(SHAPES)),
}


def load(database: Database, path: Path, content: bytes, ecosystem: str = "") -> Outcome:
    """Load a file."""
    path.write_bytes(content)
    return loading.load(database, path, Plan("it", ecosystem=ecosystem), lambda read, total: None)


@pytest.mark.parametrize("form", FILES)
def test_the_rest_of_a_feed_is_loaded(database: Database, tmp_path: Path, form: str) -> None:
    content, read, rejected = FILES[form]
    found = load(database, tmp_path / "feed.json", content, AMAZON if form == "updateinfo" else "")
    assert (found.read, found.changed, found.rejected) == (read, read, rejected), found.rejects
    assert all(each["name"] and each["reason"] for each in found.rejects)


def event(text: str) -> dict[str, str]:
    """Read a short form: `+1` introduced, `-2` fixed, `=3` last affected, `!4` limit."""
    kinds = {"+": "introduced", "-": "fixed", "=": "last_affected", "!": "limit"}
    return {kinds[text[0]]: text[1:]}


# What matches of the versions 1 to 5, and how many ranges are rejected. By the schema's evaluation
# an event that comes before all introduced ones, such as a lower fix, changes nothing.
RANGES = [
    ("-2", "", 1),
    ("=2", "", 1),
    ("!2", "", 1),
    ("", "", 1),
    ("+0 -0", "", 0),
    ("+3 -3", "", 0),
    ("+3 !2", "", 0),
    ("+9 =2", "", 0),
    ("+4 -2", "45", 0),
    ("+4 =2", "45", 0),
    ("+2 +3 -4 -5", "23", 0),
    ("+0 -2 !1", "", 0),
    ("+1: -2", "", 1),
    ("+0 -é", "", 1),
    ("+0 =\0", "", 1),
    ("+0 -" + "9" * 5000, "", 1),
    ("+0 !-", "", 1),
]


@pytest.mark.parametrize(("events", "versions", "rejected"), RANGES, ids=range(len(RANGES)))
def test_ranges_that_make_no_sense(
    database: Database, tmp_path: Path, events: str, versions: str, rejected: int
) -> None:
    image = store_image(database, inventory(*(package(f"p={n}") for n in range(1, 6))))
    made = {"type": "ECOSYSTEM", "events": [event(each) for each in events.split(" ") if each]}
    record = advisory("A-1", {**affects("p"), "ranges": [made]})
    found = load(database, tmp_path / "feed.json", record)
    assert (found.read, found.rejected) == (1, rejected), found.rejects
    assert "".join(sorted(row.version for row in found_in(database, image))) == versions


def test_thousands_of_ranges_that_overlap(database: Database, tmp_path: Path) -> None:
    image = store_image(database, inventory(*(package(f"p={n}") for n in range(1, 6))))
    made = [
        {"type": "ECOSYSTEM", "events": [{"introduced": f"2.{n}"}, {"fixed": f"4.{n}"}]}
        for n in range(3000)
    ]
    record = advisory("A-1", {**affects("p"), "ranges": made})
    found = load(database, tmp_path / "feed.json", record)
    assert (found.read, found.rejected, found.ranges) == (1, 0, 3000)
    assert [row.version for row in found_in(database, image)] == ["3", "4"]
