"""Packages of PHP, as both versions of Composer list them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customhouse.analysis.ecosystems import Listing, php
from customhouse.analysis.ecosystems.package import MAX_PACKAGES, MAX_TEXT

PACKAGES = [
    {
        "name": "dingo/api",
        "version": "v0.6.6",
        "version_normalized": "0.6.6.0",
        "license": ["BSD-3-Clause", "MIT"],
        "authors": [{"name": "Jason Lewis", "email": "jason@example.com"}],
    },
    {"name": "Symfony/Polyfill_Mbstring", "version": "1.8.0", "license": "MIT"},
    {"name": "acme/branch", "version": "dev-main", "version_normalized": "dev-main"},
    {"name": "acme/next", "version": "2.x-dev", "license": [], "authors": []},
    {"name": "acme/vendored", "version": "version-1"},
]
EXPECTED = [
    ("dingo/api", "0.6.6", "BSD-3-Clause", "Jason Lewis"),
    ("symfony/polyfill_mbstring", "1.8.0", "MIT", ""),
    ("acme/branch", "dev-main", "", ""),
    ("acme/next", "2.x-dev", "", ""),
    ("acme/vendored", "version-1", "", ""),
]


def read(value: Any) -> Listing:
    return php.parse("app/vendor/composer/installed.json", json.dumps(value).encode())


@pytest.mark.parametrize(
    "document",
    [PACKAGES, {"packages": PACKAGES, "dev": True, "dev-package-names": ["acme/next"]}],
    ids=["composer 1", "composer 2"],
)
def test_both_forms(document: Any) -> None:
    found = read(document)
    assert [(p.name, p.version, p.licence, p.maintainer) for p in found.packages] == EXPECTED
    assert {(p.ecosystem, p.arch) for p in found.packages} == {("Packagist", "")}
    assert all((p.source, p.source_version) == (p.name, p.version) for p in found.packages)
    assert found.unreadable == 0
    with_mark = b"\xef\xbb\xbf" + json.dumps(document).encode()
    assert php.parse("", with_mark) == found


@pytest.mark.parametrize(
    "entry",
    [
        None,
        7,
        "a/b",
        [],
        {},
        {"name": "a/b"},
        {"version": "1"},
        {"name": 1, "version": "1"},
        {"name": "a/b", "version": 1},
        {"name": "a", "version": "1"},
        {"name": "a/b/c", "version": "1"},
        {"name": "../b", "version": "1"},
        {"name": "a/ä", "version": "1"},
        {"name": "a/b", "version": ""},
        {"name": "a/b", "version": "1 2"},
        {"name": "a/b", "version": "1" * 251},
        {"name": "a/" + "b" * 200, "version": "1"},
        {"name": "a/b", "version": 10**400},
    ],
)
def test_what_is_no_package_is_counted_and_harms_no_other(entry: Any) -> None:
    found = read([entry, *PACKAGES])
    assert [(p.name, p.version, p.licence, p.maintainer) for p in found.packages] == EXPECTED
    assert found.unreadable == 1


@pytest.mark.parametrize("licence", [7, {}, [{}], [[]], {"name": 3}, None, "\0", [None]])
def test_other_fields_may_be_anything(licence: Any) -> None:
    (package,) = read([{"name": "a/b", "version": "1", "license": licence}]).packages
    assert package.licence == ""


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"null",
        b"7",
        b'"x"',
        b'{"packages": {}}',
        b'{"packages": null}',
        b"[",
        b"[" * 100_000,
        b'[{"license": ' * 2_000,
        b"\xff\xfe[\0]\0",
        b"[" + b" " * php.MAX_BYTES + b"]",
    ],
)
def test_what_is_no_list_at_all(content: bytes) -> None:
    assert php.parse("", content) == Listing((), 1)


def test_deep_values_and_repeated_keys() -> None:
    deep = b'{"name":"a/deep","version":"1","x":' + b"[" * 5_000 + b"]" * 5_000 + b"}"
    twice = b'{"name":"a/first","name":"a/last","version":"1"}'
    found = php.parse("", b"[" + twice + b"]")
    assert [each.name for each in found.packages] == ["a/last"]
    assert php.parse("", b"[" + deep + b"," + twice + b"]").unreadable >= 1


def test_limits() -> None:
    (package,) = read([{"name": "a/b", "version": "1", "license": "x" * 1000}]).packages
    assert len(package.licence) == MAX_TEXT
    entry = b'{"name":"a/b","version":"1"}'
    found = php.parse("", b"[" + b",".join([entry] * (MAX_PACKAGES + 5)) + b"]")
    assert (len(found.packages), found.unreadable) == (MAX_PACKAGES, 5)


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        ("app/vendor/composer/installed.json", True),
        ("vendor/composer/installed.json", True),
        ("app/libraries/composer/installed.json", True),
        ("app/vendor/composer/installed.json.bak", False),
        ("app/vendor/installed.json", False),
        ("app/vendor/xcomposer/installed.json", False),
        ("app/composer.json", False),
    ],
)
def test_paths(path: str, is_one: bool) -> None:
    assert php.matches(path) is is_one


LOOSE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["packages", "name", "version", "license", "authors"]), inner
        )
    ),
    max_leaves=12,
)


@given(content=st.binary(max_size=300) | LOOSE.map(lambda value: json.dumps(value).encode()))
def test_anything_gives_a_listing(content: bytes) -> None:
    found = php.parse("x", content)
    assert all(f"{each.name}{each.version}".isascii() for each in found.packages)
