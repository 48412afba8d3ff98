"""What a search asks for: images that hold a package, or that have a vulnerability."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, or_, select, union

from customhouse.analysis import vulnerabilities
from customhouse.analysis.ecosystems import (
    MAX_VERSION,
    SCHEMES,
    canonical,
    rpm,
    scheme_of,
    version_key,
)
from customhouse.analysis.findings import FINDING
from customhouse.analysis.packages import PACKAGE, PACKAGE_NAME
from customhouse.analysis.severity import Severity
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Row

    from customhouse.database import Transaction

_OPERATORS: Final[Mapping[str, Callable[[bytes, bytes], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    ">=": operator.ge,
    ">": operator.gt,
}
_BOUND: Final = re.compile(r"\s*(<=|>=|<|>|=|)\s*([0-9A-Za-z][!-~]*)\s*").fullmatch
# Where a name may be written in more than one way; see `canonical`.
_FOLDED: Final = ("NuGet", "Packagist", "PyPI")


@dataclass(frozen=True, slots=True)
class Bound:
    """Versions that are wanted, as `<1.2.3`.

    Attributes:
        operator: one of `_OPERATORS`.
        version: the version that others are compared with.
    """

    operator: str
    version: str

    def holds(self, ecosystem: str, version: str) -> bool | None:
        """Whether a version is among them; None if the two cannot be compared in an ecosystem."""
        scheme = scheme_of(ecosystem)
        if scheme is None:
            return None
        try:
            key, other = version_key(scheme, version), version_key(scheme, self.version)
        except Failure:
            return None
        return _OPERATORS[self.operator](key, other)

    def without_epoch(self) -> Bound:
        """The same of a version of rpm's, without its epoch."""
        return Bound(self.operator, rpm.without_epoch(self.version))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for: a package or a vulnerability.

    Attributes:
        package: the name of a package or of its source package; empty for a vulnerability.
        ecosystem: only packages of this one, as `Debian`, `Debian:12` or `npm`; empty for all.
        bound: only these versions.
        vulnerability: any name of a vulnerability; empty for a package.
        severity: only findings of at least this severity.
        is_fixable: only findings with a fix.
    """

    package: str = ""
    ecosystem: str = ""
    bound: Bound | None = None
    vulnerability: str = ""
    severity: Severity = Severity.SEVERITY_UNSPECIFIED
    is_fixable: bool = False


@dataclass(frozen=True, slots=True)
class Sought:
    """The package versions that answer a question, by their numbers.

    Attributes:
        packages: those.
        uncompared: those of the name whose version cannot be compared with the one that is asked
            for, with their ecosystem.
        vulnerability: the number of the vulnerability; 0 if there is none of the name, or a
            package is asked for.
    """

    packages: tuple[int, ...] = ()
    uncompared: Mapping[int, str] = field(default_factory=dict)
    vulnerability: int = 0


def parse(
    *,
    package: str = "",
    version: str = "",
    ecosystem: str = "",
    vulnerability: str = "",
    severity: str = "",
    is_fixable: bool = False,
) -> Wanted:
    """What is asked for in words.

    Raises:
        Failure: SEARCH_INVALID.
    """
    if bool(package) == bool(vulnerability):
        raise _invalid("it asks for a package or for a vulnerability, one of the two")
    if vulnerability and (version or ecosystem):
        raise _invalid("a version and an ecosystem go with a package")
    if package and (severity or is_fixable):
        raise _invalid("a severity and whether there is a fix go with a vulnerability")
    if severity and severity.upper() not in Severity.__members__:
        raise _invalid(f"{severity[:40]!r} is no severity")
    bound = _bound(version, ecosystem) if version else None
    least = Severity[severity.upper()] if severity else Severity.SEVERITY_UNSPECIFIED
    return Wanted(package, ecosystem, bound, vulnerability.strip(), least, is_fixable)


def _bound(text: str, ecosystem: str) -> Bound:
    match = _BOUND(text)
    if match is None:
        raise _invalid(f"{text[:MAX_VERSION]!r} is no version, with <, <=, =, >= or > before it")
    sign, version = match.groups()
    scheme = scheme_of(ecosystem)
    for each in SCHEMES if scheme is None else (scheme,):
        try:
            version_key(each, version)
        except Failure:
            continue
        return Bound(sign or "=", version)
    of = ecosystem or "any ecosystem"
    raise _invalid(f"{version[:MAX_VERSION]!r} is no version of {of}")


def seek(tx: Transaction, wanted: Wanted) -> Sought:
    """The package versions that answer a question."""
    if wanted.vulnerability:
        return _vulnerable(tx, wanted)
    packages: list[int] = []
    uncompared: dict[int, str] = {}
    for row in _named(tx, wanted.package):
        ecosystems = [each for each in row.ecosystem.split("+") if _is_in(each, wanted.ecosystem)]
        if not ecosystems:
            continue
        verdict = _is_wanted(row, ecosystems[0], wanted)
        if verdict:
            packages.append(row.id)
        elif verdict is None:
            uncompared[row.id] = ecosystems[0]
    return Sought(tuple(packages), uncompared)


def _vulnerable(tx: Transaction, wanted: Wanted) -> Sought:
    names = dict.fromkeys((wanted.vulnerability, wanted.vulnerability.upper()))
    found = (vulnerabilities.find(tx, name) for name in names)
    number = next((each for each in found if each is not None), 0)
    if not number:
        return Sought()
    here = [FINDING.c.vulnerability_id == number, FINDING.c.severity >= wanted.severity]
    if wanted.is_fixable:
        here.append(FINDING.c.fixed_version.is_not(None))
    return Sought(tuple(tx.scalars(select(FINDING.c.package_id).where(*here))), {}, number)


def _named(tx: Transaction, name: str) -> list[Row[Any]]:
    """The package versions with a name, their own or their source's."""
    folded = [
        and_(PACKAGE_NAME.c.ecosystem == each, PACKAGE_NAME.c.name == canonical(each, name))
        for each in _FOLDED
    ]
    numbers = union(
        select(PACKAGE.c.id).where(PACKAGE.c.name == name),
        select(PACKAGE.c.id).where(PACKAGE.c.source == name),
        select(PACKAGE_NAME.c.package_id).where(or_(*folded)),
    )
    columns = (
        PACKAGE.c.id,
        PACKAGE.c.ecosystem,
        PACKAGE.c.name,
        PACKAGE.c.version,
        PACKAGE.c.source,
        PACKAGE.c.source_version,
    )
    return list(tx.execute(select(*columns).where(PACKAGE.c.id.in_(numbers))))


def _is_in(ecosystem: str, wanted: str) -> bool:
    one, other = ecosystem.lower(), wanted.lower()
    return not wanted or one == other or one.startswith(f"{other}:")


def _is_wanted(row: Row[Any], ecosystem: str, wanted: Wanted) -> bool | None:
    """Whether a version is asked for; None if it cannot be compared."""
    bound = wanted.bound
    if bound is None or (bound.operator == "=" and bound.version == row.version):
        return True
    if row.source != wanted.package or row.name == wanted.package:
        return bound.holds(ecosystem, row.version)
    if scheme_of(ecosystem) == rpm.SCHEME:
        # Its database tells no epoch of source packages.
        return bound.without_epoch().holds(ecosystem, rpm.without_epoch(row.source_version))
    return bound.holds(ecosystem, row.source_version)


def _invalid(reason: str) -> Failure:
    return Failure(Code.SEARCH_INVALID, reason=reason)
