"""The tests of claims: from numbers to effects, and the region in which the claim wants them."""

from collections.abc import Callable
from itertools import combinations
from math import inf
from types import MappingProxyType

import numpy as np
from scipy import stats

from msfp.errors import NotComputable
from msfp.metrics.statistics import FEWEST_SEEDS, SEEDS, Pooled, RankCorrelation, Sample, Spread, difference, negative
from msfp.paper import columns as col
from msfp.paper import reference
from msfp.paper.claims.effects import Effect, Found
from msfp.paper.claims.listed import Claim
from msfp.paper.claims.numbers import Numbers, Printed
from msfp.paper.claims.words import MARGINS

PLAIN = ("FPS", "B: FPS", "Params", "Parameters", "Input Dim", "τ std")
"""Columns of times or counts, beside those in ms."""


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
    """a - b lies in the claimed range, for every b; a range above 0 is a size, and has a direction."""
    bound = 0.0 if 0 < claim.low < inf else None
    return Found(tuple(_minus(claim, numbers, b) for b in claim.b), claim.low, claim.high, strict=False, bound=bound)


def bounded(claim: Claim, numbers: Numbers) -> Found:
    """a, or a - b where there is a b, is at most `high` and at least `low`."""
    if claim.b:
        effects = tuple(_minus(claim, numbers, b) for b in claim.b)
    else:
        effects = (_alone(claim, numbers, claim.a[0]),)
    return Found(effects, claim.low, claim.high, strict=False, bound=None)


def relative(claim: Claim, numbers: Numbers) -> Found:
    """a is so many percent more than b."""
    ratio, slack = _ratio(claim, numbers, claim.a[0])
    percent = Sample(100 * (ratio.seeds - 1), 100 * (ratio.replicates - 1), ratio.units, ratio.kind)
    effect = Effect(f"{claim.a[0]} / {claim.b[0]} − 1", _spread_of(claim, percent), 100 * slack, "%")
    return Found((effect,), claim.low, claim.high, strict=False, bound=None)


def times(claim: Claim, numbers: Numbers) -> Found:
    """Every a is so many times b; less than once is the wrong side."""
    effects = []
    for a in claim.a:
        ratio, slack = _ratio(claim, numbers, a)
        effects.append(Effect(f"{a} / {claim.b[0]}", _spread_of(claim, ratio), slack, "times"))
    return Found(tuple(effects), claim.low, claim.high, strict=False, bound=1.0)


def ordered(claim: Claim, numbers: Numbers) -> Found:
    """Each row has a larger number than the next."""
    pairs = zip(claim.a, claim.a[1:], strict=False)
    return Found(tuple(_apart(claim, numbers, a, b) for a, b in pairs))


def each(claim: Claim, numbers: Numbers) -> Found:
    """Every row's number is above `low`."""
    effects = tuple(_alone(claim, numbers, row) for row in claim.a)
    return Found(effects, claim.low, claim.high, bound=claim.low)


def spread(claim: Claim, numbers: Numbers) -> Found:
    """No two rows differ by more than `high`: the largest of noisy numbers less the smallest always looks large."""
    pairs = tuple(_apart(claim, numbers, a, b) for a, b in combinations(claim.a, 2))
    return Found(pairs, -claim.high, claim.high, strict=False, bound=None)


def correlate(claim: Claim, numbers: Numbers) -> Found:
    """Two columns rank the rows alike: Spearman's correlation of their values is positive.

    The claim is about embeddings in general, of which the rows are the sample: drawing scenes or people again would
    only tell how these very rows rank.
    """
    left, right = claim.columns[0].split("~")
    rows = [r for r in numbers.rows(claim.table, left) if r in numbers.rows(claim.table, right)]
    x, y = ([numbers.sample(claim.table, r, column).value for r in rows] for column in (left, right))
    if len(rows) < 3:
        raise NotComputable(f"{len(rows)} rows have both {left} and {right}; an order takes three")
    found = RankCorrelation(_spearman(np.array(x), np.array(y)), len(rows), "strategies")
    return Found((Effect(f"rank correlation of {left} and {right}", found),))


def everywhere(claim: Claim, numbers: Numbers) -> Found:
    """a is better than b in every column that both have: on these very sequences, whatever the training seed."""
    gains = _gains(claim, numbers)
    samples = {column: Sample(gain, kind=SEEDS) for column, gain in gains.items()}
    return Found(tuple(Effect(column, s, 0.0, "points", MARGINS["points"]) for column, s in samples.items()))


def alike(claim: Claim, numbers: Numbers) -> Found:
    """No two columns' gains of a over b differ by more than `high`: equivalence of every pair.

    What a column and a seed do only together, (K - 1)(C - 1) degrees of freedom over all K seeds and C columns, gives
    the difference of two columns' means its standard error.
    """
    gains = _gains(claim, numbers)
    table = np.stack(list(gains.values()))
    columns, seeds = table.shape
    if columns < 2:
        raise NotComputable("one sequence only: no two gains to compare")
    left = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
    freedom = (columns - 1) * (seeds - 1)
    error = float(np.sqrt((left**2).sum() / max(freedom, 1) * 2 / seeds))

    def apart(one: np.ndarray, other: np.ndarray) -> Spread:
        if seeds < FEWEST_SEEDS:
            return Sample(one - other, kind=SEEDS)
        return Pooled(float(one.mean() - other.mean()), error, freedom, f"{columns} sequences, {seeds} seeds")

    effects = [
        Effect(f"gain on {a} − on {b}", apart(gains[a], gains[b]), 0.0, "points") for a, b in combinations(gains, 2)
    ]
    return Found(tuple(effects), -claim.high, claim.high, strict=False, bound=None)


def counted(claim: Claim, numbers: Numbers) -> Found:
    """What was counted here is what the paper prints, to its digits."""
    effects, printed = [], Printed()
    for row in claim.a:
        place = (claim.table, row, claim.columns[0])
        apart = difference(numbers.sample(*place), printed.sample(*place))
        effects.append(Effect(f"{row} − paper's", apart, printed.slack(*place)))
    return Found(tuple(effects), 0.0, 0.0, strict=False, bound=None)


def _over(claim: Claim, numbers: Numbers, others: tuple[str, ...], sign: int) -> Found:
    """Advantage of a over each of the others; sign -1 where lower is better."""
    if not others:
        raise NotComputable("nothing to compare with")
    column = claim.columns[0]

    def signed(row: str) -> Sample:
        found = numbers.sample(claim.table, row, column)
        return found if sign > 0 else negative(found)

    def slack(row: str) -> float:
        return numbers.slack(claim.table, row, column)

    first = claim.a[0]
    return Found(
        tuple(
            _effect(claim, f"{first} over {row}", difference(signed(first), signed(row)), slack(first) + slack(row))
            for row in others
        )
    )


def _minus(claim: Claim, numbers: Numbers, b: str) -> Effect:
    return _apart(claim, numbers, claim.a[0], b)


def _apart(claim: Claim, numbers: Numbers, a: str, b: str) -> Effect:
    one, other = (claim.table, a, claim.columns[0]), (claim.table, b, claim.columns[0])
    sample = difference(numbers.sample(*one), numbers.sample(*other))
    return _effect(claim, f"{a} − {b}", sample, numbers.slack(*one) + numbers.slack(*other))


def _alone(claim: Claim, numbers: Numbers, row: str) -> Effect:
    place = (claim.table, row, claim.columns[0])
    return _effect(claim, row, numbers.sample(*place), numbers.slack(*place))


def _effect(claim: Claim, label: str, sample: Sample, slack: float) -> Effect:
    """An effect in the claim's column."""
    unit = _unit(claim)
    margin = MARGINS.get(unit, MARGINS.get(col.stem(claim.columns[0]), 0.0))
    return Effect(label, _spread_of(claim, sample), slack, unit, margin)


def _spread_of(claim: Claim, sample: Sample) -> Spread:
    """The sample; of a time or a count that was not drawn, the one value, or its spread over seeds."""
    if not _plain(claim) or sample.units:
        return sample
    return Sample(sample.seeds, kind=SEEDS) if len(sample.seeds) > 1 else Pooled(sample.value, 0.0, 1.0, "one value")


def _ratio(claim: Claim, numbers: Numbers, a: str) -> tuple[Sample, float]:
    """a / b, and how far it may be off by rounding."""
    above, below = (claim.table, a, claim.columns[0]), (claim.table, claim.b[0], claim.columns[0])
    one, other = numbers.sample(*above), numbers.sample(*below)
    if not other.value:
        raise NotComputable(f"{claim.b[0]} / {claim.columns[0]} is 0")
    drawn = len(one.replicates) and len(other.replicates) and one.units == other.units
    replicates = one.replicates / other.replicates if drawn else np.zeros((0, 1))
    slack = numbers.slack(*above) / other.value + numbers.slack(*below) * one.value / other.value**2
    return Sample(one.seeds / other.seeds, replicates, one.units if drawn else (), one.kind), slack


def _gains(claim: Claim, numbers: Numbers) -> dict[str, np.ndarray]:
    """column -> (K,) a less b."""
    first, second = (numbers.columns(claim.table, row) for row in (claim.a[0], claim.b[0]))
    shared = [c for c in reference.columns(claim.table) if c in first and c in second]  # without `all`
    if not shared:
        raise NotComputable(f"Table {claim.table} has {claim.a[0]} and {claim.b[0]} on no common sequence")
    found = {}
    for c in shared:
        one, other = (numbers.sample(claim.table, row, c) for row in (claim.a[0], claim.b[0]))
        found[c] = difference(Sample(one.seeds), Sample(other.seeds)).seeds
    return found


def _spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Rank correlation of two (R,) arrays; NaN where one is constant."""
    a, b = (stats.rankdata(v) for v in (x, y))
    a, b = a - a.mean(), b - b.mean()
    size = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / size) if size else float("nan")


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
