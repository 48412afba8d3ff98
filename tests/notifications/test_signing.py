"""Signatures: what the independent library says of them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from customhouse.notifications.signing import new_secret, sign


@given(st.text().map(str.encode))
def test_the_independent_library_agrees(body: bytes) -> None:
    old, new = new_secret(), new_secret()
    headers = dict(sign([new, old], "msg_1", int(time.time()), body))
    for secret in (old, new):
        Webhook(secret).verify(body, headers, json_parse=False)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(body, headers, json_parse=False)
    with pytest.raises(WebhookVerificationError):
        Webhook(new).verify(body + b"x", headers, json_parse=False)
    with pytest.raises(WebhookVerificationError):
        Webhook(new).verify(body, headers | {"webhook-id": "msg_2"}, json_parse=False)


def test_an_example_by_hand() -> None:
    """Computed with openssl dgst -sha256 -hmac."""
    headers = dict(sign(["whsec_MDEyMzQ1Njc4OWFiY2RlZg=="], "msg_1", 1700000000, b"{}"))
    assert headers["webhook-id"] == "msg_1"
    assert headers["webhook-timestamp"] == "1700000000"
    assert headers["webhook-signature"] == "v1,3uojc/2kvL+KpJkw4ZNrA/5YjEs9cdfKdc3lXIvRjkk="
