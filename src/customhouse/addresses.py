"""Addresses that are never connected to, whoever names them.

A URL that somebody hands in is called from the server's network. Addresses of the machine's own
network segment are among those, and clouds answer them with the machine's credentials.
"""

from __future__ import annotations

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Where clouds serve a machine's credentials outside the link-local networks: AWS and Google by
# IPv6, Alibaba, Azure, Oracle.
_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "fd00:ec2::254",
        "fd20:ce::254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
    )
)
# IPv4 addresses within IPv6 ones (RFC 6052).
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def refusal(address: Address) -> str:
    """Why an address is never connected to; empty if it may be."""
    meant = plain(address)
    if meant in _METADATA or meant.is_link_local:
        return "its address is link-local or serves a cloud's metadata"
    if meant.is_unspecified or meant.is_multicast:
        return "its address is no host's"
    if meant.is_reserved and not meant.is_loopback:
        return "its address is reserved"
    return ""


def plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else address)
