"""Ruby's packages, as RubyGems installs them.

Source: RubyGems' "Specification Reference" and `Gem::Specification#to_ruby`, which writes what is
read here: one attribute a line, texts in double quotes (before RubyGems 1.8 as `%q{}`), frozen or
not. A specification that a person wrote may compute its attributes; then the file's name tells,
which is `NAME-VERSION.gemspec` or `NAME-VERSION-PLATFORM.gemspec`.
"""

from __future__ import annotations

import re

from customhouse.analysis.ecosystems.encoding import MAX_VERSION
from customhouse.analysis.ecosystems.package import (
    Database,
    Listing,
    content_of,
    of_language,
    shown,
)

ECOSYSTEM = "RubyGems"

MAX_BYTES = 4 * 1024**2
"""Bytes of a specification that are read. Those of packages of thousands of files have 500,000."""

_PATH = re.compile(r"(?:.*/)?specifications/(?:default/)?[^/]+\.gemspec", re.DOTALL).fullmatch
_NAME = re.compile(r"[0-9A-Za-z_-][0-9A-Za-z._-]{0,199}").fullmatch
_VERSION = re.compile(rf"[0-9][0-9A-Za-z.-]{{0,{MAX_VERSION - 1}}}").fullmatch

# Texts with escapes, which only names of people have, are not read.
_ATTRIBUTES = re.compile(
    r"^[ \t]{1,8}s\.(name|version|licenses?|authors?)[ \t]{0,8}=[ \t]{0,8}"
    r"(?:Gem::Version\.new[ (]|\[)?"
    r"""(?:"([^"\n\\]{0,300})"|'([^'\n\\]{0,300})'|%q\{([^}\n\\]{0,300})\}|%q<([^>\n\\]{0,300})>)"""
    # A call, as in `"1.2" + suffix`, makes another text of it.
    r"(?=[ \t]*(?:\.freeze|[\n\r,)\]]|$))",
    re.MULTILINE,
).finditer
_PLATFORM = r"(?:-[A-Za-z][0-9A-Za-z_.-]*)?"
# Names and platforms have parts of digits too (`arm64-darwin-23`), so first a version with a dot.
_FILE_NAMES = tuple(
    re.compile(rf"(.+)-({version}){_PLATFORM}\.gemspec").fullmatch
    for version in (r"[0-9]+(?:\.[0-9A-Za-z]+)+", r"[0-9]+")
)
_MAX_FILE_NAME = 255


def matches(path: str) -> bool:
    """Tell whether a path inside an image is the specification of an installed package."""
    return path.endswith(".gemspec") and _PATH(path) is not None


def parse(path: str, content: bytes) -> Listing:
    """Read the specification of a package; never raises.

    Name and version come from the content, or else both from the file's name. The version is that
    without the platform. Of several licences and authors the first is kept.
    """
    fields: dict[str, str] = {}
    for match in _ATTRIBUTES(content[:MAX_BYTES].decode("utf-8", "replace")):
        fields.setdefault(match[1].rstrip("s"), "".join(match.groups("")[1:]))
    name, version = fields.get("name", ""), fields.get("version", "")
    if not (_NAME(name) and _VERSION(version)):
        name, version = _named(path.rpartition("/")[2])
        if not (_NAME(name) and _VERSION(version)):
            return Listing((), 1)
    package = of_language(
        ECOSYSTEM,
        name,
        version,
        licence=shown(fields.get("license", "")),
        maintainer=shown(fields.get("author", "")),
    )
    return Listing((package,), 0)


def _named(file_name: str) -> tuple[str, str]:
    """Give name and version that a file's name tells; both empty if it does not."""
    if len(file_name) <= _MAX_FILE_NAME:
        for form in _FILE_NAMES:
            if match := form(file_name):
                return match[1], match[2]
    return "", ""


DATABASE = Database("ruby", matches, content_of(parse), is_system=False)
