"""Changes of an input that bytes alone seldom make: JSON of another shape, tars whose sums hold."""

from __future__ import annotations

import json as standard
import random
from collections.abc import Callable
from typing import Any

Mutate = Callable[[bytes, random.Random], bytes]
"""Changes an input by chance; gives it back as it is if it is not of the form."""

_ODD: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1.5,
        2**53,
        10**400,
        -0.0,
        "",
        "0",
        "\0",
        "*",
        "é\u202e",
        "x" * 999,
    ),
    *([], [None], [[]], [{}], {}, {"": ""}, {"a": {"b": [1]}}),
    *("CVE-2024-1234", "pkg:deb/debian/a@1?arch=b", "pkg:oci/x", "0001-01-01T00:00:00+23:59"),
    *("1.0-1", "9" * 300, "~", "Debian:12", "introduced", "fixed", "9999-12-31T23:59:60Z"),
)
_BLOCK = 512


def json(content: bytes, chance: random.Random) -> bytes:
    """Change a value somewhere in a JSON document: another one, an odd one, none, or many."""
    try:
        document = standard.loads(content)
    except (ValueError, RecursionError):
        return content
    found = list(_places(document))
    if not found:
        return content
    parent, key = chance.choice(found)
    match chance.randrange(5):
        case 0:
            del parent[key]
        case 1:
            other, where = chance.choice(found)
            parent[key] = standard.loads(standard.dumps(other[where]))
        case 2 if isinstance(parent, list):
            parent[key:key] = [parent[key]] * chance.choice((1, 2, 50))
        case 3 if isinstance(parent, dict):
            parent[str(chance.choice(_ODD))] = parent[key]
        case _:
            parent[key] = chance.choice(_ODD)
    return standard.dumps(document).encode()


def _places(value: Any) -> Any:
    pending = [value] if isinstance(value, dict | list) else []
    while pending:
        inner = pending.pop()
        for key in inner if isinstance(inner, dict) else range(len(inner)):
            yield inner, key
            if isinstance(inner[key], dict | list):
                pending.append(inner[key])


def tar(content: bytes, chance: random.Random) -> bytes:
    """Change a byte, a field or the order of a tar's blocks; then set the sums of its headers."""
    blocks = [content[at : at + _BLOCK] for at in range(0, len(content), _BLOCK)]
    heads = [at for at, block in enumerate(blocks) if block[257:262] == b"ustar"]
    if not heads:
        return content
    head = bytearray(blocks[chance.choice(heads)].ljust(_BLOCK, b"\0"))
    at, size = chance.choice(((0, 100), (100, 8), (124, 12), (156, 1), (157, 100), (345, 155)))
    match chance.randrange(4):
        case 0:
            head[at + chance.randrange(size)] = chance.randrange(256)
        case 1:
            head[156] = chance.choice(b"01257xgLKS\0")
        case 2:
            head[at : at + size] = chance.choice((b"7" * size, b"\xff" * size, bytes(size)))
        case _:
            head[124:136] = b"%011o\0" % chance.choice((0, 1, 512, 513, 65536, 8**10))
    turn = chance.choice(heads)
    blocks[turn] = bytes(head)
    if not chance.randrange(4):
        blocks[turn:turn] = blocks[chance.choice(heads) :][: chance.randrange(4)]
    return b"".join(map(_summed, blocks))


def _summed(block: bytes) -> bytes:
    if block[257:262] != b"ustar" or len(block) < _BLOCK:
        return block
    total = sum(block[:148]) + sum(block[156:]) + 8 * ord(" ")
    return block[:148] + b"%06o\0 " % total + block[156:]
