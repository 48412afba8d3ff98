"""Times as they are stored and as they are told."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(microseconds: int, precision: str = "microseconds") -> str:
    """A time in UTC as Google's APIs write it (RFC 3339), as `2026-01-02T03:04:05.678901Z`.

    Args:
        microseconds: since 1970, UTC: how every time is stored.
        precision: the last part that is told, as of `datetime.isoformat`.
    """
    moment = datetime.fromtimestamp(microseconds / 1_000_000, UTC)
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")
