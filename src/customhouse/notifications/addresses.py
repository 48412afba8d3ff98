"""Where deliveries may go: which URLs are taken, and which addresses are connected to.

An endpoint is named by whoever may create subscriptions, and is called from the server's network.
Addresses of the machine's own network segment, which clouds answer with credentials, are never
called; private networks and the machine itself only if the settings allow it.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_URL = 2048

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


def check_url(url: str, *, allow_private: bool) -> str:
    """Return a URL if deliveries may be sent there, as far as can be told without resolving it.

    Raises:
        Failure: ENDPOINT_INVALID.
    """
    if len(url) > MAX_URL or not re.fullmatch(r"[!-~]+", url):
        raise _invalid(f"it is not 1 to {MAX_URL} characters of ASCII")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _invalid("it is no URL") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise _invalid("it is no http or https URL")
    if "@" in parts.netloc:
        raise _invalid("it has credentials in it; deliveries are signed instead")
    if "#" in url or re.search(r"[\\\[\]]", parts.path + parts.query):
        raise _invalid("it has characters that are not sent in a request")
    try:
        literal = ipaddress.ip_address(parts.hostname)
    except ValueError:
        return url
    if reason := refusal(literal, allow_private=allow_private):
        raise _invalid(reason)
    return url


def refusal(address: Address, *, allow_private: bool) -> str:
    """Why an address is not connected to; empty if it is."""
    plain = _embedded(address)
    if plain in _METADATA or plain.is_link_local:
        return "its address is link-local or serves a cloud's metadata"
    if plain.is_unspecified or plain.is_multicast:
        return "its address is no host's"
    if plain.is_reserved and not plain.is_loopback:
        return "its address is reserved"
    if not allow_private and not plain.is_global:
        return "its address is private, which notifications.allow_private does not allow"
    return ""


def permitted(texts: Iterable[str], *, allow_private: bool) -> list[str]:
    """The addresses that a name was resolved to, if every one of them may be connected to.

    Raises:
        Failure: ENDPOINT_INVALID, when one may not, or there is none.
    """
    found = list(dict.fromkeys(texts))
    for text in found:
        if reason := refusal(ipaddress.ip_address(text), allow_private=allow_private):
            raise _invalid(reason)
    if not found:
        raise _invalid("its name has no address")
    return found


def _embedded(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else address)


def _invalid(reason: str) -> Failure:
    return Failure(Code.ENDPOINT_INVALID, reason=reason)
