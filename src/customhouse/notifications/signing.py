"""Signatures of deliveries, by the scheme of Standard Webhooks (standardwebhooks.com, v1).

What is signed is `ID.TIMESTAMP.BODY`, with HMAC-SHA256; a receiver has the secret and checks it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_PREFIX = "whsec_"
_BYTES = 32


def new_secret() -> str:
    """A secret as receivers write it: `whsec_` and base64 of 32 random bytes."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def sign(
    keys: Sequence[str], identifier: str, timestamp: int, body: bytes
) -> list[tuple[str, str]]:
    """The headers that let a receiver check where a delivery comes from, and when it was sent.

    Args:
        keys: one secret; while it is being rotated, two.
        identifier: the message's.
        timestamp: seconds since 1970.
        body: what is sent.
    """
    content = f"{identifier}.{timestamp}.".encode() + body
    signatures = (_signature(key, content) for key in keys)
    return [
        ("webhook-id", identifier),
        ("webhook-timestamp", str(timestamp)),
        ("webhook-signature", " ".join(signatures)),
    ]


def _signature(key: str, content: bytes) -> str:
    raw = base64.b64decode(key.removeprefix(_PREFIX))
    digest = hmac.new(raw, content, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"
