from __future__ import annotations

from typing import Any

import pytest

from customhouse.analysis.severity import MAX_SCORES, Severity
from tests.analysis.feeds.osv.records import entry, fixed, only_row, parsed

V2 = {"type": "CVSS_V2", "score": "AV:N/AC:L/Au:N/C:N/I:N/A:C"}  # 7.8
V3 = {"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N"}  # 6.4
OTHER_V3 = {"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H"}  # 10.0
V4 = {"type": "CVSS_V4", "score": "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"}
BAD = {"type": "CVSS_V3", "score": "CVSS:3.1/AV:N"}
UNSPECIFIED = (Severity.SEVERITY_UNSPECIFIED, "")


def ubuntu(word: str) -> dict[str, str]:
    return {"type": "Ubuntu", "score": word}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, UNSPECIFIED),
        ({"severity": None}, UNSPECIFIED),
        ({"severity": [V3]}, (Severity.MEDIUM, "CVSS 3.1 score 6.4")),
        # the newest version counts, of several vectors of one version the first
        ({"severity": [V2, V3]}, (Severity.MEDIUM, "CVSS 3.1 score 6.4")),
        ({"severity": [V4, V3]}, (Severity.CRITICAL, "CVSS 4.0 score 9.3")),
        ({"severity": [V3, OTHER_V3]}, (Severity.MEDIUM, "CVSS 3.1 score 6.4")),
        ({"severity": [BAD]}, UNSPECIFIED),
        ({"severity": [BAD, V2]}, (Severity.HIGH, "CVSS 2.0 score 7.8")),
        ({"severity": [{"type": "SSVC", "score": "Act"}]}, UNSPECIFIED),
        # Ubuntu
        ({"severity": [V3, ubuntu("low")]}, (Severity.LOW, "Ubuntu priority low")),
        ({"severity": [ubuntu("negligible")]}, (Severity.MINIMAL, "Ubuntu priority negligible")),
        ({"severity": [ubuntu("untriaged")]}, UNSPECIFIED),
        ({"severity": [V3, ubuntu("untriaged")]}, (Severity.MEDIUM, "CVSS 3.1 score 6.4")),
        # GitHub
        (
            {"id": "GHSA-1", "severity": [V4], "database_specific": {"severity": "MODERATE"}},
            (Severity.MEDIUM, "GHSA severity MODERATE"),
        ),
        ({"database_specific": {"severity": ["HIGH"]}}, UNSPECIFIED),
        ({"database_specific": {"severity": "HIGH" + " " * 99 + "!"}}, UNSPECIFIED),
        ({"database_specific": None}, UNSPECIFIED),
        # AlmaLinux and Rocky Linux
        (
            {"id": "ALSA-1", "summary": "Moderate: ruby:3.3 security update"},
            (Severity.MEDIUM, "AlmaLinux severity Moderate"),
        ),
        (
            {"id": "RLSA-1", "summary": "Important: kernel", "severity": [V3]},
            (Severity.HIGH, "Rocky Linux severity Important"),
        ),
        ({"id": "ALSA-1", "summary": "kernel update"}, UNSPECIFIED),
        ({"id": "X-1", "summary": "Important: kernel"}, UNSPECIFIED),
    ],
)
def test_a_record(fields: dict[str, Any], expected: tuple[Severity, str]) -> None:
    advisory = parsed(**fields)
    assert (advisory.severity, advisory.severity_source) == expected


def test_scores() -> None:
    scores = parsed(severity=[V2, V3, BAD, V3, ubuntu("low"), V4]).scores
    assert [(each.version, each.score) for each in scores] == [
        ("2.0", 7.8),
        ("3.1", 6.4),
        ("4.0", 9.3),
    ]


def test_scores_are_bounded() -> None:
    vectors = [
        f"CVSS:3.1/AV:{a}/AC:L/PR:{p}/UI:{u}/S:U/C:H/I:N/A:N"
        for a in "NALP"
        for p in "NLH"
        for u in "NR"
    ]
    ratings = [{"type": "CVSS_V3", "score": vector} for vector in vectors]
    assert [each.vector for each in parsed(severity=ratings).scores] == vectors[:MAX_SCORES]


@pytest.mark.parametrize(
    ("ecosystem", "fields", "expected"),
    [
        ("Debian:12", {}, UNSPECIFIED),
        (
            "Debian:12",
            {"ecosystem_specific": {"urgency": "unimportant"}},
            (Severity.MINIMAL, "Debian urgency unimportant"),
        ),
        (
            "Debian:12",
            {"ecosystem_specific": {"urgency": "medium**"}},
            (Severity.MEDIUM, "Debian urgency medium**"),
        ),
        ("Debian:12", {"ecosystem_specific": {"urgency": "not yet assigned"}}, UNSPECIFIED),
        ("Debian:12", {"ecosystem_specific": {"urgency": "end-of-life"}}, UNSPECIFIED),
        ("Debian:12", {"ecosystem_specific": {"urgency": {"a": 1}}}, UNSPECIFIED),
        ("Debian:12", {"ecosystem_specific": {"ubuntu_priority": "low"}}, UNSPECIFIED),
        (
            "Ubuntu:22.04:LTS",
            {"ecosystem_specific": {"ubuntu_priority": "critical"}},
            (Severity.CRITICAL, "Ubuntu priority critical"),
        ),
        (
            "Ubuntu:Pro:22.04:LTS",
            {"severity": [V3, ubuntu("low")]},
            (Severity.LOW, "Ubuntu priority low"),
        ),
        ("Ubuntu:22.04:LTS", {"severity": [V3]}, (Severity.MEDIUM, "CVSS 3.1 score 6.4")),
        ("npm", {"severity": [V3]}, (Severity.MEDIUM, "CVSS 3.1 score 6.4")),
        ("npm", {"severity": [BAD]}, UNSPECIFIED),
        ("npm", {"ecosystem_specific": {"urgency": "low"}}, UNSPECIFIED),
    ],
)
def test_a_package(ecosystem: str, fields: dict[str, Any], expected: tuple[Severity, str]) -> None:
    row = only_row(affected=[entry(ecosystem, "a", *fixed("1"), **fields)])
    assert (row.severity, row.severity_source) == expected


@pytest.mark.parametrize(
    ("fields", "unfixed"),
    [
        ({}, ""),
        ({"database_specific": {"uct_status": "needed"}}, "needed"),
        ({"database_specific": {"uct_status": "ignored (end of standard support)"}}, "ignored"),
        ({"database_specific": {"uct_status": "deferred " + "x" * 999}}, "deferred"),
        ({"database_specific": {"uct_status": "x" * 999}}, ""),
        ({"database_specific": {"uct_status": " "}}, ""),
        ({"database_specific": {"uct_status": 1}}, ""),
        ({"ecosystem_specific": {"urgency": "end-of-life"}}, "end-of-life"),
        ({"ecosystem_specific": {"urgency": "low"}}, ""),
    ],
)
def test_the_status_is_of_what_is_not_fixed(fields: dict[str, Any], unfixed: str) -> None:
    events = {"introduced": "1"}, {"fixed": "2"}, {"introduced": "3"}
    rows = parsed(affected=[entry("Ubuntu:22.04:LTS", "a", *events, **fields)]).affected
    assert [row.status for row in rows] == ["", unfixed]
