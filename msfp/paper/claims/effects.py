"""The effect that a claim is about, and the region where the claim wants it."""

from dataclasses import dataclass
from math import inf

from msfp.metrics.statistics import Spread


@dataclass(frozen=True)
class Effect:
    """A number that a claim is about, with an interval at every level.

    Attributes:
        label: what it is, `MSFP-Track - LITE`.
        slack: how far the number may be off by rounding.
        unit: `points`, `ms`, `%` or empty.
        margin: differences up to this are none.
        printed: the least size that the paper's numbers give the same effect; None where it prints none or it is a
            time or a count of its own machine.
        paper: the same effect by the paper's numbers; None where it has none.
    """

    label: str
    sample: Spread
    slack: float = 0.0
    unit: str = ""
    margin: float = 0.0
    printed: float | None = None
    paper: float | None = None


@dataclass(frozen=True)
class Found:
    """Effects and the region in which the claim wants every one of them.

    Attributes:
        low, high: of the region.
        strict: its lower bound is outside.
        bound: the claim is one of direction: effects on the wrong side of this refute it; None where it is about a
            region alone.
    """

    effects: tuple[Effect, ...]
    low: float = 0.0
    high: float = inf
    strict: bool = True
    bound: float | None = 0.0
