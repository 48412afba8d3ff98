"""Limits of how many requests a second one caller, or one address, may send.

Each process counts what it answers, in memory: a caller that is spread over the processes of a
server gets the rate of each.
"""

from __future__ import annotations

import math
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_V4_IN_V6 = bytes(10) + b"\xff\xff"


class Limiter:
    """A token bucket for each key, in memory that is bounded.

    A bucket is one number, the time at which it is full again (as in the generic cell rate
    algorithm, ITU-T I.371): it is behind the clock for who has not asked for long, and such
    buckets need not be kept.

    Args:
        rate: tokens that come each second; 0 for no limit.
        burst: how many tokens a bucket holds, at least 1.
        size: how many buckets are kept at most; of more keys than that the ones that have not
            asked for longest begin anew.
        clock: a time in seconds that only grows.
    """

    def __init__(
        self,
        rate: float,
        burst: int,
        size: int = 100_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if rate < 0 or not math.isfinite(rate) or burst < 1 or size < 2:
            raise ValueError("a limiter needs a rate of 0 or more, a burst of 1, room for 2")
        self._interval = 1 / rate if rate else 0.0
        self._slack = (burst - 1) * self._interval
        self._half = size // 2
        self._clock = clock
        # Two halves: when the newer is full the older is forgotten, and no call has to search.
        self._newer: dict[str, float] = {}
        self._older: dict[str, float] = {}

    def take(self, key: str) -> float:
        """Take a token from the bucket of a key.

        Returns:
            0 if there was one; otherwise the seconds until there is.
        """
        interval = self._interval
        if not interval:
            return 0.0
        moment = self._clock()
        full = self._newer.get(key)
        if full is None:
            full = self._remember(key)
        if full <= moment:
            self._newer[key] = moment + interval
            return 0.0
        wait = full - moment - self._slack
        # Sums of fractions are a little off: a wait of a millionth is none.
        if wait > 1e-6:
            return wait
        self._newer[key] = full + interval
        return 0.0

    def _remember(self, key: str) -> float:
        """Bring a key into the newer half; when its bucket is full again."""
        if len(self._newer) >= self._half:
            self._older, self._newer = self._newer, {}
        full = self._older.get(key, 0.0)
        self._newer[key] = full
        return full


def network(address: str) -> str:
    """What an address is counted as: itself for IPv4, its /64 for IPv6.

    A single client has a /64 of IPv6 addresses to choose from (RFC 6177, RFC 8981). What is no
    address stands for itself.
    """
    if ":" not in address:
        return address
    try:
        packed = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    except (OSError, ValueError):
        return address
    if packed.startswith(_V4_IN_V6):
        return socket.inet_ntoa(packed[12:])
    return packed[:8].hex()
