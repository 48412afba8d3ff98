"""What can be said of a subscription when it is created and when it is changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from cyclopts import Parameter

from customhouse.cli.options import (  # cyclopts reads the annotations
    DurationOption,  # noqa: TC001  - read when it is called
    LabelsOption,  # noqa: TC001  - read when it is called
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_WRAPPERS = {"structured": None, "binary": "noWrapper", "pubsub": "pubsubWrapper"}


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class PushOptions:
    """How, and how often, messages are sent.

    Attributes:
        push_format: CloudEvents in structured (usual) or binary mode, or Pub/Sub's envelope.
        message_filter: Which messages, as attributes.action = "INSERT"; an empty text for all.
        max_delivery_attempts: After how many a message is a dead letter; 10 by default.
        min_retry_delay: The wait before the second attempt; 10s by default.
        max_retry_delay: The longest wait; 6h by default.
        labels: Labels as KEY=VALUE,KEY=VALUE.
    """

    push_format: Literal["structured", "binary", "pubsub"] | None = None
    message_filter: str | None = None
    max_delivery_attempts: int | None = None
    min_retry_delay: DurationOption = None
    max_retry_delay: DurationOption = None
    labels: LabelsOption = None

    def fields(self) -> dict[str, Any]:
        """What was named, but for how messages are written, as the API has it."""
        attempts = self.max_delivery_attempts
        delays = {"minimumBackoff": self.min_retry_delay, "maximumBackoff": self.max_retry_delay}
        retry = {name: f"{seconds}s" for name, seconds in delays.items() if seconds is not None}
        fields = {
            "filter": self.message_filter,
            "deadLetterPolicy": None if attempts is None else {"maxDeliveryAttempts": attempts},
            "retryPolicy": retry or None,
            "labels": self.labels,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def push_config(self, endpoint: str, known: Mapping[str, Any]) -> dict[str, Any]:
        """Where messages are sent, and how they are written.

        Args:
            endpoint: the URL; empty for the one that is known.
            known: what the API says of it; what was not named is kept.
        """
        if self.push_format is None:
            return {**known, "pushEndpoint": endpoint or known["pushEndpoint"]}
        wrapper = _WRAPPERS[self.push_format]
        config = {"pushEndpoint": endpoint or known["pushEndpoint"]}
        return config if wrapper is None else {**config, wrapper: {}}


def format_of(push_config: Mapping[str, Any]) -> str:
    """How messages are written, as the option calls it."""
    found = [name for name, wrapper in _WRAPPERS.items() if wrapper in push_config]
    return found[0] if found else "structured"
