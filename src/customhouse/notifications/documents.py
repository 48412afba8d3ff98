"""Subscriptions and deliveries as the API writes them: Pub/Sub's forms, as far as they go here.

What Pub/Sub has and this has not is refused by name, not passed over.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any

from customhouse.errors import Code, Failure
from customhouse.notifications import topics
from customhouse.notifications.subscriptions import (
    ACTIVE,
    BINARY,
    PAUSED,
    PUBSUB,
    SECOND,
    STRUCTURED,
    Subscription,
)
from customhouse.times import rfc3339

if TYPE_CHECKING:
    from customhouse.notifications.deliveries import Delivery

_WRAPPERS = {"noWrapper": BINARY, "pubsubWrapper": PUBSUB}
_DURATION = re.compile(r"([0-9]{1,6})(\.[0-9]{1,9})?s")
# What is only told, and what Pub/Sub's clients send although it says nothing here.
_IGNORED = {"name", "topic", "stateReason", "createTime", "ackDeadlineSeconds"}
_PATHS = {
    "pushConfig": ("endpoint", "format"),
    "pushConfig.pushEndpoint": ("endpoint",),
    "filter": ("filter",),
    "deadLetterPolicy": ("max_attempts",),
    "deadLetterPolicy.maxDeliveryAttempts": ("max_attempts",),
    "retryPolicy": ("min_backoff", "max_backoff"),
    "retryPolicy.minimumBackoff": ("min_backoff",),
    "retryPolicy.maximumBackoff": ("max_backoff",),
    "labels": ("labels",),
    "state": ("state", "state_reason"),
}


def to_json(subscription: Subscription) -> dict[str, Any]:
    """A subscription, without its secret."""
    push: dict[str, Any] = {"pushEndpoint": subscription.endpoint}
    push |= {name: {} for name, form in _WRAPPERS.items() if form == subscription.format}
    document: dict[str, Any] = {
        "name": subscription.full_name,
        "topic": topics.name(subscription.project, subscription.topic),
        "pushConfig": push,
        "deadLetterPolicy": {"maxDeliveryAttempts": subscription.max_attempts},
        "retryPolicy": {
            "minimumBackoff": _duration(subscription.min_backoff),
            "maximumBackoff": _duration(subscription.max_backoff),
        },
        "state": subscription.state,
        "createTime": rfc3339(subscription.created_at),
    }
    optional = {
        "filter": subscription.filter,
        "labels": dict(subscription.labels),
        "stateReason": subscription.state_reason,
    }
    return document | {name: value for name, value in optional.items() if value}


def new(project: str, name: str, document: dict[str, Any]) -> Subscription:
    """The subscription that a document asks for; what it does not say is as by default.

    Raises:
        Failure: THING_INVALID, THING_UNKNOWN.
    """
    topic = topics.parse(project, _text(document, "topic"))
    return _read(Subscription(project, name, topic.id, endpoint=""), document)


def changed(old: Subscription, document: dict[str, Any]) -> Subscription:
    """A subscription with what a request to change it says.

    Args:
        old: as it is.
        document: `subscription`, and `updateMask` with what of it is meant.

    Raises:
        Failure: THING_INVALID, REQUEST_INVALID.
    """
    wanted = document.get("subscription")
    mask = _text(document, "updateMask")
    if not isinstance(wanted, dict) or not mask:
        reason = "subscription and updateMask are needed"
        raise Failure(Code.REQUEST_INVALID, reason=reason)
    unknown = [path for path in mask.split(",") if path not in _PATHS]
    if unknown:
        raise _invalid(f"{unknown[0][:60]!r} cannot be changed")
    # What the mask names and the document has not goes back to its default.
    blank = Subscription(old.project, old.name, old.topic, endpoint=old.endpoint)
    read = _read(blank, wanted)
    names = [name for path in mask.split(",") for name in _PATHS[path]]
    return dataclasses.replace(old, **{name: getattr(read, name) for name in names})


def delivery_to_json(subscription: Subscription, delivery: Delivery) -> dict[str, Any]:
    """A delivery, with its last answer."""
    message = delivery.message
    document: dict[str, Any] = {
        "name": f"{subscription.full_name}/deliveries/{delivery.number}",
        "messageId": message.identifier,
        "type": message.type,
        "subject": message.subject,
        "publishTime": rfc3339(message.published_at),
        "state": delivery.state,
        "attempts": delivery.attempts,
        "updateTime": rfc3339(delivery.updated_at),
        "answer": {"status": delivery.status, "text": delivery.answer},
    }
    if delivery.next_at is not None:
        document["nextAttemptTime"] = rfc3339(delivery.next_at)
    return document


def _read(base: Subscription, document: dict[str, Any]) -> Subscription:
    known = _IGNORED | {path for path in _PATHS if "." not in path}
    strange = [name for name in document if name not in known]
    if strange:
        raise _invalid(f"{strange[0][:60]!r} is nothing that can be said of one here")
    push = _part(document, "pushConfig", {"pushEndpoint", *_WRAPPERS})
    dead = _part(document, "deadLetterPolicy", {"maxDeliveryAttempts"})
    retry = _part(document, "retryPolicy", {"minimumBackoff", "maximumBackoff"})
    forms = [form for name, form in _WRAPPERS.items() if name in push]
    if len(forms) > 1:
        raise _invalid("noWrapper and pubsubWrapper exclude each other")
    labels = document.get("labels", {})
    if not isinstance(labels, dict) or not all(isinstance(text, str) for text in labels.values()):
        raise _invalid("labels are texts by texts")
    state = document.get("state", ACTIVE)
    if state not in {ACTIVE, PAUSED}:
        raise _invalid(f"state is {ACTIVE} or {PAUSED}")
    return dataclasses.replace(
        base,
        endpoint=_text(push, "pushEndpoint") or base.endpoint,
        format=forms[0] if forms else STRUCTURED,
        filter=_text(document, "filter"),
        max_attempts=_number(dead, "maxDeliveryAttempts", base.max_attempts),
        min_backoff=_microseconds(retry, "minimumBackoff", base.min_backoff),
        max_backoff=_microseconds(retry, "maximumBackoff", base.max_backoff),
        labels=labels,
        state=state,
        state_reason="as it was asked to be" if state == PAUSED else "",
    )


def _part(document: dict[str, Any], name: str, known: set[str]) -> dict[str, Any]:
    part = document.get(name)
    if part is None:
        return {}
    if not isinstance(part, dict):
        raise _invalid(f"{name} is an object")
    strange = [key for key in part if key not in known]
    if strange:
        raise _invalid(f"{name}.{strange[0][:60]} is not supported")
    return part


def _text(document: dict[str, Any], name: str) -> str:
    text = document.get(name, "")
    if not isinstance(text, str):
        raise _invalid(f"{name} is a text")
    return text


def _number(document: dict[str, Any], name: str, default: int) -> int:
    number = document.get(name, default)
    if not isinstance(number, int) or isinstance(number, bool):
        raise _invalid(f"{name} is a number")
    return number


def _microseconds(document: dict[str, Any], name: str, default: int) -> int:
    text = _text(document, name)
    match = _DURATION.fullmatch(text)
    if not text:
        return default
    if match is None:
        raise _invalid(f"{name} is a number of seconds, such as 10s")
    return int(match[1]) * SECOND + int(float(match[2] or 0) * SECOND)


def _duration(microseconds: int) -> str:
    return f"{microseconds / SECOND:.6f}".rstrip("0").rstrip(".") + "s"


def _invalid(reason: str) -> Failure:
    return Failure(Code.THING_INVALID, kind="subscription", reason=reason)
