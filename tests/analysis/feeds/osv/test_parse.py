from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from customhouse.analysis.feeds import Reference
from customhouse.analysis.feeds.decoding import MAX_ITEMS, MAX_OBJECTS
from customhouse.analysis.feeds.document import MAX_DOCUMENT
from customhouse.analysis.feeds.osv import MAX_ALIASES, parse
from customhouse.analysis.feeds.texts import MAX_DETAILS, MAX_REFERENCES, MAX_SUMMARY
from customhouse.errors import Code, Failure
from tests.analysis.feeds.osv.records import encoded, entry, fixed, parsed


def test_a_record() -> None:
    advisory = parsed(
        schema_version="1.7.0",
        id="DSA-5678-1",
        published="2024-05-05T10:00:00.5Z",
        upstream=["CVE-2024-33599", "CVE-2024-33600"],
        summary="glibc - security update",
        details="Several vulnerabilities.\n",
        affected=[entry("Debian:12", "glibc", *fixed("2.36-9+deb12u7"))],
        references=[{"type": "ADVISORY", "url": "https://www.debian.org/security/2024/dsa-5678"}],
        credits=[{"name": "someone"}],
        unknown={"deep": [{"er": 1e10}]},
    )
    assert advisory.id == "DSA-5678-1"
    assert advisory.aliases == advisory.cves == ("CVE-2024-33599", "CVE-2024-33600")
    assert advisory.summary == "glibc - security update"
    assert advisory.details == "Several vulnerabilities."
    assert advisory.published == datetime(2024, 5, 5, 10, 0, 0, 500_000, tzinfo=UTC)
    assert advisory.modified == datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    assert advisory.withdrawn is None
    assert advisory.references == (
        Reference("ADVISORY", "https://www.debian.org/security/2024/dsa-5678"),
    )
    assert [(row.ecosystem, row.name, row.fixed_version) for row in advisory.affected] == [
        ("Debian:12", "glibc", "2.36-9+deb12u7")
    ]
    assert advisory.skipped == advisory.rejected == ()


@pytest.mark.parametrize(
    ("fields", "aliases", "cves"),
    [
        ({}, [], []),
        ({"id": "CVE-2024-1"}, [], []),  # no CVE identifier has one digit
        ({"id": "CVE-2024-1234"}, [], ["CVE-2024-1234"]),
        ({"id": "UBUNTU-CVE-2024-1234"}, [], ["CVE-2024-1234"]),
        (
            {"id": "UBUNTU-CVE-2024-1234", "upstream": ["CVE-2024-1234"]},
            ["CVE-2024-1234"],
            ["CVE-2024-1234"],
        ),
        (
            {"id": "GO-2024-1", "aliases": ["CVE-2024-1234", "GHSA-aaaa-bbbb-cccc"]},
            ["CVE-2024-1234", "GHSA-aaaa-bbbb-cccc"],
            ["CVE-2024-1234"],
        ),
        # the union, without doubles and its own identifier
        (
            {"id": "A-1", "aliases": ["A-1", "B-2"], "upstream": ["B-2", "CVE-2024-1234", "C-3"]},
            ["B-2", "CVE-2024-1234", "C-3"],
            ["CVE-2024-1234"],
        ),
        # what is no identifier is none
        ({"aliases": ["", "a b", "x\0", "é", "y" * 200, "OK-1"]}, ["OK-1"], []),
        ({"aliases": None, "upstream": None, "related": None}, [], []),
        # `related` is about something else ...
        ({"id": "GHSA-aaaa-bbbb-cccc", "related": ["CVE-2024-1234"]}, [], []),
        ({"id": "UBUNTU-CVE-2024-1234", "related": ["USN-1-1"]}, [], ["CVE-2024-1234"]),
        # ... except where distributions name the vulnerabilities there
        (
            {"id": "ALSA-2022:0889", "related": ["CVE-2021-4091"]},
            ["CVE-2021-4091"],
            ["CVE-2021-4091"],
        ),
        (
            {"id": "RLSA-2021:3891", "related": ["CVE-2021-35550", "RHSA-2021:3891"]},
            ["CVE-2021-35550"],
            ["CVE-2021-35550"],
        ),
        ({"id": "DLA-1-1", "related": ["CVE-2014-3466"]}, ["CVE-2014-3466"], ["CVE-2014-3466"]),
        (
            {"id": "CGA-2c2h-8fj5-55vx", "related": ["CGA-2c2h-8fj5-55vx", "GHSA-crqm-pwhx-j97f"]},
            ["GHSA-crqm-pwhx-j97f"],
            [],
        ),
        # and not even there if it names them properly
        (
            {"id": "RLSA-2025:1", "upstream": ["CVE-2025-1111"], "related": ["CVE-2025-2222"]},
            ["CVE-2025-1111"],
            ["CVE-2025-1111"],
        ),
    ],
)
def test_identifiers(fields: dict[str, Any], aliases: list[str], cves: list[str]) -> None:
    advisory = parsed(**fields)
    assert (list(advisory.aliases), list(advisory.cves)) == (aliases, cves)


def test_what_is_withdrawn_affects_nothing() -> None:
    affected = [entry("Debian:12", "a", *fixed("1")), entry("Maven", "b", *fixed("1"))]
    advisory = parsed(withdrawn="2025-07-18T16:42:37Z", affected=affected)
    assert advisory.withdrawn == datetime(2025, 7, 18, 16, 42, 37, tzinfo=UTC)
    assert (advisory.affected, advisory.skipped) == ((), ())


@pytest.mark.parametrize(
    "details",
    [
        "** REJECT **  DO NOT USE THIS CANDIDATE NUMBER.",
        "\nRejected reason: This CVE ID was unused by the CNA.",
    ],
)
def test_a_rejected_cve_counts_as_withdrawn(details: str) -> None:
    advisory = parsed(details=details, affected=[entry("Debian:12", "a", *fixed("1"))])
    assert advisory.withdrawn == advisory.modified
    assert advisory.affected == ()


def test_a_text_about_rejection_is_no_rejection() -> None:
    details = "The server answers ** REJECT ** to every request."
    assert parsed(details=details).withdrawn is None


def test_dates_are_in_utc() -> None:
    advisory = parsed(modified="2024-01-01T00:30:00+01:00", published="0001-01-01T00:00:00Z")
    assert advisory.modified == datetime(2023, 12, 31, 23, 30, tzinfo=UTC)
    assert advisory.modified.tzinfo is UTC
    assert advisory.published is None  # how Go's database says that it does not know


def test_texts_are_bounded_in_bytes() -> None:
    advisory = parsed(summary="é" * MAX_SUMMARY, details="a" + "€" * MAX_DETAILS)
    assert advisory.summary == "é" * (MAX_SUMMARY // 2)
    assert advisory.details == "a" + "€" * ((MAX_DETAILS - 1) // 3)
    assert parsed(details="b" * MAX_DETAILS).details == "b" * MAX_DETAILS


def test_texts_hold_nothing_that_databases_refuse() -> None:
    advisory = parsed(summary="\0a\0b", details=None)
    assert (advisory.summary, advisory.details) == ("ab", "")


def test_links_that_are_no_links_are_left_out() -> None:
    urls = [
        "https://a.example/",
        "http://b.example/",
        "https://a.example/",
        "javascript:alert(1)",
        "ftp://c.example/",
        "data:text/html,x",
        "https://d.example/\nX: y",
        "https://e.example/" + "x" * 3000,
        "",
    ]
    advisory = parsed(references=[{"type": "WEB", "url": url} for url in urls] + [{}])
    assert [link.url for link in advisory.references] == ["https://a.example/", "http://b.example/"]


def test_links_are_bounded() -> None:
    links = [{"type": "X" * 99, "url": f"https://a.example/{n}"} for n in range(MAX_REFERENCES * 2)]
    references = parsed(references=links).references
    assert len(references) == MAX_REFERENCES
    assert {link.type for link in references} == {"X" * 32}


def test_a_byte_order_mark_is_no_obstacle() -> None:
    assert parse(b"\xef\xbb\xbf" + encoded(id="A-1")).id == "A-1"


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b"{}",
        b'"x"',
        b"\xff",
        b"{} {}",
        b'{"id":"A-1"}',
        b'{"id":"A-1","modified":"yesterday"}',
        b'{"id":"A-1","modified":1700000000}',
        b'{"id":"A-1","modified":"2024-05-06T07:08:09"}',
        b'{"id":"A-1","modified":"0001-01-01T00:00:00+23:00","affected":[]}',
        b'{"modified":"2024-05-06T07:08:09Z"}',
        # an entry of a table of contents
        b'{"id":"A-1","modified":"2024-05-06T07:08:09Z"}',
        encoded(id=""),
        encoded(id="a b"),
        encoded(id="a\0"),
        encoded(id="x" * 129),
        encoded(id=7),
        encoded(aliases="CVE-2024-1234"),
        encoded(aliases=[1]),
        encoded(affected={}),
        encoded(affected=[[]]),
        encoded(affected=[{"package": "openssl"}]),
        encoded(affected=[{"package": {"ecosystem": 12, "name": "openssl"}}]),
        encoded(affected=[entry("Debian:12", "a", ranges=[{"events": []}])]),
        encoded(affected=[entry("Debian:12", "a", ranges=[{"type": "SEMVER", "events": [1]}])]),
        encoded(affected=[entry("Debian:12", "a", versions="1.0")]),
        encoded(affected=[entry("Debian:12", "a", versions=[1.0])]),
        encoded(affected=[entry("Debian:12", "a", ranges=[{"type": "GIT", "events": [{"a": 0}]}])]),
        encoded(severity=[{"type": "CVSS_V3"}]),
        encoded(severity=[{"type": "CVSS_V3", "score": 9.8}]),
        encoded(references=["https://a.example"]),
        encoded(withdrawn=True),
        encoded(details=["text"]),
        b'{"id":"A-1","modified":"2024-05-06T07:08:09Z","affected":[],"details":"\xff"}',
        b'{"id":"A-1","modified":"2024-05-06T07:08:09Z","affected":[],"details":"\\ud800"}',
        b'{"id":"A-1","modified":"2024-05-06T07:08:09Z","affected":[],"x":' + b"[" * 1_000_000,
        b'{"id":"A-1","modified":"2024-05-06T07:08:09Z","affected":' + b'[{"package":' * 1_000_000,
        b'{"id":"A-1","modified":"2024-05-06T07:08:09Z","database_specific":{"severity":1e999}}',
        encoded(details="x" * MAX_DOCUMENT),
        encoded(affected=[{}] * (MAX_OBJECTS + 1)),
        encoded(aliases=["A"] * (MAX_ITEMS + 1)),
        encoded(aliases=[f"A-{n}" for n in range(MAX_ALIASES + 1)]),
    ],
    ids=itertools.count(),
)
def test_a_malformed_record_fails_with_a_reason(document: bytes) -> None:
    with pytest.raises(Failure) as caught:
        parse(document)
    assert caught.value.code is Code.ADVISORY_INVALID
    assert 0 < len(str(caught.value.fields["reason"])) < 300
