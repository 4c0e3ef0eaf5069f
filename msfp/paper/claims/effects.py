"""The effect that a claim is about, and the region where the claim wants it."""

from dataclasses import dataclass
from math import inf

from msfp.metrics.statistics import Spread


@dataclass(frozen=True)
class Effect:
    """A number that a claim is about, with an interval at every level."""

    label: str  # `MSFP-Track − LITE`
    sample: Spread
    slack: float = 0.0  # how far it may be off by rounding
    unit: str = ""  # `points`, `ms`, `%`, `times` or empty
    margin: float = 0.0  # differences up to this are none
    printed: float | None = None  # the least that the paper's digits give it; None for times and counts of its machine
    paper: float | None = None  # its value by the paper's numbers


@dataclass(frozen=True)
class Found:
    """Effects and the region in which the claim wants every one of them."""

    effects: tuple[Effect, ...]
    low: float = 0.0
    high: float = inf
    strict: bool = True  # the lower bound is outside of the region
    bound: float | None = 0.0  # effects below this refute a claim of direction; None: the claim is about a region alone
