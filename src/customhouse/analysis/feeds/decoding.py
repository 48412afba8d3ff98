"""The bounded way from the bytes of a JSON document into types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from customhouse.analysis.feeds.document import MAX_DOCUMENT, TOO_LARGE
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from msgspec.json import Decoder

MAX_OBJECTS: Final = 250_000
"""The most JSON objects in a document: each takes some hundred bytes of memory when decoded."""

MAX_ITEMS: Final = 1_000_000
"""The most items of arrays and objects in a document, all together."""

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
"""What some programs write before a document."""

DAMAGE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""All that a decoder raises for what is not of its form."""

_T = TypeVar("_T")


def malformed(reason: str) -> Failure:
    """The failure of a record, with the reason as a part of a sentence."""
    return Failure(Code.ADVISORY_INVALID, reason=reason)


def decode(decoder: Decoder[_T], document: bytes) -> _T:
    """Decode a document.

    Raises:
        Failure: ADVISORY_INVALID if it is too large, is no JSON, or has not this form.
    """
    if len(document) > MAX_DOCUMENT:
        raise malformed(TOO_LARGE)
    # Counted before decoding: these bytes occur in texts too, so the bounds are generous.
    if len(document) > MAX_OBJECTS and document.count(b"{") > MAX_OBJECTS:
        raise malformed(f"it has more than {MAX_OBJECTS} objects")
    if len(document) > MAX_ITEMS and document.count(b",") > MAX_ITEMS:
        raise malformed(f"it has more than {MAX_ITEMS} items")
    return decoded(decoder, document.removeprefix(BYTE_ORDER_MARK))


def decoded(decoder: Decoder[_T], text: bytes | msgspec.Raw) -> _T:
    """Decode a part of a document whose size was checked.

    Raises:
        Failure: ADVISORY_INVALID if it is no JSON, or has not this form.
    """
    try:
        return decoder.decode(text)
    except msgspec.MsgspecError as error:
        raise malformed(str(error)) from None
    except UnicodeDecodeError:
        raise malformed("a text is not UTF-8") from None
    except RecursionError:
        raise malformed("it is nested too deeply") from None
