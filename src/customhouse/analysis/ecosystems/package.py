"""What every package database yields, and what its reader looks like."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_PACKAGES = 100_000
"""Packages that one database may list; the largest distributions have half of that to offer."""

MAX_CONTENT = 64 * 1024**2
"""Bytes of a file that is read as a whole."""

MAX_FILES = 20_000
"""Files of one package that are remembered as its own."""

MAX_PATH = 4096
"""Characters of a file's path, as Linux bounds them; longer ones are passed over."""

MAX_PATHS = 128 * 1024**2
"""Characters of the paths of all files in a database; the 129 packages of a base image of rpm have
260,000."""

MAX_TEXT = 256
"""Characters that are kept of any one field of a package."""


@dataclass(frozen=True, slots=True)
class Package:
    """One installed package, as its database describes it.

    Attributes:
        name: of the binary package.
        version: of the binary package, as written there; not necessarily a valid one.
        arch: as the distribution spells it (`amd64`, `x86_64`, `all`), or empty.
        source: name of the source package (dpkg) or the origin (apk); `name` if not stated.
        source_version: version of the source package; `version` if not stated.
        licence: as the database states it, or empty; of dpkg's packages as their `copyright` does.
        maintainer: as the database states it, or empty.
        vendor: who built it, as rpm's database states it, or empty.
        module: the module and stream it was built for (rpm), such as `nodejs:12`, or empty.
        ecosystem: the OSV ecosystem of a package of a language, such as `PyPI`; empty for one of
            the system's, whose ecosystem the system tells.
    """

    name: str
    version: str
    arch: str
    source: str
    source_version: str
    licence: str = ""
    maintainer: str = ""
    vendor: str = ""
    module: str = ""
    ecosystem: str = ""


def of_language(
    ecosystem: str, name: str, version: str, *, licence: str = "", maintainer: str = ""
) -> Package:
    """Make a package of a language: it has no architecture and is its own source."""
    return Package(name, version, "", name, version, licence, maintainer, ecosystem=ecosystem)


@dataclass(frozen=True, slots=True)
class Listing:
    """What was read of one file of a package database.

    Attributes:
        packages: the installed packages, in the order of the file; the same name may occur for
            several architectures.
        unreadable: number of stanzas that name no package or version that could be one.
        owned: for names of packages the paths of their files that could be, or hold, packages of
            a language (see `ownership`), as the database writes them but without leading slash.
        licences: for names of packages of the system their licences, where another file than the
            database states them.
        content_sets: names of the repositories that packages are from, as the module of this name
            reads them.
    """

    packages: tuple[Package, ...]
    unreadable: int
    owned: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    licences: Mapping[str, str] = field(default_factory=dict)
    content_sets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Database:
    """A kind of file that tells of packages.

    Attributes:
        name: of the kind; of a system's database also that of the version scheme of its packages.
        matches: tells whether a path inside an image (normalized, no leading slash) is such a
            file. An image may have several; their packages add up.
        parse: reads one such file, given its path and its content at its beginning. One of a
            system raises `Failure` with `ARCHIVE_CORRUPT` if nothing in it can be read though it
            is not empty, with `ARCHIVE_LIMIT` if it lists more than `MAX_PACKAGES` packages; one
            of a language never raises.
        is_system: whether it is the operating system's, without which nothing is known of it.
        begins: of a kind that is about programs, whatever their paths, their first bytes.
    """

    name: str
    matches: Callable[[str], bool]
    parse: Callable[[str, BinaryIO], Listing]
    is_system: bool = True
    begins: bytes = b""


def whole(parse: Callable[[bytes], Listing]) -> Callable[[str, BinaryIO], Listing]:
    """Make a reader of a file out of one of its content."""
    return lambda _, file: parse(file.read())


def content_of(parse: Callable[[str, bytes], Listing]) -> Callable[[str, BinaryIO], Listing]:
    """Make a reader of a file out of one of its path and content.

    A file of more than `MAX_CONTENT` bytes is unreadable.
    """

    def read(path: str, file: BinaryIO) -> Listing:
        content = file.read(MAX_CONTENT + 1)
        return parse(path, content) if len(content) <= MAX_CONTENT else Listing((), 1)

    return read


def listing(database: str, packages: list[Package], readable: int, unreadable: int) -> Listing:
    """Conclude the reading of a file.

    Args:
        database: name of the kind, for the message.
        packages: the installed packages.
        readable: number of stanzas that could be read, those not installed included.
        unreadable: number of the others.

    Raises:
        Failure: `ARCHIVE_CORRUPT` if there are stanzas but none could be read.
    """
    if unreadable and not readable:
        raise Failure(
            Code.ARCHIVE_CORRUPT, reason=f"its {database} database lists no package that is one"
        )
    return Listing(tuple(packages), unreadable)


def too_many(database: str) -> Failure:
    """Make the failure for a database with more than `MAX_PACKAGES` packages."""
    return Failure(
        Code.ARCHIVE_LIMIT,
        reason=f"its {database} database lists more than {MAX_PACKAGES} packages",
    )


def too_long(database: str) -> Failure:
    """Make the failure for a database whose paths have more than `MAX_PATHS` characters."""
    return Failure(
        Code.ARCHIVE_LIMIT,
        reason=f"the paths in its {database} database have more than {MAX_PATHS} characters",
    )


def shown(text: str) -> str:
    """Make a text of a database fit to be stored and shown: bounded, no control characters."""
    text = text.strip()[:MAX_TEXT]
    return text if text.isprintable() else "".join(filter(str.isprintable, text)).strip()
