from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customhouse.analysis.severity import (
    MAX_VECTOR,
    Score,
    Severity,
    from_score,
    from_vector,
    from_word,
)

UNSPECIFIED = Severity.SEVERITY_UNSPECIFIED
INVALID = Score("", "", 0.0, UNSPECIFIED)


def test_the_numbers_are_those_of_grafeas() -> None:
    assert [(each.name, each.value) for each in Severity] == [
        ("SEVERITY_UNSPECIFIED", 0),
        ("MINIMAL", 1),
        ("LOW", 2),
        ("MEDIUM", 3),
        ("HIGH", 4),
        ("CRITICAL", 5),
    ]


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        # Debian's urgencies
        ("unimportant", Severity.MINIMAL),
        ("low", Severity.LOW),
        ("low*", Severity.LOW),
        ("low**", Severity.LOW),
        ("medium", Severity.MEDIUM),
        ("medium**", Severity.MEDIUM),
        ("high", Severity.HIGH),
        ("high*", Severity.HIGH),
        ("not yet assigned", UNSPECIFIED),
        ("end-of-life", UNSPECIFIED),
        # Ubuntu's priorities
        ("negligible", Severity.MINIMAL),
        ("critical", Severity.CRITICAL),
        ("untriaged", UNSPECIFIED),
        # Red Hat, AlmaLinux, Rocky Linux, SUSE
        ("Low", Severity.LOW),
        ("Moderate", Severity.MEDIUM),
        ("Important", Severity.HIGH),
        ("Critical", Severity.CRITICAL),
        # GitHub
        ("LOW", Severity.LOW),
        ("MODERATE", Severity.MEDIUM),
        ("HIGH", Severity.HIGH),
        ("CRITICAL", Severity.CRITICAL),
        # no words
        ("", UNSPECIFIED),
        ("*", UNSPECIFIED),
        ("none", UNSPECIFIED),
        ("low-ish", UNSPECIFIED),
        (" high\n", Severity.HIGH),
    ],
)
def test_words(word: str, severity: Severity) -> None:
    assert from_word(word) is severity


@pytest.mark.parametrize(
    ("score", "severity"),
    [
        (0.0, Severity.MINIMAL),
        (0.1, Severity.LOW),
        (3.9, Severity.LOW),
        (4.0, Severity.MEDIUM),
        (6.9, Severity.MEDIUM),
        (7.0, Severity.HIGH),
        (8.9, Severity.HIGH),
        (9.0, Severity.CRITICAL),
        (10.0, Severity.CRITICAL),
    ],
)
def test_bands(score: float, severity: Severity) -> None:
    assert from_score(score) is severity


@pytest.mark.parametrize(
    ("vector", "version", "score", "severity"),
    [
        # The scores are those that the specifications' own examples give, or NVD publishes.
        ("AV:N/AC:L/Au:N/C:N/I:N/A:C", "2.0", 7.8, Severity.HIGH),  # CVE-2002-0392
        ("(AV:N/AC:L/Au:N/C:N/I:N/A:C)", "2.0", 7.8, Severity.HIGH),
        ("AV:L/AC:H/Au:N/C:C/I:C/A:C", "2.0", 6.2, Severity.MEDIUM),  # CVE-2003-0062
        ("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", "3.0", 7.5, Severity.HIGH),  # Heartbleed
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", "3.1", 10.0, Severity.CRITICAL),
        ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", "3.1", 6.4, Severity.MEDIUM),
        ("CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N", "3.1", 1.6, Severity.LOW),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", "3.1", 0.0, Severity.MINIMAL),
        # temporal and environmental metrics do not change the base score
        (
            "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N/E:U/RL:O/RC:U/MC:N",
            "3.1",
            7.5,
            Severity.HIGH,
        ),
        (
            "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
            "4.0",
            9.3,
            Severity.CRITICAL,
        ),
        (
            "CVSS:4.0/AV:N/AC:L/AT:N/PR:H/UI:N/VC:L/VI:L/VA:N/SC:N/SI:N/SA:N",
            "4.0",
            5.1,
            Severity.MEDIUM,
        ),
    ],
)
def test_vectors(vector: str, version: str, score: float, severity: Severity) -> None:
    assert from_vector(vector) == Score(version, vector, score, severity)


@pytest.mark.parametrize(
    "vector",
    [
        "",
        "CVSS:",
        "CVSS:3.1",
        "CVSS:3.1/",
        "CVSS:3.2/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N",
        "CVSS:5.0/AV:N",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:X",
        "CVSS:3.1/AV:N/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N",
        "CVSS:4.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N",
        "AV:N/AC:L/Au:N/C:N/I:N",
        "9.8",
        "9.8/CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N",
        "high",
        "\0",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N" + "/E:X" * 200,
        "A" * 10_000_000,
    ],
)
def test_a_bad_vector_is_unspecified(vector: str) -> None:
    assert from_vector(vector) == INVALID


_BASES = {
    "CVSS:3.0/": "AV:NALP AC:LH PR:NLH UI:NR S:UC C:NLH I:NLH A:NLH",
    "CVSS:3.1/": "AV:NALP AC:LH PR:NLH UI:NR S:UC C:NLH I:NLH A:NLH",
    "CVSS:4.0/": "AV:NALP AC:LH AT:NP PR:NLH UI:NPA VC:HLN VI:HLN VA:HLN SC:HLN SI:HLN SA:HLN",
    "": "AV:LAN AC:HML Au:MSN C:NPC I:NPC A:NPC",
}


@st.composite
def _vectors(draw: st.DrawFn) -> str:
    prefix = draw(st.sampled_from(sorted(_BASES)))
    metrics = [metric.split(":") for metric in _BASES[prefix].split()]
    return prefix + "/".join(f"{name}:{draw(st.sampled_from(values))}" for name, values in metrics)


@given(_vectors())
def test_every_vector_of_the_mandatory_metrics_has_a_score(vector: str) -> None:
    found = from_vector(vector)
    assert found.version == (vector[5:8] if vector.startswith("CVSS:") else "2.0")
    assert 0.0 <= found.score <= 10.0
    assert found.severity is from_score(found.score)


@given(
    st.tuples(_vectors(), st.integers(0, 80), st.text(max_size=3)).map(
        lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + 1 :]
    )
    | st.text(max_size=MAX_VECTOR + 10)
)
def test_no_text_raises(vector: str) -> None:
    found = from_vector(vector)
    assert found == INVALID or found.severity is not UNSPECIFIED


@given(st.text())
def test_no_word_raises(word: str) -> None:
    assert from_word(word) in Severity
