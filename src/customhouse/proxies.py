"""Proxies in front of the server: whose word about the client is taken."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from customhouse.http import Scope

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Proxies:
    """The proxies that the settings name; everyone else's forwarding headers mean nothing."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = tuple(networks)
        self._is_trusted = lru_cache(4096)(self._lies_in_networks)

    def apply(self, scope: Scope) -> None:
        """Put what a trusted proxy says of the client in place of the connection's own.

        The client is the last address in X-Forwarded-For that is not itself a trusted proxy:
        whatever stands before it was sent by the client and may be invented.
        """
        client = scope.get("client")
        if not self._networks or not client or not self._is_trusted(client[0]):
            return
        headers = dict(scope["headers"])
        forwarded = headers.get(b"x-forwarded-for", b"").decode("latin-1")
        for address in reversed([part.strip() for part in forwarded.split(",") if part.strip()]):
            scope["client"] = (address[:64], 0)
            if not self._is_trusted(address):
                break
        proto = headers.get(b"x-forwarded-proto", b"").decode("latin-1")
        if proto in {"http", "https"}:
            scope["scheme"] = proto
        host = headers.get(b"x-forwarded-host")
        if host:
            scope["headers"] = [
                (name, value) for name, value in scope["headers"] if name != b"host"
            ] + [(b"host", host)]

    def _lies_in_networks(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)
