"""Packages of Ruby, as RubyGems writes their specifications."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customhouse.analysis.ecosystems import Listing, ruby

NOKOGIRI = """\
# -*- encoding: utf-8 -*-
# stub: nokogiri 1.16.7 x86_64-linux lib

Gem::Specification.new do |s|
  s.name = "nokogiri".freeze
  s.version = "1.16.7".freeze
  s.platform = "x86_64-linux".freeze

  s.required_rubygems_version = Gem::Requirement.new(">= 0".freeze) if s.respond_to? :x
  s.authors = ["Mike Dalessio".freeze, "Aaron Patterson".freeze]
  s.description = "A parser.\\n  s.name = \\"other\\"".freeze
  s.licenses = ["MIT".freeze, "Ruby".freeze]
  s.rubygems_version = "3.5.11".freeze

  s.add_runtime_dependency(%q<racc>.freeze, ["~> 1.4".freeze])
end
"""


def read(content: str, file_name: str = "x.gemspec") -> Listing:
    return ruby.parse(f"usr/lib/ruby/specifications/{file_name}", content.encode())


def test_a_generated_specification() -> None:
    found = read(NOKOGIRI)
    (package,) = found.packages
    assert (package.name, package.version, package.ecosystem) == ("nokogiri", "1.16.7", "RubyGems")
    assert (package.source, package.source_version) == ("nokogiri", "1.16.7")
    assert (package.licence, package.maintainer) == ("MIT", "Mike Dalessio")
    assert found.unreadable == 0


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ('  s.name = "rake"\n  s.version = "13.0.1"\n', ("rake", "13.0.1", "")),
        ("  s.name = %q{rake}\n  s.version = %q<0.9.2.2>\n", ("rake", "0.9.2.2", "")),
        ("  s.name = 'a_b-C'\n  s.version = '1'\n", ("a_b-C", "1", "")),
        ('  s.name = "a"\r\n  s.version = Gem::Version.new("1.0.rc1")\r\n', ("a", "1.0.rc1", "")),
        ('  s.name = "a"\n  s.version = "1"\n  s.license = "ISC"\n', ("a", "1", "ISC")),
        ('  s.name = "a"\n  s.name = "b"\n  s.version = "1"\n', ("a", "1", "")),
        ('  s.name = "a"\n  s.version = "1"\n  s.licenses = []\n', ("a", "1", "")),
    ],
)
def test_forms_of_attributes(lines: str, expected: tuple[str, str, str]) -> None:
    (package,) = read(lines).packages
    assert (package.name, package.version, package.licence) == expected


@pytest.mark.parametrize(
    ("file_name", "expected"),
    [
        ("rake-13.0.1.gemspec", ("rake", "13.0.1")),
        ("aws-sdk-s3-1.2.0.pre.1.gemspec", ("aws-sdk-s3", "1.2.0.pre.1")),
        ("nokogiri-1.16.7-x86_64-linux-gnu.gemspec", ("nokogiri", "1.16.7")),
        ("nokogiri-1.16.7-arm64-darwin-23.gemspec", ("nokogiri", "1.16.7")),
        ("foo-3-bar-1.0-java.gemspec", ("foo-3-bar", "1.0")),
        ("foo-7.gemspec", ("foo", "7")),
        ("foo.gemspec", None),
        ("foo-1.0 -java.gemspec", None),
        ("-1.0.gemspec", None),
        (f"{'a' * 300}-1.0.gemspec", None),
    ],
)
def test_a_computed_specification_leaves_the_name_of_the_file(
    file_name: str, expected: tuple[str, str] | None
) -> None:
    for content in (
        "",
        "Gem::Specification.new do |s|\n  s.name = NAME\n  s.version = Foo::VERSION\nend\n",
        '  s.name = "wrong"\n  s.version = "1." + minor\n',
        '  s.name = "wrong"\n',
    ):
        found = read(content, file_name)
        if expected:
            assert [(each.name, each.version) for each in found.packages] == [expected]
        else:
            assert found == Listing((), 1)


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        ("usr/local/bundle/specifications/rake-13.0.1.gemspec", True),
        ("usr/lib/ruby/gems/3.1.0/specifications/default/json-2.6.1.gemspec", True),
        ("specifications/a-1.gemspec", True),
        ("usr/local/bundle/gems/rake-13.0.1/rake.gemspec", False),
        ("usr/local/bundle/specifications/rake-13.0.1.gemspec.lock", False),
        ("usr/local/bundle/specifications/cache/rake-13.0.1.gemspec", False),
        ("usr/local/bundle/xspecifications/rake-13.0.1.gemspec", False),
    ],
)
def test_paths(path: str, is_one: bool) -> None:
    assert ruby.matches(path) is is_one


@pytest.mark.timeout(20)
def test_hostile_specifications_take_no_time() -> None:
    for line in ('  s.name = "' + "a" * 290 + "\n", "  \t", "  s.name = [", "  s.licenses =   \t"):
        assert read(line * (2_000_000 // len(line))) == Listing((), 1)


@given(content=st.binary(max_size=300), name=st.text(max_size=40))
def test_anything_gives_a_listing(content: bytes, name: str) -> None:
    for each in (content, NOKOGIRI.encode().replace(b"nokogiri", content)):
        found = ruby.parse(f"specifications/{name}", each)
        assert len(found.packages) + found.unreadable == 1
        assert all(f"{package.name}{package.version}".isascii() for package in found.packages)
