"""What the version schemes share: the bound on a version and the failure for an invalid one."""

from __future__ import annotations

from customhouse.errors import Code, Failure

MAX_VERSION = 250
"""Characters that a version may have. npm stops at 256, the others set no limit; the longest of
25,000 in the feeds of seven distributions has 69. With this bound the length of any number in a
version fits into one byte of a key, small enough that no key begins with 0xff."""


def invalid(version: str, scheme: str) -> Failure:
    """Make the failure for a version that is not one of the scheme."""
    if len(version) > MAX_VERSION:
        version = f"{version[:40]}... ({len(version)} characters)"
    return Failure(Code.VERSION_INVALID, version=version, scheme=scheme)
