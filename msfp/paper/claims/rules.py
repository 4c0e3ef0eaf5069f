"""The tests of claims: from numbers to effects, and the region in which the claim wants them."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from types import MappingProxyType

import numpy as np
from scipy import stats

from msfp.errors import NotComputable
from msfp.metrics.statistics import Sample, difference, largest, negative
from msfp.paper import columns as col
from msfp.paper import reference
from msfp.paper.claims.listed import Claim
from msfp.paper.claims.numbers import Numbers, Printed

PLAIN = ("FPS", "B: FPS", "Params", "Parameters", "Input Dim", "τ std")
"""Columns of times or counts, beside those in ms."""


@dataclass(frozen=True)
class Effect:
    """A number that a claim is about.

    Attributes:
        label: what it is, `MSFP-Track - LITE`.
        sample: its value with seeds and draws.
        slack: how far it may be off by rounding.
        unit: `points`, `ms`, `%` or empty.
        by_seed: judged by whether all seeds agree, as there is nothing else to draw from.
    """

    label: str
    sample: Sample
    slack: float = 0.0
    unit: str = ""
    by_seed: bool = False


@dataclass(frozen=True)
class Found:
    """Effects and the region in which the claim wants every one of them; strict: its lower bound is outside."""

    effects: tuple[Effect, ...]
    low: float = 0.0
    high: float = inf
    strict: bool = True


Rule = Callable[[Claim, Numbers], Found]


def better(claim: Claim, numbers: Numbers) -> Found:
    """a is better than every b, whichever direction is better in the column."""
    sign = col.direction(claim.table, claim.columns[0])
    return _over(claim, numbers, claim.b, sign or 1)


def greater(claim: Claim, numbers: Numbers) -> Found:
    """a is a larger number than every b."""
    return _over(claim, numbers, claim.b, 1)


def best(claim: Claim, numbers: Numbers) -> Found:
    """a is better than every other row of the table."""
    others = tuple(r for r in numbers.rows(claim.table, claim.columns[0]) if r != claim.a[0])
    return _over(claim, numbers, others, col.direction(claim.table, claim.columns[0]) or 1)


def between(claim: Claim, numbers: Numbers) -> Found:
    """a - b lies in the claimed range, for every b."""
    return Found(tuple(_minus(claim, numbers, b) for b in claim.b), claim.low, claim.high, strict=False)


def bounded(claim: Claim, numbers: Numbers) -> Found:
    """a, or a - b where there is a b, is at most `high` and at least `low`."""
    if claim.b:
        return between(claim, numbers)
    place = (claim.table, claim.a[0], claim.columns[0])
    one = Effect(claim.a[0], numbers.sample(*place), numbers.slack(*place), _unit(claim), _plain(claim))
    return Found((one,), claim.low, claim.high, strict=False)


def relative(claim: Claim, numbers: Numbers) -> Found:
    """a is so many percent more than b."""
    ratio, slack = _ratio(claim, numbers, claim.a[0])
    percent = Sample(100 * (ratio.seeds - 1), 100 * (ratio.replicates - 1), ratio.units, ratio.kind)
    effect = Effect(f"{claim.a[0]} / {claim.b[0]} − 1", percent, 100 * slack, "%", _plain(claim))
    return Found((effect,), claim.low, claim.high, strict=False)


def times(claim: Claim, numbers: Numbers) -> Found:
    """Every a is so many times b."""
    effects = []
    for a in claim.a:
        ratio, slack = _ratio(claim, numbers, a)
        effects.append(Effect(f"{a} / {claim.b[0]}", ratio, slack, "times", _plain(claim)))
    return Found(tuple(effects), claim.low, claim.high, strict=False)


def ordered(claim: Claim, numbers: Numbers) -> Found:
    """Each row has a larger number than the next."""
    pairs = zip(claim.a, claim.a[1:], strict=False)
    return Found(tuple(_apart(claim, numbers, a, b) for a, b in pairs))


def each(claim: Claim, numbers: Numbers) -> Found:
    """Every row's number is above `low`."""
    places = [(claim.table, row, claim.columns[0]) for row in claim.a]
    effects = [Effect(p[1], numbers.sample(*p), numbers.slack(*p), _unit(claim), _plain(claim)) for p in places]
    return Found(tuple(effects), claim.low, claim.high)


def spread(claim: Claim, numbers: Numbers) -> Found:
    """Largest less smallest number of the rows is at most `high`."""
    samples = [numbers.sample(claim.table, row, claim.columns[0]) for row in claim.a]
    top, bottom = largest(samples), negative(largest([negative(s) for s in samples]))
    slack = 2 * max(numbers.slack(claim.table, row, claim.columns[0]) for row in claim.a)
    effect = Effect("largest − smallest", difference(top, bottom), slack, _unit(claim), _plain(claim))
    return Found((effect,), claim.low, claim.high, strict=False)


def correlate(claim: Claim, numbers: Numbers) -> Found:
    """Two columns rank the rows alike: Spearman's correlation is positive."""
    left, right = claim.columns[0].split("~")
    rows = [r for r in numbers.rows(claim.table, left) if r in numbers.rows(claim.table, right)]
    x = [numbers.sample(claim.table, r, left) for r in rows]
    y = [numbers.sample(claim.table, r, right) for r in rows]
    if len(rows) < 3:
        raise NotComputable(f"{len(rows)} rows have both {left} and {right}; an order takes three")
    values = np.array([[s.value for s in samples] for samples in (x, y)])
    drawn = all(len(s.replicates) for s in (*x, *y))
    both = min(len(s.replicates) for s in (*x, *y)) if drawn else 0
    a, b = (np.stack([s.replicates[:both] for s in samples], axis=1) for samples in (x, y)) if both else (None, None)
    fewest = min(x[0], y[0], key=lambda s: len(s.units))
    replicates = _spearman(a, b) if a is not None and b is not None else np.zeros(0)
    sample = Sample(_spearman(values[:1], values[1:]), replicates, fewest.units, fewest.kind)
    return Found((Effect(f"rank correlation of {left} and {right}", sample),))


def everywhere(claim: Claim, numbers: Numbers) -> Found:
    """a is better than b in every column that both have, seed by seed."""
    gains = _gains(claim, numbers)
    effects = [Effect(column, Sample(gain), 0.0, "points", by_seed=True) for column, gain in gains.items()]
    return Found(tuple(effects))


def alike(claim: Claim, numbers: Numbers) -> Found:
    """The gains of a over b in the columns lie within `high` of each other."""
    gains = np.stack(list(_gains(claim, numbers).values()))
    effect = Effect("largest − smallest gain", Sample(np.ptp(gains, axis=0)), 0.0, "points", by_seed=True)
    return Found((effect,), claim.low, claim.high, strict=False)


def counted(claim: Claim, numbers: Numbers) -> Found:
    """What was counted here is what the paper prints, to its digits."""
    effects, printed = [], Printed()
    for row in claim.a:
        place = (claim.table, row, claim.columns[0])
        apart = difference(numbers.sample(*place), printed.sample(*place))
        effects.append(Effect(f"{row} − paper's", apart, printed.slack(*place), by_seed=True))
    return Found(tuple(effects), 0.0, 0.0, strict=False)


def _over(claim: Claim, numbers: Numbers, others: tuple[str, ...], sign: int) -> Found:
    """Advantage of a over the best of others; sign -1 where lower is better."""
    column = claim.columns[0]

    def signed(row: str) -> Sample:
        found = numbers.sample(claim.table, row, column)
        return found if sign > 0 else negative(found)

    apart = difference(signed(claim.a[0]), largest([signed(row) for row in others]))
    slack = numbers.slack(claim.table, claim.a[0], column) + max(numbers.slack(claim.table, r, column) for r in others)
    versus = others[0] if len(others) == 1 else f"best of {len(others)}"
    return Found((Effect(f"{claim.a[0]} over {versus}", apart, slack, _unit(claim), _plain(claim)),))


def _minus(claim: Claim, numbers: Numbers, b: str) -> Effect:
    return _apart(claim, numbers, claim.a[0], b)


def _apart(claim: Claim, numbers: Numbers, a: str, b: str) -> Effect:
    one, other = (claim.table, a, claim.columns[0]), (claim.table, b, claim.columns[0])
    sample = difference(numbers.sample(*one), numbers.sample(*other))
    return Effect(f"{a} − {b}", sample, numbers.slack(*one) + numbers.slack(*other), _unit(claim), _plain(claim))


def _ratio(claim: Claim, numbers: Numbers, a: str) -> tuple[Sample, float]:
    """a / b, and how far it may be off by rounding."""
    above, below = (claim.table, a, claim.columns[0]), (claim.table, claim.b[0], claim.columns[0])
    one, other = numbers.sample(*above), numbers.sample(*below)
    if not other.value:
        raise NotComputable(f"{claim.b[0]} / {claim.columns[0]} is 0")
    drawn = len(one.replicates) and len(other.replicates) and one.units == other.units
    replicates = one.replicates / other.replicates if drawn else np.zeros(0)
    slack = numbers.slack(*above) / other.value + numbers.slack(*below) * one.value / other.value**2
    return Sample(one.seeds / other.seeds, replicates, one.units if drawn else (), one.kind), slack


def _gains(claim: Claim, numbers: Numbers) -> dict[str, np.ndarray]:
    """column -> (K,) a less b."""
    shared = [c for c in numbers.columns(claim.table, claim.a[0]) if c in numbers.columns(claim.table, claim.b[0])]
    if not shared:
        raise NotComputable(f"Table {claim.table} has {claim.a[0]} and {claim.b[0]} on no common sequence")
    found = {}
    for c in shared:
        one, other = (numbers.sample(claim.table, row, c) for row in (claim.a[0], claim.b[0]))
        found[c] = difference(Sample(one.seeds), Sample(other.seeds)).seeds
    return found


def _spearman(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(B,) rank correlation of each row of two (B, R) arrays; NaN where one is constant."""
    a, b = (stats.rankdata(v, axis=1) for v in (x, y))
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: np.ndarray = (a * b).sum(axis=1) / np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return found


def _plain(claim: Claim) -> bool:
    """Whether the column is of times or counts, which have no sequences to draw."""
    return _unit(claim) == "ms" or claim.columns[0] in PLAIN


def _unit(claim: Claim) -> str:
    column, table = claim.columns[0], claim.table
    units = {e.unit for e in reference.table(table) if e.column == column and e.unit}
    return {"%": "points", "ms": "ms"}.get(next(iter(units), ""), "")


RULES: MappingProxyType[str, Rule] = MappingProxyType(
    {
        "better": better,
        "greater": greater,
        "best": best,
        "between": between,
        "at most": bounded,
        "at least": bounded,
        "relative": relative,
        "times": times,
        "ordered": ordered,
        "each": each,
        "spread": spread,
        "correlate": correlate,
        "everywhere": everywhere,
        "alike": alike,
        "counted": counted,
    }
)
