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

from customhouse import addresses
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from customhouse.addresses import Address

MAX_URL = 2048


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
    if reason := addresses.refusal(address):
        return reason
    if not allow_private and not addresses.plain(address).is_global:
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


def _invalid(reason: str) -> Failure:
    return Failure(Code.ENDPOINT_INVALID, reason=reason)
