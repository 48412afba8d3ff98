"""The part of the OSV schema that is used, as types, and the bounded way into them.

Source: https://ossf.github.io/osv-schema/, versions 1.0 to 1.7. Each list may be null: programs
written in Go write empty ones so.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

import msgspec

from customhouse.analysis.feeds import decoding

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Rating(msgspec.Struct, gc=False):
    """`severity[]`: a type, as `CVSS_V3` or `Ubuntu`, and its vector or word."""

    type: str
    score: str


class Range(msgspec.Struct, gc=False):
    """`affected[].ranges[]`. Events of an unknown kind must be seen, not ignored: thus a dict."""

    type: str
    events: list[dict[str, str]] | None = None


class Specific(msgspec.Struct, frozen=True, gc=False):
    """`database_specific` and `ecosystem_specific`; what their values are is left to databases."""

    severity: object = None
    urgency: object = None
    ubuntu_priority: object = None
    uct_status: object = None


class Package(msgspec.Struct, gc=False):
    """`affected[].package`."""

    ecosystem: str = ""
    name: str = ""


class Entry(msgspec.Struct, gc=False):
    """`affected[]`. The versions can be many and are seldom needed, so they stay undecoded."""

    package: Package | None = None
    severity: list[Rating] | None = None
    ranges: list[Range] | None = None
    versions: msgspec.Raw = msgspec.Raw(b"null")
    ecosystem_specific: Specific | None = None
    database_specific: Specific | None = None


class Link(msgspec.Struct, gc=False):
    """`references[]`."""

    type: str = "WEB"
    url: str = ""


class Record(msgspec.Struct, gc=False):
    """The whole."""

    id: str
    modified: Moment
    published: Moment | None = None
    withdrawn: Moment | None = None
    aliases: list[str] | None = None
    upstream: list[str] | None = None
    related: list[str] | None = None
    summary: str | None = None
    details: str | None = None
    severity: list[Rating] | None = None
    affected: list[Entry] | None = None
    references: list[Link] | None = None
    database_specific: Specific | None = None


_RECORD: Final = msgspec.json.Decoder(Record)
_VERSIONS: Final = msgspec.json.Decoder(list[str] | None)


def decode(document: bytes) -> Record:
    """Decode a record.

    Raises:
        Failure: ADVISORY_INVALID if it is too large, is no JSON, or has not this form.
    """
    return decoding.decode(_RECORD, document)


def versions(entry: Entry) -> list[str]:
    """Decode the versions that an entry lists.

    Raises:
        Failure: ADVISORY_INVALID if they are no list of texts.
    """
    return decoding.decoded(_VERSIONS, entry.versions) or []
