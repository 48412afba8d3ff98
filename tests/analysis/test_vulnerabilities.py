"""One vulnerability is one, whoever writes about it and in whichever order."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from customhouse.analysis import advisories, findings, vulnerabilities
from customhouse.analysis.findings import FINDING, FINDING_CHANGE
from customhouse.analysis.severity import Severity
from customhouse.analysis.vulnerabilities import VULNERABILITY
from tests.analysis.stored import (
    advisory,
    affects,
    found_in,
    inventory,
    load,
    package,
    parsed_document,
    store_image,
)

if TYPE_CHECKING:
    from sqlalchemy import Table

    from customhouse.database import Database

FROM_THE_FIRST = {"introduced": "0"}


def about(name: str, *aliases: str, upstream: tuple[str, ...] = ()) -> bytes:
    """A record that is about sed."""
    return advisory(
        name, affects("sed", FROM_THE_FIRST), aliases=list(aliases), upstream=list(upstream)
    )


NAMES = {
    "a distribution's, with one": (about("DSA-1", "CVE-2024-1111"), [("CVE-2024-1111",)]),
    "a distribution's, with two": (
        about("DSA-1", upstream=("CVE-2024-1111", "CVE-2024-2222")),
        [("CVE-2024-1111",), ("CVE-2024-2222",)],
    ),
    "a distribution's, with none": (about("DSA-1"), [("DSA-1",)]),
    "derived from a CVE": (about("UBUNTU-CVE-2024-1111"), [("CVE-2024-1111",)]),
    "of GitHub, with a CVE": (
        about("GHSA-aaaa-bbbb-cccc", "CVE-2024-1111", "PYSEC-2024-1"),
        [("CVE-2024-1111", "GHSA-aaaa-bbbb-cccc", "PYSEC-2024-1")],
    ),
    "of Python, with GitHub's": (
        about("PYSEC-2024-1", "GHSA-aaaa-bbbb-cccc", "SNYK-1"),
        [("GHSA-aaaa-bbbb-cccc", "PYSEC-2024-1")],
    ),
    "of Go, with two CVEs": (
        about("GO-2024-1", "CVE-2024-1111", "CVE-2024-2222", "GHSA-aaaa-bbbb-cccc"),
        [("CVE-2024-1111",), ("CVE-2024-2222",)],
    ),
    "of Chainguard, with GitHub's": (
        about("CGA-1", upstream=("GHSA-aaaa-bbbb-cccc", "GHSA-dddd-bbbb-cccc")),
        [("GHSA-aaaa-bbbb-cccc",), ("GHSA-dddd-bbbb-cccc",)],
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_names(name: str) -> None:
    document, expected = NAMES[name]
    assert vulnerabilities.names(parsed_document(document)) == expected


GHSA, PYSEC, CVE = "GHSA-aaaa-bbbb-cccc", "PYSEC-2024-1", "CVE-2024-1111"
RECORDS = (about(GHSA, CVE), about(PYSEC, GHSA), about("DEBIAN-CVE-2024-1111", upstream=(CVE,)))


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_aliases_are_joined(database: Database, order: tuple[int, ...], at_once: bool) -> None:
    number = store_image(database, inventory(package("sed=4.9-1")))
    records = [RECORDS[n] for n in order]
    for batch in [records] if at_once else [[each] for each in records]:
        load(database, *batch)
    (found,) = found_in(database, number)
    assert found.vulnerability == CVE
    known = database.read(vulnerabilities.aliases, [found.vulnerability_id])
    assert known == {found.vulnerability_id: [CVE, GHSA, PYSEC]}
    assert {database.read(vulnerabilities.find, name) for name in (CVE, GHSA, PYSEC)} == {
        found.vulnerability_id
    }
    assert count(database, VULNERABILITY) == 1
    # That two became one is no news about the package.
    assert count(database, FINDING_CHANGE) == 1


def test_two_cves_are_never_one(database: Database) -> None:
    number = store_image(database, inventory(package("sed=4.9-1")))
    load(database, about(GHSA, "CVE-2024-1111"))
    load(database, about(PYSEC, GHSA, "CVE-2024-2222"))
    found = found_in(database, number)
    assert [row.vulnerability for row in found] == ["CVE-2024-1111", "CVE-2024-2222"]
    assert database.read(vulnerabilities.find, GHSA) == found[0].vulnerability_id
    assert database.read(vulnerabilities.find, "CVE-2024-3333") is None


def test_feeds_may_have_records_of_the_same_name(database: Database) -> None:
    number = store_image(database, inventory(package("sed=4.9-1")))
    fixed = advisory("DSA-1", affects("sed", FROM_THE_FIRST, {"fixed": "4.9-1"}))
    load(database, about("DSA-1"), feed="one")
    load(database, fixed, feed="other")
    assert len(found_in(database, number)) == 1
    load(database, fixed, feed="one")
    assert found_in(database, number) == []


def test_what_is_about_one_overrules_what_is_about_many(database: Database) -> None:
    """A DSA has one range for all that it fixes; the tracker knows each."""
    number = store_image(database, inventory(package("sed=4.9-1"), package("bash=5-1")))
    cves = ("CVE-2024-1111", "CVE-2024-2222")
    load(
        database,
        advisory(
            "DSA-1",
            affects("sed", FROM_THE_FIRST, {"fixed": "4.9-2"}),
            affects("bash", FROM_THE_FIRST, {"fixed": "5-2"}),
            upstream=list(cves),
        ),
    )
    found = {(row.vulnerability, row.name) for row in found_in(database, number)}
    assert found == {(cve, name) for cve in cves for name in ("sed", "bash")}
    single = advisory(
        "DEBIAN-CVE-2024-2222",
        affects("sed", FROM_THE_FIRST, {"fixed": "4.9-1"}),
        upstream=["CVE-2024-2222"],
    )
    load(database, single)
    found = {(row.vulnerability, row.name) for row in found_in(database, number)}
    assert found == {
        ("CVE-2024-1111", "sed"),
        ("CVE-2024-1111", "bash"),
        ("CVE-2024-2222", "bash"),
    }


RATINGS = {
    "nobody's": (None, None, (), Severity.SEVERITY_UNSPECIFIED, ""),
    "a score": (None, None, ("9.8",), Severity.CRITICAL, "CVSS 3.1 score 9.8"),
    "a word before a score": (None, "LOW", ("9.8",), Severity.LOW, ""),
    "the package's before both": (
        "medium",
        "LOW",
        ("9.8",),
        Severity.MEDIUM,
        "Debian urgency medium",
    ),
}
VECTOR = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"


@pytest.mark.parametrize("is_together", [True, False])
@pytest.mark.parametrize("name", RATINGS)
def test_whose_word_counts(database: Database, name: str, is_together: bool) -> None:
    """The distribution's word about the package, then about the vulnerability, then a score."""
    own, word, scores, severity, source = RATINGS[name]
    number = store_image(database, inventory(package("sed=4.9-1")))
    plain = affects("sed", FROM_THE_FIRST)
    records = [
        advisory("DSA-1", plain, aliases=[CVE]),
        advisory("DSA-2", plain, aliases=[CVE], database_specific={"severity": word})
        if word
        else advisory("DSA-2", plain, aliases=[CVE]),
        advisory("DSA-3", plain, aliases=[CVE], severity=[{"type": "CVSS_V3", "score": VECTOR}])
        if scores
        else advisory("DSA-3", plain, aliases=[CVE]),
        advisory("DSA-4", {**plain, "ecosystem_specific": {"urgency": own}}, aliases=[CVE])
        if own
        else advisory("DSA-4", plain, aliases=[CVE]),
    ]
    for batch in [records] if is_together else [[each] for each in records]:
        load(database, *batch)
    (row,) = found_in(database, number)
    assert Severity(row.severity) is severity
    assert source in row.severity_source
    assert bool(row.severity_source) is bool(severity)


MILD = "CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N"


def scored(name: str, vector: str, **more: Any) -> bytes:
    """A record about a package that is not in the image, with a score."""
    rating = [{"type": "CVSS_V3", "score": vector}] if vector else []
    other = affects("sed", FROM_THE_FIRST, ecosystem="npm")
    return advisory(name, other, **{"aliases": [CVE], "severity": rating, **more})


def rated(database: Database, number: int) -> tuple[Severity, str]:
    """The severity of the image's only finding, and where it is from."""
    (row,) = found_in(database, number)
    assert row.advisory == "ALPINE-1"
    return Severity(row.severity), row.severity_source


@pytest.mark.parametrize("image_first", [True, False])
def test_a_score_of_others_stands_in_where_the_distribution_says_nothing(
    database: Database, image_first: bool
) -> None:
    found = inventory(package("sed=4.9-1"))
    number = store_image(database, found) if image_first else 0
    load(database, advisory("ALPINE-1", affects("sed", FROM_THE_FIRST), aliases=[CVE]), feed="own")
    load(database, scored("GHSA-1", VECTOR), scored("GHSA-2", MILD), feed="npm")
    number = number or store_image(database, found)
    assert rated(database, number) == (Severity.CRITICAL, "CVSS 3.1 score 9.8 (npm: GHSA-1)")

    # It changes with that.
    load(database, scored("GHSA-1", VECTOR, withdrawn="2024-05-01T00:00:00Z"), feed="npm")
    assert rated(database, number) == (Severity.MEDIUM, "CVSS 3.1 score 6.4 (npm: GHSA-2)")
    gone = database.read(advisories.numbers, "npm", ["GHSA-2"]).values()
    database.write(advisories.withdraw, list(gone))
    database.write(findings.match_changed, "npm", 100)
    assert rated(database, number) == (Severity.SEVERITY_UNSPECIFIED, "")
    changes = database.read(
        lambda tx: list(tx.scalars(select(FINDING_CHANGE.c.severity_after).order_by("id")))
    )
    assert changes[-2:] == [Severity.MEDIUM, Severity.SEVERITY_UNSPECIFIED]

    # What the distribution says counts more.
    load(database, scored("GHSA-2", VECTOR), feed="npm")
    own: dict[str, Any] = {"aliases": [CVE], "database_specific": {"severity": "LOW"}}
    load(database, advisory("ALPINE-1", affects("sed", FROM_THE_FIRST), **own), feed="own")
    assert rated(database, number) == (Severity.LOW, "ALPINE severity LOW")


OTHERS: dict[str, dict[str, Any]] = {
    "of another vulnerability": {"aliases": ["CVE-2024-9999"]},
    "of several": {"aliases": [], "upstream": [CVE, "CVE-2024-9999"]},
    "a word": {"severity": [], "database_specific": {"severity": "HIGH"}},
    "no score": {"severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:X"}]},
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_stands_in_for_nothing(database: Database, name: str) -> None:
    number = store_image(database, inventory(package("sed=4.9-1")))
    load(database, advisory("ALPINE-1", affects("sed", FROM_THE_FIRST), aliases=[CVE]))
    load(database, scored("DSA-9", VECTOR, **OTHERS[name]), feed="other")
    assert rated(database, number) == (Severity.SEVERITY_UNSPECIFIED, "")


def test_a_fix_is_shown_if_anybody_knows_one(database: Database) -> None:
    number = store_image(database, inventory(package("sed=4.9-1")))
    with_fix = affects("sed", FROM_THE_FIRST, {"fixed": "4.9-2"})
    load(database, advisory("DSA-1", with_fix, aliases=[CVE]))
    load(database, advisory("DSA-2", affects("sed", FROM_THE_FIRST), aliases=[CVE]))
    (row,) = found_in(database, number)
    assert (row.advisory, row.fixed_version) == ("DSA-1", "4.9-2")


def count(database: Database, table: Table) -> int:
    """How many rows a table has."""
    return database.read(
        lambda tx: tx.execute(select(func.count()).select_from(table)).scalar_one()
    )


def test_history(database: Database) -> None:
    """What a feed changes is kept with its time and the feed; what a push finds is not."""
    load(database, about("DSA-1"))
    number = store_image(database, inventory(package("sed=4.9-1"), package("bash=1-1")))
    assert count(database, FINDING) == 1
    assert count(database, FINDING_CHANGE) == 0

    def record(severity: str, *events: dict[str, str]) -> bytes:
        return advisory(
            "DSA-2",
            affects("bash", FROM_THE_FIRST, *events),
            database_specific={"severity": severity},
        )

    steps: list[tuple[bytes, tuple[Severity | None, Severity | None, str | None, str | None]]] = [
        (record("LOW"), (None, Severity.LOW, None, None)),
        (record("HIGH"), (Severity.LOW, Severity.HIGH, None, None)),
        (record("HIGH", {"fixed": "2-1"}), (Severity.HIGH, Severity.HIGH, None, "2-1")),
        (record("HIGH", {"fixed": "1-1"}), (Severity.HIGH, None, "2-1", None)),
    ]
    for n, (document, expected) in enumerate(steps, 1):
        load(database, document, feed="debian")
        rows = database.read(lambda tx: tx.execute(select(FINDING_CHANGE)).all())
        assert len(rows) == n
        last = rows[-1]
        assert (
            last.severity_before,
            last.severity_after,
            last.fixed_before,
            last.fixed_after,
        ) == expected
        assert (last.feed, last.created_at > 0) == ("debian", True)
    assert [row.name for row in found_in(database, number)] == ["sed"]
