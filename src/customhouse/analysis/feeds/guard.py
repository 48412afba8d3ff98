"""Keeps downloads from addresses that clouds answer with a machine's credentials.

A feed's address is named by whoever may import feeds, and leads on by redirects to where its server
says. Private networks are where mirrors are, and stay allowed.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Any

from customhouse import addresses

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx2


class AddressError(Exception):
    """An address is not connected to; the text says why, without the address."""


def hooks() -> dict[str, list[Callable[..., Any]]]:
    """Hooks for a client: every request is checked before it is sent, redirects as well.

    Each request raises AddressError if its host is, or has, an address that is never connected to.
    A name may have another address by the time it is connected to: nothing of what is answered is
    read if the other end turns out to be one of these.
    """
    return {"request": [_check_request], "response": [_check_peer]}


def _check_request(request: httpx2.Request) -> None:
    try:
        found = socket.getaddrinfo(request.url.host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return  # Connecting says so, unless a proxy knows the name.
    for *_, address in found:
        _check(str(address[0]))


def _check_peer(response: httpx2.Response) -> None:
    stream = response.extensions.get("network_stream")
    peer = stream.get_extra_info("server_addr") if stream is not None else None
    if peer is not None:
        _check(str(peer[0]))


def _check(address: str) -> None:
    if reason := addresses.refusal(ipaddress.ip_address(address)):
        raise AddressError(reason)
