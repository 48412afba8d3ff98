"""What is sent: a message as a CloudEvent 1.0 over HTTP, or in Pub/Sub's own envelope.

CloudEvents, "HTTP Protocol Binding" sections 3.1 (binary) and 3.2 (structured), with the extension
`sequence`; Pub/Sub, "Push subscriptions", section "Receive push messages".
"""

from __future__ import annotations

import base64
import string
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from customhouse.notifications import topics
from customhouse.notifications.subscriptions import BINARY, PUBSUB
from customhouse.times import rfc3339

if TYPE_CHECKING:
    from customhouse.notifications.messages import Message
    from customhouse.notifications.subscriptions import Subscription

Header = tuple[str, str]

_SOURCE = "//customhouse/"
# Printable ASCII without the space, the quotation mark and the percent sign (section 3.1.3.2).
_PLAIN = "".join(sorted(set(string.printable) - set(string.whitespace) - set('"%')))


def envelope(message: Message, subscription: Subscription) -> tuple[list[Header], bytes]:
    """The headers that say what the body is, and the body."""
    if subscription.format == PUBSUB:
        return [("content-type", "application/json")], _pubsub(message, subscription)
    attributes = _attributes(message)
    if subscription.format == BINARY:
        headers = [(f"ce-{name}", quote(text, safe=_PLAIN)) for name, text in attributes.items()]
        return [("content-type", "application/json"), *headers], message.data
    event = attributes | {
        "datacontenttype": "application/json",
        "data": msgspec.Raw(message.data),
    }
    return [("content-type", "application/cloudevents+json")], msgspec.json.encode(event)


def _attributes(message: Message) -> dict[str, str]:
    return {
        "specversion": "1.0",
        "id": message.identifier,
        "source": _SOURCE + topics.name(message.project, message.topic),
        "type": message.type,
        "subject": message.subject,
        "time": rfc3339(message.published_at),
        "sequence": f"{message.number:020}",
        **message.attributes,
    }


def _pubsub(message: Message, subscription: Subscription) -> bytes:
    published = rfc3339(message.published_at)
    # Pub/Sub writes both spellings of these two.
    inner = {
        "attributes": message.attributes,
        "data": base64.b64encode(message.data).decode(),
        "messageId": message.identifier,
        "message_id": message.identifier,
        "publishTime": published,
        "publish_time": published,
    }
    return msgspec.json.encode({"message": inner, "subscription": subscription.full_name})
