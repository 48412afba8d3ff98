"""Scores of the Exploit Prediction Scoring System."""

from __future__ import annotations

import gzip
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customhouse.analysis.feeds import epss
from customhouse.analysis.feeds.epss import Score
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from pathlib import Path

HEAD = b"#model_version:v2025.03.14,score_date:2025-12-26T12:55:00Z\ncve,epss,percentile\n"


def test_scores() -> None:
    rows = b"CVE-2020-1234,0.5,0.75\r\nCVE-2020-1235,7e-05,1.0\n\nCVE-2020-1236,1,0"
    for content in (HEAD + rows, gzip.compress(HEAD + rows), b"\xef\xbb\xbf" + HEAD + rows):
        assert epss.recognises(content)
        found = epss.scores(content)
        assert found.model_date == "2025-12-26"
        assert list(found) == [
            Score("CVE-2020-1234", 0.5, 0.75),
            Score("CVE-2020-1235", 7e-05, 1.0),
            Score("CVE-2020-1236", 1.0, 0.0),
        ]
        assert found.rejected == 0


@pytest.mark.parametrize(
    "line",
    [
        b"CVE-2020-1,0.5,0.5",
        b"GHSA-2020-1234,0.5,0.5",
        b"CVE-2020-1235,nan,0.5",
        b"CVE-2020-1235,inf,0.5",
        b"CVE-2020-1235,-0.1,0.5",
        b"CVE-2020-1235,1.1,0.5",
        b"CVE-2020-1235,0.5,2",
        b"CVE-2020-1235,0_1,0.5",
        b"CVE-2020-1235,0.5",
        b"CVE-2020-1235,,",
        b"CVE-2020-1235,0.5,0.5,0.5",
        b'"CVE-2020-1235",0.5,0.5',
        b"\xff\0",
    ],
)
def test_a_bad_line_is_counted(line: bytes) -> None:
    found = epss.scores(HEAD + line + b"\nCVE-2020-1234,0.5,0.5\n")
    for _ in range(2):
        assert [each.cve for each in found] == ["CVE-2020-1234"]
        assert found.rejected == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"cve,score\n",
        b"#cve,epss,percentile\n",
        b"CVE-2020-1234,0.5,0.5\n",
        b"\x1f\x8b",
        gzip.compress(HEAD, mtime=0)[:-1],
        gzip.compress(HEAD, mtime=0)[:-8] + b"\0" * 8,
        gzip.compress(b"{}", mtime=0),
    ],
)
def test_what_is_no_file_of_scores(content: bytes) -> None:
    with pytest.raises(Failure) as raised:
        epss.scores(content)
    assert raised.value.code is Code.FEED_INVALID


def test_a_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epss, "MAX_CONTENT", 1 << 20)
    for bomb in (gzip.compress(HEAD + b"\n" * (1 << 20)), HEAD + b"\n" * (1 << 20)):
        with pytest.raises(Failure, match="more than 1 MiB"):
            epss.scores(bomb)


def test_a_date_that_is_none() -> None:
    assert epss.scores(b"#score_date:2025-13-01\ncve,epss\n").model_date == ""


@given(st.binary(max_size=200))
def test_any_bytes(tail: bytes) -> None:
    for content in (tail, b"\x1f\x8b" + tail, b"\x1f\x8b\x08\0\0\0\0\0\0\0" + tail):
        epss.recognises(content)
        with pytest.raises(Failure):
            list(epss.scores(content))
    found = epss.scores(HEAD + tail)
    assert all(0 <= each.probability <= 1 for each in found)


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("claircore-data.csv", "2024-10-25"),
        ("epss_scores-2025.csv", "2025-12-26"),
        ("epss_scores-2021-04-14.csv.gz", ""),
        ("epss_scores-2021-09-01.csv.gz", ""),
        ("epss_scores-2022-02-04.csv.gz", "2022-02-04"),
        ("epss_scores-2023-03-07.csv.gz", "2023-03-07"),
    ],
)
def test_real_files(shared_data: Path, name: str, day: str) -> None:
    content = (shared_data / "epss" / name).read_bytes()
    assert epss.recognises(content)
    text = (gzip.decompress(content) if name.endswith(".gz") else content).decode()
    lines = [line.split(",") for line in text.splitlines() if line.startswith("CVE-")]
    found = epss.scores(content)
    assert found.model_date == day
    assert list(found) == [
        Score(cve, float(share), float(rank[0]) if rank else None) for cve, share, *rank in lines
    ]
    assert found.rejected == 0
    assert len(lines) == (29 if "claircore" in name else 27 if "2025" in name else 2)


def test_a_small_file_takes_little_memory() -> None:
    packed = gzip.compress(HEAD + b"CVE-2024-1234,0.5,0.5\n")
    tracemalloc.start()
    try:
        assert len(list(epss.scores(packed))) == 1
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
