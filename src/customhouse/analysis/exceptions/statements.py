"""What a VEX document says, stored as exceptions of what is here.

A statement is stored only where it is clear what it is about. One about something else, or about
something that nothing identifies, is left out and counted: to widen it would say what nobody said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, select

from customhouse.analysis.exceptions.model import Origin, Place, VulnerabilityException
from customhouse.analysis.exceptions.table import EXCEPTION, put
from customhouse.analysis.vex import purls
from customhouse.analysis.vex.statement import MAX_STATEMENTS, Product, invalid
from customhouse.errors import Failure
from customhouse.names import check_repository, split_project
from customhouse.oci import Kind, parse_digest, parse_manifest
from customhouse.registry import manifests

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from customhouse.analysis.purls import Purl
    from customhouse.analysis.vex import Vex
    from customhouse.analysis.vex.statement import Statement
    from customhouse.database import Transaction

_IMAGES: Final = frozenset({"oci", "docker"})
_MAX_HOLDERS: Final = 100


@dataclass(frozen=True, slots=True)
class Source:
    """Where a document comes from.

    Attributes:
        place: the image that it is about; or the project, where it has to name its images.
        origin: REFERRER or DOCUMENT.
        owner: who pushed it or handed it in.
        referrer: the digest of the referrer; empty for a document, which is known by its own name.
    """

    place: Place
    origin: Origin
    owner: str
    referrer: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a document.

    Attributes:
        stored: how many exceptions.
        skipped: how many statements about one thing were left out.
    """

    stored: int
    skipped: int


def replace(tx: Transaction, documents: Sequence[Vex], source: Source, at: int) -> Outcome:
    """Store what documents of one source say in the place of what it said before, if it did.

    Args:
        tx: the transaction.
        documents: at least one.
        source: where they come from.
        at: the present time: nothing is said later than that.

    Raises:
        Failure: VEX_INVALID if it says too much, or is an attestation of another image.
    """
    name = source.referrer or documents[0].id
    remove(tx, source.place, source.origin, name)
    known = _known(tx, source.place)
    rows: list[VulnerabilityException] = []
    skipped = size = 0
    for vex in documents:
        if vex.subjects and known and not known & set(vex.subjects):
            raise invalid(f"it is an attestation of another image than {source.place.digest}")
        skipped += vex.skipped
        for said in vex.statements:
            places: dict[tuple[Place, bool], dict[str, None]] = {}
            for product in said.products or _attested(vex):
                found = list(_places(tx, source.place, product, known))
                skipped += not found
                size += len(found)
                if size > MAX_STATEMENTS:
                    raise invalid(f"it says something about more than {MAX_STATEMENTS} packages")
                for where, package in found:
                    places.setdefault((where, bool(package)), {})[package] = None
            rows += (
                _row(vex, said, where, tuple(packages) if is_part else (), source, name, at)
                for (where, is_part), packages in places.items()
            )
    put(tx, rows, at)
    return Outcome(len(rows), skipped)


def _attested(vex: Vex) -> tuple[Product | None]:
    """What a statement without products is about; None for what the document is attached to."""
    return (Product(digests=vex.subjects),) if vex.subjects else (None,)


def remove(tx: Transaction, place: Place, origin: Origin, source: str) -> None:
    """Forget what a document says of an image, or of all of a project."""
    where = [
        EXCEPTION.c.project == place.project,
        EXCEPTION.c.source == source,
        EXCEPTION.c.origin == origin.value,
    ]
    if place.repository:
        where.append(EXCEPTION.c.repository == place.repository)
    if place.digest and origin is Origin.DOCUMENT:
        where.append(EXCEPTION.c.digest == place.digest)
    tx.execute(delete(EXCEPTION).where(*where))


def is_stored(tx: Transaction, repository: str, referrer: str) -> bool:
    """Whether something is stored that a referrer says in a repository."""
    statement = select(EXCEPTION.c.id).where(
        EXCEPTION.c.project == split_project(repository)[0],
        EXCEPTION.c.source == referrer,
        EXCEPTION.c.origin == Origin.REFERRER.value,
        EXCEPTION.c.repository == repository,
    )
    return tx.execute(statement.limit(1)).first() is not None


def _row(
    vex: Vex,
    said: Statement,
    place: Place,
    packages: tuple[str, ...],
    source: Source,
    name: str,
    at: int,
) -> VulnerabilityException:
    return VulnerabilityException(
        place=place,
        names=said.names,
        packages=packages,
        assessment=said.assessment,
        justification=said.justification,
        reason=said.details,
        action=said.action,
        owner=source.owner,
        origin=source.origin,
        source=name,
        author=vex.author,
        stated_at=min(said.stated_at or at, at),
    )


def _known(tx: Transaction, place: Place) -> frozenset[str]:
    """The digests that a document about an image may name: its own, and those it is made of."""
    if not place.digest:
        return frozenset()
    row = manifests.get(tx, place.repository, place.digest)
    children: tuple[str, ...] = ()
    if row is not None:
        manifest = parse_manifest(row[2], row[1], place.digest)
        if manifest.kind is Kind.INDEX:
            children = tuple(child.digest for child in manifest.children)
    return frozenset({place.digest, *children})


def _places(
    tx: Transaction, place: Place, product: Product | None, known: frozenset[str]
) -> Iterator[tuple[Place, str]]:
    """Where something is said of a product: the images, and the package in them."""
    if product is None:
        if place.repository:
            yield place, ""
        return
    if not product.is_known:
        return
    purl = purls.parse(product.purl)
    is_image = purl is not None and purl.type in _IMAGES
    if not is_image and not product.digests:
        # Of a part of a package it cannot be told whether it is in the package or beside it.
        if not product.packages:
            yield place, product.purl
        return
    for where in _images(tx, place, product, purl if is_image else None, known):
        for package in product.packages or ("",):
            yield where, package


def _images(
    tx: Transaction, place: Place, product: Product, purl: Purl | None, known: frozenset[str]
) -> Iterator[Place]:
    digests = set(filter(_is_digest, (*product.digests, purl.version if purl else "")))
    if not digests:
        if purl is None:
            return
        # A tag is one image of many, and may be moved.
        is_tagged = bool(purl.version or purl.qualifiers.get("tag"))
        if place.digest or not is_tagged:
            yield from _named(place, purl)
    elif known:
        yield from (place._replace(digest=digest) for digest in sorted(digests & known))
    else:
        for digest in sorted(digests):
            for repository in (
                [place.repository]
                if place.repository
                else manifests.holders(tx, place.project, digest, _MAX_HOLDERS)
            ):
                yield Place(place.project, repository, digest)


def _named(place: Place, purl: Purl) -> Iterator[Place]:
    """The place if it is of this name; in a project the repository that has it."""
    name = purl.name.lower()
    url = purl.qualifiers.get("repository_url", "").lower()
    host, slash, path = url.partition("/")
    if not (slash and ("." in host or ":" in host or host == "localhost")):
        path = url
    if place.repository:
        # What is attached to a copy is about the copy, wherever the address says it was first.
        if path == place.repository or name == place.repository.rpartition("/")[2]:
            yield place
        return
    if not url:
        path = "/".join(filter(None, (place.project, purl.namespace.lower(), name)))
    elif path.rpartition("/")[2] != name:
        path = f"{path}/{name}"
    if _is_repository(path) and split_project(path)[0] == place.project:
        yield Place(place.project, path)


def _is_digest(text: str) -> bool:
    try:
        parse_digest(text)
    except Failure:
        return False
    return True


def _is_repository(text: str) -> bool:
    try:
        check_repository(text)
    except Failure:
        return False
    return True
