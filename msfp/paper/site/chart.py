"""One chart of all claims: each effect with its interval, in units of what the paper prints for it."""

from collections.abc import Sequence
from typing import NamedTuple

from msfp.paper.claims.verdict import Verdict

LEAST, MOST = -2.0, 3.0
"""Ends of the axis; 0 is no effect, 1 the paper's. What lies beyond is drawn at the end, with an arrow."""
TICKS = {-1: "−1", 0: "no effect", 1: "the paper’s", 2: "2 ×"}


class Bar(NamedTuple):
    """A claim on the axis: places in percent of its width."""

    effect: float
    low: float  # the effect's own place where it has no interval
    high: float
    ends: str  # of `<` and `>`: where it goes on beyond the axis


def place(ratio: float) -> float:
    """Where a multiple of the paper's effect lies, in percent of the axis' width."""
    return round(100 * (min(max(ratio, LEAST), MOST) - LEAST) / (MOST - LEAST), 2)


def bar(one: Verdict) -> Bar | None:
    """The claim's bar; None where there is no effect, or none of the paper's to hold it against."""
    if one.effect is None or not one.paper or one.claim.basis != "measured":
        return None
    effect = one.effect / one.paper
    low, high = sorted(effect if end is None else end / one.paper for end in (one.low, one.high))
    ends = ("<" if min(low, effect) < LEAST else "") + (">" if max(high, effect) > MOST else "")
    return Bar(place(effect), place(low), place(high), ends)


def ticks() -> Sequence[tuple[float, str]]:
    """Place and label of each line of the axis."""
    return [(place(at), label) for at, label in TICKS.items()]
