"""Attributes of federated identities: what a provider's mapping makes of a token's claims.

Mappings and conditions are expressions of the Common Expression Language with Google's additions
`extract`, `split`, `lowerAscii` and `upperAscii`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from customhouse.errors import Code, Failure
from customhouse.iam import expressions
from customhouse.iam.expressions import MAX_MATCHES
from customhouse.iam.external import refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MAX_EXPRESSION = 2048
_MAX_SUBJECT = 255
_TARGET = re.compile(r"google\.subject|google\.groups|attribute\.[a-z0-9_]{1,100}")
_MAX_ATTRIBUTES = 50


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a provider's mapping makes of a token's claims.

    Attributes:
        subject: who it is, within the pool.
        groups: names.
        custom: the values of `attribute.NAME`, by name.
    """

    subject: str
    groups: tuple[str, ...]
    custom: Mapping[str, str]


def check_mapping(mapping: Mapping[str, str], condition: str) -> None:
    """Check that a mapping and a condition can be evaluated.

    Args:
        mapping: expressions over `assertion`, the claims, by `google.subject` (which there must
            be), `google.groups` and `attribute.NAME`.
        condition: an expression over `assertion`, `google` and `attribute`; empty for none.

    Raises:
        Failure: THING_INVALID, with what is wrong.
    """
    if "google.subject" not in mapping:
        raise _mistake("attribute mapping", "google.subject is missing")
    if len(mapping) > _MAX_ATTRIBUTES:
        raise _mistake("attribute mapping", f"it has more than {_MAX_ATTRIBUTES} attributes")
    for name, expression in mapping.items():
        if not _TARGET.fullmatch(name):
            reason = f"{name[:100]!r} is none of google.subject, google.groups, attribute.NAME"
            raise _mistake("attribute mapping", reason)
        kind = f"attribute mapping of {name}"
        _check(kind, expression, {"assertion"})
    if condition:
        known = {"assertion", "google", "attribute"}
        _check("attribute condition", condition, known)
    if sum(text.count("matches") for text in (*mapping.values(), condition)) > MAX_MATCHES:
        raise _mistake("attribute mapping", f"it uses matches more than {MAX_MATCHES} times")


def map_claims(mapping: Mapping[str, str], condition: str, claims: Mapping[str, Any]) -> Attributes:
    """Apply a mapping that was checked, and its condition.

    Raises:
        Failure: SUBJECT_TOKEN_INVALID, when an expression has no text as its value (a list of
            texts for `google.groups`), or the condition is not true.
    """
    variables: dict[str, Any] = {"assertion": claims}
    values = {name: _evaluate(name, text, variables) for name, text in mapping.items()}
    subject, groups = values.pop("google.subject"), values.pop("google.groups", [])
    if not isinstance(subject, str) or not 0 < len(subject.encode()) <= _MAX_SUBJECT:
        raise refused(f"google.subject is no text of 1 to {_MAX_SUBJECT} bytes")
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        raise refused("google.groups is no list of texts")
    for name, value in values.items():
        if not isinstance(value, str):
            raise refused(f"{name} is no text")
    custom = {name.removeprefix("attribute."): value for name, value in values.items()}
    if condition:
        variables["google"] = {"subject": subject, "groups": groups}
        variables["attribute"] = custom
        if _evaluate("the attribute condition", condition, variables) is not True:
            raise refused("the provider's attribute condition is not met")
    return Attributes(subject, tuple(groups), custom)


def _extract(text: str, template: str) -> str:
    """Google's `extract`: what stands for the braces of `refs/heads/{branch}/`; "" if nothing."""
    before, _, rest = template.partition("{")
    after = rest.partition("}")[2]
    start = text.find(before)
    if start < 0:
        return ""
    start += len(before)
    end = text.find(after, start) if after else len(text)
    return text[start:end] if end >= 0 else ""


# None makes a text longer: what does could be applied until memory is full.
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "extract": _extract,
    "split": lambda text, separator: text.split(separator),
    "lowerAscii": lambda text: re.sub("[A-Z]", lambda letter: letter[0].lower(), text),
    "upperAscii": lambda text: re.sub("[a-z]", lambda letter: letter[0].upper(), text),
}


def _check(kind: str, text: str, variables: set[str]) -> None:
    expressions.check(kind, text, _MAX_EXPRESSION, variables=variables, functions=_FUNCTIONS)


def _evaluate(name: str, text: str, variables: Mapping[str, Any]) -> Any:
    import cel  # noqa: PLC0415  - takes 0.3 s, and most installations have no provider

    try:
        context = cel.Context(variables=dict(variables), functions=_FUNCTIONS)
        return cel.compile(text).execute(context)
    except (ValueError, TypeError, RuntimeError, LookupError, ArithmeticError) as error:
        raise refused(f"{name} cannot be made of its claims: {str(error)[:200]}") from error


def _mistake(kind: str, reason: str) -> Failure:
    return Failure(Code.THING_INVALID, kind=kind, reason=reason)
