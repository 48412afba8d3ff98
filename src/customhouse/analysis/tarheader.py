"""The headers of tar archives, from bytes to values; `archive` reads them from a stream.

Sources: POSIX.1-2024 pax, "pax Interchange Format" and "ustar Interchange Format"; GNU tar manual,
"Basic Tar Format" and "GNU Extensions to the Archive Format"; for what they leave open Go's
`archive/tar`, with which container runtimes extract.
"""

from __future__ import annotations

from dataclasses import dataclass

from customhouse.analysis.compression import corrupt

BLOCK = 512
"""Bytes of a header, and the unit to which data is padded."""

SIZE = slice(124, 136)
"""Where a header has the size of the data after it."""

_CHECKSUM = slice(148, 156)
_WITHOUT_DATA = frozenset((b"1", b"2", b"3", b"4", b"5", b"6"))
_OCTAL = frozenset(b"01234567")
_PAX_KEYS = frozenset((b"path", b"linkpath", b"size"))
_PAX_SPARSE = b"GNU.sparse."


@dataclass(frozen=True, slots=True)
class Header:
    """What the header of an entry says, and the ones before it that describe it further.

    Attributes:
        flag: kind of the entry, one byte; never the zero byte.
        size: bytes of data that follow. Links, folders and devices have none whatever they state.
        name: as written.
        target: of a link, as written.
        sparse: whether the data is not the content but parts of it.
        executable: whether anybody may run it.
    """

    flag: bytes
    size: int
    name: bytes
    target: bytes
    sparse: bool
    executable: bool


def verify(block: bytes, place: str) -> None:
    """Verify the checksum of a header: the sum of its bytes, with blanks for the checksum itself.

    Historical archives have the sum of signed bytes, which is taken as well.

    Args:
        block: the 512 bytes.
        place: where the header is, for the failure.

    Raises:
        Failure: `ARCHIVE_CORRUPT`.
    """
    field = block[_CHECKSUM]
    stated = _number(field)
    unsigned = sum(block) - sum(field) + len(field) * ord(" ")
    if stated != unsigned:
        rest = block[: _CHECKSUM.start] + block[_CHECKSUM.stop :]
        if stated != unsigned - 256 * sum(byte > 127 for byte in rest):
            raise corrupt(f"{place} is no tar header")


def number(field: bytes) -> int:
    """Read a number: octal digits among blanks and zero bytes, or base 256 if the first bit is set.

    Raises:
        Failure: `ARCHIVE_CORRUPT` if it is none, or negative.
    """
    value = _number(field)
    if value is None:
        raise corrupt("a tar header has no number, or a negative one, where a size should be")
    return value


def _number(field: bytes) -> int | None:
    if field[0] & 0x80:
        negative = field[0] & 0x40
        return None if negative else int.from_bytes(field, "big") - (0x80 << 8 * (len(field) - 1))
    digits = field.strip(b" \0").partition(b"\0")[0]
    if not _OCTAL.issuperset(digits):
        return None
    return int(digits, 8) if digits else 0


def pax(data: bytes) -> dict[bytes, bytes]:
    r"""Read the records `LENGTH KEY=VALUE\n` of a pax header.

    Returns:
        The last value of each key among `path`, `linkpath`, `size` and `GNU.sparse.*`, as far as it
        is not empty: an empty one means that the tar header counts.

    Raises:
        Failure: `ARCHIVE_CORRUPT`.
    """
    records: dict[bytes, bytes] = {}
    at = 0
    while at < len(data):
        blank = data.find(b" ", at, at + 21)
        end = at + _decimal(data[at:blank])
        if not blank < end <= len(data) or data[end - 1] != ord("\n"):
            raise corrupt("a pax header has a record of the wrong length")
        key, equals, value = data[blank + 1 : end - 1].partition(b"=")
        at = end
        if not equals:
            raise corrupt("a pax header has a record without a value")
        if key in _PAX_KEYS or key.startswith(_PAX_SPARSE):
            if b"\0" in value:
                raise corrupt("a pax header has a zero byte in a path")
            records[key] = value
    return {key: value for key, value in records.items() if value}


def header(block: bytes, records: dict[bytes, bytes]) -> Header:
    """Read the header of an entry.

    Args:
        block: the 512 bytes.
        records: what the headers before it say of the entry; see `pax`.

    Raises:
        Failure: `ARCHIVE_CORRUPT`.
    """
    flag = block[156:157]
    size = _decimal(records[b"size"]) if b"size" in records else number(block[SIZE])
    name = records.get(_PAX_SPARSE + b"name") or records.get(b"path") or _name(block)
    if flag == b"\0":
        flag = b"5" if name.endswith(b"/") else b"0"  # v7 has no other sign of a folder
    if flag in _WITHOUT_DATA:
        size = 0
    return Header(
        flag=flag,
        size=size,
        name=name,
        target=records.get(b"linkpath") or text(block[157:257]),
        sparse=flag == b"S" or any(key.startswith(_PAX_SPARSE) for key in records),
        executable=_is_executable(block[100:108]),
    )


def _is_executable(mode: bytes) -> bool:
    """Tell it from the mode, of which nothing else is wanted; one that is no number has none."""
    digits = mode.strip(b"\0 ")
    return _OCTAL.issuperset(digits) and bool(int(digits or b"0", 8) & 0o111)


def text(field: bytes) -> bytes:
    """Read a text that ends with a zero byte or with its field."""
    return field.partition(b"\0")[0]


def _name(block: bytes) -> bytes:
    """Read the name of an entry, with the prefix that ustar has for long ones."""
    base = text(block[:100])
    prefix = b""
    if block.startswith(b"ustar\0", 257):
        star = block.endswith(b"tar\0")
        prefix = text(block[345 : 476 if star else 500])
    return prefix + b"/" + base if prefix else base


def _decimal(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 20:
        raise corrupt("a pax header has no number where one should be")
    return int(digits)


def normalize(path: str) -> str | None:
    """Write a path without leading slash and without empty and `.` parts; the root is empty.

    Returns:
        None if the path has a `..` part.
    """
    parts = [part for part in path.split("/") if part not in {"", "."}]
    return None if ".." in parts else "/".join(parts)
