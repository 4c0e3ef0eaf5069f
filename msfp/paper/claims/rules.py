"""Tests of claims by their kinds, and the words of a verdict."""

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import combinations, pairwise
from math import inf, sqrt
from types import MappingProxyType
from typing import Literal

import numpy as np
from scipy import stats

from msfp.errors import NotComputable
from msfp.metrics import bootstrap
from msfp.metrics.bootstrap import FEWEST_SEEDS, LEVEL, SEEDS, Pooled, Sample, Spread, difference
from msfp.paper import layout as col
from msfp.paper import registry
from msfp.paper.claims.listed import Claim, Effect, Found, Printed

Word = Literal[
    "supported", "smaller than the paper says", "no difference", "refuted", "inconclusive", "not testable here"
]


_SPREADS = {(e.table, e.row, e.column): float(e.std) for e in registry.load() if e.std is not None}
MARGINS = MappingProxyType(
    {
        "points": _SPREADS[1, "MSFP-Track", "HOTA"],
        "AUC": _SPREADS[3, "Attention (instance)", "AUC"],
        "Gap": _SPREADS[3, "Attention (instance)", "Gap"],
    }
)
"""Differences that the paper's own runs show by themselves, by unit or by column."""
MEANINGS: MappingProxyType[Word, str] = MappingProxyType(
    {
        "supported": "The whole interval lies where the claim wants it, and does not exclude the printed size.",
        "smaller than the paper says": "The interval reaches the side that the claim wants, where the sign holds or is "
        "open, but all of it lies below the size that the paper prints for the same effect.",
        "no difference": "The whole interval lies within the margin of indifference around the bound, on either side: "
        f"{MARGINS['points']:g} points, {MARGINS['AUC']:g} AUC, {MARGINS['Gap']:g} of gap, the ± that the paper prints "
        "for its own runs; 0 for everything else.",
        "refuted": "The whole interval lies on the wrong side, or outside the range that the claim names.",
        "inconclusive": "None of these, or no interval: fewer than six scenes, or people of a few fixed scenes were "
        "drawn, which says nothing of other scenes.",
        "not testable here": "This run has no number for it; the reason is told.",
    }
)
WORDS: tuple[Word, ...] = tuple(MEANINGS)
DECIDING: tuple[Word, ...] = ("refuted", "no difference", "smaller than the paper says", "inconclusive", "supported")
"""Of several effects' words, the first of these that occurs is the claim's."""
ALPHA = 1 - LEVEL
ROUNDING = 1e-9


def words(found: Found, alpha: float = ALPHA) -> list[Word]:
    """The word of every effect, in a claim that may be wrong with chance alpha; NotComputable: one has no interval."""
    return [effect_word(effect, found, alpha, len(found.effects)) for effect in found.effects]


def together(said: Iterable[Word]) -> Word:
    """The word of a claim from those of its effects."""
    return min(said, key=DECIDING.index)


def effect_word(effect: Effect, found: Found, alpha: float = ALPHA, effects: int = 1) -> Word:
    """One effect's word; `effects`: how many the claim has. NotComputable: there is no interval."""
    low, high = effect.sample.interval(1 - alpha / effects)
    if found.bound is None:
        if not touches(low, high, found):
            return "refuted"
    else:
        if low >= found.bound - effect.margin - ROUNDING and high <= found.bound + effect.margin + ROUNDING:
            return "no difference"
        if high < found.bound or low > found.high + ROUNDING:
            return "refuted"
        size = found.low if found.low > found.bound else effect.printed
        if size is not None and high < size - ROUNDING:
            return "smaller than the paper says"
    if effects > 1:
        low, high = effect.sample.interval(1 - alpha)
    return "supported" if touches(low, low, found) and touches(high, high, found) else "inconclusive"


def holm(families: Mapping[str, Found], alpha: float = ALPHA) -> dict[str, tuple[Word, int]]:
    """The words of a family's claims, and with how many it was corrected; NotComputable: one has no interval.

    All that have a word at alpha / h get it, h being those still open; then the rest is tried with what is left.
    """
    open_, said = dict(families), dict[str, tuple[Word, int]]()
    while open_:
        left = len(open_)
        now = {name: together(words(found, alpha / left)) for name, found in open_.items()}
        said |= {name: (word, left) for name, word in now.items()}
        open_ = {name: found for name, found in open_.items() if now[name] == "inconclusive"}
        if len(open_) == left:
            break
    return said


def touches(low: float, high: float, found: Found) -> bool:
    """True where an interval reaches the region that the claim wants; a strict region ends before its lower bound."""
    above = high > found.low + ROUNDING if found.strict else high >= found.low - ROUNDING
    return above and low <= found.high + ROUNDING


PLAIN = ("FPS", "B: FPS", "Params", "Parameters", "Input Dim", "τ std")
"""Columns of times or counts, beside those in ms."""
Place = tuple[int, str, str]
"""Table, row and column of a number."""


def compared(claim: Claim, numbers: Printed) -> Found:
    """Rows of one column, one less another or one alone.

    better: a over every b, whichever direction is better in the column; greater: as numbers; best: a over all others.
    ordered: each row above the next. each: every row above `low`. spread: no two differ by more than `high` (the
    largest of noisy numbers less the smallest always looks large).
    between: every a - b in the claimed range; a range above 0 is a size, and has a direction.
    at most, at least: a - b, or a where there is no b, within the bounds.
    """
    a, column = claim.a, claim.columns[0]
    match claim.kind:
        case "better" | "greater" | "best":
            every = numbers.rows(claim.table, column) if claim.kind == "best" else []
            others = [row for row in every if row != a[0]] or claim.b
            sign = 1 if claim.kind == "greater" else col.direction(claim.table, column) or 1
            if not others:
                raise NotComputable("nothing to compare with")
            return Found(tuple(_effect(claim, numbers, a[0], row, "over", sign) for row in others))
        case "ordered":
            return Found(tuple(_effect(claim, numbers, one, other) for one, other in pairwise(a)))
        case "each":
            return Found(tuple(_effect(claim, numbers, row) for row in a), claim.low, claim.high, bound=claim.low)
        case "spread":
            return _within(claim.high, (_effect(claim, numbers, one, other) for one, other in combinations(a, 2)))
    effects = tuple(_effect(claim, numbers, a[0], b) for b in claim.b or ("",))
    bound = 0.0 if claim.kind == "between" and 0 < claim.low < inf else None
    return Found(effects, claim.low, claim.high, strict=False, bound=bound)


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
    value = float("nan") if constant else float(stats.spearmanr(x, y)[0])
    found = bootstrap.RankCorrelation(value, len(rows), "strategies")
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

    pairs = [(f"gain on {a} − on {b}", apart(gains[a], gains[b])) for a, b in combinations(gains, 2)]
    return _within(claim.high, (Effect(label, sample, 0.0, "points") for label, sample in pairs))


def counted(claim: Claim, numbers: Printed) -> Found:
    """What was counted here is what the paper prints, to its digits."""
    effects, printed = [], Printed()
    for row in claim.a:
        place = (claim.table, row, claim.columns[0])
        apart = difference(numbers.sample(*place), printed.sample(*place))
        effects.append(Effect(f"{row} − paper's", apart, printed.slack(*place)))
    return _within(0.0, effects)


def identity(claim: Claim, numbers: Printed) -> Found:
    """Numbers that add up but for rounding.

    agree: the same quantity in two tables. sum: a column of others, in every row that has them all. total: a row of
    others. gain: the row of differences is a - b in every column.
    """
    t, sides = claim.table, list[tuple[str, list[Place], list[Place]]]()
    match claim.kind:
        case "agree":
            sides = [(left[1], [left], [right]) for left, right in _shared(claim)]
        case "sum":
            whole, *parts = re.split("[=+]", claim.columns[0])
            shared = [(n, row) for n in claim.tables for row in numbers.rows(n, whole)]
            sides = [(f"Table {n}, {row}", [(n, row, whole)], [(n, row, c) for c in parts]) for n, row in shared]
        case "total":
            total, *others = ((t, row, claim.columns[0]) for row in (claim.b[0], *claim.a))
            sides = [(claim.b[0], [total], others)]
        case "gain":
            row, a, b = claim.columns[0], claim.a[0], claim.b[0]
            sides = [(c, [(t, row, c), (t, b, c)], [(t, a, c)]) for c in numbers.columns(t, row)]

    effects = []
    for label, left, right in sides:
        one, other = (sum(numbers.sample(*place).value for place in places) for places in (left, right))
        effects.append(_exact(label, one - other, sum(numbers.slack(*place) for place in (*left, *right))))
    return _within(0.0, effects)


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


def _effect(claim: Claim, numbers: Printed, a: str, b: str = "", sep: str = "−", sign: int = 1) -> Effect:
    """a less b in the claim's column, the other way round for a negative sign; or a alone."""
    places = [(claim.table, row, claim.columns[0]) for row in (a, b) if row]
    sample, *others = (numbers.sample(*place) for place in places)
    for other in others:
        sample = difference(sample, other)
    slack, unit = sum(numbers.slack(*place) for place in places), _unit(claim)
    margin = MARGINS.get(unit, MARGINS.get(col.stem(claim.columns[0]), 0.0))
    spread = _spread_of(claim, sample if sign > 0 else bootstrap.negative(sample))
    return Effect(f"{a} {sep} {b}" if b else a, spread, slack, unit, margin)


def _spread_of(claim: Claim, sample: Sample) -> Spread:
    """The sample; of a time or a count that was not drawn, the one value, or its spread over seeds."""
    if sample.units or not (_unit(claim) == "ms" or claim.columns[0] in PLAIN):
        return sample
    return Sample(sample.seeds, kind=SEEDS) if len(sample.seeds) > 1 else Pooled(sample.value, 0.0, 1.0, "one value")


def _unit(claim: Claim) -> str:
    units = {e.unit for e in registry.table(claim.table) if e.column == claim.columns[0] and e.unit}
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
    shared = [c for c in registry.columns(table) if c in first and c in second]  # without `all`
    if not shared:
        raise NotComputable(f"Table {table} has {a} and {b} on no common sequence")
    both = {c: (numbers.sample(table, a, c), numbers.sample(table, b, c)) for c in shared}
    return {c: difference(Sample(one.seeds), Sample(other.seeds)).seeds for c, (one, other) in both.items()}


def _shared(claim: Claim) -> list[tuple[Place, Place]]:
    """The two places of every pair of rows and columns; `a==b` names the second table's apart."""
    first, second = claim.tables
    pairs = [(row.split("=="), column.split("==")) for row in claim.a for column in claim.columns]
    return [((first, rows[0], columns[0]), (second, rows[-1], columns[-1])) for rows, columns in pairs]


def _exact(label: str, value: float, slack: float = 0.0, unit: str = "") -> Effect:
    return Effect(label, Sample(np.array([float(value)])), slack, unit)


Rule = Callable[[Claim, Printed], Found]
_NAMED: tuple[Rule, ...] = (relative, times, correlate, everywhere, alike, counted, distinct, root, inverse, mean)
KINDS: MappingProxyType[str, Rule] = MappingProxyType(
    {
        **dict.fromkeys(("better", "greater", "best", "ordered", "each"), compared),
        **dict.fromkeys(("spread", "between", "at most", "at least"), compared),
        **dict.fromkeys(("agree", "sum", "total", "gain"), identity),
        **{rule.__name__: rule for rule in _NAMED},
    }
)
"""The test of every kind of claim."""
