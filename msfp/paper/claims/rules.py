"""The tests of claims: from numbers to effects, and the region in which the claim wants them.

The first ones compare rows or columns, of measured tables or of printed ones; those from `agree` on hold the paper's
numbers against each other: sums, inverses, entries that should agree or should not.
"""

from collections.abc import Callable, Iterable
from itertools import combinations, pairwise
from math import inf, sqrt
from types import MappingProxyType

import numpy as np
from scipy import stats

from msfp.errors import NotComputable
from msfp.metrics.statistics import FEWEST_SEEDS, SEEDS, Pooled, RankCorrelation, Sample, Spread, difference, negative
from msfp.paper import columns as col
from msfp.paper import reference
from msfp.paper.claims.effects import Effect, Found
from msfp.paper.claims.listed import Claim
from msfp.paper.claims.numbers import Printed
from msfp.paper.claims.words import MARGINS

PLAIN = ("FPS", "B: FPS", "Params", "Parameters", "Input Dim", "τ std")
"""Columns of times or counts, beside those in ms."""
Place = tuple[int, str, str]
"""Table, row and column of a number."""


def better(claim: Claim, numbers: Printed) -> Found:
    """a is better than every b, whichever direction is better in the column."""
    return _over(claim, numbers, claim.b, col.direction(claim.table, claim.columns[0]) or 1)


def greater(claim: Claim, numbers: Printed) -> Found:
    """a is a larger number than every b."""
    return _over(claim, numbers, claim.b, 1)


def best(claim: Claim, numbers: Printed) -> Found:
    """a is better than every other row of the table."""
    others = [r for r in numbers.rows(claim.table, claim.columns[0]) if r != claim.a[0]]
    return _over(claim, numbers, others, col.direction(claim.table, claim.columns[0]) or 1)


def between(claim: Claim, numbers: Printed) -> Found:
    """a - b lies in the claimed range, for every b; a range above 0 is a size, and has a direction."""
    effects = tuple(_apart(claim, numbers, claim.a[0], b) for b in claim.b)
    return Found(effects, claim.low, claim.high, strict=False, bound=0.0 if 0 < claim.low < inf else None)


def bounded(claim: Claim, numbers: Printed) -> Found:
    """a, or a - b where there is a b, is at most `high` and at least `low`."""
    effects = [_apart(claim, numbers, claim.a[0], b) for b in claim.b] or [_alone(claim, numbers, claim.a[0])]
    return Found(tuple(effects), claim.low, claim.high, strict=False, bound=None)


def relative(claim: Claim, numbers: Printed) -> Found:
    """a is so many percent more than b."""
    ratio, slack = _ratio(claim, numbers, claim.a[0])
    percent = Sample(100 * (ratio.seeds - 1), 100 * (ratio.replicates - 1), ratio.units, ratio.kind)
    effect = Effect(f"{claim.a[0]} / {claim.b[0]} − 1", _spread_of(claim, percent), 100 * slack, "%")
    return Found((effect,), claim.low, claim.high, strict=False, bound=None)


def times(claim: Claim, numbers: Printed) -> Found:
    """Every a is so many times b; less than once is the wrong side."""
    ratios = {f"{a} / {claim.b[0]}": _ratio(claim, numbers, a) for a in claim.a}
    effects = tuple(Effect(label, _spread_of(claim, r), slack, "times") for label, (r, slack) in ratios.items())
    return Found(effects, claim.low, claim.high, strict=False, bound=1.0)


def ordered(claim: Claim, numbers: Printed) -> Found:
    """Each row has a larger number than the next."""
    return Found(tuple(_apart(claim, numbers, a, b) for a, b in pairwise(claim.a)))


def each(claim: Claim, numbers: Printed) -> Found:
    """Every row's number is above `low`."""
    return Found(tuple(_alone(claim, numbers, row) for row in claim.a), claim.low, claim.high, bound=claim.low)


def spread(claim: Claim, numbers: Printed) -> Found:
    """No two rows differ by more than `high`: the largest of noisy numbers less the smallest always looks large."""
    return _within(claim.high, (_apart(claim, numbers, a, b) for a, b in combinations(claim.a, 2)))


def correlate(claim: Claim, numbers: Printed) -> Found:
    """Two columns rank the rows alike: Spearman's correlation of their values is positive.

    The claim is about embeddings in general, of which the rows are the sample: drawing scenes or people again would
    only tell how these very rows rank.
    """
    left, right = claim.columns[0].split("~")
    rows = [r for r in numbers.rows(claim.table, left) if r in numbers.rows(claim.table, right)]
    x, y = ([numbers.sample(claim.table, r, column).value for r in rows] for column in (left, right))
    if len(rows) < 3:
        raise NotComputable(f"{len(rows)} rows have both {left} and {right}; an order takes three")
    constant = len({*x}) == 1 or len({*y}) == 1
    found = RankCorrelation(float("nan") if constant else float(stats.spearmanr(x, y)[0]), len(rows), "strategies")
    return Found((Effect(f"rank correlation of {left} and {right}", found),))


def everywhere(claim: Claim, numbers: Printed) -> Found:
    """a is better than b in every column that both have: on these very sequences, whatever the training seed."""
    gains = {column: Sample(gain, kind=SEEDS) for column, gain in _gains(claim, numbers).items()}
    return Found(tuple(Effect(column, s, 0.0, "points", MARGINS["points"]) for column, s in gains.items()))


def alike(claim: Claim, numbers: Printed) -> Found:
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

    pairs = combinations(gains, 2)
    return _within(
        claim.high, (Effect(f"gain on {a} − on {b}", apart(gains[a], gains[b]), 0.0, "points") for a, b in pairs)
    )


def counted(claim: Claim, numbers: Printed) -> Found:
    """What was counted here is what the paper prints, to its digits."""
    effects, printed = [], Printed()
    for row in claim.a:
        place = (claim.table, row, claim.columns[0])
        apart = difference(numbers.sample(*place), printed.sample(*place))
        effects.append(Effect(f"{row} − paper's", apart, printed.slack(*place)))
    return _within(0.0, effects)


def agree(claim: Claim, numbers: Printed) -> Found:
    """The same quantity in two tables."""
    return _within(0.0, (_residual(numbers, left[1], [left], [right]) for left, right in _shared(claim)))


def distinct(claim: Claim, numbers: Printed) -> Found:
    """Two data sets: at least one number differs."""
    pairs = _shared(claim)
    apart = sum(numbers.sample(*left).value != numbers.sample(*right).value for left, right in pairs)
    return Found((_exact(f"of {len(pairs)} numbers differ", apart),))


def root(claim: Claim, numbers: Printed) -> Found:
    """HOTA is the root of DetA x AssA, within `high`."""
    effects = []
    for table in claim.tables:
        for row in numbers.rows(table, "DetA"):
            hota, ass, det = ((table, row, c) for c in ("HOTA", "AssA", "DetA"))
            a, d = numbers.sample(*ass).value, numbers.sample(*det).value
            slack = numbers.slack(*hota) + 0.5 * (numbers.slack(*ass) * sqrt(d / a) + numbers.slack(*det) * sqrt(a / d))
            apart = numbers.sample(*hota).value - sqrt(a * d)
            effects.append(_exact(f"Table {table}, {row}: HOTA − √(DetA·AssA)", apart, slack, "points"))
    return _within(claim.high, effects)


def columns_sum(claim: Claim, numbers: Printed) -> Found:
    """A column is the sum of others, in every row that has them all."""
    whole, _, parts = claim.columns[0].partition("=")
    rows = [(table, row) for table in claim.tables for row in numbers.rows(table, whole)]
    return _within(
        0.0,
        (
            _residual(numbers, f"Table {t}, {row}", [(t, row, whole)], [(t, row, c) for c in parts.split("+")])
            for t, row in rows
        ),
    )


def total(claim: Claim, numbers: Printed) -> Found:
    """A row is the sum of others."""
    whole, *parts = ((claim.table, row, claim.columns[0]) for row in (claim.b[0], *claim.a))
    return _within(0.0, [_residual(numbers, claim.b[0], [whole], parts)])


def inverse(claim: Claim, numbers: Printed) -> Found:
    """Frames a second are 1000 / ms a frame."""
    fps, _, time = claim.columns[0].partition("=")
    effects = []
    for row in numbers.rows(claim.table, fps):
        ms, rate = (claim.table, row, time), (claim.table, row, fps)
        value = numbers.sample(*ms).value
        # whole frames a second are rounded to one
        digit = numbers.slack(*rate) or 0.5
        slack = digit + 1000 * numbers.slack(*ms) / (value * (value - numbers.slack(*ms)))
        effects.append(_exact(f"{row}: FPS − 1000 / ms", numbers.sample(*rate).value - 1000 / value, slack))
    return _within(0.0, effects)


def gain(claim: Claim, numbers: Printed) -> Found:
    """The row of differences is a - b in every column."""
    t, row, a, b = claim.table, claim.columns[0], claim.a[0], claim.b[0]
    columns = numbers.columns(t, row)
    return _within(0.0, (_residual(numbers, c, [(t, row, c), (t, b, c)], [(t, a, c)]) for c in columns))


def mean(claim: Claim, numbers: Printed) -> Found:
    """A row's average is the number of another table, within `high`."""
    first, second = claim.tables
    effects = []
    for row in claim.a:
        places = [(first, row, c) for c in numbers.columns(first, row)]
        other = (second, row, claim.columns[0])
        apart = float(np.mean([numbers.sample(*p).value for p in places])) - numbers.sample(*other).value
        slack = float(np.mean([numbers.slack(*p) for p in places])) + numbers.slack(*other)
        effects.append(_exact(f"{row}: average of Table {first} − Table {second}", apart, slack, "points"))
    return _within(claim.high, effects)


def _within(size: float, effects: Iterable[Effect]) -> Found:
    """Effects that should be no larger than a size; of size 0, nothing but rounding should be left."""
    found = tuple(effects)
    if not found:
        raise NotComputable("no row has all the numbers")
    return Found(found, -size, size, strict=False, bound=None)


def _over(claim: Claim, numbers: Printed, others: Iterable[str], sign: int) -> Found:
    """Advantage of a over each of the others; sign -1 where lower is better."""
    effects = tuple(_apart(claim, numbers, claim.a[0], row, "over", sign) for row in others)
    if not effects:
        raise NotComputable("nothing to compare with")
    return Found(effects)


def _apart(claim: Claim, numbers: Printed, a: str, b: str, sep: str = "−", sign: int = 1) -> Effect:
    one, other = (claim.table, a, claim.columns[0]), (claim.table, b, claim.columns[0])
    sample = difference(numbers.sample(*one), numbers.sample(*other))
    slack = numbers.slack(*one) + numbers.slack(*other)
    return _effect(claim, f"{a} {sep} {b}", sample if sign > 0 else negative(sample), slack)


def _alone(claim: Claim, numbers: Printed, row: str) -> Effect:
    place = (claim.table, row, claim.columns[0])
    return _effect(claim, row, numbers.sample(*place), numbers.slack(*place))


def _effect(claim: Claim, label: str, sample: Sample, slack: float) -> Effect:
    """An effect in the claim's column."""
    unit = _unit(claim)
    margin = MARGINS.get(unit, MARGINS.get(col.stem(claim.columns[0]), 0.0))
    return Effect(label, _spread_of(claim, sample), slack, unit, margin)


def _spread_of(claim: Claim, sample: Sample) -> Spread:
    """The sample; of a time or a count that was not drawn, the one value, or its spread over seeds."""
    if sample.units or not (_unit(claim) == "ms" or claim.columns[0] in PLAIN):
        return sample
    return Sample(sample.seeds, kind=SEEDS) if len(sample.seeds) > 1 else Pooled(sample.value, 0.0, 1.0, "one value")


def _unit(claim: Claim) -> str:
    units = {e.unit for e in reference.table(claim.table) if e.column == claim.columns[0] and e.unit}
    return {"%": "points", "ms": "ms"}.get(next(iter(units), ""), "")


def _ratio(claim: Claim, numbers: Printed, a: str) -> tuple[Sample, float]:
    """a / b, and how far it may be off by rounding."""
    above, below = (claim.table, a, claim.columns[0]), (claim.table, claim.b[0], claim.columns[0])
    one, other = numbers.sample(*above), numbers.sample(*below)
    if not other.value:
        raise NotComputable(f"{claim.b[0]} / {claim.columns[0]} is 0")
    drawn = len(one.replicates) and len(other.replicates) and one.units == other.units
    replicates = one.replicates / other.replicates if drawn else np.zeros((0, 1))
    slack = numbers.slack(*above) / other.value + numbers.slack(*below) * one.value / other.value**2
    return Sample(one.seeds / other.seeds, replicates, one.units if drawn else (), one.kind), slack


def _gains(claim: Claim, numbers: Printed) -> dict[str, np.ndarray]:
    """column -> (K,) a less b."""
    table, a, b = claim.table, claim.a[0], claim.b[0]
    first, second = numbers.columns(table, a), numbers.columns(table, b)
    shared = [c for c in reference.columns(table) if c in first and c in second]  # without `all`
    if not shared:
        raise NotComputable(f"Table {table} has {a} and {b} on no common sequence")
    both = {c: (numbers.sample(table, a, c), numbers.sample(table, b, c)) for c in shared}
    return {c: difference(Sample(one.seeds), Sample(other.seeds)).seeds for c, (one, other) in both.items()}


def _shared(claim: Claim) -> list[tuple[Place, Place]]:
    """The two places of every pair of rows and columns; `a==b` names the second table's apart."""
    first, second = claim.tables
    found: list[tuple[Place, Place]] = []
    for row in claim.a:
        for column in claim.columns:
            (r, _, other_r), (c, _, other_c) = row.partition("=="), column.partition("==")
            found.append(((first, r, c), (second, other_r or r, other_c or c)))
    return found


def _residual(numbers: Printed, label: str, plus: list[Place], minus: list[Place]) -> Effect:
    """Sum of some numbers less the sum of others."""
    value = sum(numbers.sample(*p).value for p in plus) - sum(numbers.sample(*p).value for p in minus)
    return _exact(label, value, sum(numbers.slack(*p) for p in (*plus, *minus)))


def _exact(label: str, value: float, slack: float = 0.0, unit: str = "") -> Effect:
    return Effect(label, Sample(np.array([float(value)])), slack, unit)


Rule = Callable[[Claim, Printed], Found]
_NAMED: tuple[Rule, ...] = (
    better, greater, best, between, relative, times, ordered, each, spread, correlate, everywhere, alike, counted,
    agree, distinct, root, total, inverse, gain, mean,
)  # fmt: skip
KINDS: MappingProxyType[str, Rule] = MappingProxyType(
    {rule.__name__: rule for rule in _NAMED} | {"at most": bounded, "at least": bounded, "sum": columns_sum}
)
