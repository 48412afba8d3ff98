"""rpm's database in BerkeleyDB, `Packages`: Enterprise Linux up to 8, Amazon Linux 2.

Sources: BerkeleyDB 5.3 `src/dbinc/db_page.h` (`HASHHDR`-less meta page `HMETA33`, page header
`PAGE`, `H_KEYDATA`, `H_OFFPAGE`, overflow pages) and rpm's `lib/backend/db3.c`: keys are the
numbers of packages, 4 bytes, of which 0 is a counter; values are headers.
"""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import TYPE_CHECKING

from customhouse.analysis.ecosystems.rpmdb.damage import damaged

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAGIC = 0x00061561
_HASH_PAGES = frozenset((2, 13))  # unsorted and sorted
_OVERFLOW_PAGE = 7
_ON_PAGE, _OFF_PAGE = 1, 3
_PAGE_HEADER = 26
_PAGE_SIZES = frozenset(1 << power for power in range(9, 17))


def headers(content: bytes) -> Iterator[bytes]:
    """Give the headers, in either byte order.

    Raises:
        Failure: `ARCHIVE_CORRUPT`.
    """
    if len(content) < 512:
        raise damaged("it is no database that is known")
    order = "<" if struct.unpack_from("<I", content, 12)[0] == _MAGIC else ">"
    magic, _, size = struct.unpack_from(f"{order}III", content, 12)
    if magic != _MAGIC or size not in _PAGE_SIZES:
        raise damaged("it is no database that is known")
    last = struct.unpack_from(f"{order}I", content, 32)[0]
    if (last + 1) * size > len(content):
        raise damaged("it ends within its pages")
    pages = _Pages(content, order, size, last)
    for number in range(1, last + 1):
        if pages.kind(number) in _HASH_PAGES:
            yield from pages.values(number)


class _Pages:
    def __init__(self, content: bytes, order: str, size: int, last: int) -> None:
        self._content = content
        self._size = size
        self._last = last
        self._short = struct.Struct(f"{order}H")
        self._long = struct.Struct(f"{order}I")
        self._off_page = struct.Struct(f"{order}II")
        self._unvisited = last  # an overflow page is part of one value, so chains cannot go round

    def kind(self, number: int) -> int:
        return self._content[number * self._size + 25]

    def values(self, number: int) -> Iterator[bytes]:
        """Give the values of a hash page: keys and values alternate in its index."""
        start = number * self._size
        count = self._short.unpack_from(self._content, start + 20)[0]
        if count % 2 or _PAGE_HEADER + 2 * count > self._size:
            raise damaged("an index is wrong")
        index = [
            self._short.unpack_from(self._content, start + _PAGE_HEADER + 2 * each)[0]
            for each in range(count)
        ]
        # Items grow from the end of the page: one ends where the one before it begins.
        if any(before <= after for before, after in pairwise((self._size, *index))):
            raise damaged("an index is wrong")
        for position in range(0, count, 2):
            key, value = index[position], index[position + 1]
            end = index[position - 1] if position else self._size
            item = self._content[start + key : start + end]
            if item[:1] != bytes((_ON_PAGE,)) or item[1:5] == bytes(4):
                continue
            yield self._value(start, value, key)

    def _value(self, start: int, offset: int, end: int) -> bytes:
        kind = self._content[start + offset]
        if kind == _ON_PAGE:
            return self._content[start + offset + 1 : start + end]
        if kind != _OFF_PAGE or offset + 12 > self._size:
            raise damaged("a value is of an unknown kind")
        number, length = self._off_page.unpack_from(self._content, start + offset + 4)
        return self._chain(number, length)

    def _chain(self, number: int, length: int) -> bytes:
        parts: list[bytes] = []
        left = length
        while left > 0:
            self._unvisited -= 1
            if self._unvisited < 0:
                raise damaged("its values overlap")
            if not 0 < number <= self._last or self.kind(number) != _OVERFLOW_PAGE:
                raise damaged("a value breaks off")
            start = number * self._size
            number = self._long.unpack_from(self._content, start + 16)[0]
            used = self._short.unpack_from(self._content, start + 22)[0]
            if not 0 < used <= self._size - _PAGE_HEADER:
                raise damaged("a value breaks off")
            parts.append(self._content[start + _PAGE_HEADER : start + _PAGE_HEADER + used])
            left -= used
        return b"".join(parts)[:length]
