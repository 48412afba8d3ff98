"""From the products of a VEX document of Red Hat's to ranges of version keys."""

from __future__ import annotations

from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from customhouse.analysis.ecosystems import rpm
from customhouse.analysis.feeds.advisory import BEGINNING, UNFIXED, Affected, Omission
from customhouse.analysis.feeds.csaf import purls
from customhouse.analysis.feeds.decoding import malformed
from customhouse.analysis.feeds.fixes import Fix, ranges
from customhouse.analysis.feeds.texts import Tally
from customhouse.analysis.severity import Severity, from_word
from customhouse.errors import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from customhouse.analysis.feeds.csaf.schema import Relationship, Statement, Tree, Vulnerability

MAX_ROWS: Final = 100_000
"""The most ranges of a document."""

_MAX_DEPTH: Final = 4  # a package of a module of a product takes two
_UNRATED: Final = (Severity.SEVERITY_UNSPECIFIED, "")
_STATUS: Final = MappingProxyType(
    {
        "affected": "affected",
        "fix deferred": "deferred",
        "will not fix": "will not fix",
        "out of support scope": "out of support scope",
        "under investigation": "under investigation",
    }
)


class Found(NamedTuple):
    """What is said about packages; the fields are as in `Advisory`."""

    affected: tuple[Affected, ...]
    skipped: tuple[Omission, ...]
    rejected: tuple[Omission, ...]


class _Place(NamedTuple):
    """A package in an ecosystem, whatever its version and architecture."""

    ecosystem: str
    module: str
    name: str


class _Component(NamedTuple):
    """What an identifier of a product stands for."""

    place: _Place
    component: tuple[str, str, str]  # the same for a source and a binary package of one name
    package: purls.Purl
    build: str  # the version of the module


def rated(word: str) -> tuple[Severity, str]:
    """The severity that a word of Red Hat's stands for, and its source in words."""
    severity = from_word(word)
    return (severity, f"Red Hat severity {word.strip()}") if severity else _UNRATED


def read(tree: Tree | None, vulnerability: Vulnerability) -> Found:
    """Turn what is said of products into ranges, those of binary packages first.

    Of several fixes of one package in one ecosystem the highest counts; the builds of one version
    of a module for different contexts are one fix, whose lowest version counts. A product without
    a fix is left out where the same component has one in the same ecosystem: there the product is
    an older minor release, which is not told apart.

    Raises:
        Failure: ADVISORY_INVALID for more than `MAX_ROWS`.
    """
    skipped, rejected = Tally(), Tally()
    resolve = _Resolver(tree, skipped, rejected)
    status = vulnerability.product_status
    severities = _severities(vulnerability.threats or ())
    worst: dict[_Place, tuple[Severity, str]] = {}
    fixes: dict[_Place, dict[str, dict[str, Fix]]] = {}
    settled: set[tuple[str, str, str]] = set()
    for identifier in dict.fromkeys((status and status.fixed) or ()):
        if not (item := resolve(identifier)):
            continue
        fix = _fix(item.package)
        if fix is None:
            rejected.add(item.place.ecosystem, "not a version", item.package.version)
            continue
        builds = fixes.setdefault(item.place, {}).setdefault(item.package.arch, {})
        known = builds.get(item.build)
        builds[item.build] = min(known, fix) if known and item.build else max(known or fix, fix)
        settled.add(item.component)
        _note(worst, item.place, severities, identifier)
    statuses = _statuses(vulnerability.remediations or ())
    unfixed: dict[_Place, str] = {}
    for identifier in dict.fromkeys((status and status.known_affected) or ()):
        if (item := resolve(identifier)) and item.component not in settled:
            unfixed.setdefault(item.place, statuses.get(identifier, "affected"))
            _note(worst, item.place, severities, identifier)
    affected = [
        *chain.from_iterable(
            ranges(place.ecosystem, place.name, _highest(arches), worst[place])
            for place, arches in fixes.items()
        ),
        *(_unfixed_row(place, word, worst) for place, word in unfixed.items()),
    ]
    if len(affected) > MAX_ROWS:
        raise malformed(f"it has more than {MAX_ROWS} ranges")
    affected.sort(key=lambda row: rpm.SOURCE in row.name)
    return Found(tuple(affected), skipped.omissions(), rejected.omissions())


class _Resolver:
    """Tells what identifiers of products stand for; counts what is left out."""

    def __init__(self, tree: Tree | None, skipped: Tally, rejected: Tally) -> None:
        self._skipped, self._rejected = skipped, rejected
        self._cpes: dict[str, str] = {}
        self._purls: dict[str, str] = {}
        pending = list((tree and tree.branches) or ())
        while pending:
            branch = pending.pop()
            pending += branch.branches or ()
            product = branch.product
            if product and (helper := product.product_identification_helper):
                self._cpes[product.product_id] = helper.cpe
                self._purls[product.product_id] = helper.purl
        self._relations: dict[str, Relationship] = {
            each.full_product_name.product_id: each for each in (tree and tree.relationships) or ()
        }

    def __call__(self, identifier: str) -> _Component | None:
        parts: list[str] = []
        product = identifier
        while len(parts) < _MAX_DEPTH and (relation := self._relations.get(product)):
            parts.append(relation.product_reference)
            product = relation.relates_to_product_reference
        ecosystem = purls.home(self._cpes.get(product, ""))
        package = purls.parse(self._purls.get(parts[0], "")) if parts else None
        if package is None or package.type != "rpm" or ecosystem is None:
            reason = _omitted(package)
            example = package.name if package else identifier
            self._skipped.add(ecosystem or "Red Hat", reason, example)
            return None
        label = package.module or next(filter(None, map(self._module, parts[1:])), "")
        match = purls.MODULE(label)
        if label and not match:
            self._rejected.add(ecosystem, "not a module with its stream", label)
            return None
        module, build = (match[1], match[2] or "") if match else ("", "")
        place = _Place(ecosystem, module, purls.name_of(package, module))
        return _Component(place, (ecosystem, module, package.name), package, build)

    def _module(self, product: str) -> str:
        """The module that a product between a package and its platform is."""
        found = purls.parse(self._purls.get(product, ""))
        return f"{found.name}:{found.version}" if found and found.type == "rpmmod" else ""


def _omitted(package: purls.Purl | None) -> str:
    """Why a product is left out."""
    if package is None:
        return "no package is named"
    if package.type == "oci":
        return "a container image"
    return "not a package of rpm" if package.type != "rpm" else "no release is named"


def _fix(package: purls.Purl) -> Fix | None:
    """The version of a fix; None if it is none, or lacks the release without which it is no fix."""
    version = rpm.without_epoch(package.version) if package.is_source else package.version
    try:
        return Fix(rpm.key(version), version) if "-" in version else None
    except Failure:
        return None


def _highest(arches: Mapping[str, Mapping[str, Fix]]) -> dict[str, Fix]:
    return {arch: max(builds.values()) for arch, builds in arches.items()}


def _severities(threats: list[Statement] | tuple[()]) -> dict[str, tuple[Severity, str]]:
    """Ratings by identifiers of products; that of all products under the empty one."""
    found: dict[str, tuple[Severity, str]] = {}
    for threat in threats:
        if threat.category == "impact" and (rating := rated(threat.details))[0]:
            for identifier in threat.product_ids or ("",):
                found[identifier] = max(found.get(identifier, rating), rating)
    return found


def _statuses(remedies: list[Statement] | tuple[()]) -> dict[str, str]:
    return {
        identifier: word
        for remedy in remedies
        if remedy.category in ("none_available", "no_fix_planned")
        and (word := _STATUS.get(remedy.details.strip().lower(), ""))
        for identifier in remedy.product_ids or ()
    }


def _note(
    worst: dict[_Place, tuple[Severity, str]],
    place: _Place,
    severities: Mapping[str, tuple[Severity, str]],
    identifier: str,
) -> None:
    rating = severities.get(identifier) or severities.get("", _UNRATED)
    worst[place] = max(worst.get(place, rating), rating)


def _unfixed_row(
    place: _Place, status: str, worst: Mapping[_Place, tuple[Severity, str]]
) -> Affected:
    return Affected(
        ecosystem=place.ecosystem,
        name=place.name,
        introduced=BEGINNING,
        fixed=UNFIXED,
        introduced_version="0",
        severity=worst[place][0],
        severity_source=worst[place][1],
        status=status,
    )
