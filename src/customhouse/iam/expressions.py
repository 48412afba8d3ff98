"""Expressions of the Common Expression Language that strangers may write: which are taken."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Collection

# A pattern can take a twentieth of a second to prepare.
MAX_MATCHES = 10

# They loop over lists; nested ones can be made to run for ever.
_MACRO = re.compile(r"\b(?:all|exists|exists_one|existsOne|map|filter|transform\w+)\s*\(")
_TYPES = {"bool", "bytes", "double", "int", "list", "map", "string", "uint", "null_type"}
_FUNCTIONS = _TYPES | {
    *("size", "contains", "startsWith", "endsWith", "matches", "has"),
    *("dyn", "type", "timestamp", "duration"),
}


def check(
    kind: str, text: str, limit: int, *, variables: Collection[str], functions: Collection[str]
) -> None:
    """Check that an expression may be evaluated: it ends, and it names nothing that is not there.

    Args:
        kind: what it is, for the message.
        text: the expression.
        limit: how many characters it may have.
        variables: what it may name.
        functions: what it may call besides the language's own.

    Raises:
        Failure: THING_INVALID, with what is wrong.
    """
    if not 0 < len(text) <= limit:
        raise _mistake(kind, f"it has 1 to {limit} characters")
    # A comment could stand between the name of a macro and what makes it one.
    if _MACRO.search(text) or ("//" in text and "\n" in text):
        raise _mistake(kind, "all, exists, exists_one, map, filter and comments are not taken")
    if text.count("matches") > MAX_MATCHES:
        raise _mistake(kind, f"it uses matches more than {MAX_MATCHES} times")
    import cel  # noqa: PLC0415  - takes 0.3 s, and most installations have no expression

    try:
        program = cel.compile(text)
    except ValueError as error:
        raise _mistake(kind, str(error)[-200:]) from error
    for name in program.variables():
        if name not in variables and name not in _TYPES:
            raise _mistake(kind, f"there is no {name[:50]!r} to look at")
    for name in program.functions():
        is_operator = not name.isidentifier() and name != "@not_strictly_false"
        if not is_operator and name not in _FUNCTIONS and name not in functions:
            raise _mistake(kind, f"there is no function {name[:50]!r}")


def _mistake(kind: str, reason: str) -> Failure:
    return Failure(Code.THING_INVALID, kind=kind, reason=reason)
