"""The files in which rpm keeps the headers of installed packages, in their three forms.

All three map a number to a header; which form a file has is told by its content.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from customhouse.analysis.ecosystems.rpmdb import bdb, ndb, sqlite

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["headers"]


def headers(content: bytes) -> Iterator[bytes]:
    """Give the headers in a database, in no particular order.

    Raises:
        Failure: `ARCHIVE_CORRUPT` if it has none of the forms or is damaged.
    """
    if sqlite.recognises(content):
        return sqlite.headers(content)
    if ndb.recognises(content):
        return ndb.headers(content)
    return bdb.headers(content)
