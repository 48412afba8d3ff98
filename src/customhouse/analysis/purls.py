"""Package URLs: `pkg:TYPE/NAMESPACE/NAME@VERSION?QUALIFIERS#SUBPATH`.

Source: https://github.com/package-url/purl-spec, "How to build purl string from its components" and
"How to parse a purl string". What a type makes of namespace and name is not this module's.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_PURL: Final = 4096
"""Characters of a package URL; longer ones are none."""

_TYPE = re.compile(r"[a-z][a-z0-9.+-]{0,31}").fullmatch
_NONE: Mapping[str, str] = MappingProxyType({})


class Purl(NamedTuple):
    """A package URL, its parts decoded; the subpath, which is about a file, is left out.

    Attributes:
        type: in lower case, as `deb`.
        namespace: its segments joined by `/`; empty if there is none.
        name: never empty.
        version: empty if there is none.
        qualifiers: those that have a value.
    """

    type: str
    namespace: str
    name: str
    version: str = ""
    qualifiers: Mapping[str, str] = _NONE

    def __str__(self) -> str:
        """Write it in its canonical form."""
        path = [quote(segment, safe=":") for segment in self.namespace.split("/") if segment]
        text = "/".join((f"pkg:{self.type}", *path, quote(self.name, safe=":")))
        if self.version:
            text += f"@{quote(self.version, safe=':')}"
        pairs = sorted((key, value) for key, value in self.qualifiers.items() if value)
        query = "&".join(f"{key}={quote(value, safe='/:')}" for key, value in pairs)
        return f"{text}?{query}" if query else text


def parse(text: str) -> Purl | None:
    """Read a package URL; None if it is none, too long, or has characters that do not print."""
    if len(text) > MAX_PURL or not text.startswith("pkg:") or not text.isprintable():
        return None
    decoded = unquote if "%" in text else str
    rest, _, query = text[4:].partition("#")[0].partition("?")
    kind, slash, path = rest.lstrip("/").partition("/")
    kind = kind.lower()
    folder, _, last = path.strip("/").rpartition("/")
    name, _, version = last.partition("@")
    namespace = "/".join(decoded(segment) for segment in folder.split("/") if segment)
    name, version = decoded(name).strip(), decoded(version).strip()
    qualifiers = {}
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        if value:
            qualifiers[key.lower()] = decoded(value)
    texts = "".join((namespace, name, version, *qualifiers.values()))
    if not (_TYPE(kind) and slash and name and texts.isprintable()):
        return None
    return Purl(kind, namespace, name, version, qualifiers)
