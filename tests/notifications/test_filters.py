"""Filters: a part of Pub/Sub's language."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customhouse.errors import Code, Failure
from customhouse.notifications.filters import matches, parse

ATTRIBUTES = {"action": "INSERT", "severity": "HIGH"}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("", True),
        ("  ", True),
        ('attributes.action = "INSERT"', True),
        ('attributes.action="DELETE"', False),
        ('attributes.action != "DELETE"', True),
        ('attributes.other != "x"', True),
        ('attributes.other = ""', False),
        ("attributes:severity", True),
        ("attributes:other", False),
        ('attributes.action = "INSERT" AND attributes.severity = "HIGH"', True),
        ('attributes.action = "INSERT" AND attributes.severity = "LOW"', False),
        ('attributes:action AND attributes.severity != "LOW" ', True),
    ],
)
def test_what_it_lets_through(text: str, holds: bool) -> None:
    assert matches(text, ATTRIBUTES) is holds


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "attributes",
        "attributes.action",
        "attributes.action = INSERT",
        'attributes.action = "INSERT',
        'attributes.action = "a" OR attributes.action = "b"',
        'attributes.action = "a" AND',
        'attributes.action = "a" attributes.severity = "b"',
        'NOT attributes.action = "a"',
        'attributes.Action = "a"',
        'hasPrefix(attributes.action, "a")',
        'attributes.action = "' + "a" * 256 + '"',
    ],
)
def test_what_is_not_understood(text: str) -> None:
    with pytest.raises(Failure) as caught:
        parse(text)
    assert caught.value.code is Code.THING_INVALID


@given(st.text(alphabet='atribues.:= !"ANDx1', max_size=60))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with suppress(Failure):
        assert all(term.name.isalnum() for term in parse(text))
