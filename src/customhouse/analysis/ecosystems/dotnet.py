"""Packages of .NET, as the SDK lists them beside a program, and the shared frameworks themselves.

Source: .NET SDK, "Runtime Configuration Files" (`*.deps.json`): `libraries` has all that took
part in the build, `targets` which of these have files in the result. A framework that programs
share lies in `shared/NAME/VERSION`; a program's own copy is a library of type `runtimepack`.

Advisories name a framework as its package: `Microsoft.NETCore.App.Runtime.linux-x64`, before 3.0
`Microsoft.NETCore.App`. Its own file may have another name for it, with the version of a build
(`runtime.linux-x64.Microsoft.NETCore.App` of `5.0.13-servicing.21565.16`, which would come before
5.0.13), so name and version come from the folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from customhouse.analysis.ecosystems.encoding import MAX_VERSION
from customhouse.analysis.ecosystems.package import (
    MAX_PACKAGES,
    Database,
    Listing,
    content_of,
    of_language,
)

ECOSYSTEM = "NuGet"

MAX_BYTES = 4 * 1024**2
"""Bytes of a file that is read. Hostile JSON takes 40 times its size in memory."""

_PATH = re.compile(r"(?:.*/)?[^/]*[^/.][^/]*\.deps\.json", re.DOTALL).fullmatch
_FRAMEWORK = re.compile(
    r"(?:.*/)?shared/(?P<name>[0-9A-Za-z._-]{1,100})/"
    r"(?P<version>(?P<major>[0-9]{1,4})\.[0-9][0-9A-Za-z.-]{0,100})/(?P=name)\.deps\.json",
    re.DOTALL,
).fullmatch
_RUNTIME = re.compile(r"[^/]*/([0-9A-Za-z][0-9A-Za-z._-]{0,60})").fullmatch
_NAME = re.compile(r"[0-9A-Za-z_][0-9A-Za-z._-]{0,99}").fullmatch
_VERSION = re.compile(rf"[!-~]{{1,{MAX_VERSION}}}").fullmatch
_PACK = "runtimepack."
_FILES = ("runtime", "runtimeTargets", "native", "resources")
_FIRST_WITH_PACKS = 3


class _Document(msgspec.Struct, rename="camel", gc=False):
    """The part of a file that is used; anything may stand anywhere but for `libraries`."""

    libraries: dict[str, object]
    runtime_target: object = None
    targets: object = None


_DECODER = msgspec.json.Decoder(_Document)


def matches(path: str) -> bool:
    """Tell whether a path inside an image lists the libraries of a program of .NET."""
    return path.endswith(".deps.json") and _PATH(path) is not None


def parse(path: str, content: bytes) -> Listing:
    """Read the libraries of a program, or of a shared framework; never raises.

    Listed are packages and the frameworks that a program brings along, not its own projects; not
    what has no files in the result, such as tools of the build and what the framework replaces.
    A shared framework is listed by its folder, together with packages that have a hash: what has
    none is a part of the framework. Libraries beyond `MAX_PACKAGES` count as unreadable.
    """
    if len(content) > MAX_BYTES:
        return Listing((), 1)
    try:
        document = _DECODER.decode(content.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Listing((), 1)
    framework = _FRAMEWORK(path)
    found: dict[tuple[str, str], None] = {}
    if framework:
        found[_framework(framework, document)] = None
    unreadable = 0
    for library in _libraries(document, framework["name"] if framework else None):
        if library is None or len(found) == MAX_PACKAGES:
            unreadable += 1
        else:
            found[library] = None
    packages = tuple(of_language(ECOSYSTEM, name, version) for name, version in found)
    return Listing(packages, unreadable)


def _libraries(document: _Document, framework: str | None) -> Iterator[tuple[str, str] | None]:
    """Give name and version of each package, None for each that has none.

    Args:
        document: the file.
        framework: name of the shared framework that the file is of.
    """
    targets = document.targets if isinstance(document.targets, dict) else {}
    target = targets.get(_target(document))
    for key, library in document.libraries.items():
        kind = library.get("type") if isinstance(library, dict) else None
        if not (isinstance(library, dict) and isinstance(kind, str)):
            yield None
            continue
        if kind not in {"package", "runtimepack"} or not _has_files(target, key):
            continue
        name, _, version = key.partition("/")
        if kind == "runtimepack":
            name = name.removeprefix(_PACK)
        if framework and (framework.lower() in name.lower() or not library.get("sha512")):
            continue
        yield (name, version) if _NAME(name) and _VERSION(version) else None


def _has_files(target: object, key: str) -> bool:
    """Tell whether a library has files in the result; what the file does not tell counts as so."""
    library = target.get(key) if isinstance(target, Mapping) else None
    return not isinstance(library, Mapping) or any(library.get(each) for each in _FILES)


def _target(document: _Document) -> str:
    """Name the target that is run: `FRAMEWORK` or, for one system, `FRAMEWORK/RUNTIME`."""
    target = document.runtime_target
    name = target.get("name") if isinstance(target, dict) else target
    return name if isinstance(name, str) else ""


def _framework(match: re.Match[str], document: _Document) -> tuple[str, str]:
    """Name a shared framework as advisories do."""
    runtime = _RUNTIME(_target(document))
    if runtime is None or int(match["major"]) < _FIRST_WITH_PACKS:
        return match["name"], match["version"]
    return f"{match['name']}.Runtime.{runtime[1]}", match["version"]


DATABASE = Database("dotnet", matches, content_of(parse), is_system=False)
