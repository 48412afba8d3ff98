"""Workflows, and which event starts which: values that name no engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from customhouse.events import Event

P = ParamSpec("P")
R = TypeVar("R")


class Step(Protocol):
    """Runs a function as a recorded step: `step(name, function, *arguments)`."""

    def __call__(
        self, name: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run it, or return what it returned when it was run before."""


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow that can be started.

    Attributes:
        name: stable; runs of before a restart are found again by it.
        function: called as `function(step, *arguments)`; the arguments are JSON values.
        concurrency: how many run at once in one worker.
        abandoned: called with the same arguments, without `step`, when a run is given up because
            it ended the worker each time.
    """

    name: str
    function: Callable[..., None]
    concurrency: int = 1
    abandoned: Callable[..., None] | None = None


@dataclass(frozen=True, slots=True)
class Subscription:
    """Which workflow an event starts, and with which arguments.

    Attributes:
        event: the event.
        workflow: the workflow.
        arguments: of the workflow, from an event.
        is_about: whether there is something to do about an event; asked just before the workflow
            would be started, where a look costs a hundredth of what that costs. It may read.
    """

    event: type[Event]
    workflow: Workflow
    arguments: Callable[[Any], tuple[object, ...]]
    is_about: Callable[[Any], bool] | None = None
