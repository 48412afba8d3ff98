"""Which files are packages of Node, and manifests of odd forms."""

from __future__ import annotations

import pytest

from customhouse.analysis.ecosystems import Listing, node


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        ("app/node_modules/left-pad/package.json", True),
        ("node_modules/left-pad/package.json", True),
        ("app/node_modules/@babel/core/package.json", True),
        ("app/node_modules/a/node_modules/b/package.json", True),
        ("app/node_modules/.pnpm/a@1.0.0/node_modules/a/package.json", True),
        ("app/package.json", False),
        ("app/node_modules/package.json", False),
        ("app/node_modules/@babel/package.json", False),
        ("app/node_modules/.bin/package.json", False),
        ("app/node_modules/.package-lock.json", False),
        ("app/node_modules/resolve/test/fixtures/package.json", False),
        ("app/node_modules/a/dist/package.json", False),
        ("app/node_modules/@babel/core/lib/package.json", False),
        ("app/xnode_modules/a/package.json", False),
    ],
)
def test_paths(path: str, is_one: bool) -> None:
    assert node.matches(path) is is_one


def test_an_alias_and_a_private_package_are_listed_by_their_own_name() -> None:
    content = b'{"name": "real", "version": "1.0.0", "private": true}'
    (package,) = node.parse("node_modules/alias/package.json", content).packages
    assert (package.name, package.version) == ("real", "1.0.0")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[" * 100_000,
        b'{"name": ' * 10_000,
        b'{"license": ' + b"[" * 100_000,
        b'{"name": "a", "version": ' + b"9" * 100_000 + b"}",
        b'{"name": "\xff", "version": "1"}',
        b'{"name": "a", "version": "1"} {}',
        b"\xff\xfe{\0}\0",
        b" " * (20 * 1024**2) + b"{}",
    ],
)
def test_hostile_manifests(content: bytes) -> None:
    assert node.parse("x", content) == Listing((), 1)


def test_the_last_of_repeated_keys_counts() -> None:
    content = b'\xef\xbb\xbf{"name": "a", "name": "b", "version": "1", "version": "2"}'
    (package,) = node.parse("x", content).packages
    assert (package.name, package.version) == ("b", "2")


def test_another_encoding_of_a_field_that_is_not_used_does_no_harm() -> None:
    content = '{"name": "a", "version": "1", "author": "Ren\xe9"}'.encode("latin-1")
    (package,) = node.parse("x", content).packages
    assert (package.name, package.version) == ("a", "1")
