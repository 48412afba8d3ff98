"""Alpine's security database, and others of its form."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customhouse.analysis.ecosystems import apk
from customhouse.analysis.feeds import secdb
from customhouse.analysis.feeds.advisory import BEGINNING, NOT_AFFECTED, Advisory
from customhouse.analysis.feeds.document import Document, Rejected

if TYPE_CHECKING:
    from pathlib import Path

HEAD = {"reponame": "main", "urlprefix": "https://dl-cdn.alpinelinux.org/alpine"}


def content(fixes: object, branch: str = "v3.19", name: object = "a") -> bytes:
    packages = [{"pkg": {"name": name, "secfixes": fixes}}]
    return json.dumps({**HEAD, "distroversion": branch, "packages": packages}).encode()


def read(*files: bytes) -> tuple[dict[str, Advisory], list[Rejected]]:
    found = list(secdb.read(Document(f"{at}.json", each) for at, each in enumerate(files)))
    advisories = [each for each in found if isinstance(each, Advisory)]
    assert len({each.id for each in advisories}) == len(advisories)
    return (
        {each.id: each for each in advisories},
        [each for each in found if isinstance(each, Rejected)],
    )


def rows(advisory: Advisory) -> list[tuple[str, str, str | None]]:
    return [(row.ecosystem, row.name, row.fixed_version) for row in advisory.affected]


def test_branches_and_packages_are_collected() -> None:
    found, rejected = read(
        content({"1.2-r0": ["CVE-2020-1234"]}),
        content({"1.3-r1": ["CVE-2020-1234"]}, "edge"),
        content({"2-r0": ["CVE-2020-1234"]}, name="b"),
    )
    advisory = found.pop("ALPINE-CVE-2020-1234")
    assert not found
    assert not rejected
    assert advisory.cves == advisory.aliases == ("CVE-2020-1234",)
    assert advisory.modified == secdb.UNDATED
    assert rows(advisory) == [
        ("Alpine:v3.19", "a", "1.2-r0"),
        ("Alpine:edge", "a", "1.3-r1"),
        ("Alpine:v3.19", "b", "2-r0"),
    ]
    first = advisory.affected[0]
    assert (first.introduced, first.fixed) == (BEGINNING, apk.key("1.2-r0"))


@pytest.mark.parametrize(
    ("fixes", "fixed"),
    [
        ({"0": ["CVE-2020-1234"]}, [None]),
        ({"0": ["CVE-2020-1234"], "1.2-r0": ["CVE-2020-1234"]}, ["1.2-r0"]),
        ({"1.10-r0": ["CVE-2020-1234"], "1.9-r0": ["CVE-2020-1234"]}, ["1.10-r0"]),
        ({"1.9-r0": ["CVE-2020-1234"], "1.10-r0": ["CVE_2020-1234"]}, ["1.10-r0"]),
    ],
)
def test_which_version_fixes(fixes: object, fixed: list[str | None]) -> None:
    found, rejected = read(content(fixes))
    (advisory,) = found.values()
    assert [row.fixed_version for row in advisory.affected] == fixed
    assert not rejected


def test_what_a_package_never_had() -> None:
    found, _ = read(content({"0": ["CVE-2020-1234"]}))
    (row,) = found["ALPINE-CVE-2020-1234"].affected
    assert row.status == NOT_AFFECTED
    assert row.introduced == row.fixed


@pytest.mark.parametrize(
    ("text", "aliases"),
    [
        ("CVE-2017-2616 (+ regression fix)", {"CVE-2017-2616": ()}),
        ("CVE-2020-1234 (incomplete fix of CVE-2019-1234)", {"CVE-2020-1234": ()}),
        ("CVE_2019-2426", {"CVE-2019-2426": ()}),
        ("CVE 2018-16859", {"CVE-2018-16859": ()}),
        (" CVE-2017-11610  ", {"CVE-2017-11610": ()}),
        ("CVE-2017-17434-2", {"CVE-2017-17434": ()}),
        ("CVE-2018-7540 XSA-252", {"CVE-2018-7540": ("XSA-252",)}),
        ("CVE-2020-1234 GHSA-AAAA-bbbb-1234", {"CVE-2020-1234": ("GHSA-aaaa-bbbb-1234",)}),
        ("CVE-2020-1234, CVE-2020-1235", {"CVE-2020-1234": (), "CVE-2020-1235": ()}),
        ("GHSA-vvjp-q62m-2vph", {"GHSA-vvjp-q62m-2vph": ()}),
        ("CVE-????-?????  XSA-295", {"XSA-295": ()}),
        ("TALOS-2017-0499", {"TALOS-2017-0499": ()}),
        ("wnpa-sec-2017-21", {"wnpa-sec-2017-21": ()}),
        ("VSV00003", {"VSV00003": ()}),
    ],
)
def test_texts_with_identifiers(text: str, aliases: dict[str, tuple[str, ...]]) -> None:
    found, rejected = read(content({"1-r0": [text]}))
    assert {each.id: each.aliases for each in found.values()} == {
        f"ALPINE-{name}": (name, *others) for name, others in aliases.items()
    }
    for each in found.values():
        assert each.cves == tuple(name for name in each.aliases if name.startswith("CVE-"))
    assert not rejected


@pytest.mark.parametrize("text", ["", "fixed", "CVE-????-?????", "CVE-2018-1234a", "X" * 2000])
def test_a_text_without_identifiers_is_rejected(text: str) -> None:
    found, (rejected,) = read(content({"1-r0": [text, "CVE-2020-1234"]}))
    assert list(found) == ["ALPINE-CVE-2020-1234"]
    assert (rejected.name, rejected.reason[-23:]) == ("0.json:a", "' names no vulnerability"[1:])


@pytest.mark.parametrize(
    ("prefix", "identifier", "ecosystem"),
    [
        ("https://packages.wolfi.dev", "WOLFI-CVE-2020-1234", "Wolfi"),
        ("https://packages.wolfi.dev/os", "WOLFI-CVE-2020-1234", "Wolfi"),
        ("https://packages.cgr.dev", "CHAINGUARD-CVE-2020-1234", "Chainguard"),
        ("https://packages.mini.dev", "MINIMOS-CVE-2020-1234", "MinimOS"),
        ("https://wolfi.dev.example.org", "", ""),
        ("", "", ""),
    ],
)
def test_systems_without_branches(prefix: str, identifier: str, ecosystem: str) -> None:
    document = json.loads(content({"1-r0": ["CVE-2020-1234"]}))
    del document["distroversion"]
    found, rejected = read(json.dumps({**document, "urlprefix": prefix}).encode())
    assert list(found) == ([identifier] if identifier else [])
    assert [row.ecosystem for each in found.values() for row in each.affected] == (
        [ecosystem] if ecosystem else []
    )
    assert bool(rejected) is not bool(identifier)


@pytest.mark.parametrize(
    "bad",
    [
        content({"1 2": ["CVE-2020-1235"]}),
        content({"1-r0": "CVE-2020-1235"}),
        content({"1-r0": [1]}),
        content(["CVE-2020-1235"]),
        content({"1-r0": ["CVE-2020-1235"]}, name=None),
        content({"1-r0": ["CVE-2020-1235"]}, name="a b"),
        content({"1-r0": ["CVE-2020-1235"]}, "v3.19; x"),
        b'{"distroversion": "v3.19", "packages": [1]}',
        b'{"distroversion": "v3.19", "packages": {}}',
        b'{"distroversion": 3, "packages": []}',
        b'{"distroversion": "v3.19"}',
        b'{"distroversion": "v3.19", "packages": [',
        b'{"distroversion": "\xff", "packages": []}',
        b"[" * 100_000,
        b"[]",
        b"",
        b"," * (secdb.MAX_ITEMS + 1),
        b" " * (secdb.MAX_CONTENT + 1),
    ],
    ids=range(18),
)
def test_what_is_malformed_is_rejected_and_the_rest_read(bad: bytes) -> None:
    found, rejected = read(bad, content({"1-r0": ["CVE-2020-1234"]}))
    assert list(found) == ["ALPINE-CVE-2020-1234"]
    assert len(rejected) == 1
    assert rejected[0].name.startswith("0.json")


def test_lists_may_be_null() -> None:
    assert read(content(None), content({"1-r0": None})) == ({}, [])


def test_the_bound_on_all_files(monkeypatch: pytest.MonkeyPatch) -> None:
    good = content({"1-r0": ["CVE-2020-1234"]})
    monkeypatch.setattr(secdb, "MAX_TOTAL", len(good) + 1)
    found, rejected = read(good, good)
    assert (len(found), [each.name for each in rejected]) == (1, ["1.json"])


@given(st.binary(max_size=200))
def test_any_bytes(tail: bytes) -> None:
    good = content({"1-r0": ["CVE-2020-1234"]})
    for each in (tail, good[:-20] + tail, good[:110] + tail + good[110:]):
        read(each)
        secdb.recognises(each)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=20) | st.just("CVE-2020-1234"),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["pkg", "name", "secfixes", "1-r0", "0"]), inner)
        ),
        max_leaves=12,
    )
)
def test_any_shape(value: object) -> None:
    document = {**HEAD, "distroversion": "edge", "packages": [value]}
    for each in (json.dumps(document).encode(), content(value), content({"1-r0": value})):
        read(each)


REAL = [
    ("alpine/secdb-json", "ALPINE"),
    ("wolfi/vunnel-wolfi", "WOLFI"),
    ("wolfi/wolfi-security.json", "WOLFI"),
    ("wolfi/vunnel-chainguard/secdb", "CHAINGUARD"),
    ("wolfi/chainguard-security.json", "CHAINGUARD"),
    ("wolfi/vunnel-minimos", "MINIMOS"),
]


@pytest.mark.parametrize(("where", "system"), REAL)
def test_real_files(shared_data: Path, where: str, system: str) -> None:
    path = shared_data / where
    files = [path] if path.is_file() else sorted(path.rglob("*.json"))
    names: set[str] = set()
    packages: set[tuple[str, str, str]] = set()
    fixed: set[tuple[str, str, str]] = set()
    for file in files:
        assert secdb.recognises(file.read_bytes())
        raw = json.loads(file.read_text())
        for package in (each["pkg"] for each in raw["packages"]):
            for version, texts in package["secfixes"].items():
                for name in (re.split(r"\s", text)[0] for text in texts):
                    names.add(name)
                    place = (raw.get("distroversion", ""), package["name"], name)
                    packages.add(place)
                    if version != "0":
                        fixed.add(place)
    found, rejected = read(*(file.read_bytes() for file in files))
    assert not rejected
    assert set(found) == {f"{system}-{name}" for name in names}
    rows = [row for each in found.values() for row in each.affected]
    assert len(rows) == len(packages)
    assert sum(row.status != NOT_AFFECTED for row in rows) == len(fixed) > 0
