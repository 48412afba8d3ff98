"""VEX documents of the Common Security Advisory Framework, whoever publishes them.

Source: CSAF 2.0, section 3 and profile 5 (VEX):
https://docs.oasis-open.org/csaf/csaf/v2.0/csaf-v2.0.html.

Red Hat's are also a feed (`analysis.feeds.csaf`), which reads what this passes over, and passes
over what this reads.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import chain
from typing import TYPE_CHECKING, Final

import msgspec

from customhouse.analysis.feeds import decoding
from customhouse.analysis.feeds.osv.schema import Moment
from customhouse.analysis.feeds.texts import plain
from customhouse.analysis.vex import purls
from customhouse.analysis.vex.openvex import justification_of, microseconds
from customhouse.analysis.vex.statement import (
    MAX_IDENTIFIER,
    MAX_NAMES,
    MAX_STATEMENTS,
    MAX_TEXT,
    Assessment,
    Product,
    Statement,
    Vex,
    digest_of,
    invalid,
    name_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_CATEGORY: Final = "csaf_vex"
_IMAGES: Final = frozenset({"oci", "docker"})
_ALGORITHMS: Final = frozenset({"sha256", "sha512"})
_GROUPS: Final = {
    "known_not_affected": Assessment.NOT_AFFECTED,
    "fixed": Assessment.FIXED,
    "first_fixed": Assessment.FIXED,
    "known_affected": Assessment.AFFECTED,
    "first_affected": Assessment.AFFECTED,
    "last_affected": Assessment.AFFECTED,
    "under_investigation": Assessment.UNDER_INVESTIGATION,
}
_MAX_DEPTH: Final = 4


class _FileHash(msgspec.Struct, gc=False):
    algorithm: str
    value: str


class _Hashes(msgspec.Struct, gc=False):
    file_hashes: list[_FileHash]


class _Helper(msgspec.Struct, gc=False):
    cpe: str = ""
    purl: str = ""
    purls: list[str] | None = None
    hashes: list[_Hashes] | None = None


class _Name(msgspec.Struct, gc=False):
    product_id: str
    product_identification_helper: _Helper | None = None


class _Branch(msgspec.Struct):
    product: _Name | None = None
    branches: list[_Branch] | None = None


class _Relationship(msgspec.Struct, gc=False):
    full_product_name: _Name
    product_reference: str
    relates_to_product_reference: str


class _Group(msgspec.Struct, gc=False):
    group_id: str
    product_ids: list[str]


class _Tree(msgspec.Struct):
    branches: list[_Branch] | None = None
    full_product_names: list[_Name] | None = None
    relationships: list[_Relationship] | None = None
    product_groups: list[_Group] | None = None


class _Remark(msgspec.Struct, gc=False):
    """`flags[]`, `threats[]` and `remediations[]`."""

    label: str = ""
    category: str = ""
    details: str = ""
    product_ids: list[str] | None = None
    group_ids: list[str] | None = None


class _Id(msgspec.Struct, gc=False):
    text: str = ""


class _Vulnerability(msgspec.Struct, gc=False):
    cve: str = ""
    ids: list[_Id] | None = None
    product_status: dict[str, list[str]] | None = None
    flags: list[_Remark] | None = None
    threats: list[_Remark] | None = None
    remediations: list[_Remark] | None = None


class _Tracking(msgspec.Struct, gc=False):
    id: str
    current_release_date: Moment
    status: str = ""


class _Publisher(msgspec.Struct, gc=False):
    name: str = ""
    namespace: str = ""


class _Head(msgspec.Struct, gc=False):
    category: str
    tracking: _Tracking
    publisher: _Publisher | None = None


class _Document(msgspec.Struct):
    document: _Head
    product_tree: _Tree | None = None
    vulnerabilities: list[_Vulnerability] | None = None


_DECODER: Final = msgspec.json.Decoder(_Document)


def parse(content: bytes) -> Vex:
    """Read a document.

    Vulnerabilities without a name that is understood are left out and counted.

    Raises:
        Failure: VEX_INVALID if it is no VEX document of CSAF or a draft, ADVISORY_INVALID if it is
            malformed or exceeds a limit.
    """
    document = decoding.decode(_DECODER, content)
    head = document.document
    if head.category != _CATEGORY:
        raise invalid(f"its category is not {_CATEGORY}")
    if head.tracking.status == "draft":
        raise invalid("it is a draft")
    publisher = head.publisher or _Publisher()
    identifier = plain(f"{publisher.namespace} {head.tracking.id}", MAX_IDENTIFIER)
    if not identifier:
        raise invalid("it has no identifier")
    tree = _Products(document.product_tree or _Tree())
    found: list[Statement] = []
    skipped = size = 0
    for vulnerability in document.vulnerabilities or ():
        names = _names(vulnerability)
        if not names:
            skipped += 1
            continue
        for statement in _statements(vulnerability, names, tree, head.tracking):
            size += len(statement.products)
            if size > MAX_STATEMENTS:
                raise invalid(f"it says something about more than {MAX_STATEMENTS} packages")
            found.append(statement)
    return Vex(
        id=identifier,
        author=plain(publisher.name, MAX_IDENTIFIER),
        statements=tuple(found),
        skipped=skipped,
    )


def _names(vulnerability: _Vulnerability) -> tuple[str, ...]:
    texts = (vulnerability.cve, *(each.text for each in vulnerability.ids or ()))
    return tuple(dict.fromkeys(filter(None, map(name_of, texts))))[:MAX_NAMES]


def _statements(
    vulnerability: _Vulnerability, names: tuple[str, ...], tree: _Products, tracking: _Tracking
) -> Iterator[Statement]:
    """One statement for all products of which the same is said."""
    flags = tree.remarks(vulnerability.flags, lambda flag: flag.label)
    threats = (each for each in vulnerability.threats or () if each.category == "impact")
    impacts = tree.remarks(threats, lambda threat: plain(threat.details, MAX_TEXT))
    actions = tree.remarks(vulnerability.remediations, lambda each: plain(each.details, MAX_TEXT))
    for group, assessment in _GROUPS.items():
        said: defaultdict[tuple[str, str, str], list[Product]] = defaultdict(list)
        for identifier in dict.fromkeys((vulnerability.product_status or {}).get(group, ())):
            is_clear = assessment is Assessment.NOT_AFFECTED
            key = (
                tree.remark(flags, identifier) if is_clear else "",
                tree.remark(impacts, identifier),
                tree.remark(actions, identifier),
            )
            said[key].append(tree.product(identifier))
        for (flag, impact, action), products in said.items():
            yield Statement(
                names=names,
                products=tuple(products),
                assessment=assessment,
                justification=justification_of(flag),
                details=impact,
                action=action,
                stated_at=microseconds(tracking.current_release_date),
            )


class _Products:
    """Tells what identifiers of products stand for."""

    def __init__(self, tree: _Tree) -> None:
        self._names: dict[str, _Helper] = {}
        pending = list(tree.branches or ())
        listed = list(tree.full_product_names or ())
        while pending:
            branch = pending.pop()
            pending += branch.branches or ()
            if branch.product:
                listed.append(branch.product)
        self._relations = {
            each.full_product_name.product_id: each for each in tree.relationships or ()
        }
        listed += (each.full_product_name for each in self._relations.values())
        for name in listed:
            self._names[name.product_id] = name.product_identification_helper or _Helper()
        self._groups = {each.group_id: each.product_ids for each in tree.product_groups or ()}

    def product(self, identifier: str) -> Product:
        """What an identifier stands for.

        A package is told by what it is in: an image, or a release of a system. Of a release there
        is no more than a name, so there only a package with its version is known.
        """
        component, parts = identifier, 0
        packages: list[str] = []
        while parts < _MAX_DEPTH and (relation := self._relations.get(component)):
            own = _purl(self._names.get(component))
            if own and parts == 0 and not _is_image(own):
                packages.append(own)
            packages.append(_purl(self._names.get(relation.product_reference)))
            component = relation.relates_to_product_reference
            parts += 1
        helper = self._names.get(component)
        purl, digests = _purl(helper), _digests(helper)
        if not parts:
            return Product(purl, digests, is_known=bool(purl or digests))
        package = next(filter(None, packages), "")
        if not package:
            return Product(is_known=False)
        if _is_image(package):
            return Product(package)
        if _is_image(purl) or digests:
            return Product(purl, digests, (package,))
        found = purls.parse(package)
        return Product(package, is_known=bool(found and found.version))

    def remarks(
        self, remarks: Iterable[_Remark] | None, text: Callable[[_Remark], str]
    ) -> dict[str, str]:
        """What is remarked, by products; that of all products under the empty one."""
        found: dict[str, str] = {}
        for each in remarks or ():
            grouped = (self._groups.get(group, ()) for group in each.group_ids or ())
            named = [*(each.product_ids or ()), *chain.from_iterable(grouped)]
            is_general = each.product_ids is None and each.group_ids is None
            for identifier in named or ([""] if is_general else []):
                found.setdefault(identifier, text(each))
        return found

    @staticmethod
    def remark(remarks: dict[str, str], identifier: str) -> str:
        """What is remarked of a product."""
        return remarks.get(identifier) or remarks.get("", "")


def _purl(helper: _Helper | None) -> str:
    texts = (helper.purl, *(helper.purls or ())) if helper else ()
    return next((text for text in texts if purls.parse(text)), "")


def _is_image(purl: str) -> bool:
    found = purls.parse(purl)
    return found is not None and found.type in _IMAGES


def _digests(helper: _Helper | None) -> tuple[str, ...]:
    told = (
        digest_of(each.algorithm, each.value)
        for hashes in (helper.hashes if helper else None) or ()
        for each in hashes.file_hashes
        if each.algorithm in _ALGORITHMS
    )
    return tuple(filter(None, told))
