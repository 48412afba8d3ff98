"""Filters of subscriptions: which messages of a topic an endpoint is told of.

The language is a part of Pub/Sub's ("Filter messages from a subscription"):
`attributes.action = "INSERT" AND attributes.kind != "PUSH" AND attributes:severity`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_FILTER = 256

_TERM = re.compile(
    r"\s*attributes(?:"
    r"\.(?P<name>[a-z0-9]{1,20})\s*(?P<operator>!?=)\s*\"(?P<value>[^\"\\]*)\""
    r"|:(?P<present>[a-z0-9]{1,20}))\s*"
)
_AND = re.compile(r"AND(?=\s)")


class Term(NamedTuple):
    """One condition: an attribute is, is not, or (without a value) is there."""

    name: str
    value: str | None
    is_negated: bool = False

    def holds(self, attributes: Mapping[str, str]) -> bool:
        """Whether it is true of a message's attributes."""
        if self.value is None:
            return self.name in attributes
        return (attributes.get(self.name) == self.value) is not self.is_negated


def parse(text: str) -> tuple[Term, ...]:
    """The terms of a filter, all of which must hold; none for an empty one.

    Raises:
        Failure: THING_INVALID, with the position of what is not understood.
    """
    if len(text) > MAX_FILTER:
        raise _invalid(f"it has more than {MAX_FILTER} characters")
    terms: list[Term] = []
    position = 0
    while text.strip():
        match = _TERM.match(text, position)
        if match is None:
            raise _invalid(f"it is not understood at character {position}")
        if match["present"]:
            terms.append(Term(match["present"], None))
        else:
            terms.append(Term(match["name"], match["value"], match["operator"] == "!="))
        position = match.end()
        if position == len(text):
            break
        joint = _AND.match(text, position)
        if joint is None:
            raise _invalid(f"it is not understood at character {position}")
        position = joint.end()
    return tuple(terms)


def matches(text: str, attributes: Mapping[str, str]) -> bool:
    """Whether a message with these attributes passes a filter."""
    return all(term.holds(attributes) for term in parse(text))


def _invalid(reason: str) -> Failure:
    return Failure(Code.THING_INVALID, kind="filter", reason=reason)
