"""The catalogue of vulnerabilities that are known to be exploited."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customhouse.analysis.feeds import kev
from customhouse.analysis.feeds.document import MAX_DOCUMENT, Rejected
from customhouse.analysis.feeds.kev import Exploited
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from pathlib import Path

ENTRY = {
    "cveID": "CVE-2020-1234",
    "vulnerabilityName": "A Vulnerability",
    "dateAdded": "2025-08-25",
    "dueDate": "2025-09-15",
    "requiredAction": "Apply updates.",
    "knownRansomwareCampaignUse": "Known",
}
READ = Exploited(
    "CVE-2020-1234",
    date(2025, 8, 25),
    date(2025, 9, 15),
    ransomware=True,
    action="Apply updates.",
    name="A Vulnerability",
)


def catalogue(*entries: object) -> bytes:
    return json.dumps({"catalogVersion": "2025", "vulnerabilities": entries}).encode()


def test_an_entry() -> None:
    assert kev.recognises(catalogue())
    assert kev.entries(b"\xef\xbb\xbf" + catalogue(ENTRY)) == [READ]
    del (entry := dict(ENTRY))["knownRansomwareCampaignUse"]
    (found,) = kev.entries(catalogue(entry))
    assert isinstance(found, Exploited)
    assert not found.ransomware


@pytest.mark.parametrize(
    "bad",
    [
        1,
        [],
        {},
        {**ENTRY, "cveID": "CVE-2020-1"},
        {**ENTRY, "cveID": None},
        {**ENTRY, "dateAdded": "2025-13-01"},
        {**ENTRY, "dueDate": ""},
        {**ENTRY, "requiredAction": 1},
        {**ENTRY, "knownRansomwareCampaignUse": True},
    ],
)
def test_a_bad_entry_is_rejected_and_the_rest_read(bad: object) -> None:
    rejected, good = kev.entries(catalogue(bad, ENTRY))
    assert isinstance(rejected, Rejected)
    assert rejected.name == "vulnerabilities[0]"
    assert good == READ


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"[]",
        b"{}",
        b'{"vulnerabilities": null}',
        b'{"vulnerabilities": [',
        b'{"vulnerabilities": ' + b"[" * 100_000,
        b" " * (MAX_DOCUMENT + 1),
        b"," * (kev.MAX_ITEMS + 1),
    ],
    ids=range(8),
)
def test_what_is_no_catalogue(bad: bytes) -> None:
    with pytest.raises(Failure) as raised:
        kev.entries(bad)
    assert raised.value.code is Code.FEED_INVALID


@given(st.binary(max_size=100), st.integers(0, 250))
def test_any_bytes(insert: bytes, at: int) -> None:
    good = catalogue(ENTRY)
    for content in (insert, good[:at] + insert + good[at:]):
        kev.recognises(content)
        with suppress(Failure):
            assert all(isinstance(each, Exploited | Rejected) for each in kev.entries(content))


def test_bytes_that_are_no_text() -> None:
    content = catalogue(ENTRY, ENTRY).replace(b"Apply", b"\xff", 1)
    rejected, good = kev.entries(content)
    assert isinstance(rejected, Rejected)
    assert good == READ


def test_the_real_catalogue(shared_data: Path) -> None:
    content = (shared_data / "kev" / "known_exploited_vulnerabilities.json").read_bytes()
    schema = (shared_data / "kev" / "known_exploited_vulnerabilities_schema.json").read_bytes()
    assert kev.recognises(content)
    assert not kev.recognises(schema)
    raw = json.loads(content)
    found = [each for each in kev.entries(content) if isinstance(each, Exploited)]
    assert len(found) == raw["count"] == 1404
    assert [each.cve for each in found] == [each["cveID"] for each in raw["vulnerabilities"]]
    assert [(each.added.isoformat(), each.due.isoformat()) for each in found] == [
        (each["dateAdded"], each["dueDate"]) for each in raw["vulnerabilities"]
    ]
    assert sum(each.ransomware for each in found) == 293
    assert found[-1].cve == "CVE-2020-29583"
    assert all(each.action and each.name for each in found)
