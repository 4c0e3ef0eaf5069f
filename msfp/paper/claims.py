"""The paper's claims as they stand in `claims.csv`, the numbers that they are about, and the test of each kind."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from itertools import combinations, pairwise
from math import inf, sqrt
from types import MappingProxyType
from typing import Literal

import numpy as np
from scipy import stats

from msfp.errors import InputError, NotComputable
from msfp.experiment.run import Run
from msfp.metrics import bootstrap
from msfp.metrics.bootstrap import FEWEST_SEEDS, SEEDS, Pooled, Sample, Spread, difference
from msfp.paper import registry
from msfp.paper.cells import read_evidence
from msfp.paper.layout import direction, stem
from msfp.paper.stamps import TIMED, TIMES, evidence_path, published_cells
from msfp.types import Cell

TIME_TABLES, TIME_COLUMNS = {7, 11, 15, 24, 104}, {"ms/frame", "Runtime", "FPS"}
PLAIN = ("FPS", "B: FPS", "Params", "Parameters", "Input Dim", "τ std")
"""Columns of times or counts, beside those in ms."""
SAME = 1e-6
_SPREADS = {(e.table, e.row, e.column): float(e.std) for e in registry.load() if e.std is not None}
MARGINS = MappingProxyType(
    {
        "points": _SPREADS[1, "MSFP-Track", "HOTA"],
        "AUC": _SPREADS[3, "Attention (instance)", "AUC"],
        "Gap": _SPREADS[3, "Attention (instance)", "Gap"],
    }
)
"""Differences that the paper's own runs show by themselves, by unit or by column."""


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


@dataclass(frozen=True)
class Apart:
    """Why claims are counted apart from the others, a line of `apart.csv`."""

    id: str
    why: Literal["construction", "hardware"]  # how data or modules are made decides it; a time of this machine
    where: Literal["embedded", "any", "nowhere"]  # `nowhere`: they count as all others
    reason: str  # what decides them


@dataclass(frozen=True)
class Claim:
    """One sentence of the paper and its test."""

    id: str
    topic: str  # heading in the report
    section: str  # of the paper, or the table or figure that makes the claim
    quote: str  # the paper's words; in brackets what they refer to
    basis: Literal["measured", "printed"]  # tested on this run's tables, or on the paper's own numbers
    kind: str  # a test, of `KINDS`; `not testable` names none
    tables: tuple[int, ...]  # the first is the one that it stands on
    a: tuple[str, ...]  # rows compared; several are alternatives to a, or all of them are meant
    b: tuple[str, ...]
    columns: tuple[str, ...]  # as the kind reads them
    low: float  # infinite where the claim names no bound
    high: float
    family: str  # claims that ask one question, over which it is corrected
    apart: str  # id of why it is counted apart; empty: it is not
    remark: str  # how the sentence was read
    embedded: str  # what to know of it on the embedded worlds
    needs: str = ""  # `gpu`: an absolute time of the paper's machine

    @property
    def table(self) -> int:
        return self.tables[0]

    @property
    def timed(self) -> bool:
        """True where the clock decides: two equal runs may differ in the verdict."""
        return self.basis == "measured" and bool({*self.tables} & TIME_TABLES or {*self.columns} & TIME_COLUMNS)


@cache
def load() -> tuple[Claim, ...]:
    """All claims in the file's order."""
    found = []
    for row in registry.records("claims.csv"):
        table, a, b, columns = (tuple(filter(None, row.pop(name).split("|"))) for name in ("table", "a", "b", "column"))
        low, high = float(row.pop("low") or -inf), float(row.pop("high") or inf)
        found.append(Claim(tables=tuple(map(int, table)), a=a, b=b, columns=columns, low=low, high=high, **row))  # type: ignore[arg-type]
    return tuple(found)


@cache
def reasons_apart() -> dict[str, Apart]:
    """id -> why claims are counted apart."""
    return {row["id"]: Apart(**row) for row in registry.records("apart.csv")}  # type: ignore[arg-type]


def apart(claim: Claim, embedded: bool) -> Apart | None:
    """Why a claim is counted apart, on embedded worlds or on other data; None where it is not."""
    one = reasons_apart()[claim.apart] if claim.apart and claim.basis == "measured" else None
    return one if one and (one.where == "any" or (embedded and one.where == "embedded")) else None


class Printed:
    """The paper's numbers by table, row and column, known to half a unit of their last digit."""

    def sample(self, table: int, row: str, column: str) -> Sample:
        """A number with its seeds and draws; NotComputable says why there is none."""
        return Sample(np.array([float(self._entry(table, row, column).value)]))

    def slack(self, table: int, row: str, column: str) -> float:
        """Largest error by rounding."""
        entry = self._entry(table, row, column)
        if entry.printed.endswith("K"):
            return 500 * 10.0 ** -len(entry.printed[:-1].partition(".")[2])
        return 0.5 * 10.0**-entry.decimals if "." in entry.printed else 0.0

    def rows(self, table: int, column: str) -> list[str]:
        """The paper's rows with a number in the column, other than private ones; also where they are not measured."""
        entries = [e for e in registry.table(table) if e.column == column and isinstance(e.value, float)]
        return [e.row for e in entries if not e.private]

    def columns(self, table: int, row: str) -> list[str]:
        """Columns with a number in the row."""
        found = [e for e in registry.table(table) if e.row == registry.here(row)]
        return [e.column for e in found if isinstance(e.value, float)]

    def _entry(self, table: int, row: str, column: str) -> registry.Entry:
        entry = registry.lookup(table, row, column)
        if entry is None or not isinstance(entry.value, float):
            raise NotComputable(f"the paper's Table {table} has no number for {row} / {column}")
        return entry


class Measured(Printed):
    """Numbers measured in a run, from the files of its tables; not rounded."""

    def __init__(self, run: Run) -> None:
        self._profile = run.settings.profile
        self._cells = {number: {(c.row, c.column): c for c in cells} for number, cells in published_cells(run).items()}
        self._evidence = cache(lambda table: read_evidence(evidence_path(run, table)))
        self._known = cache(self._sample)

    def sample(self, table: int, row: str, column: str) -> Sample:
        """A measured value with its seeds and draws.

        NotComputable: not measured; the cell's own reason. InputError: the table and what it was measured from are of
        different runs.
        """
        return self._known(table, registry.here(row), column)

    def slack(self, table: int, row: str, column: str) -> float:
        return 0.0

    def columns(self, table: int, row: str) -> list[str]:
        found = [c for (r, _), c in self._table(table).items() if r == registry.here(row)]
        return [c.column for c in found if c.source == "measured" and isinstance(c.value, int | float)]

    def _table(self, table: int) -> dict[tuple[str, str], Cell]:
        if table not in self._cells:
            raise NotComputable(f"Table {table} was not made in this run")
        return self._cells[table]

    def _sample(self, table: int, row: str, column: str) -> Sample:
        cell = self._table(table).get((row, column))
        if cell is None:
            raise NotComputable(f"Table {table} has no {row} / {column} here")
        if cell.source != "measured" or not isinstance(cell.value, int | float):
            raise NotComputable(cell.reason or f"{row} / {column} is no number here")
        kept = [self._evidence(n) for n in ((table, TIMES) if table in TIMED else (table,))]
        sample = next((one.sample(row, column) for one in kept if (row, column) in one.cells), None)
        if sample is None:
            return Sample(np.array([float(cell.value)]))
        if abs(sample.value - cell.value) > SAME * max(1.0, abs(cell.value)):
            raise InputError(
                f"Table {table}, {row} / {column}: shows {cell.value:.6g}, but was measured as {sample.value:.6g}; "
                f"run msfp table {table} --profile {self._profile}"
            )
        return sample


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
            sign = 1 if claim.kind == "greater" else direction(claim.table, column) or 1
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


def ratio(claim: Claim, numbers: Printed) -> Found:
    """relative: a is so many percent more than b. times: every a is so many times b; less than once refutes it."""
    effects = []
    for a in claim.a if claim.kind == "times" else claim.a[:1]:
        above, below = (claim.table, a, claim.columns[0]), (claim.table, claim.b[0], claim.columns[0])
        one, other = numbers.sample(*above), numbers.sample(*below)
        if not other.value:
            raise NotComputable(f"{claim.b[0]} / {claim.columns[0]} is 0")
        drawn = len(one.replicates) and len(other.replicates) and one.units == other.units
        seeds, units = one.seeds / other.seeds, one.units if drawn else ()
        replicates = one.replicates / other.replicates if drawn else np.zeros((0, 1))
        slack = numbers.slack(*above) / other.value + numbers.slack(*below) * one.value / other.value**2
        label, unit = f"{a} / {claim.b[0]}", "times"
        if claim.kind == "relative":
            label, unit = f"{label} − 1", "%"
            seeds, replicates, slack = 100 * (seeds - 1), 100 * (replicates - 1), 100 * slack
        effects.append(Effect(label, _spread_of(claim, Sample(seeds, replicates, units, one.kind)), slack, unit))
    bound = 1.0 if claim.kind == "times" else None
    return Found(tuple(effects), claim.low, claim.high, strict=False, bound=bound)


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


def gains(claim: Claim, numbers: Printed) -> Found:
    """Gain of a over b in the columns that both have: on these very sequences, whatever the training seed.

    everywhere: it is above 0 in each. alike: no two columns' gains differ by more than `high`: equivalence of every
    pair. What a column and a seed do only together, (K - 1)(C - 1) degrees of freedom over all K seeds and C columns,
    gives the difference of two columns' means its standard error.
    """
    table, a, b = claim.table, claim.a[0], claim.b[0]
    shared = [c for c in registry.columns(table) if c in numbers.columns(table, a) and c in numbers.columns(table, b)]
    if not shared:  # columns of the paper alone: without `all`
        raise NotComputable(f"Table {table} has {a} and {b} on no common sequence")
    gained = {}
    for c in shared:
        one, other = numbers.sample(table, a, c), numbers.sample(table, b, c)
        gained[c] = difference(Sample(one.seeds), Sample(other.seeds)).seeds
    if claim.kind == "everywhere":
        margin = MARGINS["points"]
        return Found(tuple(Effect(c, Sample(g, kind=SEEDS), 0.0, "points", margin) for c, g in gained.items()))
    every = np.stack(list(gained.values()))
    columns, seeds = every.shape
    if columns < 2:
        raise NotComputable("one sequence only: no two gains to compare")
    left = every - every.mean(axis=0) - every.mean(axis=1, keepdims=True) + every.mean()
    freedom = (columns - 1) * (seeds - 1)
    error = float(np.sqrt((left**2).sum() / max(freedom, 1) * 2 / seeds))

    def between(one: np.ndarray, other: np.ndarray) -> Spread:
        if seeds < FEWEST_SEEDS:
            return Sample(one - other, kind=SEEDS)
        return Pooled(float(one.mean() - other.mean()), error, freedom, f"{columns} sequences, {seeds} seeds")

    pairs = [(f"gain on {c} − on {d}", between(gained[c], gained[d])) for c, d in combinations(gained, 2)]
    return _within(claim.high, (Effect(label, sample, 0.0, "points") for label, sample in pairs))


def counted(claim: Claim, numbers: Printed) -> Found:
    """Test that what was counted here is what the paper prints, to its digits."""
    effects, printed = [], Printed()
    for row in claim.a:
        place = (claim.table, row, claim.columns[0])
        off = difference(numbers.sample(*place), printed.sample(*place))
        effects.append(Effect(f"{row} − paper's", off, printed.slack(*place)))
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
    differing = sum(numbers.sample(*left).value != numbers.sample(*right).value for left, right in pairs)
    return Found((_exact(f"of {len(pairs)} numbers differ", differing),))


def root(claim: Claim, numbers: Printed) -> Found:
    """HOTA is the root of DetA x AssA, within `high`."""
    effects = []
    for t, row in [(n, row) for n in claim.tables for row in numbers.rows(n, "DetA")]:
        (hota, by_hota), (a, by_a), (d, by_d) = (_known(numbers, (t, row, c)) for c in ("HOTA", "AssA", "DetA"))
        slack = by_hota + 0.5 * (by_a * sqrt(d / a) + by_d * sqrt(a / d))
        effects.append(_exact(f"Table {t}, {row}: HOTA − √(DetA·AssA)", hota - sqrt(a * d), slack, "points"))
    return _within(claim.high, effects)


def inverse(claim: Claim, numbers: Printed) -> Found:
    """Frames a second are 1000 / ms a frame."""
    fps, _, time = claim.columns[0].partition("=")
    effects = []
    for row in numbers.rows(claim.table, fps):
        (ms, by_ms), (rate, by_rate) = (_known(numbers, (claim.table, row, c)) for c in (time, fps))
        slack = (by_rate or 0.5) + 1000 * by_ms / (ms * (ms - by_ms))  # whole frames a second are rounded to one
        effects.append(_exact(f"{row}: FPS − 1000 / ms", rate - 1000 / ms, slack))
    return _within(0.0, effects)


def mean(claim: Claim, numbers: Printed) -> Found:
    """A row's average is the number of another table, within `high`."""
    first, second = claim.tables
    effects = []
    for row in claim.a:
        values, slacks = zip(*(_known(numbers, (first, row, c)) for c in numbers.columns(first, row)), strict=True)
        other, by_other = _known(numbers, (second, row, claim.columns[0]))
        off, slack = float(np.mean(values)) - other, float(np.mean(slacks)) + by_other
        effects.append(_exact(f"{row}: average of Table {first} − Table {second}", off, slack, "points"))
    return _within(claim.high, effects)


def _within(size: float, effects: Iterable[Effect]) -> Found:
    """Effects that should be no larger than a size; of size 0, nothing but rounding should be left."""
    found = tuple(effects)
    if not found:
        raise NotComputable("no row has all the numbers")
    return Found(found, -size, size, strict=False, bound=None)


def _known(numbers: Printed, place: Place) -> tuple[float, float]:
    """A number and how far it may be off by rounding."""
    return numbers.sample(*place).value, numbers.slack(*place)


def _exact(label: str, value: float, slack: float = 0.0, unit: str = "") -> Effect:
    return Effect(label, Sample(np.array([float(value)])), slack, unit)


def _effect(claim: Claim, numbers: Printed, a: str, b: str = "", sep: str = "−", sign: int = 1) -> Effect:
    """a less b in the claim's column, the other way round for a negative sign; or a alone."""
    places = [(claim.table, row, claim.columns[0]) for row in (a, b) if row]
    sample, *others = (numbers.sample(*place) for place in places)
    for other in others:
        sample = difference(sample, other)
    slack, unit = sum(numbers.slack(*place) for place in places), _unit(claim)
    margin = MARGINS.get(unit, MARGINS.get(stem(claim.columns[0]), 0.0))
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


def _shared(claim: Claim) -> list[tuple[Place, Place]]:
    """The two places of every pair of rows and columns; `a==b` names the second table's apart."""
    first, second = claim.tables
    pairs = [(row.split("=="), column.split("==")) for row in claim.a for column in claim.columns]
    return [((first, rows[0], columns[0]), (second, rows[-1], columns[-1])) for rows, columns in pairs]


_RULES: dict[Callable[[Claim, Printed], Found], tuple[str, ...]] = {
    compared: ("better", "greater", "best", "ordered", "each", "spread", "between", "at most", "at least"),
    ratio: ("relative", "times"),
    gains: ("everywhere", "alike"),
    identity: ("agree", "sum", "total", "gain"),
    **{rule: (rule.__name__,) for rule in (correlate, counted, distinct, root, inverse, mean)},
}
KINDS = MappingProxyType({kind: rule for rule, kinds in _RULES.items() for kind in kinds})
"""The test of every kind of claim."""
