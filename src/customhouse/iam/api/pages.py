"""Pages of listings: how many, and the token of the next."""

from __future__ import annotations

import base64
import binascii

from customhouse.errors import Code, Failure

MAX_PAGE = 1000
MAX_TOKEN = 1000


def count_of(size: int) -> int:
    """How many entries a page has, of the `pageSize` that was asked for."""
    return min(size or MAX_PAGE, MAX_PAGE)


def token_of(key: str) -> str:
    """The page token for what follows a key."""
    return base64.urlsafe_b64encode(key.encode()).decode()


def key_of(token: str) -> str:
    """The key of a page token; empty for the first page.

    Raises:
        Failure: REQUEST_INVALID.
    """
    try:
        key = base64.urlsafe_b64decode(token.encode()).decode()
    except (binascii.Error, ValueError) as error:
        raise Failure(
            Code.REQUEST_INVALID, reason="pageToken is not one that was given out"
        ) from error
    if "\0" in key:
        raise Failure(Code.REQUEST_INVALID, reason="pageToken is not one that was given out")
    return key
