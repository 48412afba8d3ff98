"""rpm's database in SQLite, `rpmdb.sqlite`: Fedora since 33 and what is built from it.

Source: rpm's `lib/backend/sqlite.c`: table `Packages` (hnum INTEGER PRIMARY KEY, blob BLOB).
"""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING

from customhouse.analysis.ecosystems.rpmdb.damage import damaged

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAGIC = b"SQLite format 3\0"
_VERSIONS = slice(18, 20)
_ROLLBACK = b"\x01\x01"
# Only as rpm makes it: a virtual table or one with generated columns would run what it asks for.
_TABLE = re.compile(
    r"""CREATE\s+TABLE\s+['"]?Packages['"]?\s*\(\s*
        hnum\s+INTEGER\s+PRIMARY\s+KEY(?:\s+AUTOINCREMENT)?\s*,\s*
        blob\s+BLOB(?:\s+NOT\s+NULL)?\s*\)""",
    re.IGNORECASE | re.VERBOSE,
).fullmatch
# Steps of SQLite's machine, some hundred a package; a damaged schema could ask for any number.
_STEPS, _MAX_STEPS = 100_000, 100_000_000


def recognises(content: bytes) -> bool:
    """Tell whether a file has this form."""
    return content.startswith(_MAGIC)


def headers(content: bytes) -> Iterator[bytes]:
    """Give the headers. What a write-ahead log beside the file has is not seen.

    Raises:
        Failure: `ARCHIVE_CORRUPT`.
    """
    # A file that was in use with a write-ahead log cannot be opened in memory as such.
    image = bytearray(content)
    image[_VERSIONS] = _ROLLBACK
    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(image)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, len(content))
        turns = iter(range(_MAX_STEPS // _STEPS))
        connection.set_progress_handler(lambda: next(turns, None) is None, _STEPS)
        connection.execute("PRAGMA query_only=ON")
        connection.execute("PRAGMA trusted_schema=OFF")
        schema = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'Packages'")
        if not _TABLE(str((schema.fetchone() or ("",))[0])):
            raise damaged("it has no table of packages")
        left = len(content)  # rows do not share bytes, so together they fit into the file
        for (blob,) in connection.execute("SELECT blob FROM Packages"):
            if not isinstance(blob, bytes):
                raise damaged("a package is no blob")
            left -= len(blob)
            if left < 0:
                raise damaged("its packages overlap")
            yield blob
    except (sqlite3.Error, OverflowError, UnicodeDecodeError) as error:
        raise damaged(str(error)) from error
    finally:
        connection.close()
