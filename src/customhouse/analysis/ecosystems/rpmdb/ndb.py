"""rpm's own database, `Packages.db`, as SUSE has it.

Source: rpm's `lib/backend/ndb/rpmpkg.c`, "Package database": a header page, slots of 16 bytes that
say where each blob begins in units of 16 bytes, and the blobs. Everything is little-endian.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from customhouse.analysis.ecosystems.rpmdb.damage import damaged

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAGIC = b"RpmP"
_SLOT = struct.Struct("<4sIII")
_BLOB = struct.Struct("<4sIII")
_PAGE = 4096
_UNIT = 16
_HEADER = 32  # of the file, in the place of the first two slots


def recognises(content: bytes) -> bool:
    """Tell whether a file has this form."""
    return content.startswith(_MAGIC)


def headers(content: bytes) -> Iterator[bytes]:
    """Give the headers.

    Raises:
        Failure: `ARCHIVE_CORRUPT`.
    """
    if len(content) < _HEADER:
        raise damaged("it ends within its header")
    version, _, pages = struct.unpack_from("<III", content, 4)
    if version != 0:
        raise damaged(f"its version {version} is not known")
    if pages * _PAGE > len(content):
        raise damaged("it ends within its slots")
    left = len(content)  # blobs do not share bytes, so together they fit into the file
    for offset in range(_HEADER, pages * _PAGE, _SLOT.size):
        magic, number, start, _ = _SLOT.unpack_from(content, offset)
        if magic != b"Slot":
            raise damaged("a slot is none")
        if not number:
            continue
        begin = start * _UNIT
        if begin + _BLOB.size > len(content):
            raise damaged("a package is beyond its end")
        blob, owner, _, size = _BLOB.unpack_from(content, begin)
        begin += _BLOB.size
        if blob != b"BlbS" or owner != number or begin + size > len(content):
            raise damaged("a slot leads to no package")
        left -= _BLOB.size + size
        if left < 0:
            raise damaged("its packages overlap")
        yield content[begin : begin + size]
