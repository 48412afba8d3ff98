"""Options that many commands have."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from customhouse.cli.output import Format
from customhouse.errors import Code, Failure
from customhouse.names import parse_project, project_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyclopts import Token

_CONDITION = re.compile(r"(?:^|,)\s*(expression|title|description)=(?!=)")
_DURATION = re.compile(r"(?P<count>[1-9][0-9]{0,8})(?P<unit>[smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}

FormatOption = Annotated[Format, Parameter(name="--format", help="How to print.")]
QuietOption = Annotated[
    bool, Parameter(name="--quiet", alias="-q", help="Do not ask.", show_default=False)
]
ProjectOption = Annotated[
    str,
    Parameter(
        name="--project",
        env_var="CUSTOMHOUSE_PROJECT",
        help="The project.",
        show_default=False,
    ),
]


def chosen(project: str) -> str:
    """The project that was named, as the API writes it.

    Raises:
        Failure: PROJECT_MISSING, PROJECT_INVALID.
    """
    if not project:
        raise Failure(Code.PROJECT_MISSING)
    return project_id(parse_project(project))


def _labels(_: Any, tokens: Sequence[Token]) -> dict[str, str]:
    labels = {}
    for pair in filter(None, tokens[0].value.split(",")):
        key, equals, value = pair.partition("=")
        if not (key and equals):
            raise ValueError(f"{pair!r} is not KEY=VALUE")
        labels[key.strip()] = value.strip()
    return labels


LabelsOption = Annotated[
    dict[str, str] | None,
    Parameter(
        name="--labels",
        converter=_labels,
        n_tokens=1,
        accepts_keys=False,
        help="Labels as KEY=VALUE,KEY=VALUE.",
    ),
]


def _seconds(_: Any, tokens: Sequence[Token]) -> int:
    match = _DURATION.fullmatch(tokens[0].value)
    if match is None:
        raise ValueError(f"{tokens[0].value!r} is no duration such as 90d, 12h, 30m or 60s")
    return int(match["count"]) * _SECONDS[match["unit"]]


DurationOption = Annotated[int | None, Parameter(converter=_seconds, n_tokens=1)]


def _condition(_: Any, tokens: Sequence[Token]) -> dict[str, str]:
    text = tokens[0].value
    if text == "None":
        return {}
    before, *pieces = _CONDITION.split(text)
    fields = dict(zip(pieces[::2], pieces[1::2], strict=True))
    if before or not fields.get("expression"):
        raise ValueError("write 'expression=...' or 'expression=...,title=...'")
    return fields


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Grant:
    """A role of a member, perhaps under a condition.

    Attributes:
        member: Who: user:NAME, serviceAccount:EMAIL, group:NAME, allUsers, allAuthenticatedUsers.
        role: The role, as roles/artifactregistry.reader.
        condition: A condition, as expression=...,title=...; None for no condition.
        condition_expression: The condition's expression by itself.
        condition_title: A title for the condition.
    """

    member: str
    role: str
    condition: Annotated[
        dict[str, str] | None,
        Parameter(converter=_condition, n_tokens=1, accepts_keys=False),
    ] = None
    condition_expression: str = ""
    condition_title: str = ""

    def fields(self) -> dict[str, str]:
        """The condition as the API has it; empty for none."""
        fields = dict(self.condition or {})
        if self.condition_expression:
            fields["expression"] = self.condition_expression
        if self.condition_title:
            fields["title"] = self.condition_title
        if fields and "expression" not in fields:
            reason = "there is a title but no expression"
            raise Failure(Code.USAGE_INVALID, reason=reason)
        return fields
