"""Tests of the paper's numbers against each other: sums, inverses, entries that should agree or should not."""

from math import sqrt
from types import MappingProxyType

import numpy as np

from msfp.errors import NotComputable
from msfp.metrics.statistics import Sample
from msfp.paper.claims.effects import Effect, Found
from msfp.paper.claims.listed import Claim
from msfp.paper.claims.numbers import Numbers
from msfp.paper.claims.rules import Rule

Place = tuple[int, str, str]
PAIR = "=="


def agree(claim: Claim, numbers: Numbers) -> Found:
    """The same quantity in two tables."""
    pairs = _shared(claim)
    return _zero([_residual(numbers, left[1], [left], [right]) for left, right in pairs])


def distinct(claim: Claim, numbers: Numbers) -> Found:
    """Two data sets: at least one number differs."""
    pairs = _shared(claim)
    apart = sum(numbers.sample(*left).value != numbers.sample(*right).value for left, right in pairs)
    return Found((_exact(f"of {len(pairs)} numbers differ", float(apart)),))


def root(claim: Claim, numbers: Numbers) -> Found:
    """HOTA is the root of DetA x AssA, within `high`."""
    effects = []
    for table in claim.tables:
        for row in numbers.rows(table, "DetA"):
            hota, ass, det = ((table, row, c) for c in ("HOTA", "AssA", "DetA"))
            a, d = numbers.sample(*ass).value, numbers.sample(*det).value
            slack = numbers.slack(*hota) + 0.5 * (numbers.slack(*ass) * sqrt(d / a) + numbers.slack(*det) * sqrt(a / d))
            apart = numbers.sample(*hota).value - sqrt(a * d)
            effects.append(_exact(f"Table {table}, {row}: HOTA − √(DetA·AssA)", apart, slack, "points"))
    return Found(tuple(effects), -claim.high, claim.high, strict=False, bound=None)


def columns_sum(claim: Claim, numbers: Numbers) -> Found:
    """A column is the sum of others, in every row that has them all."""
    total, _, parts = claim.columns[0].partition("=")
    effects = []
    for table in claim.tables:
        for row in numbers.rows(table, total):
            places = [(table, row, c) for c in parts.split("+")]
            effects.append(_residual(numbers, f"Table {table}, {row}", [(table, row, total)], places))
    return _zero(effects)


def total(claim: Claim, numbers: Numbers) -> Found:
    """A row is the sum of others."""
    parts = [(claim.table, row, claim.columns[0]) for row in claim.a]
    return _zero([_residual(numbers, claim.b[0], [(claim.table, claim.b[0], claim.columns[0])], parts)])


def inverse(claim: Claim, numbers: Numbers) -> Found:
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
    return _zero(effects)


def gain(claim: Claim, numbers: Numbers) -> Found:
    """The row of differences is a - b in every column."""
    row, effects = claim.columns[0], []
    for c in numbers.columns(claim.table, row):
        a, b = (claim.table, claim.a[0], c), (claim.table, claim.b[0], c)
        effects.append(_residual(numbers, c, [(claim.table, row, c), b], [a]))
    return _zero(effects)


def mean(claim: Claim, numbers: Numbers) -> Found:
    """A row's average is the number of another table, within `high`."""
    first, second = claim.tables
    effects = []
    for row in claim.a:
        places = [(first, row, c) for c in numbers.columns(first, row)]
        average = float(np.mean([numbers.sample(*p).value for p in places]))
        other = (second, row, claim.columns[0])
        slack = float(np.mean([numbers.slack(*p) for p in places])) + numbers.slack(*other)
        apart = average - numbers.sample(*other).value
        effects.append(_exact(f"{row}: average of Table {first} − Table {second}", apart, slack, "points"))
    return Found(tuple(effects), -claim.high, claim.high, strict=False, bound=None)


def _shared(claim: Claim) -> list[tuple[Place, Place]]:
    """The two places of every pair of rows and columns; `a==b` names the second table's apart."""
    first, second = claim.tables
    found: list[tuple[Place, Place]] = []
    for row in claim.a:
        for column in claim.columns:
            (r, _, other_r), (c, _, other_c) = row.partition(PAIR), column.partition(PAIR)
            found.append(((first, r, c), (second, other_r or r, other_c or c)))
    return found


def _residual(numbers: Numbers, label: str, plus: list[Place], minus: list[Place]) -> Effect:
    """Sum of some numbers less the sum of others."""
    value = sum(numbers.sample(*p).value for p in plus) - sum(numbers.sample(*p).value for p in minus)
    return _exact(label, value, sum(numbers.slack(*p) for p in (*plus, *minus)))


def _exact(label: str, value: float, slack: float = 0.0, unit: str = "") -> Effect:
    return Effect(label, Sample(np.array([value])), slack, unit)


def _zero(effects: list[Effect]) -> Found:
    """Nothing but rounding is left.

    Raises:
        NotComputable: there was nothing to check.
    """
    if not effects:
        raise NotComputable("no row has all the numbers")
    return Found(tuple(effects), 0.0, 0.0, strict=False, bound=None)


ARITHMETIC: MappingProxyType[str, Rule] = MappingProxyType(
    {
        "agree": agree,
        "distinct": distinct,
        "root": root,
        "sum": columns_sum,
        "total": total,
        "inverse": inverse,
        "gain": gain,
        "mean": mean,
    }
)
