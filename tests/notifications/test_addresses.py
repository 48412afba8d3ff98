"""Where deliveries may go: what a server must not be made to call."""

from __future__ import annotations

import ipaddress
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customhouse.errors import Code, Failure
from customhouse.notifications.addresses import check_url, permitted, refusal

ALWAYS_REFUSED = (
    "169.254.169.254",
    "169.254.0.1",
    "fe80::1",
    "fe80::1%1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "100.100.100.200",
    "168.63.129.16",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "::169.254.169.254",
    "0.0.0.0",
    "::",
    "224.0.0.1",
    "ff02::1",
    "255.255.255.255",
    "240.0.0.1",
)
PRIVATE = (
    "127.0.0.1",
    "::1",
    "::ffff:127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "fd12:3456::1",
    "64:ff9b::a00:1",
)
PUBLIC = ("93.184.215.14", "2606:2800:21f::1", "::ffff:93.184.215.14", "64:ff9b::5db8:d70e")


@pytest.mark.parametrize("text", ALWAYS_REFUSED)
def test_some_are_always_refused(text: str) -> None:
    for allow_private in (True, False):
        assert refusal(ipaddress.ip_address(text), allow_private=allow_private)
        with pytest.raises(Failure) as caught:
            permitted(["93.184.215.14", text], allow_private=allow_private)
        assert caught.value.code is Code.ENDPOINT_INVALID


@pytest.mark.parametrize("text", PRIVATE)
def test_private_ones_are_a_setting(text: str) -> None:
    assert not refusal(ipaddress.ip_address(text), allow_private=True)
    assert "allow_private" in refusal(ipaddress.ip_address(text), allow_private=False)


@pytest.mark.parametrize("text", PUBLIC)
def test_public_ones_are_permitted(text: str) -> None:
    assert not refusal(ipaddress.ip_address(text), allow_private=False)


@given(st.integers(0, 2**16 - 1))
def test_no_form_of_a_link_local_address_is_permitted(rest: int) -> None:
    plain = ipaddress.IPv4Address((169 << 24) + (254 << 16) + rest)
    for text in (str(plain), f"::ffff:{plain}", f"64:ff9b::{plain}", f"::{plain}"):
        assert refusal(ipaddress.ip_address(text), allow_private=True)


@pytest.mark.parametrize(
    "url",
    [
        "http://receiver",
        "https://receiver.example.com:8443/a/b?x=%20y&z",
        "http://127.0.0.1:8080/",
        "http://[::1]:8080/hook",
    ],
)
def test_urls_that_are_taken(url: str) -> None:
    assert check_url(url, allow_private=True) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "receiver",
        "ftp://receiver/",
        "file:///etc/passwd",
        "gopher://receiver/",
        "https://",
        "https:///path",
        "https://user@receiver/",
        "https://user:secret@receiver/",
        "https://receiver/#part",
        "https://receiver/a b",
        "https://receiver/\r\nx: y",
        "https://receiver/\x00",
        "https://réceiver/",
        "https://receiver:0/",
        "https://receiver:99999/",
        "https://[::1/",
        "https://receiver/" + "a" * 2048,
        "http://169.254.169.254/",
        "http://[::ffff:169.254.169.254]/",
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(Failure) as caught:
        check_url(url, allow_private=True)
    assert caught.value.code is Code.ENDPOINT_INVALID
    assert "secret" not in caught.value.message


@given(st.text(max_size=60))
def test_any_text_is_taken_or_refused(text: str) -> None:
    for url in (text, f"https://{text}"):
        with suppress(Failure):
            assert check_url(url, allow_private=True) == url
