"""A feed takes the place of what was loaded of it before, or nothing of it is loaded."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from customhouse.analysis import advisories, findings, imports, loading
from customhouse.analysis.advisories import ADVISORY, AFFECTED, UNMATCHED
from customhouse.analysis.exploits import EPSS, KEV
from customhouse.analysis.feeds import parse
from customhouse.analysis.loading import Outcome, Plan
from customhouse.errors import Code, Failure
from customhouse.events import FindingsChanged
from customhouse.workflows import operations, outbox
from tests.analysis.stored import advisory, affects, found_in, inventory, package, store_image

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Table

    from customhouse.database import Database

FROM_THE_FIRST = {"introduced": "0"}


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    """A folder for a feed."""
    path = tmp_path / "feed"
    path.mkdir()
    return path


def write(feed: Path, *numbers: int, fixed: str = "2-1") -> None:
    """Make the feed consist of records about packages with these numbers."""
    for path in feed.iterdir():
        path.unlink()
    for n in numbers:
        content = advisory(f"DSA-{n}", affects(f"p{n}", FROM_THE_FIRST, {"fixed": fixed}))
        feed.joinpath(f"DSA-{n}.json").write_bytes(content)


def load(database: Database, path: Path, name: str = "debian", **how: object) -> Outcome:
    """Load the feed."""
    return loading.load(database, path, Plan(name, **how), lambda read, total: None)  # type: ignore[arg-type]  # by name


def count(database: Database, table: Table) -> int:
    """How many rows a table has."""
    return database.read(
        lambda tx: tx.execute(select(func.count()).select_from(table)).scalar_one()
    )


def image(database: Database) -> int:
    """An image with ten packages; each is affected by the advisory of its number."""
    return store_image(database, inventory(*(package(f"p{n}=1-1") for n in range(10))))


def found(database: Database, number: int) -> list[str]:
    """The advisories that the image is affected by."""
    return sorted(row.advisory for row in found_in(database, number))


def test_what_the_feed_no_longer_has_is_gone(database: Database, feed: Path) -> None:
    number = image(database)
    write(feed, *range(10))
    first = load(database, feed)
    assert (first.read, first.changed, first.removed) == (10, 10, 0)
    assert len(found(database, number)) == 10
    write(feed, *range(1, 9))
    second = load(database, feed)
    assert (second.read, second.changed, second.removed) == (8, 0, 2)
    assert found(database, number) == [f"DSA-{n}" for n in range(1, 9)]
    assert count(database, ADVISORY) == count(database, AFFECTED) == 8
    assert count(database, UNMATCHED) == 0
    # And it may come again.
    write(feed, *range(10))
    third = load(database, feed)
    assert (third.read, third.changed, third.removed) == (10, 2, 0)
    assert len(found(database, number)) == 10


def test_a_feed_that_shrinks_leaves_what_was_there(database: Database, feed: Path) -> None:
    number = image(database)
    write(feed, *range(10))
    load(database, feed)
    write(feed, *range(7), fixed="1-1")
    with pytest.raises(Failure) as refused:
        load(database, feed, max_shrink=0.2)
    assert refused.value.code is Code.FEED_SHRUNK
    assert "3 of 10" in refused.value.message
    # Nothing is loaded, also not what is new in it.
    assert len(found(database, number)) == 10
    assert load(database, feed, max_shrink=0.3).removed == 3
    assert found(database, number) == []


def test_adding_removes_nothing(database: Database, feed: Path) -> None:
    write(feed, 1, 2)
    load(database, feed)
    write(feed, 3)
    outcome = load(database, feed, is_whole=False)
    assert (outcome.changed, outcome.removed) == (1, 0)
    assert count(database, ADVISORY) == 3


def test_other_feeds_are_left_alone(database: Database, feed: Path) -> None:
    write(feed, 1, 2)
    load(database, feed, name="one")
    write(feed, 2, 3)
    load(database, feed, name="other")
    write(feed, 3, 4)
    load(database, feed, name="other", max_shrink=1)
    rows = database.read(lambda tx: tx.execute(select(ADVISORY.c.feed, ADVISORY.c.name)).all())
    assert sorted(map(tuple, rows)) == [
        *(("one", f"DSA-{n}") for n in (1, 2)),
        *(("other", f"DSA-{n}") for n in (3, 4)),
    ]


def test_a_record_that_is_damaged_stays_as_it_was(database: Database, feed: Path) -> None:
    number = image(database)
    write(feed, 1, 2)
    load(database, feed)
    feed.joinpath("DSA-1.json").write_bytes(b'{"id": "DSA-1", "affected": 7}')
    outcome = load(database, feed, max_shrink=1)
    assert (outcome.rejected, outcome.removed) == (1, 0)
    assert found(database, number) == ["DSA-1", "DSA-2"]


def test_a_feed_without_a_record_is_refused(database: Database, feed: Path) -> None:
    write(feed, 1)
    load(database, feed)
    feed.joinpath("DSA-1.json").write_bytes(b"{}")
    with pytest.raises(Failure) as refused:
        load(database, feed, max_shrink=1)
    assert refused.value.code is Code.FEED_INVALID
    assert count(database, ADVISORY) == 1


def test_a_load_that_broke_off_is_begun_again(database: Database, feed: Path) -> None:
    """What was withdrawn and not yet matched or dropped is so by the next load."""
    number = image(database)
    write(feed, 1, 2)
    load(database, feed)
    known = database.read(advisories.known, "debian")
    numbers = database.read(advisories.numbers, "debian", ["DSA-1"])
    database.write(advisories.withdraw, list(numbers.values()))
    # It is shown until it is matched.
    assert found(database, number) == ["DSA-1", "DSA-2"]
    write(feed, 2)
    outcome = load(database, feed, max_shrink=0.5)
    assert outcome.removed == 1
    assert found(database, number) == ["DSA-2"]
    assert len(database.read(advisories.known, "debian")) == len(known) - 1


def test_matching_goes_on_where_it_was(database: Database, feed: Path) -> None:
    number = image(database)
    write(feed, *range(5))
    load(database, feed)
    before = database.read(findings.last_change)
    write(feed, *range(5), fixed="1-1")
    records = [
        (parse(path.read_bytes()), advisories.fingerprint(path.read_bytes()))
        for path in sorted(feed.iterdir())
    ]
    database.write(loading._put, "debian", records)
    assert count(database, UNMATCHED) == 5
    assert database.write(findings.match_changed, "debian", 2)
    assert len(found(database, number)) == 3
    assert load(database, feed).changed == 0
    assert found(database, number) == []
    assert database.read(findings.last_change) == before + 5


def test_what_changed_is_told_where_it_changed(database: Database, feed: Path) -> None:
    """Also of a load that fails afterwards."""
    image(database)
    write(feed, *range(5))
    load(database, feed)
    write(feed, *range(5), fixed="1-1")
    records = [
        (parse(path.read_bytes()), advisories.fingerprint(path.read_bytes()))
        for path in sorted(feed.iterdir())
    ]
    database.write(loading._put, "debian", records)
    loading.match(database, "debian")
    told = [each.event for each in database.read(outbox.waiting, 10)]
    assert told == [FindingsChanged("debian", 0, 5), FindingsChanged("debian", 5, 10)]


def secdb(fixes: dict[str, list[str]]) -> bytes:
    """A file of Alpine's."""
    return json.dumps(
        {
            "distroversion": "v3.19",
            "reponame": "main",
            "urlprefix": "https://dl-cdn.alpinelinux.org/alpine",
            "packages": [{"pkg": {"name": "openssl", "secfixes": fixes}}],
        }
    ).encode()


def test_alpine_and_what_it_never_had(database: Database, feed: Path) -> None:
    ecosystem = "Alpine:v3.19"
    openssl = package("openssl=3.1.0-r0")
    number = store_image(database, inventory(openssl, ecosystem=ecosystem))
    both = advisory(
        "ALPINE-1",
        affects("openssl", FROM_THE_FIRST, {"fixed": "3.1.2-r0"}, ecosystem=ecosystem),
        upstream=["CVE-2024-1111", "CVE-2024-2222"],
    )
    feed.joinpath("ALPINE-1.json").write_bytes(both)
    load(database, feed, name="some")
    assert len(found_in(database, number)) == 2
    path = feed / "main.json"
    feed.joinpath("ALPINE-1.json").unlink()
    path.write_bytes(secdb({"0": ["CVE-2024-1111"], "3.1.1-r0": ["CVE-2024-3333"]}))
    for _ in range(2):
        outcome = load(database, path, name="alpine")
    assert (outcome.read, outcome.changed) == (2, 0)
    assert [row.vulnerability for row in found_in(database, number)] == [
        "CVE-2024-2222",
        "CVE-2024-3333",
    ]


def test_debian_tracker(database: Database, feed: Path) -> None:
    number = store_image(database, inventory(package("sed=4.9-1")))
    state = {"status": "open", "urgency": "low"}
    issue = {"scope": "local", "releases": {"bookworm": state}}
    path = feed / "json"
    path.write_bytes(json.dumps({"sed": {"CVE-2024-1111": issue}}).encode())
    assert load(database, path, name="tracker").changed == 1
    (row,) = found_in(database, number)
    assert (row.advisory, row.severity_source) == ("DEBIAN-CVE-2024-1111", "Debian urgency low")


UPDATE = b"""<?xml version="1.0"?><updates><update type="security"><id>ALAS-2024-1</id>
<title>t</title><severity>important</severity><issued date="2024-01-01 00:00"/>
<updated date="2024-01-01 00:00"/><references><reference href="https://example.org" id="CVE-2024-1"
type="cve"/></references><pkglist><collection><package name="sed" version="5" release="1" epoch="0"
arch="x86_64"><filename>x</filename></package></collection></pkglist></update></updates>"""


def test_amazon_needs_to_be_told_the_release(database: Database, feed: Path) -> None:
    path = feed / "updateinfo.xml.gz"
    path.write_bytes(gzip.compress(UPDATE, mtime=0))
    with pytest.raises(Failure) as refused:
        load(database, path, name="amazon")
    assert "name its ecosystem" in refused.value.message
    outcome = load(database, path, name="amazon", ecosystem="Amazon Linux:2023")
    assert (outcome.changed, outcome.ranges) == (1, 1)


def test_scores_and_exploits(database: Database, feed: Path) -> None:
    scores = feed / "epss.csv.gz"
    lines = "#model_version:v1,score_date:2026-01-01T00:00:00+0000\ncve,epss,percentile\n"
    rows = "CVE-2024-1111,0.5,0.9\nCVE-2024-2222,0.25,0.5\nno row\n"
    scores.write_bytes(gzip.compress((lines + rows).encode(), mtime=0))
    outcome = load(database, scores, name="epss")
    assert (outcome.read, outcome.rejected) == (2, 1)
    scores.write_bytes((lines + "CVE-2024-1111,0.75,0.9\n").encode())
    outcome = load(database, scores, name="epss")
    assert (outcome.read, outcome.removed) == (1, 1)
    stored = database.read(lambda tx: tx.execute(select(EPSS.c.cve, EPSS.c.probability)).all())
    assert stored == [("CVE-2024-1111", 0.75)]

    entry = {
        "cveID": "CVE-2024-1111",
        "vendorProject": "v",
        "product": "p",
        "vulnerabilityName": "n",
        "dateAdded": "2024-01-01",
        "shortDescription": "s",
        "requiredAction": "a",
        "dueDate": "2024-02-01",
        "knownRansomwareCampaignUse": "Known",
    }
    catalogue = feed / "kev.json"
    catalogue.write_text(
        json.dumps(
            {"title": "t", "catalogVersion": "1", "count": 2, "vulnerabilities": [entry, {}]}
        )
    )
    outcome = load(database, catalogue, name="kev")
    assert (outcome.read, outcome.rejected) == (1, 1)
    (row,) = database.read(lambda tx: tx.execute(select(KEV)).all())
    assert (row.cve, row.is_ransomware, row.action) == ("CVE-2024-1111", True, "a")


def test_where_a_feed_is_fetched_from_is_told_without_what_is_secret(database: Database) -> None:
    """From the moment that it is asked for; the worker knows all of it."""
    uri = "https://ana:password-1@feeds.example.org/all.zip?key=password-2"
    asked = database.write(imports.request, "1", Plan("some"), uri, uri, "user:ana")
    assert asked == database.read(operations.get, "1")
    assert "password" not in json.dumps(asked)
    assert asked["metadata"]["source"] == "https://feeds.example.org/all.zip"
    assert database.read(operations.metadata, "1")["_uri"] == uri
