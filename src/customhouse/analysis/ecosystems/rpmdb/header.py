"""The header of an rpm package: tags and their values.

Source: RPM Package Manager's "RPM v4 package format", section "Header": the numbers of index
entries and of bytes of data, big-endian; entries of tag, type, offset and count; the data.
"""

from __future__ import annotations

import struct
from typing import Final

from customhouse.analysis.ecosystems.rpmdb.damage import damaged

MAX_ENTRIES: Final = 65_535
"""Index entries of a header, as rpm itself bounds them."""

MAX_ITEMS: Final = 1_000_000
"""Texts or numbers of one tag; the packages with the most files have some 100,000."""

MAX_LENGTH: Final = 8192
"""Bytes of a text that are looked at: twice those of the longest path, and of a name or version
far more than either may have."""

_ENTRY = struct.Struct(">IIiI")
_INT32, _STRING, _STRINGS, _I18N = 4, 6, 8, 9


class Header:
    """A header, whose values are decoded when asked for.

    Args:
        blob: as a database holds it, without the magic of a package's file.

    Raises:
        Failure: `ARCHIVE_CORRUPT`.
    """

    def __init__(self, blob: bytes) -> None:
        if len(blob) < 8:
            raise damaged("a package's header is cut off")
        entries, size = struct.unpack_from(">II", blob)
        start = 8 + entries * _ENTRY.size
        if entries > MAX_ENTRIES or start + size > len(blob):
            raise damaged("a package's header is cut off")
        self._data = blob[start : start + size]
        self._index = {
            tag: (kind, offset, count)
            for tag, kind, offset, count in _ENTRY.iter_unpack(blob[8:start])
        }

    def text(self, tag: int) -> str:
        """The text of a tag, the first of several, cut at `MAX_LENGTH`; empty if there is none."""
        found = self._texts(tag, 1)
        return found[0] if found else ""

    def texts(self, tag: int) -> list[str]:
        """The texts of a tag, each cut at `MAX_LENGTH`."""
        return self._texts(tag, MAX_ITEMS)

    def number(self, tag: int) -> int | None:
        """The number of a tag, the first of several."""
        found = self.numbers(tag)
        return found[0] if found else None

    def numbers(self, tag: int) -> list[int]:
        """The numbers of a tag."""
        kind, offset, count = self._index.get(tag, (0, 0, 0))
        if kind != _INT32:
            return []
        if count > MAX_ITEMS or offset < 0 or offset + 4 * count > len(self._data):
            raise damaged("a package's header is wrong")
        return list(struct.unpack_from(f">{count}I", self._data, offset))

    def _texts(self, tag: int, most: int) -> list[str]:
        kind, offset, count = self._index.get(tag, (0, 0, 0))
        if kind not in {_STRING, _STRINGS, _I18N}:
            return []
        if count > MAX_ITEMS or not 0 <= offset <= len(self._data):
            raise damaged("a package's header is wrong")
        found: list[str] = []
        for _ in range(min(count, most)):
            end = self._data.find(b"\0", offset)
            if end < 0:
                raise damaged("a package's header is wrong")
            found.append(
                self._data[offset : min(end, offset + MAX_LENGTH)].decode("utf-8", "replace")
            )
            offset = end + 1
        return found
