"""Whatever a document holds, it is read or refused with a reason, and soon."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customhouse.analysis.feeds.advisory import UNFIXED, Advisory
from customhouse.analysis.feeds.osv import parse
from customhouse.errors import Code, Failure
from tests.analysis.feeds.osv.records import encoded, entry, fixed

if TYPE_CHECKING:
    from collections.abc import Iterator

FULL: dict[str, Any] = {
    "schema_version": "1.7.0",
    "id": "UBUNTU-CVE-2024-1234",
    "modified": "2024-05-06T07:08:09Z",
    "published": "2024-05-06T07:08:09Z",
    "aliases": ["GHSA-aaaa-bbbb-cccc"],
    "upstream": ["CVE-2024-1234"],
    "related": ["USN-1-1"],
    "summary": "one line",
    "details": "many lines",
    "severity": [
        {"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N"},
        {"type": "Ubuntu", "score": "low"},
    ],
    "affected": [
        {
            "package": {"ecosystem": "Ubuntu:22.04:LTS", "name": "a", "purl": "pkg:deb/ubuntu/a"},
            "severity": [{"type": "Ubuntu", "score": "low"}],
            "ranges": [
                {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.0-1"}]},
                {"type": "GIT", "repo": "r", "events": [{"introduced": "0"}]},
            ],
            "versions": ["0.9-1"],
            "ecosystem_specific": {"urgency": "low", "ubuntu_priority": "low"},
            "database_specific": {"uct_status": "needed", "severity": "LOW"},
        },
        {"package": {"ecosystem": "npm", "name": "b"}, "versions": ["1.0.0"]},
    ],
    "references": [{"type": "WEB", "url": "https://a.example/"}],
    "database_specific": {"severity": "LOW"},
}
ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    10**18,
    "",
    "0",
    "\0",
    "é\u202e" * 200,
    "x" * 100_000,
    [],
    [None],
    [""],
    ["x"],
    [[]],
    [{}],
    {},
    {"": ""},
    {"introduced": "0"},
    {"a": {"b": [1]}},
]


def outcome(document: bytes) -> Advisory | Failure:
    try:
        return parse(document)
    except Failure as failure:
        return failure


def accepted(document: bytes) -> Advisory | None:
    """Parse; None if it is refused properly. What is accepted must hold what it promises."""
    advisory = outcome(document)
    if isinstance(advisory, Failure):
        assert advisory.code is Code.ADVISORY_INVALID
        assert 0 < len(advisory.message) < 400
        return None
    texts = [advisory.id, *advisory.aliases, *advisory.cves, advisory.severity_source]
    for row in advisory.affected:
        assert row.introduced < row.fixed <= UNFIXED
        texts += [row.ecosystem, row.name, row.introduced_version, row.fixed_version or "0"]
        texts += [row.severity_source, row.status]
        assert bool(row.severity) == bool(row.severity_source)
    for omission in (*advisory.skipped, *advisory.rejected):
        assert omission.count > 0
        texts += [omission.ecosystem, omission.reason, omission.example]
    assert all(len(text) <= 1024 and text.isprintable() for text in texts)
    return advisory


def paths(value: Any) -> Iterator[tuple[str | int, ...]]:
    """The paths of all values inside a value."""
    inner = enumerate(value) if isinstance(value, list) else ()
    for step, below in value.items() if isinstance(value, dict) else inner:
        yield (step,)
        yield from ((step, *path) for path in paths(below))


def replaced(value: Any, path: tuple[str | int, ...], new: Any) -> Any:
    """A copy with another value at a path."""
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


def removed(value: Any, path: tuple[str | int, ...]) -> Any:
    """A copy without what is at a path."""
    copy = value.copy()
    if len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = removed(value[path[0]], path[1:])
    return copy


def test_the_sample_is_accepted() -> None:
    advisory = accepted(msgspec.json.encode(FULL))
    assert advisory is not None
    assert len(advisory.affected) == 2
    assert (advisory.skipped, advisory.rejected) == ((), ())


@pytest.mark.parametrize("path", list(paths(FULL)), ids=lambda path: ".".join(map(str, path)))
def test_wrong_shapes_everywhere(path: tuple[str | int, ...]) -> None:
    for odd in ODD:
        accepted(msgspec.json.encode(replaced(FULL, path, odd)))
    accepted(msgspec.json.encode(removed(FULL, path)))


def test_every_beginning_of_a_record() -> None:
    document = msgspec.json.encode(FULL)
    assert all(accepted(document[:length]) is None for length in range(len(document)))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.sampled_from(list(paths(FULL))), _JSON)
@settings(max_examples=300)
def test_any_json_anywhere(path: tuple[str | int, ...], value: Any) -> None:
    accepted(msgspec.json.encode(replaced(FULL, path, value)))


@given(st.binary(max_size=400))
def test_any_bytes(document: bytes) -> None:
    accepted(document)


@given(st.integers(0, len(msgspec.json.encode(FULL)) - 1), st.binary(min_size=1, max_size=3))
@settings(max_examples=300)
def test_any_bytes_in_a_record(at: int, noise: bytes) -> None:
    document = msgspec.json.encode(FULL)
    accepted(document[:at] + noise + document[at + len(noise) :])


@given(st.sampled_from(["Debian:12", "Alpine:v3.19", "npm"]), st.text(max_size=12))
def test_any_text_as_a_version(ecosystem: str, version: str) -> None:
    advisory = accepted(encoded(affected=[entry(ecosystem, "a", *fixed(version))]))
    assert advisory is not None
    assert len(advisory.affected) + len(advisory.rejected) == (version != "0")


@pytest.mark.parametrize(
    "document",
    [
        encoded(affected=[entry("npm", "a", versions=[f"{n}.x" for n in range(99_999)])]),
        encoded(affected=[entry("npm", "a", *({"introduced": f"{n}"} for n in range(99_999)))]),
        encoded(affected=[entry("npm", "a", *({"limit": "9" * 200} for _ in range(50_000)))]),
        encoded(affected=[entry(f"E{n}", "a") for n in range(99_999)]),
        encoded(affected=[entry("Ubuntu:" + "1:" * 60, "a")] * 50_000),
        encoded(severity=[{"type": "CVSS_V3", "score": f"CVSS:3.1/{n}"} for n in range(99_999)]),
        encoded(references=[{"url": f"https://{n}"} for n in range(99_999)]),
        encoded(related=["CVE-2024-1234" + "5" * (n % 16) for n in range(500_000)], id="DSA-1"),
        encoded(details="\0" * 2_000_000),
        encoded(details=" " * 15_000_000),
        encoded(id="DSA-1", affected=[], unknown=[[[]]] * 300_000),
    ],
    ids=range(11),
)
def test_large_records_are_read_in_bounded_time(document: bytes) -> None:
    begin = time.process_time()
    accepted(document)
    assert time.process_time() - begin < 5
