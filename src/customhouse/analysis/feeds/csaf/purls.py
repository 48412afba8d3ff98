"""Package URLs of rpm, and the platforms they are for, as Red Hat's documents have them.

Sources: https://github.com/package-url/purl-spec ("rpm"); Red Hat's "CSAF and VEX documents:
guidelines" for the qualifiers `arch`, `epoch` and `rpmmod`; the CPE 2.2 specification.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from customhouse.analysis import purls
from customhouse.analysis.ecosystems import rpm
from customhouse.analysis.feeds.osv.rpm_names import ecosystem_of
from customhouse.analysis.feeds.texts import is_name

MODULE: Final = re.compile(r"([\w.+-]+:[\w.-]+)(?::([\w.-]*))?(?::[\w.-]*)?", re.ASCII).fullmatch
"""Matches `NAME:STREAM[:VERSION[:CONTEXT]]`; the groups are name with stream, and the version."""

_CPE: Final = re.compile(r"cpe:/[aoh]:redhat:([\w.-]{1,64})(?::([\w.-]{1,32}))?(?::.*)?").fullmatch
_SOURCES: Final = frozenset({"src", "nosrc", "source"})


class Purl(NamedTuple):
    """A package.

    Attributes:
        type: as `rpm` or `oci`.
        name: its name.
        version: with release and, unless it is 0, epoch; empty if not told.
        arch: the architecture; empty for `noarch`, source packages, and if not told.
        is_source: whether it is a source package.
        module: what `rpmmod` says; empty if nothing.
    """

    type: str
    name: str
    version: str = ""
    arch: str = ""
    is_source: bool = False
    module: str = ""


def parse(purl: str) -> Purl | None:
    """Read a package URL; None if it is none, or names no package."""
    found = purls.parse(purl)
    if found is None or not is_name(found.name):
        return None
    version, qualifiers = found.version, found.qualifiers
    epoch = qualifiers.get("epoch", "")
    if version and epoch.strip("0"):
        version = f"{epoch}:{version}"
    arch = qualifiers.get("arch", "")
    is_source = arch in _SOURCES
    if is_source or arch == "noarch":
        arch = ""
    return Purl(found.type, found.name, version, arch, is_source, qualifiers.get("rpmmod", ""))


def home(cpe: str) -> str | None:
    """Name the ecosystem of a platform; None if it is none of Red Hat's with a version.

    `cpe:/o:redhat:enterprise_linux:9::baseos` is `Red Hat:9`, whatever repository it is; a stream
    with fixes of its own and a layered product are `Red Hat:PRODUCT:VERSION`.
    """
    match = _CPE(cpe)
    if not (match and match[2]):
        return None
    return ecosystem_of(f"Red Hat:{match[1]}:{match[2]}")


def name_of(package: Purl, module: str) -> str:
    """Name a package in the form of `feeds.Affected`.

    Args:
        package: the package.
        module: its module and stream, or empty.
    """
    source = rpm.SOURCE if package.is_source else ""
    return f"{module}{'::' if module else ''}{source}{package.name}"
