"""What a measurement says, and the one table of what it has to reach."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from statistics import median
from types import MappingProxyType


class Rule(Enum):
    """How a threshold's limit is compared."""

    RATIO_AT_LEAST = "ratio ≥"
    VALUE_BELOW = "<"
    VALUE_AT_LEAST = "≥"


@dataclass(frozen=True, slots=True)
class Threshold:
    """A limit that a measurement has to keep.

    Attributes:
        rule: what is compared with the limit: the ratio to the peer, or customhouse's own value.
        limit: the limit, a pure number or in the unit of the result.
    """

    rule: Rule
    limit: float

    def met(self, ours: float, ratio: float | None) -> bool:
        """Whether customhouse's value (or its ratio to the peer's) keeps the limit."""
        if self.rule is Rule.VALUE_BELOW:
            return ours < self.limit
        if self.rule is Rule.VALUE_AT_LEAST:
            return ours >= self.limit
        return ratio is not None and ratio >= self.limit

    def __str__(self) -> str:
        return f"{self.rule.value} {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the table.

    Attributes:
        name: what was measured; a key of `THRESHOLDS` when something is promised about it.
        unit: the unit of `ours` and `peer`.
        ours: customhouse's value.
        peer: docker-registry's value, where it has one.
        ratio: ours to peer; for paired rounds the median of the rounds' ratios.
        threshold: what is promised, if anything.
        ok: whether that is kept; true where nothing is promised.
        ratios: the ratio of each round, where there were rounds: how noisy the machine was.
    """

    name: str
    unit: str
    ours: float
    peer: float | None
    ratio: float | None
    threshold: Threshold | None
    ok: bool
    ratios: tuple[float, ...] = ()


def _ratio(limit: float) -> Threshold:
    return Threshold(Rule.RATIO_AT_LEAST, limit)


def _below(limit: float) -> Threshold:
    return Threshold(Rule.VALUE_BELOW, limit)


THRESHOLDS: Mapping[str, Threshold] = MappingProxyType(
    {
        "manifest GET by tag": _ratio(8),
        "manifest GET by digest": _ratio(8),
        "blob HEAD": _ratio(8),
        "blob GET, 4 KiB": _ratio(8),
        "manifest GET among 50,000 bindings, to one without any": _ratio(0.9),
        "pull of 256 MiB": _ratio(1),
        "push of 256 MiB, PATCH": _ratio(1),
        "push of 256 MiB, one PUT": _ratio(1),
        "memory growth, pull": _below(64),
        "memory growth, push by PATCH": _below(64),
        "memory growth, push by one PUT": _below(64),
        "memory when idle": _below(300),
        "first start": _below(1.5),
        "start": _below(1.5),
        "layer inventory": _below(1),
        "push to findings": _below(1.5),
        "push to findings, beside Trivy's list": _ratio(2),
        "feed loaded": Threshold(Rule.VALUE_AT_LEAST, 10_000),
        "one changed advisory to all findings": _below(100),
        "all ranges joined again": _below(10),
        "question about all images": _below(1000),
        "database of the fleet": _below(2000),
    }
)


def judge(
    name: str,
    unit: str,
    ours: float,
    peer: float | None = None,
    ratios: tuple[float, ...] = (),
) -> Result:
    """Make the result of one measurement, judged by `THRESHOLDS`.

    Args:
        name: what was measured.
        unit: the unit of the values.
        ours: customhouse's value.
        peer: the peer's, if it has one.
        ratios: the ratio of each round, whose median is the result's; without them the ratio is
            that of the two values.
    """
    ratio = median(ratios) if ratios else (ours / peer if peer else None)
    threshold = THRESHOLDS.get(name)
    ok = threshold is None or threshold.met(ours, ratio)
    return Result(name, unit, ours, peer, ratio, threshold, ok, ratios)


def judge_rounds(name: str, unit: str, rounds: list[tuple[float, float]]) -> Result:
    """Make the result of rounds in which both servers were measured one after the other.

    The ratio is the median of the ratios of each round, so that a disturbance that lasts for a
    round, or a slow drift of the machine, weighs on both servers alike.

    Args:
        name: what was measured.
        unit: the unit of the values.
        rounds: customhouse's and the peer's value of each round.
    """
    return judge(
        name,
        unit,
        median(ours for ours, _ in rounds),
        median(peer for _, peer in rounds),
        tuple(ours / peer for ours, peer in rounds),
    )
