"""Small databases of rpm in each form, made for tests from headers given as tags."""

from __future__ import annotations

import sqlite3
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Value = str | list[str] | list[int]

NAME, VERSION, RELEASE, EPOCH, SOURCE, MODULE = 1000, 1001, 1002, 1003, 1044, 5096
FOLDER_OF, BASE_NAMES, FOLDERS = 1116, 1117, 1118

RPM_TABLE = "CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT,blob BLOB NOT NULL)"


def header(tags: Mapping[int, Value]) -> bytes:
    """Write a header: a text as STRING, texts as STRING_ARRAY, numbers as INT32."""
    index, data = b"", b""
    for tag, value in tags.items():
        if isinstance(value, str):
            kind, count, written = 6, 1, value.encode() + b"\0"
        elif value and isinstance(value[0], int):
            kind, count, written = 4, len(value), struct.pack(f">{len(value)}I", *value)
            data += bytes(-len(data) % 4)
        else:
            kind, count = 8, len(value)
            written = b"".join(str(each).encode() + b"\0" for each in value)
        index += struct.pack(">IIiI", tag, kind, len(data), count)
        data += written
    return struct.pack(">II", len(tags), len(data)) + index + data


def package(name: str, **more: str) -> bytes:
    """Write the header of a package that has a name and a version."""
    tags: dict[int, Value] = {NAME: name, VERSION: "1.0", RELEASE: "1"}
    tags |= {{"source": SOURCE, "module": MODULE}[tag]: value for tag, value in more.items()}
    return header(tags)


def ndb(blobs: Sequence[bytes], slots: int = 1) -> bytes:
    """Write the form `Packages.db`; each blob is led to by so many slots."""
    begin = (32 + 16 * slots * len(blobs) + 4095) // 4096 * 4096
    index, body = b"", b""
    for number, blob in enumerate(blobs, 1):
        at = (begin + len(body)) // 16
        index += (b"Slot" + struct.pack("<III", number, at, 1)) * slots
        written = b"BlbS" + struct.pack("<III", number, 1, len(blob)) + blob
        body += written + bytes(-len(written) % 16)
    free = (begin - 32 - len(index)) // 16
    head = b"RpmP" + struct.pack("<III", 0, 1, begin // 4096) + bytes(16)
    return head + index + (b"Slot" + bytes(12)) * free + body


def bdb(blobs: Sequence[bytes], size: int = 512, order: str = "<") -> bytes:
    """Write the form `Packages`: a hash page and a chain of overflow pages for each blob."""
    room = size - 26
    pages: list[bytes] = []
    for number, blob in enumerate(blobs, 1):
        page = len(pages) + 1
        item = bytes((1,)) + struct.pack(f"{order}I", number)
        value = bytes((3, 0, 0, 0)) + struct.pack(f"{order}II", page + 1, len(blob))
        index = struct.pack(f"{order}HH", size - len(item), size - len(item) - len(value))
        items = value + item
        head = struct.pack(f"{order}8xIIIHHBB", page, 0, 0, 2, size - len(items), 0, 13)
        pages.append(head + index + bytes(room - len(index) - len(items)) + items)
        parts = [blob[at : at + room] for at in range(0, len(blob), room)]
        for turn, part in enumerate(parts, page + 1):
            after = turn + 1 if turn - page < len(parts) else 0
            head = struct.pack(f"{order}8xIIIHHBB", turn, 0, after, 1, len(part), 0, 7)
            pages.append(head + part + bytes(room - len(part)))
    meta = struct.pack(f"{order}8xIIIIBBBBII", 0, 0x00061561, 9, size, 0, 8, 0, 0, 0, len(pages))
    return meta + bytes(size - len(meta)) + b"".join(pages)


def sqlite(blobs: Sequence[bytes], table: str = RPM_TABLE) -> bytes:
    """Write the form `rpmdb.sqlite`."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute(table)
        connection.executemany("INSERT INTO Packages(blob) VALUES (?)", [(blob,) for blob in blobs])
        connection.commit()
        return connection.serialize()
    finally:
        connection.close()


FORMS: dict[str, Callable[[Sequence[bytes]], bytes]] = {
    "bdb": bdb,
    "bdb big-endian": lambda blobs: bdb(blobs, order=">"),
    "ndb": ndb,
    "sqlite": sqlite,
}
