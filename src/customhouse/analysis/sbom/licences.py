"""Licences as SPDX writes them.

Source: SPDX specification 2.3, annex D, "SPDX license expressions"; `packaging` has the list.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

NO_ASSERTION = "NOASSERTION"
"""What stands where nothing is said."""

_MAX = 256


@lru_cache(maxsize=4096)
def expression(text: str) -> str:
    """Write a licence as an expression of SPDX; the empty string if it is none."""
    if not text or len(text) > _MAX or "licenseref-" in text.lower():
        return ""
    try:
        return str(canonicalize_license_expression(text))
    except (InvalidLicenseExpression, RecursionError):
        return ""


def reference(text: str) -> str:
    """Name a licence that is no expression: the same text has the same name everywhere."""
    return f"LicenseRef-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
