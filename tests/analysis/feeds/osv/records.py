"""Records for the tests, as short as the schema allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from customhouse.analysis.feeds.osv import parse

if TYPE_CHECKING:
    from customhouse.analysis.feeds import Advisory, Affected


def encoded(**fields: Any) -> bytes:
    """A record with an identifier, a date and no packages, unless fields say otherwise."""
    record = {"id": "TEST-1", "modified": "2024-05-06T07:08:09Z", "affected": []}
    return msgspec.json.encode(record | fields)


def parsed(**fields: Any) -> Advisory:
    return parse(encoded(**fields))


def entry(
    ecosystem: str = "Debian:12", name: str = "openssl", *events: dict[str, str], **fields: Any
) -> dict[str, Any]:
    """An `affected` entry, with one range if there are events."""
    package = {"package": {"ecosystem": ecosystem, "name": name}}
    ranges = {"ranges": [{"type": "ECOSYSTEM", "events": events}]} if events else {}
    return package | ranges | fields


def fixed(version: str) -> tuple[dict[str, str], dict[str, str]]:
    """The events of what is affected from the first version to a fix."""
    return {"introduced": "0"}, {"fixed": version}


def only_row(**fields: Any) -> Affected:
    """The one range of a record with one entry."""
    (row,) = parsed(**fields).affected
    return row
