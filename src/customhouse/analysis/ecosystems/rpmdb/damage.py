"""The failure of a database of rpm that is damaged."""

from __future__ import annotations

from customhouse.errors import Code, Failure


def damaged(what: str) -> Failure:
    """Make the failure for a damaged database, with what is wrong as a part of a sentence."""
    return Failure(Code.ARCHIVE_CORRUPT, reason=f"its rpm database is damaged: {what}")
