"""Alpine's security database, and Wolfi's, Chainguard's and MinimOS's in the same form.

Source: https://secdb.alpinelinux.org/ (JSON files), which are made from the `secfixes` comments of
APKBUILD files: a file for each branch and repository lists, by the origin of packages, which
version fixes which vulnerabilities. Only what has a fix is in there, without ratings or times.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from customhouse.analysis.ecosystems import apk
from customhouse.analysis.feeds.advisory import BEGINNING, Advisory, Affected, never
from customhouse.analysis.feeds.decoding import BYTE_ORDER_MARK, DAMAGE
from customhouse.analysis.feeds.document import Document, Rejected, shown
from customhouse.analysis.feeds.osv.ranges import key
from customhouse.analysis.feeds.texts import is_cve, is_name
from customhouse.errors import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_CONTENT: Final = 64 << 20
"""The largest file, in bytes; the largest real ones are Chainguard's, with a quarter of that."""

MAX_TOTAL: Final = 512 << 20
"""The most bytes of all files together, because vulnerabilities are collected over all of them."""

MAX_ITEMS: Final = 4_000_000
"""The most items of arrays and objects in a file."""

UNDATED: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""When every advisory was last changed: the files tell no times."""

_MAX_TEXT: Final = 1024
_SAMPLE: Final = 4096
_NEVER: Final = "0"  # the version that fixes what a package never had

_BRANCH: Final = re.compile(r"v[0-9]{1,3}\.[0-9]{1,3}|edge").fullmatch
_HOST: Final = re.compile(r"https?://(?:[a-z0-9-]{1,63}\.)?([a-z0-9-]{1,63}\.[a-z]{2,9})(?:/|$)")
# Systems with one stream of packages name no branch; where their packages are tells who they are.
_ROLLING: Final = MappingProxyType(
    {"wolfi.dev": "Wolfi", "cgr.dev": "Chainguard", "mini.dev": "MinimOS"}
)

_REMARKS: Final = re.compile(r"\([^()]*\)|#.*").sub
_WORDS: Final = re.compile(r"[^\s,;()/]+").findall
_CVES: Final = re.compile(
    r"(?<![0-9A-Z-])CVE[-_ ]([0-9]{4})[-_]([0-9]{4,19})(?![0-9A-Z])", re.ASCII | re.IGNORECASE
).findall
_GHSA: Final = re.compile(r"GHSA((?:-[0-9a-z]{4}){3})", re.ASCII | re.IGNORECASE).fullmatch
# As XSA-248, TALOS-2017-0499, wnpa-sec-2017-21 and VSV00003.
_OTHER: Final = re.compile(
    r"(?!CVE|GHSA)(?=[^0-9]*[0-9])"
    r"(?:[A-Z][A-Z0-9]{1,31}|[A-Za-z][0-9A-Za-z]{1,31}(?:-[0-9A-Za-z]{1,32}){1,4})"
).fullmatch


class _Package(msgspec.Struct, gc=False):
    name: str
    secfixes: dict[str, msgspec.Raw] | None = None


class _Entry(msgspec.Struct, gc=False):
    pkg: _Package


class _File(msgspec.Struct):
    packages: list[msgspec.Raw] | None
    distroversion: str = ""
    urlprefix: str = ""


_FILE: Final = msgspec.json.Decoder(_File)
_ENTRY: Final = msgspec.json.Decoder(_Entry)
_FIXES: Final = msgspec.json.Decoder(list[str] | None)


class _Vulnerability(NamedTuple):
    """What all files say of one: other names, and the fix (key, version) of each package."""

    aliases: dict[str, None]
    fixes: dict[tuple[str, str], tuple[bytes, str]]


def recognises(content: bytes) -> bool:
    """Tell cheaply, by what stands at its beginning, whether a JSON document has this form."""
    # A quote within a text has a backslash before it, so these are whole texts and mostly keys.
    beginning = content.removeprefix(BYTE_ORDER_MARK)[:_SAMPLE].lstrip()
    return beginning.startswith(b"{") and (
        b'"secfixes"' in beginning or (b'"reponame"' in beginning and b'"urlprefix"' in beginning)
    )


def read(files: Iterable[Document]) -> Iterator[Advisory | Rejected]:
    """Read files of one or several systems and branches.

    A vulnerability has one advisory for all branches of a system, as `ALPINE-CVE-2020-1234`. Of
    several versions that are said to fix it in a package the highest counts: the fixes before it
    were incomplete. What a package never had (version "0") gives an empty range.

    Args:
        files: each with the packages of one repository.

    Yields:
        What is wrong with a file, package, version or identifier; then all advisories.
    """
    found: dict[tuple[str, str], _Vulnerability] = {}
    total = 0
    for file in files:
        total += len(file.content)
        if total > MAX_TOTAL:
            yield Rejected(file.name, f"all files have more than {MAX_TOTAL >> 20} MiB")
            continue
        yield from _collect(file, found)
    for (system, identifier), vulnerability in found.items():
        aliases = (identifier, *(each for each in vulnerability.aliases if each != identifier))
        yield Advisory(
            id=f"{system.upper()}-{identifier}",
            aliases=aliases,
            cves=tuple(filter(is_cve, (identifier,))),
            modified=UNDATED,
            affected=tuple(
                never(ecosystem, name)
                if fixed == BEGINNING
                else Affected(ecosystem, name, BEGINNING, fixed, "0", version)
                for (ecosystem, name), (fixed, version) in vulnerability.fixes.items()
            ),
        )


def _collect(file: Document, found: dict[tuple[str, str], _Vulnerability]) -> Iterator[Rejected]:
    if len(file.content) > MAX_CONTENT:
        yield Rejected(file.name, f"it is larger than {MAX_CONTENT >> 20} MiB")
        return
    if file.content.count(b",") > MAX_ITEMS:
        yield Rejected(file.name, f"it has more than {MAX_ITEMS} items")
        return
    try:
        content = _FILE.decode(file.content.removeprefix(BYTE_ORDER_MARK))
    except DAMAGE as error:
        yield Rejected(file.name, shown(str(error)))
        return
    ecosystem = _ecosystem(content)
    if not ecosystem:
        yield Rejected(file.name, "it is about a system or branch that is not known")
        return
    for index, raw in enumerate(content.packages or ()):
        try:
            package = _ENTRY.decode(raw).pkg
        except DAMAGE as error:
            yield Rejected(f"{file.name}[{index}]", shown(str(error)))
            continue
        where = f"{file.name}:{shown(package.name)}"
        if is_name(package.name):
            yield from _fixes(package, ecosystem, where, found)
        else:
            yield Rejected(where, "it has not the name of a package")


def _fixes(
    package: _Package, ecosystem: str, where: str, found: dict[tuple[str, str], _Vulnerability]
) -> Iterator[Rejected]:
    system = ecosystem.partition(":")[0]
    at = (ecosystem, package.name)
    for version, listed in (package.secfixes or {}).items():
        try:
            fix = (BEGINNING if version == _NEVER else key(apk.SCHEME, version), version)
            texts = _FIXES.decode(listed) or ()
        except Failure as failure:
            yield Rejected(where, failure.message)
            continue
        except DAMAGE as error:
            yield Rejected(where, shown(str(error)))
            continue
        for text in texts:
            names = _identifiers(text)
            if not names:
                yield Rejected(where, f"'{shown(text[:64])}' names no vulnerability")
            for identifier, aliases in names.items():
                vulnerability = found.setdefault((system, identifier), _Vulnerability({}, {}))
                vulnerability.aliases.update(dict.fromkeys(aliases))
                vulnerability.fixes[at] = max(vulnerability.fixes.get(at, fix), fix)


def _ecosystem(content: _File) -> str:
    if content.distroversion:
        return f"Alpine:{content.distroversion}" if _BRANCH(content.distroversion) else ""
    host = _HOST.match(content.urlprefix)
    return _ROLLING.get(host[1], "") if host else ""


def _identifiers(text: str) -> dict[str, list[str]]:
    """The vulnerabilities that a text names, each with what else it names for them.

    These are its CVE identifiers, if it has none those of GitHub, else any. Remarks in
    parentheses are left out: they may name the vulnerability of an earlier fix.
    """
    if len(text) > _MAX_TEXT:
        return {}
    text = _REMARKS(" ", text)
    words = _WORDS(text)
    cves = [f"CVE-{year}-{number}" for year, number in _CVES(text)]
    github = [f"GHSA{match[1].lower()}" for match in map(_GHSA, words) if match]
    others = [match[0] for match in map(_OTHER, words) if match]
    if cves:
        return dict.fromkeys(cves, github + others)
    if github:
        return dict.fromkeys(github, others)
    return {other: [] for other in others}
