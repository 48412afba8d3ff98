"""Go's versions: those of modules, and those of Go itself, which advisories call `stdlib`.

Sources: Go modules reference, "Versions"; the documentation of Go's package `go/version`; Go's
vulnerability database, "Format", which writes releases of Go as semantic versions.
"""

from __future__ import annotations

import re

from customhouse.analysis.ecosystems import semver
from customhouse.analysis.ecosystems.encoding import MAX_VERSION, invalid
from customhouse.errors import Failure

SCHEME = "go"

_RELEASE = re.compile(
    r"(go)?([0-9]+(?:\.[0-9]+){0,2})(?:(beta|rc)([0-9]+))?(?(1)(?:-[!-~]*)?)"
).fullmatch


def key(version: str) -> bytes:
    """Encode a version so that keys compare as bytes in Go's order; see `semver.key`.

    A release of Go (`go1.21rc2`, also without `go`) is the semantic version that advisories have
    for it: 1.21.0-rc.2. What follows a dash after it is who built it (`go1.21.3-bigcorp`), and
    counts for nothing. `(devel)` is no version.

    Raises:
        Failure: `VERSION_INVALID`, also for more than `MAX_VERSION` characters.
    """
    try:
        return semver.key(semantic(version))
    except Failure:
        raise invalid(version, SCHEME) from None


def semantic(version: str) -> str:
    """Write a release of Go as advisories do; other versions are given back as they are."""
    match = _RELEASE(version) if len(version) <= MAX_VERSION else None
    if not match or not (match[1] or match[3]):
        return version
    numbers = [*match[2].split("."), "0", "0"][:3]
    prerelease = f"-{match[3]}.{match[4]}" if match[3] else ""
    return ".".join(numbers) + prerelease
