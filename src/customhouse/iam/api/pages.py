"""Pages of listings: how many, and the token of the next."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, TypeVar

from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

MAX_PAGE = 1000
MAX_TOKEN = 1000


def count_of(size: int) -> int:
    """How many entries a page has, of the `pageSize` that was asked for."""
    return min(size or MAX_PAGE, MAX_PAGE)


def listing(
    name: str,
    found: Sequence[T],
    count: int,
    to_json: Callable[[T], object],
    key: Callable[[T], str],
) -> dict[str, Any]:
    """A page of a listing, with the token of the next if there is one.

    Args:
        name: what the entries are called.
        found: one entry more than the page has, if there is one.
        count: how many entries the page has.
        to_json: an entry as the API writes it.
        key: what an entry is ordered by.
    """
    answer: dict[str, Any] = {name: [to_json(entry) for entry in found[:count]]}
    if len(found) > count:
        answer["nextPageToken"] = token_of(key(found[count - 1]))
    return answer


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
